/*
 * Functions that are called before they are there, as the session sees it: the runner's notices, the controller's
 * questions, how long they may take, and when a thread goes on.
 *
 * A thread that waits does what publications need meanwhile (publish.c), so it goes on only when all of that has been
 * answered.
 */
#include <string.h>

#include "common/log.h"
#include "daemon/linker/session.h"

static void arm(struct session *session);

static void on_timer(uv_timer_t *timer)
{
    struct session *session = timer->data;
    uint64_t deadline;
    struct lazy *lazy;
    struct error error;

    while ((lazy = lazy_soonest(&session->linker, &deadline)) && deadline <= uv_now(&session->loop)) {
        error_set(&error, ERROR_TIMEOUT,
                  lazy->ask ? "'%s' was called and not supplied within %u ms"
                            : "'%s' was called, and the unit that defines it did not become ready within %u ms",
                  lazy->wanted->name, session->lazy_deadline_ms);
        lazy_give_up(&session->linker, lazy, &error);
    }
    session_send_news(session);
    arm(session);
}

static void arm(struct session *session)
{
    uint64_t deadline, now = uv_now(&session->loop);

    if (lazy_soonest(&session->linker, &deadline))
        uv_timer_start(&session->lazy_timer, on_timer, deadline > now ? deadline - now : 0, 0);
    else
        uv_timer_stop(&session->lazy_timer);
}

/* Of threads that call by several, one's. */
static uint64_t convention_of(const struct session *session, const struct lazy *lazy)
{
    const struct lazy_waiter *waiters = session->linker.lazies.waiters;
    uint32_t waiter = 0;

    while (waiter + 1 < CHANNEL_WAITERS && waiters[waiter].lazy != lazy)
        waiter++;
    return waiters[waiter].convention;
}

void materialize_wanted(void *owner, struct lazy *lazy)
{
    Jitd__Proto__Materialize event = JITD__PROTO__MATERIALIZE__INIT;
    struct session *session = owner;

    event.ask = lazy->ask;
    event.symbol = (ProtobufCBinaryData){lazy->wanted->name_length, (uint8_t *)lazy->wanted->name};
    event.library = lazy->library;
    event.convention = convention_of(session, lazy);
    event_flush(session);
    session_send(session, MESSAGE_MATERIALIZE, 0, &event.base);
}

void materialize_resumed(void *owner, uint32_t waiter, uint64_t address, const struct lazy *lazy,
                         const struct error *why)
{
    struct session *session = owner;

    session->resuming[waiter] = true;
    session->resume_at[waiter] = address;
    if (address)
        return;
    session->refusals[waiter] = *why;
    error_set_symbol(&session->refusals[waiter], lazy ? lazy->wanted->name : NULL);
}

static void forget_waiter(struct session *session, uint32_t place)
{
    session->waiter_count--;
    memmove(&session->waiters[place], &session->waiters[place + 1],
            (session->waiter_count - place) * sizeof session->waiters[0]);
}

void materialize_resume(struct session *session)
{
    for (uint32_t i = session->waiter_count; i-- > 0;) {
        uint32_t waiter = session->waiters[i];

        if (!session->resuming[waiter] || !runner_queue_is_empty(session->runner, RUNNER_WAITER + waiter))
            continue;
        session->resuming[waiter] = false;
        forget_waiter(session, i);
        if (!session->resume_at[waiter])
            session->lazy_refusal = session->refusals[waiter];
        runner_resume(session->runner, waiter, session->resume_at[waiter]);
    }
}

static bool is_waiting(const struct session *session, uint32_t waiter)
{
    for (uint32_t i = 0; i < session->waiter_count; i++)
        if (session->waiters[i] == waiter)
            return true;
    return false;
}

const struct unit *materialize_needed(struct session *session, uint32_t waiter)
{
    struct unit *coming = lazy_coming(&session->linker, waiter), *last;

    if (!coming || graph_awaited(coming, &last))
        return NULL;
    return last->state == UNIT_LINKED ? graph_root(last) : NULL;
}

/* It ends its process; the report will say why. */
static void found_no_waiter(struct session *session, uint64_t number)
{
    const char *name = lazy_name(&session->linker, number);

    error_set(&session->lazy_refusal, ERROR_TIMEOUT,
              "'%s' was called while as many threads as can waited for functions already, and none of them went on "
              "within %u ms",
              name ? name : "a removed function", session->lazy_deadline_ms);
    error_set_symbol(&session->lazy_refusal, name);
}

int materialize_called(struct session *session, const struct channel_record *notice)
{
    uint32_t waiter = notice->id < CHANNEL_WAITERS ? (uint32_t)notice->id : CHANNEL_WAITERS;
    struct error error;
    int code = 0;

    if (notice->id == CHANNEL_WAITERS) {
        found_no_waiter(session, notice->a);
        return 0;
    }
    if (waiter == CHANNEL_WAITERS || is_waiting(session, waiter))
        code = error_set(&error, ERROR_RUNNER_PROTOCOL, "the runner claims that thread %llu waits, which cannot be",
                         (unsigned long long)notice->id);
    if (!code) {
        session->waiters[session->waiter_count++] = waiter;
        code = lazy_called(&session->linker, waiter, notice->a, uv_now(&session->loop) + session->lazy_deadline_ms,
                           &error);
    }
    if (code)
        session_end(session, &error);
    else
        arm(session);
    return code;
}

void materialize_runner_ended(struct session *session)
{
    session->waiter_count = 0;
    memset(session->resuming, 0, sizeof session->resuming);
    session->lazy_refusal.code = 0;
    lazy_runner_ended(&session->linker);
}

void refuse_request(struct session *session, uint64_t request, const Jitd__Proto__Refuse *message)
{
    Jitd__Proto__Refused reply = JITD__PROTO__REFUSED__INIT;
    char shown[256];
    struct error error;

    log_escape(shown, sizeof shown, message->text.data, message->text.len);
    error_set(&error, ERROR_NOT_FOUND, "the controller does not supply it%s%s", *shown ? ": " : "", shown);
    if (message->ask && lazy_refuse(&session->linker, message->ask, &error)) {
        session_send(session, MESSAGE_REFUSED, request, &reply.base);
        return;
    }
    error_set(&error, ERROR_NOT_FOUND, "no question %llu is open", (unsigned long long)message->ask);
    session_fail(session, request, &error);
}
