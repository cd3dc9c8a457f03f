/*
 * Data beyond what a life of the runner can write from the start (ZONE_WRITABLE_STEP): it can be written when its unit
 * is ready, in later lives too, and what cannot be had fails its unit alone.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/bytes.h"
#include "proto/limits.h"
#include "tests/integration/harness.h"

#define MODEST MIB(64) /* what a process of a session may be charged with while it has little to do */

TestSuite(growing_data, .timeout = 60);

/* `use` writes the last bytes of both and gives the sum of what was there. */
static const char large_source[] =
    "static char zeros[20 << 20]; static char data[12 << 20] = {[(12 << 20) - 1] = 5};\n"
    "long use(long x) { volatile char *z = zeros + sizeof zeros - 1, *d = data + sizeof data - 1;\n"
    "    long sum = *z + *d; *z += x; *d += x; return sum; }\n"
    "long die(long x) { return *(volatile long *)x; }\n";

Test(growing_data, is_there_in_each_life)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "large.o", large_source);
    for (int life = 0; life < 3; life++) {
        cr_expect_eq(harness_value(harness, "use", 7), 5);
        cr_expect_eq(harness_value(harness, "use", 0), 5 + 2 * 7);
        cr_expect_eq(harness_call(harness, "die", 16).end.signal, SIGSEGV);
    }
    harness_close(harness);
}

Test(growing_data, grows_with_many_units)
{
    struct harness *harness = harness_open(NULL);
    for (int i = 0; i < 30; i++) {
        char name[32], source[256];
        snprintf(name, sizeof name, "part%d.o", i);
        snprintf(source, sizeof source,
                 "static char zeros[1 << 20], data[1 << 20] = {1};\n"
                 "long use%d(long x) { for (long i = 0; i < 1 << 20; i += 4096) zeros[i] += x, data[i] += x;\n"
                 "    return zeros[1 << 19] + data[0]; }\n",
                 i);
        harness_link_c(harness, name, source);
        snprintf(name, sizeof name, "use%d", i);
        cr_expect_eq(harness_value(harness, name, 3), 3 + 1 + 3);
        cr_expect_eq(harness_value(harness, "use0", 0), 3 + 1 + 3);
    }
    harness_close(harness);
}

Test(growing_data, that_a_removed_unit_has_written_is_zero_for_the_next)
{
    struct harness *harness = harness_open(NULL);
    for (int i = 0; i < 3; i++) {
        harness_link_c(harness, "large.o", large_source);
        cr_expect_eq(harness_value(harness, "use", 9), 5);
        harness_remove_unit(harness, "large.o");
    }
    harness_close(harness);
}

#ifndef JITD_SANITIZED /* whose runtimes want more than such limits */
/* RLIMIT_DATA counts for a process what strict overcommit (vm.overcommit_memory 2) counts for all. The compiler is not
   to be limited. */
static struct harness *open_with_limit(rlim_t bytes)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_DATA, &limit), 0);
    cr_assert_eq(setrlimit(RLIMIT_DATA, &(struct rlimit){bytes, limit.rlim_max}), 0);
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(setrlimit(RLIMIT_DATA, &limit), 0);
    return harness;
}

Test(growing_data, that_is_not_to_be_had_fails_its_unit_alone)
{
    static const char *const sources[] = {
        "static char zeros[200 << 20]; long big(long x) { return zeros[x] += x; }",
        "static char data[150 << 20] = {1}; long big(long x) { return data[x] += x; }",
        "static char zeros[200 << 20]; long big(long x) { return zeros[x] += x; }\n"
        "#include <unistd.h>\n__attribute__((constructor)) static void start(void) { _exit(3); }",
    };
    struct harness *harness = open_with_limit(MIB(128));
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        char name[32];
        snprintf(name, sizeof name, "big%zu.o", i);
        harness_add_c(harness, name, sources[i]);
        harness_link_batch(harness, JITD_BATCH_CLOSED);
        const struct harness_unit *unit = harness_unit(harness, name);
        cr_expect_eq(unit->state, JITD_UNIT_FAILED);
        cr_expect_eq(unit->error.code, JITD_ERROR_NO_MEMORY);
        cr_expect(strstr(unit->error.text, name) && strstr(unit->error.text, "RLIMIT_DATA"), "%s", unit->error.text);
    }
    harness_link_c(harness, "large.o", large_source);
    cr_expect_eq(harness_value(harness, "use", 7), 5);
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

/* Of private mappings that can be written, all bytes, whether there are pages or not. */
static uint64_t charge(pid_t pid)
{
    char path[64], line[1024], protection[8];
    uint64_t low, high, sum = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s cannot be read", path);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &low, &high, protection) == 3 && protection[1] == 'w' &&
            protection[3] == 'p')
            sum += high - low;
    fclose(file);
    return sum;
}

Test(growing_data, charges_no_process_for_what_nobody_uses)
{
    struct harness *harness = harness_open(NULL);
    pid_t pids[HARNESS_PROCESSES];
    harness_link_c(harness, "small.o", "static long kept; long keep(long x) { return kept += x; }");
    cr_expect_eq(harness_value(harness, "keep", 3), 3);
    usleep(50000); /* the standby */
    size_t count = harness_processes(harness->daemon, pids);
    cr_expect_geq(count, 4);
    for (size_t i = 0; i < count; i++)
        cr_expect(charge(pids[i]) <= MODEST, "process %zu is charged with %" PRIu64 " MiB", i, charge(pids[i]) >> 20);
    harness_close(harness);
}
#endif
