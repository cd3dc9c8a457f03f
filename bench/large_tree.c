/*
 * Trees that are too large to be queued in the controller: batches of 256 go out as fast as the socket takes them.
 * From the same trees comes what a unit costs in memory, and what the first run of all functions costs.
 */
#include <unistd.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/measure.h"
#include "bench/process.h"

#define BATCH  256
#define MIDDLE 10000 /* units of the tree whose memory and first run are measured */

/* What a session's processes hold. */
struct holdings {
    struct process_memory linker;
    struct process_memory runner;
    size_t arena;
};

static void large_hold(struct jitd_session *session, struct holdings *out)
{
    struct session_processes processes;
    process_find_session(&processes);
    out->linker = process_measure(processes.linker);
    out->runner = process_measure(processes.runner);
    out->arena = client_arena_used(session);
}

static void report_growth(const char *key, size_t before, size_t after)
{
    if (after < before)
        measure_die("%s: it shrank", key);
    measure_print(key, (double)(after - before) / MIDDLE);
}

static void large_report_memory(const struct holdings *before, const struct holdings *after,
                                const struct written_object *tree)
{
    size_t object = 0, content = 0;
    for (size_t i = 0; i < MIDDLE; i++) {
        object += tree[i].length;
        content += object_content(&tree[i]);
    }
    report_growth("memory.object", 0, object);
    report_growth("memory.content", 0, content);
    report_growth("memory.arena", before->arena, after->arena);
    report_growth("memory.linker", before->linker.anonymous, after->linker.anonymous);
    report_growth("memory.linker.shared", before->linker.shared, after->linker.shared);
    report_growth("memory.runner", before->runner.anonymous, after->runner.anonymous);
    report_growth("memory.runner.shared", before->runner.shared, after->runner.shared);
}

static void large_submit(struct jitd_session *session, const struct written_object *tree, size_t units, const char *key)
{
    struct samples samples = {0};
    samples_add(&samples, client_time_stream(session, tree, units, BATCH), units);
    samples_report(&samples, key);
}

static void large_first_run(struct jitd_session *session, const char *root)
{
    static const char *const keys[] = {"run.first", "run.second"};
    for (int i = 0; i < 2; i++) {
        struct samples samples = {0};
        samples_add(&samples, client_time_call(session, root, MIDDLE), MIDDLE);
        samples_report(&samples, keys[i]);
    }
}

static void large_measure(const struct benchmark *benchmark, size_t units, const char *key)
{
    struct holdings before, after;
    struct written_object *tree = object_write_tree("s", units);
    measure_touch_memory();
    struct jitd_session *session = client_open_settled(benchmark->daemon);
    if (units == MIDDLE)
        large_hold(session, &before);
    large_submit(session, tree, units, key);
    if (units == MIDDLE) {
        large_first_run(session, tree->name);
        usleep(300000); /* the linker gives back what it does not need when it has been quiet */
        large_hold(session, &after);
        large_report_memory(&before, &after, tree);
    } else {
        client_time_call(session, tree->name, (int)units);
    }
    jitd_close(session);
    object_free_all(tree, units);
}

void benchmark_large_tree(const struct benchmark *benchmark)
{
    static const struct {
        size_t units;
        const char *key;
    } rows[] = {{1000, "large.1000"}, {MIDDLE, "large.10000"}, {100000, "large.100000"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].units <= benchmark->most_units)
            large_measure(benchmark, rows[i].units, rows[i].key);
}
