/*
 * A call that writes to NULL, then one that answers, beside a bare process that forks, sees its child crash, and forks
 * again. Back to back, no crash leaves time to prepare for the next; so there are crashes after a rest as well.
 */
#include <stdlib.h>
#include <unistd.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"
#include "bench/measure.h"

#define CRASHES 100
#define BLOCK   10
#define REST_US 3000 /* long enough for whatever is prepared behind a crash to be there before the next */

/* Both calls are sent together: nothing of the controller's own lies between them. */
static uint64_t crash_at_once(struct jitd_session *session)
{
    struct client_call crash, next;
    uint64_t start = measure_now();
    client_call(session, "crash", &crash);
    client_call(session, "settled", &next);
    client_wait_call(session, &crash, CLIENT_CRASH);
    client_wait_call(session, &next, 1);
    return measure_now() - start;
}

/* One crash after a rest, and the same of the bare pair. */
static void crash_rested(struct jitd_session *session, struct crash_pair *pair, struct samples *rested,
                         struct samples *bare)
{
    usleep(REST_US);
    uint64_t ended = client_time_call(session, "crash", CLIENT_CRASH);
    samples_add(rested, ended + client_time_call(session, "settled", 1), 1);
    usleep(REST_US);
    samples_add(bare, crash_pair_round(pair), 1);
}

void benchmark_crash(const struct benchmark *benchmark)
{
    struct samples whole = {0}, told = {0}, next = {0}, at_once = {0}, bare = {0};
    struct samples rested = {0}, rested_bare = {0};
    struct written_object crash;
    struct crash_pair pair;

    measure_place_children(benchmark->placement);
    struct jitd_session *session = client_open_settled(benchmark->daemon);
    crash_pair_start(&pair);
    measure_place_self(benchmark->placement);

    object_write_crash(&crash, "crash");
    client_time_units(session, &crash, 1);
    for (size_t i = 0; i < CRASHES; i += BLOCK) {
        for (size_t n = 0; n < BLOCK; n++) {
            uint64_t ended = client_time_call(session, "crash", CLIENT_CRASH);
            uint64_t resumed = client_time_call(session, "settled", 1);
            samples_add(&told, ended, 1);
            samples_add(&next, resumed, 1);
            samples_add(&whole, ended + resumed, 1);
        }
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&at_once, crash_at_once(session), 1);
        for (size_t n = 0; n < BLOCK; n++)
            samples_add(&bare, crash_pair_round(&pair), 1);
        for (size_t n = 0; n < BLOCK; n++)
            crash_rested(session, &pair, &rested, &rested_bare);
    }
    crash_pair_stop(&pair);
    jitd_close(session);
    measure_place_children(PLACEMENT_FREE);
    free(crash.bytes);
    benchmark_report(benchmark, &whole, "crash");
    benchmark_report(benchmark, &told, "crash.part.told");
    benchmark_report(benchmark, &next, "crash.part.next");
    benchmark_report(benchmark, &at_once, "crash.at_once");
    benchmark_report(benchmark, &bare, "crash.bare");
    benchmark_report(benchmark, &rested, "crash.rested");
    benchmark_report(benchmark, &rested_bare, "crash.rested.bare");
}
