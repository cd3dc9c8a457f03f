/*
 * Taking back what still waits. What was cancelled is completed by its own reply or event, which comes first.
 */
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment cancel_no_attachment;

static int cancel_send(struct jitd_session *session, const Jitd__Proto__Cancel *message, jitd_cancel_callback *callback,
                       void *data, jitd_request *number)
{
    struct request record = {.kind = REQUEST_CANCEL, .callback.cancel = callback, .data = data};
    return client_session_result(
        session, request_send(session, &record, MESSAGE_CANCEL, &message->base, &cancel_no_attachment, number));
}

int jitd_cancel(struct jitd_session *session, jitd_request waiting, jitd_cancel_callback *callback, void *data,
                jitd_request *request)
{
    Jitd__Proto__Cancel message = JITD__PROTO__CANCEL__INIT;
    request_clear(request);
    message.request = waiting;
    return cancel_send(session, &message, callback, data, request);
}

int jitd_cancel_units(struct jitd_session *session, const uint64_t *units, size_t count, jitd_cancel_callback *callback,
                      void *data, jitd_request *request)
{
    request_clear(request);
    if (count != 0 && !units)
        return client_session_result(session,
                                     error_set(&session->error, ERROR_INVALID, "the list of units to cancel is NULL"));
    if (count > LIMIT_UNITS_PER_SESSION)
        return client_session_result(session, error_set(&session->error, ERROR_LIMIT,
                                                        "%zu units to cancel: a session has at "
                                                        "most %d",
                                                        count, LIMIT_UNITS_PER_SESSION));
    Jitd__Proto__Cancel message = JITD__PROTO__CANCEL__INIT;
    message.n_units = count;
    message.units = (uint64_t *)units; /* packing only reads */
    return cancel_send(session, &message, callback, data, request);
}
