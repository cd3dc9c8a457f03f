/*
 * One small unit to ready and one call to its result, each waited for before the next, beside the same bytes over a
 * bare socket.
 */
#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"
#include "bench/measure.h"

#define UNITS 2000
#define CALLS 2000
#define BLOCK 50

static void measure_units(const struct benchmark *benchmark, struct jitd_session *session)
{
    struct samples unit = {0}, bare = {0}, copied = {0};
    struct written_object *units = object_write_tree("u", UNITS);
    struct echo echo, copy;

    measure_place_children(benchmark->placement);
    echo_start(&echo, benchmark->wire.unit.out, benchmark->wire.unit.in, false);
    echo_start(&copy, benchmark->wire.unit.out, benchmark->wire.unit.in, true);
    measure_place_self(benchmark->placement);
    /* From the last: leaves first, so that each unit is ready at once. */
    for (size_t i = UNITS; i > 0;) {
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&unit, client_time_units(session, &units[--i], 1), 1);
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&bare, echo_round(&echo), 1);
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&copied, echo_round(&copy), 1);
    }
    client_time_call(session, units->name, UNITS);
    echo_stop(&copy);
    echo_stop(&echo);
    benchmark_report(benchmark, &unit, "unit");
    benchmark_report(benchmark, &bare, "unit.bare");
    benchmark_report(benchmark, &copied, "unit.copied");
    object_free_all(units, UNITS);
}

static void measure_calls(const struct benchmark *benchmark, struct jitd_session *session)
{
    struct samples call = {0}, bare = {0}, woken = {0};
    struct echo echo;
    struct futex_pair pair;

    measure_place_children(benchmark->placement);
    echo_start(&echo, benchmark->wire.call.out, benchmark->wire.call.in, false);
    futex_pair_start(&pair);
    measure_place_self(benchmark->placement);
    for (size_t i = 0; i < CALLS; i += BLOCK) {
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&call, client_time_call(session, "settled", 1), 1);
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&bare, echo_round(&echo), 1);
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&woken, futex_pair_round(&pair), 1);
    }
    futex_pair_stop(&pair);
    echo_stop(&echo);
    benchmark_report(benchmark, &call, "call");
    benchmark_report(benchmark, &bare, "call.bare");
    benchmark_report(benchmark, &woken, "call.futex");
}

void benchmark_round_trips(const struct benchmark *benchmark)
{
    measure_place_children(benchmark->placement);
    struct jitd_session *session = client_open_settled(benchmark->daemon);
    measure_units(benchmark, session);
    measure_calls(benchmark, session);
    jitd_close(session);
    measure_place_children(PLACEMENT_FREE);
}
