/*
 * Calls: carried out one after another on the runner's main thread, in the order of their arrival. The arguments of the
 * one under way lie in the channel. A call that had not begun when a life of the runner ended waits for the next life.
 *
 * One with a deadline is not sent while other code of the program is ahead of it: so when its time is up, either it has
 * not begun, and is answered, or what has not returned is the call itself, and that can be had back only with the life.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/linker/session.h"

struct call {
    struct call *next;
    uint64_t request;
    uint64_t address;
    struct unit *unit; /* borrowed; NULL for a function of a library, or of a unit that has been removed since */
    struct unit *once; /* borrowed; a unit that goes when the call is over */
    bool main;
    uint32_t result;
    uint32_t argument_count;
    uint32_t deadline_ms; /* 0: none... */
    uint64_t expires_at;  /* ...else when, by the loop's clock */
    char *name;           /* owned; of the function, where that was not there when the call was made */
    size_t name_length;
    struct channel_call arguments;
};

static int find_symbol(struct session *session, uint32_t library, const ProtobufCBinaryData *name,
                       struct link_found *found, struct error *error)
{
    char shown[256];

    log_escape(shown, sizeof shown, name->data, name->len);
    if (name->len > LIMIT_NAME_BYTES ||
        !link_lookup(&session->linker, library, (const char *)name->data, name->len, found)) {
        error_set(error, ERROR_NOT_FOUND, "no definition of '%s' to call", shown);
        error_set_symbol(error, shown);
        return error->code;
    }
    if (found->ready && found->function)
        return 0;
    error_set(error, ERROR_NOT_CALLABLE, found->ready ? "'%s' is not a function" : "'%s' is not ready", shown);
    error_set_symbol(error, shown);
    return error->code;
}

/* Code that may be called: of a ready unit; a library's only when it was asked for by name. */
static int find_function(struct session *session, const Jitd__Proto__Call *request, struct call *call,
                         struct error *error)
{
    bool by_name = request->function_case == JITD__PROTO__CALL__FUNCTION_SYMBOL;
    struct link_found found = {.address = request->address};

    if (by_name) {
        int code = find_symbol(session, request->library, &request->symbol, &found, error);
        if (code)
            return code;
    }
    call->address = found.address;
    call->unit = link_find_code(&session->linker, call->address, found.unit);
    if (call->unit ? call->unit->state == UNIT_READY : by_name)
        return 0;
    return error_set(error, ERROR_NOT_CALLABLE, "address 0x%llx is not in the code of a ready unit",
                     (unsigned long long)call->address);
}

static int take_arguments(const struct session *session, const Jitd__Proto__Call *request, struct call *call,
                          struct error *error)
{
    if (request->n_arguments > LIMIT_CALL_ARGUMENTS)
        return error_set(error, ERROR_LIMIT, "%zu arguments; at most %d are taken", request->n_arguments,
                         LIMIT_CALL_ARGUMENTS);
    call->argument_count = (uint32_t)request->n_arguments;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        if (request->arguments[i]->type == JITD__PROTO__VALUE_TYPE__VOID)
            return error_set(error, ERROR_INVALID, "argument %u has no type", i);
        call->arguments.types[i] = request->arguments[i]->type;
        call->arguments.values[i] = request->arguments[i]->bits;
    }
    call->result = request->result;
    call->main = request->main;
    call->deadline_ms = request->deadline_ms;
    call->expires_at = uv_now(&session->loop) + request->deadline_ms;
    return 0;
}

int call_new(const struct session *session, const Jitd__Proto__Call *message, uint64_t request, struct call **out,
             struct error *error)
{
    struct call *call = calloc(1, sizeof *call);
    int code = call ? take_arguments(session, message, call, error)
                    : error_set(error, ERROR_NO_MEMORY, "no memory for a call");

    if (!code && message->symbol.len <= LIMIT_NAME_BYTES) {
        call->request = request;
        call->name_length = message->symbol.len;
        call->name = malloc(call->name_length + 1);
    }
    if (!code && !call->name)
        code = error_set(error, ERROR_INVALID, "the function's name is too long, or there is no memory for it");
    if (code)
        call_free(call);
    else {
        memcpy(call->name, message->symbol.data, call->name_length);
        *out = call;
    }
    return code;
}

void call_free(struct call *call)
{
    if (!call)
        return;
    free(call->name);
    free(call);
}

static void append(struct session *session, struct call *call)
{
    struct call **last = &session->calls;

    while (*last)
        last = &(*last)->next;
    *last = call;
    session->call_count++;
    if (call->deadline_ms)
        deadline_add_call(session, call->expires_at);
    call_next(session);
}

void call_request(struct session *session, uint64_t request, const Jitd__Proto__Call *message)
{
    struct call *call = calloc(1, sizeof *call);
    struct error error;
    int code = 0;

    if (!call || session->call_count >= LIMIT_CALLS_QUEUED)
        code = error_set(&error, ERROR_LIMIT, "%u calls are waiting already", session->call_count);
    if (!code)
        code = find_function(session, message, call, &error);
    if (!code)
        code = take_arguments(session, message, call, &error);
    if (code) {
        call_free(call);
        session_fail(session, request, &error);
        return;
    }
    call->request = request;
    append(session, call);
}

static const struct symbol *find_definition(const struct unit *unit, const char *name, size_t length)
{
    for (uint32_t i = 0; i < unit->definition_count; i++)
        if (unit->definitions[i]->name_length == length && memcmp(unit->definitions[i]->name, name, length) == 0)
            return unit->definitions[i];
    return NULL;
}

