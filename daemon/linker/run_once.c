/*
 * Run: one unit, one call, and gone. Each step begins where the one before ended; whatever ends early answers with its
 * error, and the unit goes in any case.
 */
#include <stdlib.h>

#include "daemon/linker/session.h"

struct run_once {
    struct unit_waiter waiter;
    struct run_once *next;
    uint64_t request;
    struct call *call; /* owned until it is queued */
};

static void forget(struct session *session, struct run_once *once)
{
    struct run_once **link = &session->runs;

    while (*link != once)
        link = &(*link)->next;
    *link = once->next;
    session->run_count--;
    call_free(once->call);
    free(once);
}

/* The unit has become ready, or has failed. */
static void changed(struct session *session, struct unit_waiter *waiter, const struct unit *unit,
                    const struct report *report)
{
    struct run_once *once = (struct run_once *)waiter;

    if (unit->state == UNIT_RESOLVED)
        return;
    event_flush(session);
    if (report) {
        session_fail_report(session, once->request, report);
        remove_later(session, waiter->unit);
    } else {
        call_queue(session, once->call, waiter->unit);
        once->call = NULL;
    }
    forget(session, once);
}

void run_once_request(struct session *session, struct frame *frame, const Jitd__Proto__Run *message)
{
    struct run_once *once = calloc(1, sizeof *once);
    uint64_t request = frame->header.request;
    uint32_t waiting = session->call_count + session->run_count;
    struct report report = {0};
    struct error error;
    int code = once ? 0 : error_set(&error, ERROR_NO_MEMORY, "no memory for a run");

    if (!code && waiting >= LIMIT_CALLS_QUEUED)
        code = error_set(&error, ERROR_LIMIT, "%u calls and runs are waiting already", waiting);
    if (!code && (!message->unit || !message->call || message->call->main ||
                  message->call->function_case != JITD__PROTO__CALL__FUNCTION_SYMBOL || message->call->symbol.len == 0))
        code = error_set(&error, ERROR_INVALID, "a run needs a unit and a call of one of its functions by name");
    if (!code)
        code = call_new(session, message->call, request, &once->call, &error);
    if (code) {
        free(once);
        session_fail(session, request, &error);
        return;
    }
    once->waiter.changed = changed;
    once->request = request;
    once->next = session->runs;
    session->runs = once;
    session->run_count++;
    if (submit_one(session, frame, message->unit, message->entries, message->call->deadline_ms, &once->waiter, &report))
        return;
    session_fail_report(session, request, &report);
    report_fini(&report);
    forget(session, once);
}

/* Its answer is that of its unit, which fails. */
bool run_once_cancel(struct session *session, uint64_t request)
{
    struct run_once *once = session->runs;
    struct error error;

    while (once && once->request != request)
        once = once->next;
    if (!once || once->waiter.unit->state != UNIT_RESOLVED)
        return false;
    error_set(&error, ERROR_CANCELLED, "the run was cancelled before it began");
    link_fail(&session->linker, once->waiter.unit, &error);
    return true;
}

void run_once_close(struct session *session)
{
    while (session->runs)
        forget(session, session->runs);
}
