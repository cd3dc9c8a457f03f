/*
 * Taking back what still waits.
 */
#include "daemon/linker/session.h"

/* One that is being linked or initialised does not wait any more. */
static bool cancel_unit(struct session *session, uint64_t id)
{
    struct unit *unit = link_unit(&session->linker, id);
    struct error error;

    if (!unit || unit->internal || unit->state != UNIT_RESOLVED)
        return false;
    error_set(&error, ERROR_CANCELLED, "%s: cancelled", unit->name);
    error_set_unit(&error, unit->name);
    link_fail(&session->linker, unit, &error);
    return true;
}

void cancel_request(struct session *session, uint64_t request, const Jitd__Proto__Cancel *message)
{
    Jitd__Proto__Cancelled reply = JITD__PROTO__CANCELLED__INIT;

    if (message->request)
        reply.count += lookup_cancel(session, message->request) || call_cancel(session, message->request) ||
                       run_once_cancel(session, message->request);
    for (size_t i = 0; i < message->n_units; i++)
        reply.count += cancel_unit(session, message->units[i]);
    event_flush(session);
    session_send(session, MESSAGE_CANCELLED, request, &reply.base);
}
