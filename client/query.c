/*
 * Questions that change nothing: addresses of symbols, and what the session holds.
 */
#include <stdlib.h>

#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

#define QUERY_INSPECT_FLAGS                                                                                            \
    ((unsigned)(JITD_INSPECT_UNITS | JITD_INSPECT_DIGESTS | JITD_INSPECT_DEPENDENCIES | JITD_INSPECT_LIBRARIES |       \
                JITD_INSPECT_ADAPTERS))

static const struct request_attachment query_no_attachment;

static int query_check_names(const char *const *names, size_t count, struct error *error)
{
    if (count > LIMIT_LOOKUPS_PER_REQUEST)
        return error_set(error, ERROR_LIMIT, "a lookup of %zu names: at most %d", count, LIMIT_LOOKUPS_PER_REQUEST);
    for (size_t i = 0; i < count; i++)
        if (!names || !names[i])
            return error_set(error, ERROR_INVALID, "name %zu of a lookup is NULL", i);
    return 0;
}

/* All of `lookup` is there but the names. */
static int query_send_lookup(struct jitd_session *session, Jitd__Proto__Lookup *lookup, const char *const *names,
                             const struct request *request, jitd_request *number)
{
    size_t count = request->count;
    lookup->n_names = count;
    lookup->names = calloc(count ? count : 1, sizeof *lookup->names);
    if (!lookup->names)
        return error_set(&session->error, ERROR_NO_MEMORY, "out of memory for a lookup of %zu names", count);
    for (size_t i = 0; i < count; i++)
        lookup->names[i] = convert_borrow(names[i]);
    int code = request_send(session, request, MESSAGE_LOOKUP, &lookup->base, &query_no_attachment, number);
    free(lookup->names);
    return code;
}

static int query_lookup(struct jitd_session *session, Jitd__Proto__Lookup *lookup, const char *const *names,
                        size_t count, jitd_lookup_callback *callback, void *data, jitd_request *number)
{
    request_clear(number);
    struct request record = {
        .kind = REQUEST_LOOKUP, .count = (uint32_t)count, .callback.lookup = callback, .data = data};
    int code = query_check_names(names, count, &session->error);
    return client_session_result(session, code ? code : query_send_lookup(session, lookup, names, &record, number));
}

int jitd_lookup(struct jitd_session *session, const char *const *names, size_t count, jitd_lookup_callback *callback,
                void *data, jitd_request *request)
{
    return jitd_lookup_in(session, JITD_LIBRARY_MAIN, names, count, callback, data, request);
}

int jitd_lookup_in(struct jitd_session *session, uint32_t library, const char *const *names, size_t count,
                   jitd_lookup_callback *callback, void *data, jitd_request *request)
{
    Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    lookup.library = library;
    return query_lookup(session, &lookup, names, count, callback, data, request);
}

int jitd_lookup_ready(struct jitd_session *session, uint32_t library, const char *const *names, size_t count,
                      uint32_t deadline_ms, jitd_lookup_callback *callback, void *data, jitd_request *request)
{
    Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    lookup.library = library;
    lookup.wait = true;
    lookup.deadline_ms = deadline_ms;
    return query_lookup(session, &lookup, names, count, callback, data, request);
}

int jitd_inspect(struct jitd_session *session, unsigned flags, jitd_inspect_callback *callback, void *data,
                 jitd_request *request)
{
    return jitd_inspect_from(session, flags, 0, 0, callback, data, request);
}

int jitd_inspect_from(struct jitd_session *session, unsigned flags, uint64_t first, uint32_t limit,
                      jitd_inspect_callback *callback, void *data, jitd_request *request)
{
    request_clear(request);
    if (flags & ~QUERY_INSPECT_FLAGS)
        return client_session_result(session,
                                     error_set(&session->error, ERROR_INVALID, "%#x are no flags of an inspection",
                                               flags & ~QUERY_INSPECT_FLAGS));
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    inspect.units = (flags & JITD_INSPECT_UNITS) != 0;
    inspect.digests = (flags & JITD_INSPECT_DIGESTS) != 0;
    inspect.dependencies = (flags & JITD_INSPECT_DEPENDENCIES) != 0;
    inspect.libraries = (flags & JITD_INSPECT_LIBRARIES) != 0;
    inspect.adapters = (flags & JITD_INSPECT_ADAPTERS) != 0;
    inspect.first_unit = first;
    inspect.unit_limit = limit;
    struct request record = {.kind = REQUEST_INSPECT, .callback.inspect = callback, .data = data};
    return client_session_result(
        session, request_send(session, &record, MESSAGE_INSPECT, &inspect.base, &query_no_attachment, request));
}
