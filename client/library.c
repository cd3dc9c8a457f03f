/*
 * Libraries: defining one. All that is its own is borrowed while the message is packed.
 */
#include <stdlib.h>
#include <string.h>

#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment library_no_attachment;

static size_t library_name_count(const struct jitd_library *library)
{
    size_t count = 0;
    if (library->process_symbols == JITD_PROCESS_LISTED)
        while (library->process_names && library->process_names[count])
            count++;
    return count;
}

static int library_check(const struct jitd_library *library, struct error *error)
{
    if (library->number >= LIMIT_LIBRARY_NUMBERS)
        return error_set(error, ERROR_LIMIT, "library %u: numbers go up to %d", library->number,
                         LIMIT_LIBRARY_NUMBERS - 1);
    if (library->name && strlen(library->name) > LIMIT_NAME_BYTES)
        return error_set(error, ERROR_LIMIT, "library %u: its name is longer than %llu bytes", library->number,
                         LIMIT_NAME_BYTES);
    if (library->search_count > LIMIT_SEARCH_ORDER)
        return error_set(error, ERROR_LIMIT, "library %u: a search order of %zu libraries; at most %d are taken",
                         library->number, library->search_count, LIMIT_SEARCH_ORDER);
    if (library->search_count != 0 && !library->search)
        return error_set(error, ERROR_INVALID, "library %u: its search order is NULL", library->number);
    if ((unsigned)library->process_symbols > JITD_PROCESS_LISTED)
        return error_set(error, ERROR_INVALID, "library %u: %d is no choice of process symbols", library->number,
                         (int)library->process_symbols);
    return 0;
}

static int library_check_names(const struct jitd_library *library, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(library->process_names[i]);
        if (length == 0)
            return error_set(error, ERROR_INVALID, "library %u: process symbol %zu has no name", library->number, i);
        if (length > LIMIT_NAME_BYTES)
            return error_set(error, ERROR_LIMIT, "library %u: the name of process symbol %zu is longer than %llu bytes",
                             library->number, i, LIMIT_NAME_BYTES);
    }
    return 0;
}

static void library_fill(Jitd__Proto__DefineLibrary *message, const struct jitd_library *library,
                         Jitd__Proto__Search *search)
{
    for (size_t i = 0; i < library->search_count; i++) {
        search[i] = (Jitd__Proto__Search)JITD__PROTO__SEARCH__INIT;
        search[i].library = library->search[i].library;
        search[i].hidden = library->search[i].hidden;
        search[i].re_export = library->search[i].re_export;
        message->search[message->n_search++] = &search[i];
    }
    for (size_t i = 0; i < message->n_process_names; i++)
        message->process_names[i] = convert_borrow(library->process_names[i]);
}

static int library_define(struct jitd_session *session, const struct jitd_library *library,
                          const struct request *request, jitd_request *number)
{
    size_t names = library_name_count(library);
    int code = library_check(library, &session->error);
    code = code ? code : library_check_names(library, names, &session->error);
    if (code != 0)
        return code;
    Jitd__Proto__DefineLibrary message = JITD__PROTO__DEFINE_LIBRARY__INIT;
    message.library = library->number;
    message.name = convert_borrow(library->name);
    message.process_symbols = (Jitd__Proto__ProcessSymbols)library->process_symbols;
    message.n_process_names = names;
    message.process_names = calloc(names + 1, sizeof *message.process_names);
    message.search = calloc(library->search_count + 1, sizeof *message.search);
    Jitd__Proto__Search *search = calloc(library->search_count + 1, sizeof *search);
    if (message.process_names && message.search && search) {
        library_fill(&message, library, search);
        code = request_send(session, request, MESSAGE_DEFINE_LIBRARY, &message.base, &library_no_attachment, number);
    } else {
        code = error_set(&session->error, ERROR_NO_MEMORY, "out of memory for library %u", library->number);
    }
    free(message.process_names);
    free(message.search);
    free(search);
    return code;
}

int jitd_define_library(struct jitd_session *session, const struct jitd_library *library, jitd_done_callback *callback,
                        void *data, jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_DEFINE_LIBRARY, .callback.done = callback, .data = data};
    return client_session_result(session, library_define(session, library, &record, request));
}
