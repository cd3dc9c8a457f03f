/*
 * Deadlines of batches: what still waits for others when its time is up fails, with the name of what never came; what
 * is in the runner's hands is had back from there (publish.c). Calls keep theirs themselves (call.c), and share the
 * timer.
 */
#include <stdlib.h>

#include "common/log.h"
#include "daemon/linker/session.h"

#define LOG_TAG "deadline"

struct deadline {
    struct deadline *next; /* later ones behind */
    uint64_t at;           /* of the loop's clock, in milliseconds */
    uint64_t first;        /* unit */
    uint32_t count;
    uint32_t milliseconds; /* as asked for */
};

static void fail_waiting(struct session *session, struct unit *unit, uint32_t milliseconds)
{
    struct unit *needed_by;
    const struct symbol *symbol;
    struct error error;

    symbol = graph_awaited(unit, &needed_by);
    if (symbol && needed_by == unit)
        error_set(&error, ERROR_TIMEOUT, "%s: '%s' was not defined within %u ms", unit->name, symbol->name,
                  milliseconds);
    else if (symbol)
        error_set(&error, ERROR_TIMEOUT, "%s: needs %s, and '%s', which that needs, was not defined within %u ms",
                  unit->name, needed_by->name, symbol->name, milliseconds);
    else
        error_set(&error, ERROR_TIMEOUT, "%s: needs %s, which was not initialised within %u ms", unit->name,
                  needed_by->name, milliseconds);
    error_set_unit(&error, unit->name);
    error_set_symbol(&error, symbol ? symbol->name : NULL);
    link_fail(&session->linker, unit, &error);
}

static void expire(struct session *session, const struct deadline *deadline)
{
    for (uint32_t i = 0; i < deadline->count; i++) {
        struct unit *unit = link_unit(&session->linker, deadline->first + i);

        if (unit && unit->state == UNIT_RESOLVED)
            fail_waiting(session, unit, deadline->milliseconds);
        else if (unit && unit->state == UNIT_LINKED)
            publish_expire(session, unit, deadline->milliseconds);
    }
}

static void arm(struct session *session);

/* What the runner has done by now is done in time. */
static void on_timer(uv_timer_t *timer)
{
    struct session *session = timer->data;

    publish_drain(session);
    while (session->deadlines && session->deadlines->at <= uv_now(&session->loop)) {
        struct deadline *deadline = session->deadlines;

        session->deadlines = deadline->next;
        if (!session->deadlines)
            session->deadline_last = NULL;
        expire(session, deadline);
        free(deadline);
    }
    if (session->call_expiry && session->call_expiry <= uv_now(&session->loop)) {
        session->call_expiry = 0;
        call_expire(session);
    }
    session_send_news(session);
    arm(session);
}

static void arm(struct session *session)
{
    uint64_t now = uv_now(&session->loop), at = session->deadlines ? session->deadlines->at : UINT64_MAX;

    if (session->call_expiry && session->call_expiry < at)
        at = session->call_expiry;
    if (at != UINT64_MAX)
        uv_timer_start(&session->deadline_timer, on_timer, at > now ? at - now : 0, 0);
}

void deadline_add(struct session *session, uint64_t first, uint32_t count, uint32_t milliseconds)
{
    struct deadline *deadline = calloc(1, sizeof *deadline), *last = session->deadline_last;
    struct deadline **link = &session->deadlines;
    struct error error;

    if (!deadline) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for a deadline");
        session_end(session, &error);
        return;
    }
    *deadline = (struct deadline){
        .at = uv_now(&session->loop) + milliseconds, .first = first, .count = count, .milliseconds = milliseconds};
    if (last && last->at <= deadline->at) /* as with one number of milliseconds for all */
        link = &last->next;
    while (*link && (*link)->at <= deadline->at)
        link = &(*link)->next;
    deadline->next = *link;
    *link = deadline;
    if (!deadline->next)
        session->deadline_last = deadline;
    arm(session);
}

void deadline_add_call(struct session *session, uint64_t at)
{
    if (session->call_expiry && session->call_expiry <= at)
        return;
    session->call_expiry = at;
    arm(session);
}

void deadline_close(struct session *session)
{
    while (session->deadlines) {
        struct deadline *next = session->deadlines->next;
        free(session->deadlines);
        session->deadlines = next;
    }
}
