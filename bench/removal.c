/*
 * Units that come and go: submitted to ready and removed, and the same with a call between, as one message. A unit of
 * another name each time, since that is what a program has that does this for long.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/measure.h"

#define ROUNDS 2000
#define BLOCK  50

static void removal_write(struct written_object *out, const char *prefix, size_t number)
{
    char name[sizeof out->name];
    snprintf(name, sizeof name, "%s_%zu", prefix, number);
    object_write_function(out, name, NULL, NULL);
}

static uint64_t removal_time_cycle(struct jitd_session *session, size_t number)
{
    struct written_object object;
    removal_write(&object, "cycle", number);
    uint64_t start = measure_now();
    uint64_t unit = client_submit_one(session, &object);
    client_remove(session, unit);
    uint64_t taken = measure_now() - start;
    free(object.bytes);
    return taken;
}

static uint64_t removal_time_run(struct jitd_session *session, size_t number)
{
    struct written_object object;
    removal_write(&object, "run", number);
    uint64_t start = measure_now();
    client_run(session, &object, 1);
    uint64_t taken = measure_now() - start;
    free(object.bytes);
    return taken;
}

void benchmark_removal(const struct benchmark *benchmark)
{
    struct samples cycle = {0}, run = {0};
    measure_place_children(benchmark->placement);
    struct jitd_session *session = client_open_settled(benchmark->daemon);
    measure_place_self(benchmark->placement);
    for (size_t i = 0; i < ROUNDS; i += BLOCK) {
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&cycle, removal_time_cycle(session, i + n), 1);
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&run, removal_time_run(session, i + n), 1);
    }
    jitd_close(session);
    measure_place_children(PLACEMENT_FREE);
    benchmark_report(benchmark, &cycle, "removal.cycle");
    benchmark_report(benchmark, &run, "removal.run");
}