void call_queue(struct session *session, struct call *call, struct unit *unit)
{
    const struct symbol *symbol = find_definition(unit, call->name, call->name_length);
    struct error error;

    call->once = call->unit = unit;
    if (symbol && symbol->function && session->call_count < LIMIT_CALLS_QUEUED) {
        call->address = symbol->address;
        append(session, call);
        return;
    }
    error_set(&error, ERROR_NOT_CALLABLE,
              "%s: it defines no function of the name that was to be called, or %u calls wait", unit->name,
              session->call_count);
    session_fail(session, call->request, &error);
    call_free(call);
    remove_later(session, unit);
}

/* One that has not begun. */
static void take_back(struct session *session, struct call **link, const struct error *why)
{
    struct call *call = *link;

    *link = call->next;
    session->call_count--;
    session_fail(session, call->request, why);
    if (call->once)
        remove_later(session, call->once);
    call_free(call);
}

void call_forget_unit(struct session *session, const struct unit *unit)
{
    struct call **link = &session->calls;
    struct error error;

    if (session->calling && (*link)->unit == unit)
        (*link)->unit = NULL; /* its thread is in the unit's code, whose memory is kept for so long */
    if (session->calling && (*link)->once == unit)
        (*link)->once = NULL;
    if (session->calling)
        link = &(*link)->next;
    while (*link) {
        struct call *call = *link;

        if (call->unit != unit) {
            link = &call->next;
            continue;
        }
        if (call->once == unit)
            call->once = NULL;
        error_set(&error, ERROR_NOT_CALLABLE, "%s was removed before it could be called", unit->name);
        take_back(session, link, &error);
    }
}

static void drop_first(struct session *session)
{
    struct call *call = session->calls;

    session->calls = call->next;
    session->call_count--;
    session->calling = false;
    if (call->once)
        remove_later(session, call->once);
    call_free(call);
}

static bool is_late(const struct session *session, const struct call *call)
{
    return call->deadline_ms && call->expires_at <= uv_now(&session->loop);
}

static bool is_ending(const struct session *session)
{
    return session->ended_epoch == runner_epoch(session->runner);
}

bool call_is_held(const struct session *session)
{
    return session->calls && !session->calling && session->calls->deadline_ms && session->replaying == 0 &&
           runner_queue_may_wait(session->runner, RUNNER_MAIN);
}

void call_next(struct session *session)
{
    struct call *call = session->calls;
    struct error error;

    if (!call || session->calling || !runner_is_live(session->runner) || is_ending(session))
        return;
    /* While a call is under way the agent thread does the rest, and nothing tells it to wait for initialisers. */
    if (session->replaying > 0)
        return;
    if (call_is_held(session))
        return;
    if (is_late(session, call)) {
        call_expire(session);
        return;
    }
    if (call->unit && call->unit->state != UNIT_READY) {
        error_set(&error, ERROR_NOT_CALLABLE, "%s failed before it could be called", call->unit->name);
        take_back(session, &session->calls, &error);
        call_next(session);
        return;
    }
    *runner_call(session->runner) = call->arguments;
    struct task task = {.purpose = TASK_CALL,
                        .kind = call->main ? CHANNEL_MAIN : CHANNEL_CALL,
                        .call = call,
                        .a = call->address,
                        .b = call->result,
                        .c = call->argument_count};
    if (runner_send(session->runner, RUNNER_MAIN, &task) != 0) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for a call");
        session_end(session, &error);
        return;
    }
    session->calling = true;
    publish_send(session); /* what was kept for the main thread goes to the agent from now on */
}

void call_replied(struct session *session, const struct task *task, const struct channel_record *reply)
{
    Jitd__Proto__Returned message = JITD__PROTO__RETURNED__INIT;
    Jitd__Proto__Value value = JITD__PROTO__VALUE__INIT;
    struct error error;

    value.type = (Jitd__Proto__ValueType)task->call->result;
    value.bits = reply->a;
    message.result = &value;
    if (reply->status == 0)
        session_send(session, MESSAGE_RETURNED, task->call->request, &message.base);
    else {
        error_set(&error, ERROR_INVALID, "the runner could not make a call of that signature");
        session_fail(session, task->call->request, &error);
    }
    drop_first(session);
    call_next(session);
}

void call_life_ended(struct session *session, const Jitd__Proto__Ended *ended)
{
    if (!ended) {
        session->calling = false;
        return;
    }
    session_send(session, MESSAGE_ENDED, session->calls->request, &ended->base);
    drop_first(session);
}

void call_refuse(struct session *session, const struct error *why)
{
    while (session->calls)
        take_back(session, &session->calls, why);
}

bool call_cancel(struct session *session, uint64_t request)
{
    struct call **link = &session->calls;
    struct error error;

    if (session->calling)
        link = &session->calls->next;
    while (*link && (*link)->request != request)
        link = &(*link)->next;
    if (!*link)
        return false;
    error_set(&error, ERROR_CANCELLED, "the call was cancelled before it began");
    take_back(session, link, &error);
    call_next(session);
    return true;
}

void call_expire(struct session *session)
{
    struct call **link = &session->calls;
    struct error error;

    while (*link) {
        struct call *call = *link;
        bool late = is_late(session, call);

        if (late && !(session->calling && call == session->calls)) {
            error_set(&error, ERROR_TIMEOUT, "the call had not begun within %u ms", call->deadline_ms);
            take_back(session, link, &error);
            continue;
        }
        if (late)
            life_end(session);
        else if (call->deadline_ms)
            deadline_add_call(session, call->expires_at);
        link = &call->next;
    }
    call_next(session); /* one that was late may have held up others */
}

uint32_t call_late_ms(const struct session *session)
{
    return is_ending(session) && session->calling && is_late(session, session->calls) ? session->calls->deadline_ms : 0;
}

void call_close(struct session *session)
{
    while (session->calls) {
        struct call *next = session->calls->next;
        call_free(session->calls);
        session->calls = next;
    }
}
