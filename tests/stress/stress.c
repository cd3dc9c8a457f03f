/*
 * A session's rounds, and what is told of it meanwhile.
 */
#include "tests/stress/stress.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/stress/random.h"

#define MILLISECOND    1000000ull
#define PATIENCE       (60000 * MILLISECOND) /* for a round; it is a hang, not a slow machine, that is looked for */
#define SHORT_DEADLINE 60                    /* ms, of sessions where answers may come later than that */
#define CRASH_ADDRESS  16

uint64_t stress_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void stress_fail(struct stress *stress, const char *format, ...)
{
    va_list arguments;

    if (stress->text[0])
        return;
    va_start(arguments, format);
    vsnprintf(stress->text, sizeof stress->text, format, arguments);
    va_end(arguments);
}

/* ---- what the session tells ---- */

static struct function *find_unit(struct stress *stress, uint64_t unit)
{
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        if (stress->functions[i].unit == unit)
            return &stress->functions[i];
    return NULL;
}

/* An initialiser is given up when it was under way as two lives ended. */
static bool may_fail(const struct stress *stress, const struct jitd_unit_event *event)
{
    int code = event->errors.count ? event->errors.list[0].code : 0;

    return stress->ends > 0 && code == JITD_ERROR_INITIALISER_FAILED;
}

/* Its names are free already. */
static void forget(struct stress *stress, struct function *function)
{
    jitd_remove(stress->session, &(struct jitd_removal){.units = &function->unit, .unit_count = 1}, NULL, NULL, NULL);
    function->state = FUNCTION_ABSENT;
    function->unit = 0;
}

static void on_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct stress *stress = data;
    struct function *function = find_unit(stress, event->unit);

    (void)session;
    if (!function)
        return;
    if (event->state == JITD_UNIT_READY)
        function->state = FUNCTION_READY;
    else if (event->state == JITD_UNIT_REMOVED) {
        function->state = FUNCTION_ABSENT;
        function->unit = 0;
    } else if (event->state == JITD_UNIT_FAILED && may_fail(stress, event))
        forget(stress, function);
    else if (event->state == JITD_UNIT_FAILED)
        stress_fail(stress, "a unit failed: %s", event->errors.count ? event->errors.list[0].text : "");
}

static void on_materialize(struct jitd_session *session, const struct jitd_materialize *wanted, void *data)
{
    struct stress *stress = data;
    unsigned index = LAZIES;

    (void)session;
    stress->questions++;
    if (sscanf(wanted->symbol, "lazy_%u", &index) != 1 || index >= LAZIES) {
        stress_fail(stress, "the program asks for '%s'", wanted->symbol);
        return;
    }
    struct function *function = &stress->functions[index];
    if (function->state == FUNCTION_SENT)
        return; /* the answer is on its way already */
    if (function->state != FUNCTION_ABSENT || function->ask)
        stress_fail(stress, "lazy_%02u is asked for in state %d, %s", index, function->state,
                    function->ask ? "a second time" : "though it is there");
    function->ask = wanted->ask;
    function->due = stress_now() + random_draw(&stress->random, stress->slowest_answer);
}

static bool is_allowed(const struct stress *stress, const struct jitd_end *end)
{
    if (end->signal == SIGSEGV)
        return stress->allowed.crash && end->record && end->fault_address == CRASH_ADDRESS;
    if (end->signal != SIGABRT || !end->record)
        return false;
    return (stress->allowed.refusal && end->lazy_error.code == JITD_ERROR_NOT_FOUND) ||
           (stress->allowed.timeout && end->lazy_error.code == JITD_ERROR_TIMEOUT);
}

static void on_runner_ended(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    struct stress *stress = data;

    (void)session;
    stress->ends++;
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        stress->functions[i].ask = 0; /* the next life asks anew */
    if (!is_allowed(stress, end))
        stress_fail(stress, "the program ended by signal %d at 0x%llx (status %d): %s, '%s', initialiser of '%s'",
                    end->signal, (unsigned long long)end->fault_address, end->exit_status, end->lazy_error.text,
                    end->frame_count ? end->frames[0].function : "", end->initialiser_of);
}

static void on_disconnected(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    (void)session;
    stress_fail(data, "the session ended: %s", why->text);
}

static void on_returned(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                        const struct jitd_errors *errors, void *data)
{
    struct stress *stress = data;

    (void)session;
    (void)end; /* told by on_runner_ended, too */
    stress->calling = false;
    if (errors)
        stress_fail(stress, "the program could not be called: %s", errors->list[0].text);
    else if (result && result->integer != 0)
        stress_fail(stress, "a call returned what it should not: function %lld, version %lld",
                    (long long)result->integer >> 32, (long long)result->integer & 0xffffffff);
}

static void on_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                         const struct jitd_errors *errors, void *data)
{
    uint64_t *used = data;

    (void)session;
    *used = 0;
    for (size_t i = 0; !errors && i < inspection->zone_count; i++)
        *used += inspection->zones[i].used;
}

/* ---- rounds ---- */

