/*
 * Taking units away. What is removed is told by events; the reply says when finalisers have run.
 */
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment remove_no_attachment;

static int remove_check(const struct jitd_removal *removal, struct error *error)
{
    if ((removal->unit_count && !removal->units) || (removal->tag_count && !removal->tags) ||
        (removal->library_count && !removal->libraries))
        return error_set(error, ERROR_INVALID, "a list of what is to be removed is NULL");
    if (removal->unit_count > LIMIT_UNITS_PER_SESSION)
        return error_set(error, ERROR_LIMIT, "%zu units to be removed: a session has at most %d", removal->unit_count,
                         LIMIT_UNITS_PER_SESSION);
    if (removal->tag_count > LIMIT_REMOVAL_GROUPS || removal->library_count > LIMIT_REMOVAL_GROUPS - removal->tag_count)
        return error_set(error, ERROR_LIMIT, "%zu tags and %zu libraries in one removal; at most %d are taken",
                         removal->tag_count, removal->library_count, LIMIT_REMOVAL_GROUPS);
    for (size_t i = 0; i < removal->tag_count; i++)
        if (removal->tags[i] == 0)
            return error_set(error, ERROR_INVALID, "tag 0 is none: it cannot be removed");
    return 0;
}

int jitd_remove(struct jitd_session *session, const struct jitd_removal *removal, jitd_remove_callback *callback,
                void *data, jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_REMOVE, .callback.remove = callback, .data = data};
    Jitd__Proto__Remove message = JITD__PROTO__REMOVE__INIT;
    int code = remove_check(removal, &session->error);
    if (code != 0)
        return client_session_result(session, code);
    /* Packing only reads. */
    message.n_units = removal->unit_count;
    message.units = (uint64_t *)(uintptr_t)removal->units;
    message.n_tags = removal->tag_count;
    message.tags = (uint64_t *)(uintptr_t)removal->tags;
    message.n_libraries = removal->library_count;
    message.libraries = (uint32_t *)(uintptr_t)removal->libraries;
    message.cascade = removal->cascade;
    return client_session_result(
        session, request_send(session, &record, MESSAGE_REMOVE, &message.base, &remove_no_attachment, request));
}
