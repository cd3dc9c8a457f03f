/*
 * Functions that come when they are called, and functions that are called through a slot: first calls beside the same
 * round trip over a bare socket, calls beside direct ones, redirections.
 *
 * Calls are timed inside the runner, ten million at a time: `inner` calls the function a hundred times, `middle` that
 * as often, and `outer` that a thousand times, straight on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"
#include "bench/measure.h"

#define FIRST_CALLS  1000
#define BLOCK        50
#define INNER_CALLS  100
#define OUTER_CALLS  1000
#define LOOPS        5
#define REDIRECTIONS 1000
#define MESSAGES     100

static struct written_object *functions;

static void supply(struct jitd_session *session, const struct jitd_materialize *wanted, void *data)
{
    (void)data;
    int number;
    if (sscanf(wanted->symbol, "late_%d", &number) != 1 || number < 0 || number >= FIRST_CALLS)
        measure_die("the program asks for %s", wanted->symbol);
    client_submit(session, &functions[number], 1);
}

static const struct jitd_listener supplier = {.materialize = supply};

static struct jitd_session *open_session(const char *daemon)
{
    const struct jitd_options options = {.daemon = daemon};
    struct jitd_session *session = NULL;
    if (jitd_spawn(&options, &supplier, NULL, &session) != 0)
        measure_die("cannot start a session");
    client_wait_welcome(session);
    return session;
}

/* ---- first calls ---- */

static void submit_callers(struct jitd_session *session)
{
    for (int i = 0; i < FIRST_CALLS; i++) {
        char name[24];
        struct written_object caller;
        snprintf(name, sizeof name, "caller_%d", i);
        snprintf(functions[i].name, sizeof functions[i].name, "late_%d", i);
        object_write_function(&caller, name, functions[i].name, NULL);
        const struct jitd_manifest_definition definition = {.local = name};
        const struct jitd_manifest_use use = {.local = functions[i].name, .flags = JITD_USE_LAZY};
        const struct jitd_manifest manifest = {
            .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = 1};
        client_submit_unit(session, &caller, &manifest);
        free(caller.bytes);
    }
    client_wait_ready(session);
}

static void measure_first_calls(const struct benchmark *benchmark)
{
    struct samples first = {0}, bare = {0};
    struct jitd_session *session = open_session(benchmark->daemon);
    struct echo echo;
    functions = measure_allocate(FIRST_CALLS * sizeof *functions);
    for (int i = 0; i < FIRST_CALLS; i++) {
        char name[24];
        snprintf(name, sizeof name, "late_%d", i);
        object_write_function(&functions[i], name, NULL, NULL);
    }
    submit_callers(session);
    echo_start(&echo, benchmark->wire.call.out, benchmark->wire.call.in, false);
    for (int i = 0; i < FIRST_CALLS; i++) {
        char name[24];
        snprintf(name, sizeof name, "caller_%d", i);
        samples_add(&first, client_time_call(session, name, 2), 1);
        if ((i + 1) % BLOCK == 0)
            for (int n = 0; n < BLOCK; n++)
                samples_add(&bare, echo_round(&echo), 1);
    }
    echo_stop(&echo);
    samples_report(&first, "lazy.first");
    samples_report(&bare, "lazy.first.bare");
    jitd_close(session);
    object_free_all(functions, FIRST_CALLS);
}

/* ---- calls through a slot ---- */

static void submit_repeats(struct jitd_session *session, const char *name, const char *callee, size_t count,
                           const struct jitd_manifest *manifest)
{
    struct written_object object;
    const char **names = measure_allocate((count + 1) * sizeof *names);
    names[0] = name;
    for (size_t i = 1; i <= count; i++)
        names[i] = callee;
    object_write_calls(&object, names, count);
    client_submit_unit(session, &object, manifest);
    free(names);
    free(object.bytes);
}

/* All that is called lies in one session, so that the code of the three differs in nothing but the slot. */
static void measure_calls(struct jitd_session *session, const char *key, const char *callee, unsigned use_flags)
{
    struct samples samples = {0};
    char inner[24], middle[24], outer[24];
    snprintf(inner, sizeof inner, "inner_%s", key);
    snprintf(middle, sizeof middle, "middle_%s", key);
    snprintf(outer, sizeof outer, "outer_%s", key);
    const struct jitd_manifest_definition definition = {.local = inner};
    const struct jitd_manifest_use use = {.local = callee, .flags = use_flags};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = 1};
    submit_repeats(session, inner, callee, INNER_CALLS, &manifest);
    submit_repeats(session, middle, inner, INNER_CALLS, NULL);
    submit_repeats(session, outer, middle, OUTER_CALLS, NULL);
    client_wait_ready(session);
    client_time_call(session, outer, 1);
    for (int i = 0; i < LOOPS; i++)
        samples_add(&samples, client_time_call(session, outer, 1), INNER_CALLS * INNER_CALLS * OUTER_CALLS / 1000);
    snprintf(outer, sizeof outer, "slot.%s", key);
    samples_report(&samples, outer);
}

/* `plain`, and `moved` and `there`, which may be redirected. */
static void submit_callees(struct jitd_session *session)
{
    static const char *const names[] = {"plain", "moved", "there"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct written_object object;
        object_write_function(&object, names[i], NULL, NULL);
        const struct jitd_manifest_definition definition = {.local = names[i],
                                                            .flags = i == 0 ? 0 : JITD_DEFINITION_REDIRECTABLE};
        const struct jitd_manifest manifest = {.definitions = &definition, .definition_count = 1};
        client_submit_unit(session, &object, &manifest);
        free(object.bytes);
    }
    client_wait_ready(session);
}

/* ---- redirections ---- */

static void redirected(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)data;
    if (errors)
        measure_die("a redirection failed: %s", errors->list[0].text);
}

static uint64_t time_redirection(struct jitd_session *session, size_t count, const char *target)
{
    static const char *symbols[REDIRECTIONS], *targets[REDIRECTIONS];
    uint64_t start = measure_now();
    jitd_request request;
    for (size_t i = 0; i < count; i++) {
        symbols[i] = "moved";
        targets[i] = target;
    }
    if (jitd_redirect(session, JITD_LIBRARY_MAIN, symbols, targets, count, redirected, NULL, &request) != 0 ||
        jitd_wait(session, request, -1) != 0)
        measure_die("a redirection failed: %s", jitd_last_error(session)->text);
    return measure_now() - start;
}

static void measure_redirections(struct jitd_session *session)
{
    struct samples one = {0}, many = {0};
    for (int i = 0; i < MESSAGES; i++) {
        const char *target = i % 2 == 0 ? "there" : NULL;
        samples_add(&one, time_redirection(session, 1, target), 1);
        samples_add(&many, time_redirection(session, REDIRECTIONS, target), REDIRECTIONS);
    }
    samples_report(&one, "redirect.one");
    samples_report(&many, "redirect.many");
}

void benchmark_lazy(const struct benchmark *benchmark)
{
    measure_first_calls(benchmark);
    struct jitd_session *session = open_session(benchmark->daemon);
    submit_callees(session);
    measure_calls(session, "direct", "plain", 0);
    measure_calls(session, "lazy", "plain", JITD_USE_LAZY);
    measure_calls(session, "redirectable", "moved", 0);
    measure_redirections(session);
    jitd_close(session);
}
