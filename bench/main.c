/*
 * The benchmarks, once: bench/run repeats this program and gathers its lines. And its errands (errands.h).
 *
 *     bench measure DAEMON DIRECTORY MOST     DIRECTORY, of mode 0700, is where a daemon may listen;
 *                                             trees have up to MOST units
 *     bench shapes DAEMON MOST
 *     bench submit DAEMON UNITS BATCH         submit-local: with module-local names
 *     bench call DAEMON CALLS
 *     bench shape DAEMON NAME UNITS BATCH
 *     bench copies DAEMON OBJECT UNITS BATCH
 *     bench fail DAEMON OBJECT UNITS BATCH
 *     bench write DIRECTORY UNITS
 *     bench touch                             memory (measure.h)
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/benchmarks.h"
#include "bench/errands.h"
#include "bench/measure.h"
#include "bench/shapes.h"
#include "client/jitd.h"

void benchmark_report(const struct benchmark *benchmark, struct samples *samples, const char *key)
{
    samples_report_placed(samples, benchmark->placement, key);
}

/* A daemon that listens. It is ended whichever way this program ends, but not by the processes forked from it. */
static struct listener {
    char path[100]; /* fits sun_path */
    pid_t process;
    pid_t owner;
} listener;

static void listener_stop(void)
{
    if (listener.owner != getpid())
        return;
    kill(listener.process, SIGTERM);
    waitpid(listener.process, NULL, 0);
}

/* The daemon has its socket once a session can be opened; until then it is asked again and again. */
static void listener_await(void)
{
    for (int tries = 0; tries < 500; tries++) {
        struct jitd_session *session = NULL;
        int code = jitd_connect(listener.path, NULL, NULL, NULL, &session);
        jitd_close(session);
        if (code == 0)
            return;
        usleep(10000);
    }
    measure_die("the daemon does not listen at %s", listener.path);
}

static void listener_start(const char *daemon, const char *directory)
{
    int length = snprintf(listener.path, sizeof listener.path, "%s/socket", directory);
    if (length < 0 || (size_t)length >= sizeof listener.path)
        measure_die("the directory's path is too long");
    char *const arguments[] = {(char *)(uintptr_t)daemon, "--listen", listener.path, NULL};
    if (posix_spawn(&listener.process, daemon, NULL, NULL, arguments, environ) != 0)
        measure_die("cannot start %s", daemon);
    listener.owner = getpid();
    atexit(listener_stop);
    listener_await();
}

static size_t parse_number(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (number == 0 || number > INT32_MAX || *end)
        measure_die("'%s' is not a number of units", text);
    return number;
}

static void run_measure(char **arguments)
{
    struct benchmark benchmark = {
        .daemon = arguments[0], .listen_path = listener.path, .most_units = parse_number(arguments[2])};
    listener_start(arguments[0], arguments[1]);
    wire_count(listener.path, TREE_UNITS, &benchmark.wire);
    benchmark_session_start(&benchmark);
    benchmark_slots(&benchmark);
    benchmark_tree(&benchmark);
    for (int placement = PLACEMENT_FREE; placement <= PLACEMENT_APART; placement++) {
        benchmark.placement = (enum placement)placement;
        if (!measure_can_place(benchmark.placement))
            continue;
        benchmark_round_trips(&benchmark);
        benchmark_crash(&benchmark);
        benchmark_removal(&benchmark);
        benchmark_lazy(&benchmark);
        benchmark_redirections(&benchmark);
    }
    /* Last: what it leaves in the heap makes every later fork of this process, the bare peers', dearer. */
    benchmark_large_tree(&benchmark);
}

static void run_touch(char **arguments)
{
    (void)arguments;
    measure_touch_memory();
}

static void run_shapes(char **arguments)
{
    shapes_measure(arguments[0], parse_number(arguments[1]));
}

static void run_call(char **arguments)
{
    errand_call(arguments[0], parse_number(arguments[1]));
}

static void run_shape(char **arguments)
{
    errand_shape(arguments[0], arguments[1], parse_number(arguments[2]), parse_number(arguments[3]));
}

static void run_copies(char **arguments)
{
    errand_copies(arguments[0], arguments[1], parse_number(arguments[2]), parse_number(arguments[3]));
}

static void run_fail(char **arguments)
{
    errand_fail(arguments[0], arguments[1], parse_number(arguments[2]), parse_number(arguments[3]));
}

static void run_submit(char **arguments)
{
    errand_submit(arguments[0], parse_number(arguments[1]), parse_number(arguments[2]), false);
}

static void run_submit_local(char **arguments)
{
    errand_submit(arguments[0], parse_number(arguments[1]), parse_number(arguments[2]), true);
}

static void run_write(char **arguments)
{
    errand_write(arguments[0], parse_number(arguments[1]));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **arguments);
    } commands[] = {
        {"measure", 3, run_measure}, {"shapes", 2, run_shapes},
        {"submit", 3, run_submit},   {"submit-local", 3, run_submit_local},
        {"call", 2, run_call},       {"shape", 4, run_shape},
        {"copies", 4, run_copies},   {"fail", 4, run_fail},
        {"write", 2, run_write},     {"touch", 0, run_touch},
    };

    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) != 0 || argc - 2 != commands[i].arguments)
            continue;
        commands[i].run(argv + 2);
        return 0;
    }
    fputs("usage: bench measure | shapes | submit | submit-local | call | shape | copies | fail | write | touch; "
          "bench/main.c "
          "has "
          "the arguments\n",
          stderr);
    return 2;
}
