/*
 * Functions that come when they are called: the first call of each, beside a round trip over a bare socket.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"

#define FIRST_CALLS 500
#define BLOCK       50

static struct written_object *functions;

static void lazy_supply(struct jitd_session *session, const struct jitd_materialize *wanted, void *data)
{
    (void)data;
    int number;
    if (sscanf(wanted->symbol, "late_%d", &number) != 1 || number < 0 || number >= FIRST_CALLS)
        measure_die("the program asks for %s", wanted->symbol);
    client_submit(session, &functions[number], 1);
}

static struct jitd_session *lazy_open(const char *daemon)
{
    static const struct jitd_listener supplier = {.materialize = lazy_supply};
    const struct jitd_options options = {.daemon = daemon};
    struct jitd_session *session = NULL;
    if (jitd_spawn(&options, &supplier, NULL, &session) != 0)
        measure_die("cannot start a session");
    client_wait_welcome(session);
    return session;
}

static void lazy_submit_caller(struct jitd_session *session, int number)
{
    char name[24];
    struct written_object caller;
    snprintf(name, sizeof name, "caller_%d", number);
    object_write_function(&caller, name, functions[number].name, NULL);
    const struct jitd_manifest_definition definition = {.local = name};
    const struct jitd_manifest_use use = {.local = functions[number].name, .flags = JITD_USE_LAZY};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = 1};
    client_submit_unit(session, &caller, &manifest);
    free(caller.bytes);
}

static void lazy_prepare(struct jitd_session *session)
{
    functions = measure_allocate(FIRST_CALLS * sizeof *functions);
    for (int i = 0; i < FIRST_CALLS; i++) {
        char name[24];
        snprintf(name, sizeof name, "late_%d", i);
        object_write_function(&functions[i], name, NULL, NULL);
        lazy_submit_caller(session, i);
    }
    client_wait_ready(session);
}

static uint64_t lazy_time_call(struct jitd_session *session, int number)
{
    char name[24];
    snprintf(name, sizeof name, "caller_%d", number);
    return client_time_call(session, name, 2);
}

void benchmark_lazy(const struct benchmark *benchmark)
{
    struct samples first = {0}, bare = {0};
    struct echo echo;
    measure_place_children(benchmark->placement);
    struct jitd_session *session = lazy_open(benchmark->daemon);
    echo_start(&echo, benchmark->wire.call.out, benchmark->wire.call.in, false);
    measure_place_self(benchmark->placement);
    lazy_prepare(session);
    for (int i = 0; i < FIRST_CALLS; i += BLOCK) {
        for (int n = 0; n < BLOCK; n++)
            samples_add(&first, lazy_time_call(session, i + n), 1);
        for (int n = 0; n < BLOCK; n++)
            samples_add(&bare, echo_round(&echo), 1);
    }
    echo_stop(&echo);
    jitd_close(session);
    measure_place_children(PLACEMENT_FREE);
    benchmark_report(benchmark, &first, "lazy.first");
    benchmark_report(benchmark, &bare, "lazy.first.bare");
    object_free_all(functions, FIRST_CALLS);
}
