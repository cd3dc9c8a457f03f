/*
 * DefineLibrary: checked and made the linker's own form (library.h).
 */
#include <string.h>

#include "daemon/linker/session.h"

static int check_names(const Jitd__Proto__DefineLibrary *message, struct error *error)
{
    if (message->name.len > LIMIT_NAME_BYTES ||
        (message->name.len && memchr(message->name.data, '\0', message->name.len)))
        return error_set(error, ERROR_INVALID, "library %u: its name is too long or contains a NUL byte",
                         message->library);
    for (size_t i = 0; i < message->n_process_names; i++)
        if (message->process_names[i].len == 0 || message->process_names[i].len > LIMIT_NAME_BYTES)
            return error_set(error, ERROR_INVALID,
                             "library %u: process symbol %zu has a name that is empty or too long", message->library,
                             i);
    return 0;
}

static struct library_name name_of(const ProtobufCBinaryData *bytes)
{
    return (struct library_name){(const char *)bytes->data, bytes->len};
}

static int convert(struct pool *pool, const Jitd__Proto__DefineLibrary *message, struct library_definition *out,
                   struct error *error)
{
    struct search_entry *search = pool_allocate_array(pool, message->n_search, sizeof *search);
    struct library_name *names = pool_allocate_array(pool, message->n_process_names, sizeof *names);
    int code = check_names(message, error);

    if (code)
        return code;
    if (!search || !names)
        return error_set(error, ERROR_NO_MEMORY, "no memory for library %u", message->library);
    for (size_t i = 0; i < message->n_search; i++)
        search[i] = (struct search_entry){message->search[i]->library, message->search[i]->hidden,
                                          message->search[i]->re_export};
    for (size_t i = 0; i < message->n_process_names; i++)
        names[i] = name_of(&message->process_names[i]);
    *out = (struct library_definition){.library = message->library,
                                       .name = name_of(&message->name),
                                       .search = search,
                                       .search_count = (uint32_t)message->n_search,
                                       .process = (enum process_choice)message->process_symbols,
                                       .process_names = names,
                                       .process_name_count = (uint32_t)message->n_process_names};
    return 0;
}

void define_library_request(struct session *session, uint64_t request, const Jitd__Proto__DefineLibrary *message)
{
    Jitd__Proto__LibraryDefined reply = JITD__PROTO__LIBRARY_DEFINED__INIT;
    struct library_definition definition;
    struct error error;
    int code = convert(&session->decode, message, &definition, &error);

    if (!code)
        code = link_define_library(&session->linker, &definition, &error);
    if (code) {
        session_fail(session, request, &error);
        return;
    }
    reply.library = message->library;
    session_send(session, MESSAGE_LIBRARY_DEFINED, request, &reply.base);
}
