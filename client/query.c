/*
 * Questions that change nothing: addresses of symbols, and what the session holds.
 */
#include <stdlib.h>

#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment query_no_attachment;

static int query_lookup(struct jitd_session *session, const char *const *names, const struct request *request,
                        jitd_request *number)
{
    size_t count = request->count;
    Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    lookup.n_names = count;
    lookup.names = calloc(count ? count : 1, sizeof *lookup.names);
    if (!lookup.names)
        return error_set(&session->error, ERROR_NO_MEMORY, "out of memory for a lookup of %zu names", count);
    for (size_t i = 0; i < count; i++)
        lookup.names[i] = convert_borrow(names[i]);
    int code = request_send(session, request, MESSAGE_LOOKUP, &lookup.base, &query_no_attachment, number);
    free(lookup.names);
    return code;
}

int jitd_lookup(struct jitd_session *session, const char *const *names, size_t count, jitd_lookup_callback *callback,
                void *data, jitd_request *request)
{
    if (count > LIMIT_LOOKUPS_PER_REQUEST)
        return client_session_result(session,
                                     error_set(&session->error, ERROR_LIMIT, "a lookup of %zu names: at most %d", count,
                                               LIMIT_LOOKUPS_PER_REQUEST));
    struct request record = {
        .kind = REQUEST_LOOKUP, .count = (uint32_t)count, .callback.lookup = callback, .data = data};
    return client_session_result(session, query_lookup(session, names, &record, request));
}

int jitd_inspect(struct jitd_session *session, unsigned flags, jitd_inspect_callback *callback, void *data,
                 jitd_request *request)
{
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    inspect.units = (flags & JITD_INSPECT_UNITS) != 0;
    inspect.digests = (flags & JITD_INSPECT_DIGESTS) != 0;
    struct request record = {.kind = REQUEST_INSPECT, .callback.inspect = callback, .data = data};
    return client_session_result(
        session, request_send(session, &record, MESSAGE_INSPECT, &inspect.base, &query_no_attachment, request));
}
