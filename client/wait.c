/*
 * The blocking helpers: a loop of dispatch and poll for programs that have none of their own.
 *
 * Dispatching comes first and the deadline is looked at after it, so that a timeout of 0 still reads what has come, and
 * a daemon that never stops talking cannot stretch a timeout.
 */
#include <errno.h>

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

/* What a unit lacks only the daemon knows: the text says how to ask it. */
static int wait_timed_out(struct jitd_session *session, int timeout_ms)
{
    if (session->pending.count == 0)
        return error_set(&session->error, ERROR_TIMEOUT, "time is up after %d ms", timeout_ms);
    return error_set(&session->error, ERROR_TIMEOUT,
                     "time is up after %d ms; %zu units still wait, for what jitd_inspect lists with "
                     "JITD_INSPECT_DEPENDENCIES",
                     timeout_ms, session->pending.count);
}

/* poll(2) has failed. */
static int wait_broken_off(struct jitd_session *session)
{
    if (errno == EINTR)
        return error_set(&session->error, ERROR_INTERRUPTED, "a signal has interrupted the wait");
    return error_system(&session->error, "cannot poll the daemon's socket");
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
            return client_session_result(session, wait_timed_out(session, timeout_ms));
        if (deadline_poll(jitd_fd(session), jitd_events(session), deadline, session->interruptible) < 0)
            return client_session_result(session, wait_broken_off(session));
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
