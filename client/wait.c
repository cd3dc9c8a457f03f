/*
 * The blocking helpers: a loop of dispatch and poll for programs that have none of their own.
 *
 * Dispatching comes first and the deadline is looked at after it, so that a timeout of 0 still reads what has come, and
 * a daemon that never stops talking cannot stretch a timeout.
 */
#include "client/deadline.h"
#include "client/session.h"

/* Whether what is waited for has happened. */
typedef bool wait_condition(const struct jitd_session *session, uint64_t request);

static bool wait_request_complete(const struct jitd_session *session, uint64_t request)
{
    return !request_outstanding(session, request);
}

static bool wait_units_settled(const struct jitd_session *session, uint64_t request)
{
    (void)request;
    return session->requests.submissions == 0 && session->pending.count == 0;
}

static int wait_until(struct jitd_session *session, wait_condition *met, uint64_t request, int timeout_ms)
{
    if (session->dispatching)
        return jitd_dispatch(session); /* refuses */
    if (!session->connection)
        return client_session_result(session, client_session_refuse(session));
    struct deadline deadline = deadline_after(timeout_ms);
    while (!met(session, request)) {
        int code = jitd_dispatch(session);
        if (code != 0)
            return code;
        if (met(session, request))
            return 0;
        if (deadline_left(deadline) == 0)
            return client_session_result(
                session, error_set(&session->error, ERROR_TIMEOUT, "time is up after %d ms", timeout_ms));
        if (deadline_poll(jitd_fd(session), jitd_events(session), deadline) < 0)
            return client_session_result(session, error_system(&session->error, "cannot poll the daemon's socket"));
    }
    return 0;
}

int jitd_wait(struct jitd_session *session, jitd_request request, int timeout_ms)
{
    return wait_until(session, wait_request_complete, request == 0 ? session->hello : request, timeout_ms);
}

int jitd_wait_units(struct jitd_session *session, int timeout_ms)
{
    return wait_until(session, wait_units_settled, 0, timeout_ms);
}
