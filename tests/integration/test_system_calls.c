/*
 * Linking makes no system call for code memory: counted by strace in every process of the daemon, and the same after
 * 10 units as after 1,000. What the linker's own heap asks for (anonymous memory outside the zones) is not code memory.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/jitd.h"
#include "tests/lib/compile.h"
#include "tests/lib/temp.h"

#define WAIT_MS 60000

/* Mappings of shared files, of all processes alike: the zones are among them. Not what the runner's processes share
   without a file, their gate: a life that begins while the session ends unmaps that, or comes too late to. */
struct ranges {
    struct {
        uint64_t low, high;
    } list[256];
    size_t count;
};

static bool touches(const struct ranges *ranges, uint64_t address)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (address >= ranges->list[i].low && address < ranges->list[i].high)
            return true;
    return false;
}

/* Counts the calls of a trace that concern shared or executable memory. */
static size_t count_calls(const char *path)
{
    struct ranges ranges = {0};
    char line[1024], name[32];
    size_t calls = 0;
    long process;
    FILE *file = fopen(path, "r");

    cr_assert(file != NULL, "strace has written nothing");
    while (fgets(line, sizeof line, file)) {
        uint64_t address = 0, length = 0, result = 0;
        char *equals = strrchr(line, '=');

        if (sscanf(line, "%ld %31[a-z0-9_](", &process, name) != 2 || !strchr(line, '('))
            continue;
        sscanf(strchr(line, '('), "(%" SCNx64 ", %" SCNu64, &address, &length);
        if (strncmp(strchr(line, '('), "(NULL, ", 7) == 0)
            sscanf(strchr(line, '('), "(NULL, %" SCNu64, &length);
        if (equals)
            sscanf(equals, "= %" SCNx64, &result);
        bool shared = strcmp(name, "mmap") == 0 && strstr(line, "MAP_SHARED") && !strstr(line, "MAP_ANONYMOUS");
        if (shared || strstr(line, "PROT_EXEC") || touches(&ranges, address))
            calls++;
        if (shared && result != 0 && ranges.count < 256) {
            ranges.list[ranges.count].low = result;
            ranges.list[ranges.count++].high = result + length;
        }
    }
    fclose(file);
    return calls;
}

static void write_wrapper(const char *path, const char *trace)
{
    const char *build = getenv("O");
    FILE *file = fopen(path, "w");

    fprintf(file,
            "#!/bin/sh\nASAN_OPTIONS=detect_leaks=0 exec strace -qq -f -e trace=%%memory,fallocate,ftruncate -o '%s' "
            "'%s/bin/jitd' \"$@\"\n",
            trace, build ? build : "build");
    fclose(file);
    chmod(path, 0700);
}

static void submit_units(struct jitd_session *session, unsigned count)
{
    struct object_bytes pattern =
        compile_c("int data_000000 = 3; const int table_000000[3] = {1}; int unit_000000(void) { return data_000000; }",
                  "-O2 -fPIC");

    for (unsigned i = 0; i < count; i++) {
        struct object_bytes copy = object_copy(&pattern);
        struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
        char number[8];

        snprintf(number, sizeof number, "_%06u", i);
        for (char *at = (char *)copy.bytes;
             (at = memmem(at, copy.length - (size_t)(at - (char *)copy.bytes), "_000000", 7)); at += 7)
            memcpy(at, number, 7);
        cr_assert(batch && jitd_batch_add(batch, number, copy.bytes, copy.length) == 0);
        cr_assert_eq(jitd_submit(session, batch, NULL, NULL, NULL), 0);
        cr_assert_eq(jitd_wait_units(session, WAIT_MS), 0);
        object_free(&copy);
    }
    object_free(&pattern);
}

/* A whole session under strace, from start to end. */
static size_t calls_for(unsigned units)
{
    struct temp temp = temp_make();
    char wrapper[512], trace[512];
    struct jitd_options options = {.daemon = temp_path(&temp, "jitd", wrapper)};
    struct jitd_session *session;

    write_wrapper(wrapper, temp_path(&temp, "trace", trace));
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    cr_assert_eq(jitd_wait(session, 0, WAIT_MS), 0, "%s", jitd_last_error(session)->text);
    submit_units(session, units);
    jitd_close(session);
    size_t calls = count_calls(trace);
    temp_remove(&temp);
    return calls;
}

Test(system_calls, for_code_memory_are_the_same_after_ten_units_as_after_a_thousand, .timeout = 120)
{
    if (system("strace -V >/dev/null 2>&1") != 0)
        cr_skip_test("strace is not installed");
    if (system("strace -o /dev/null true >/dev/null 2>&1") != 0)
        cr_skip_test("nobody may trace a process here (kernel.yama.ptrace_scope, or a container's filter)");
    size_t few = calls_for(10), many = calls_for(1000);

    cr_expect_gt(few, 8, "the zones' own mappings were not seen");
    cr_expect_eq(few, many, "%zu calls with 10 units, %zu with 1000", few, many);
}
