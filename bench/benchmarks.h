/*
 * What main.c runs, one function a table. Each prints the lines of measure.h; docs/benchmarks.md says what the keys
 * mean. A thing and what it is held against take turns in blocks, so that a disturbance hits both.
 */
#ifndef BENCH_BENCHMARKS_H
#define BENCH_BENCHMARKS_H

#include "bench/measure.h"
#include "bench/wire.h"

#define TREE_UNITS 1000

struct benchmark {
    const char *daemon;      /* path of jitd */
    const char *listen_path; /* socket of one that runs already */
    struct wire wire;
    size_t most_units;        /* of a tree */
    enum placement placement; /* keys begin with "one-cpu." or "apart." where it is not free */
};

/* The five that follow mind the placement. */
void benchmark_round_trips(const struct benchmark *benchmark);
void benchmark_crash(const struct benchmark *benchmark);
void benchmark_removal(const struct benchmark *benchmark);
void benchmark_lazy(const struct benchmark *benchmark);
void benchmark_redirections(const struct benchmark *benchmark);

void benchmark_session_start(const struct benchmark *benchmark);
void benchmark_slots(const struct benchmark *benchmark);
void benchmark_tree(const struct benchmark *benchmark);
void benchmark_large_tree(const struct benchmark *benchmark);

/* samples_report_placed. */
void benchmark_report(const struct benchmark *benchmark, struct samples *samples, const char *key);

#endif