static bool is_going(struct stress *stress)
{
    if (stress_now() > stress->round_began + PATIENCE)
        stress_fail(stress, "nothing goes on");
    return stress->text[0] == '\0';
}

static void dispatch(struct stress *stress, int milliseconds)
{
    struct pollfd polled = {.fd = jitd_fd(stress->session), .events = jitd_events(stress->session)};

    poll(&polled, 1, milliseconds);
    if (jitd_dispatch(stress->session) != 0)
        stress_fail(stress, "the session ends: %s", jitd_last_error(stress->session)->text);
}

static uint64_t measure(struct stress *stress)
{
    uint64_t used = 0;
    jitd_request request;

    if (jitd_inspect(stress->session, 0, on_inspected, &used, &request) != 0 ||
        jitd_wait(stress->session, request, (int)(PATIENCE / MILLISECOND)) != 0)
        stress_fail(stress, "the session cannot be inspected: %s", jitd_last_error(stress->session)->text);
    return used;
}

/* Also what is asked for yet: where a life has ended, initialisers run again, those of units that are to go among them.
 */
static void take_all_away(struct stress *stress)
{
    while (!act_clear(stress) && is_going(stress)) {
        act_answer(stress, true);
        dispatch(stress, 1);
    }
}

/* All that came in the round goes, and its memory is free again. */
static void clear(struct stress *stress)
{
    uint64_t used = 0;

    for (int tries = 0; tries < 200 && used != stress->used && is_going(stress); tries++) {
        if (tries > 0)
            dispatch(stress, 10);
        take_all_away(stress);
        used = measure(stress);
    }
    if (used != stress->used)
        stress_fail(stress, "%llu bytes are used, %llu before", (unsigned long long)used,
                    (unsigned long long)stress->used);
}

static void begin(struct stress *stress)
{
    uint64_t threads = random_draw(&stress->random, THREADS + 1);
    const struct jitd_value arguments[] = {
        {.type = JITD_INT64, .integer = (int64_t)(random_draw(&stress->random, 1u << 30))},
        {.type = JITD_INT64, .integer = (int64_t)threads},
        {.type = JITD_INT64, .integer = stress->allowed.crash}};

    stress->calling = true;
    stress->calls++;
    if (jitd_call(stress->session, "drive", JITD_INT64, arguments, 3, on_returned, stress, NULL) != 0)
        stress_fail(stress, "the program cannot be called: %s", jitd_last_error(stress->session)->text);
}

bool stress_round(struct stress *stress)
{
    stress->round_began = stress_now();
    stress->allowed.crash = random_once_in(&stress->random, 5);
    stress->allowed.refusal = random_once_in(&stress->random, 5);
    begin(stress);
    while (stress->calling && is_going(stress)) {
        act_answer(stress, false);
        if (random_once_in(&stress->random, 3))
            act(stress);
        dispatch(stress, random_once_in(&stress->random, 4) ? 1 : 0);
    }
    /* Initialisers of units that come last may still ask. */
    for (bool rest = true; rest && is_going(stress); dispatch(stress, 1)) {
        act_answer(stress, true);
        rest = false;
        for (uint32_t i = 0; i < FUNCTIONS; i++)
            rest |= stress->functions[i].state == FUNCTION_SENT || stress->functions[i].state == FUNCTION_COMING ||
                    stress->functions[i].state == FUNCTION_LEAVING;
    }
    clear(stress);
    stress->rounds++;
    return stress->text[0] == '\0';
}

void stress_open(struct stress *stress, uint64_t seed)
{
    static const struct jitd_listener listener = {.unit = on_unit,
                                                  .runner_ended = on_runner_ended,
                                                  .materialize = on_materialize,
                                                  .disconnected = on_disconnected};
    const char *build = getenv("O");
    char path[4096], seed_text[64];

    *stress = (struct stress){.random = seed};
    stress->allowed.timeout = random_once_in(&stress->random, 4);
    stress->slowest_answer = (stress->allowed.timeout ? 40 : 10) * MILLISECOND;
    snprintf(path, sizeof path, "%s/bin/jitd", build ? build : "build");
    snprintf(seed_text, sizeof seed_text, "JITD_DELAYS=%llu", (unsigned long long)seed);
    const struct jitd_options options = {.daemon = path,
                                         .environment = (const char *const[]){seed_text, NULL},
                                         .lazy_deadline_ms = stress->allowed.timeout ? SHORT_DEADLINE : 0};
    setenv("JITD_DELAYS", strchr(seed_text, '=') + 1, 1);
    if (jitd_spawn(&options, &listener, stress, &stress->session) != 0 || jitd_wait(stress->session, 0, 20000) != 0) {
        stress_fail(stress, "no session: %s", jitd_last_error(stress->session)->text);
        return;
    }
    supply_program(stress);
    if (jitd_wait_units(stress->session, 20000) != 0)
        stress_fail(stress, "the program is not ready: %s", jitd_last_error(stress->session)->text);
    stress->used = measure(stress);
}

void stress_close(struct stress *stress)
{
    jitd_close(stress->session);
}
