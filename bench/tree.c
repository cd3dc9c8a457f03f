/*
 * Throughput: a tree of one-function objects, root first, so that nothing is ready before the last leaf has come.
 * In microseconds a unit, from the first submission to all ready.
 */
#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"
#include "bench/measure.h"

#define SESSIONS 6

/* All batches are sent without waiting for a reply. */
static uint64_t tree_submit(struct jitd_session *session, const struct written_object *tree, size_t batch)
{
    uint64_t start = measure_now();
    for (size_t i = 0; i < TREE_UNITS; i += batch) {
        client_submit(session, tree + i, batch < TREE_UNITS - i ? batch : TREE_UNITS - i);
        jitd_flush(session);
    }
    client_wait_ready(session);
    return measure_now() - start;
}

/* One tree into a fresh session, then another, whose memory the daemon has by then touched. */
static void tree_measure(const struct benchmark *benchmark, struct written_object *const trees[2], size_t batch,
                         struct samples samples[2])
{
    struct jitd_session *session = client_open_settled(benchmark->daemon);
    for (int i = 0; i < 2; i++) {
        samples_add(&samples[i], tree_submit(session, trees[i], batch), TREE_UNITS);
        client_time_call(session, trees[i]->name, TREE_UNITS);
    }
    jitd_close(session);
}

void benchmark_tree(const struct benchmark *benchmark)
{
    static const struct {
        size_t batch;
        const char *keys[2];
        bool local; /* names are the objects' own, and each has a manifest */
    } rows[] = {
        {TREE_UNITS, {"tree.1000", "tree.1000.second"}, false},
        {64, {"tree.64", "tree.64.second"}, false},
        {64, {"tree.manifest", "tree.manifest.second"}, true},
        {1, {"tree.1", "tree.1.second"}, false},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct samples samples[ROWS][2] = {0}, copied = {0};
    struct written_object *trees[2][2] = {
        {object_write_tree("s", TREE_UNITS), object_write_tree("t", TREE_UNITS)},
        {object_write_local_tree("s", TREE_UNITS), object_write_local_tree("t", TREE_UNITS)}};
    struct echo copy;

    echo_start(&copy, benchmark->wire.tree.out, benchmark->wire.tree.in, true);
    for (int i = 0; i < SESSIONS; i++) {
        for (int row = 0; row < ROWS; row++)
            tree_measure(benchmark, trees[rows[row].local], rows[row].batch, samples[row]);
        samples_add(&copied, echo_round(&copy), TREE_UNITS);
    }
    echo_stop(&copy);
    for (int row = 0; row < ROWS; row++)
        for (int i = 0; i < 2; i++)
            benchmark_report(benchmark, &samples[row][i], rows[row].keys[i]);
    benchmark_report(benchmark, &copied, "tree.copied");
    for (int i = 0; i < 4; i++)
        object_free_all(trees[i / 2][i % 2], TREE_UNITS);
}
