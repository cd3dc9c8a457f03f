/*
 * From nothing to the first result, and its parts, beside the start of a program that does nothing.
 */
#include <stdlib.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"
#include "bench/measure.h"

#define SESSIONS 20

enum { SPAWNED, WELCOME, READY, RESULT, CLOSED, STEPS };

static const char *const part_keys[STEPS] = {
    [SPAWNED] = "start.part.spawn", [WELCOME] = "start.part.welcome", [READY] = "start.part.ready",
    [RESULT] = "start.part.result", [CLOSED] = "start.part.close",
};

/* Each step waits for the one before: what the parts are measured on. */
static void session_by_steps(const struct benchmark *benchmark, const struct written_object *unit,
                             uint64_t times[STEPS])
{
    uint64_t start = measure_now();
    struct jitd_session *session = client_open(benchmark->daemon, NULL);
    times[SPAWNED] = measure_now() - start;
    client_wait_welcome(session);
    times[WELCOME] = measure_now() - start;
    client_time_units(session, unit, 1);
    times[READY] = measure_now() - start;
    client_time_call(session, unit->name, 1);
    times[RESULT] = measure_now() - start;
    jitd_close(session);
    times[CLOSED] = measure_now() - start;
}

/* Hello, unit and call are all sent before the daemon has answered anything, as a program in a hurry does. */
static uint64_t session_at_once(const char *daemon, const char *path, const struct written_object *unit)
{
    uint64_t start = measure_now();
    struct jitd_session *session = client_open(daemon, path);
    struct client_call call;
    client_submit(session, unit, 1);
    client_call(session, unit->name, &call);
    client_wait_call(session, &call, 1);
    uint64_t taken = measure_now() - start;
    jitd_close(session);
    return taken;
}

void benchmark_session_start(const struct benchmark *benchmark)
{
    struct samples parts[STEPS] = {0};
    struct samples welcome = {0}, ready = {0}, result = {0}, at_once = {0}, listening = {0}, bare = {0};
    struct written_object *unit = object_write_tree("u", 1);

    for (int i = 0; i < SESSIONS; i++) {
        uint64_t times[STEPS];
        samples_add(&bare, spawn_round(), 1);
        session_by_steps(benchmark, unit, times);
        for (int step = 0; step < STEPS; step++)
            samples_add(&parts[step], times[step] - (step ? times[step - 1] : 0), 1);
        samples_add(&welcome, times[WELCOME], 1);
        samples_add(&ready, times[READY], 1);
        samples_add(&result, times[RESULT], 1);
        samples_add(&at_once, session_at_once(benchmark->daemon, NULL, unit), 1);
        samples_add(&listening, session_at_once(NULL, benchmark->listen_path, unit), 1);
    }
    for (int step = 0; step < STEPS; step++)
        benchmark_report(benchmark, &parts[step], part_keys[step]);
    benchmark_report(benchmark, &welcome, "start.welcome");
    benchmark_report(benchmark, &ready, "start.ready");
    benchmark_report(benchmark, &result, "start.result");
    benchmark_report(benchmark, &at_once, "start.at_once");
    benchmark_report(benchmark, &listening, "start.listening");
    benchmark_report(benchmark, &bare, "start.bare");
    object_free_all(unit, 1);
}
