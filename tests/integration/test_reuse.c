/*
 * Memory of units that have gone: when it is used again, and what the next unit finds there.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/gate.h"
#include "tests/integration/harness.h"
#include "tests/integration/holdings.h"

Test(removal, lets_memory_be_used_again)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "keep.o", "long keep(long x) { return 1; }");
    struct holdings before = holdings_of(harness);
    harness_link_c(harness, "f.o", "int data = 7; long zeros[100]; long f(long x) { return data; }");
    uint64_t code = harness_address(harness, "f"), data = harness_address(harness, "data");
    cr_expect_eq(harness_value(harness, "f", 0), 7);
    for (int i = 0; i < 5; i++) {
        harness_remove_unit(harness, "f.o");
        holdings_expect_same(harness, &before);
        harness_link_c(harness, "f.o", "int data = 8; long zeros[100]; long f(long x) { return data; }");
        cr_expect_eq(harness_address(harness, "f"), code);
        cr_expect_eq(harness_address(harness, "data"), data);
        cr_expect_eq(harness_value(harness, "f", 0), 8);
    }
    harness_close(harness);
}

Test(removal, leaves_pristine_data_and_zeros_to_the_next_unit)
{
    static const char source[] =
        "long data[64] = {1, 2, 3}; long zeros[64];\n"
        "long spoil(long x) { for (int i = 0; i < 64; i++) data[i] = zeros[i] = 99;\n"
        "    return 0; }\n"
        "long sum(long x) { long s = 0; for (int i = 0; i < 64; i++) s += data[i] + zeros[i];\n"
        "    return s; }\n";
    struct harness *harness = harness_open(NULL);
    uint64_t zeros = 0;
    for (int i = 0; i < 3; i++) {
        harness_link_c(harness, "f.o", source);
        cr_expect(zeros == 0 || zeros == harness_address(harness, "zeros"));
        zeros = harness_address(harness, "zeros");
        cr_expect_eq(harness_value(harness, "sum", 0), 6);
        harness_value(harness, "spoil", 0);
        harness_remove_unit(harness, "f.o");
    }
    harness_link_c(harness, "zeros.o",
                   "long others[70]; long sum(long x) { long s = 0;\n"
                   "    for (int i = 0; i < 70; i++) s += others[i]; return s; }\n");
    cr_expect_eq(harness_value(harness, "sum", 0), 0, "a unit with zero data alone");
    harness_close(harness);
}

Test(removal, of_a_unit_that_a_call_is_inside_lets_the_call_return_and_keeps_the_memory_until_then)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call, late;
    gate_link(harness);
    gate_link_busy(harness);
    uint64_t address = harness_address(harness, "busy");
    jitd_request request = harness_call_begin(harness, "busy", 0, &call);
    jitd_request refused = harness_call_begin(harness, "busy", 0, &late);
    harness_await_output(harness, "inside");
    harness_remove_unit(harness, "busy.o");
    harness_wait(harness, refused);
    cr_expect_eq(late.code, JITD_ERROR_NOT_CALLABLE, "a call that had not begun: %s", late.text);
    cr_expect(!call.completed);
    gate_link_busy(harness);
    cr_expect_neq(harness_address(harness, "busy"), address, "memory was used again under a call");
    gate_open(harness);
    harness_wait(harness, request);
    cr_expect(call.returned && call.value == 42, "%s, signal %d", call.text, call.end.signal);
    harness_remove_unit(harness, "busy.o");
    gate_link_busy(harness);
    cr_expect_eq(harness_address(harness, "busy"), address, "memory was not used again after the call");
    harness_close(harness);
}

/* `busy` begins a thread that is in its unit until the gate opens. */
static void expect_kept_until_thread_ends(const char *busy)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "gate.o",
                   "#include <pthread.h>\n#include <threads.h>\nvolatile long gate; static pthread_t thread;\n"
                   "pthread_key_t key; long make_key(void (*f)(void *)) { return pthread_key_create(&key, f); }\n"
                   "long begin_thread(void *(*f)(void *)) { return pthread_create(&thread, 0, f, 0); }\n"
                   "long begin_thrd(int (*f)(void *)) { return thrd_create(&thread, f, 0); }\n"
                   "long end_thread(long x) { void *result; gate = 1; pthread_join(thread, &result);\n"
                   "    return (long)result; }\n");
    harness_link_c(harness, "busy.o", busy);
    uint64_t address = harness_address(harness, "busy");
    cr_expect_eq(harness_value(harness, "busy", 0), 0);
    harness_await_output(harness, "inside");
    harness_remove_unit(harness, "busy.o");
    harness_link_c(harness, "f.o", "long f(long x) { return 1; }");
    cr_expect_eq(harness_value(harness, "f", 0), 1);
    cr_expect_gt(harness_address(harness, "f"), address, "memory was used again under a thread");
    cr_expect_eq(harness_value(harness, "end_thread", 0), 42);
    harness_value(harness, "f", 0);
    harness_link_c(harness, "g.o", "long g(long x) { return 1; }");
    cr_expect_lt(harness_address(harness, "g"), harness_address(harness, "f"),
                 "memory was not used again after the thread");
    harness_close(harness);
}

#define STAY                                                                                                           \
    "#include <unistd.h>\nextern volatile long gate;\n"                                                                \
    "static void stay(void) { write(1, \"inside\\n\", 7); while (!gate) usleep(1000); }\n"

Test(removal, of_a_unit_that_a_thread_runs_in_keeps_the_memory_until_it_ends)
{
    expect_kept_until_thread_ends(STAY "long begin_thread(void *(*)(void *));\n"
                                       "static void *run(void *x) { stay(); return (void *)42L; }\n"
                                       "long busy(long x) { return begin_thread(run); }\n");
}

Test(removal, of_a_unit_that_a_thread_of_thrd_create_runs_in_keeps_the_memory_until_it_ends)
{
    expect_kept_until_thread_ends(STAY "long begin_thrd(int (*)(void *));\n"
                                       "static int run(void *x) { stay(); return 42; }\n"
                                       "long busy(long x) { return begin_thrd(run); }\n");
}

Test(removal, of_a_unit_that_a_thread_leaves_data_to_be_destroyed_in_keeps_the_memory_until_that_is_done)
{
    expect_kept_until_thread_ends(
        STAY "#include <pthread.h>\nextern pthread_key_t key; long make_key(void (*)(void *));\n"
             "long begin_thread(void *(*)(void *));\n"
             "static void destroy(void *x) { stay(); if (x == &gate) pthread_setspecific(key, (char *)&gate + 1); }\n"
             "static void *run(void *x) { pthread_setspecific(key, (void *)&gate); return (void *)42L; }\n"
             "long busy(long x) { return make_key(destroy) || begin_thread(run); }\n");
}

Test(removal, makes_memory_free_while_the_runner_is_never_without_work)
{
    enum { CALLS = 500, UNITS = 100, LARGE = 4096 };
    struct harness *harness = harness_open(NULL);
    struct object_bytes object =
        compile_c("long data = 1; long f(long x) { return data + x; } char large[4096] = {1};", HARNESS_FLAGS);
    struct harness_call *calls = calloc(CALLS, sizeof *calls);
    jitd_request last = 0;
    harness_link_c(harness, "spin.o", "#include <unistd.h>\nlong spin(long x) { usleep(500); return x; }");
    for (int i = 0; i < CALLS; i++)
        last = harness_call_begin(harness, "spin", i, &calls[i]);
    for (int i = 0; i < UNITS; i++) {
        harness_link(harness, "f.o", &object);
        harness_remove_unit(harness, "f.o");
    }
    struct holdings during = holdings_of(harness);
    cr_expect_lt(during.used[3], UNITS / 2 * LARGE, "%llu bytes of zone D are in use",
                 (unsigned long long)during.used[3]);
    harness_wait(harness, last);
    object_free(&object);
    free(calls);
    harness_close(harness);
}

Test(removal, lets_exceptions_find_the_code_that_came_in_the_place_of_other)
{
    static const char source[] = "extern \"C\" long throwing(long x) { if (x) throw x * FACTOR; return PAD; }\n"
                                 "extern \"C\" long catching(long x) {\n"
                                 "    try { return throwing(x); } catch (long y) { return y; } }\n";
    struct harness *harness = harness_open_with_libstdcxx();
    uint64_t address = 0;
    for (int i = 1; i <= 6; i++) {
        char flags[128];
        snprintf(flags, sizeof flags, "-O%d -fPIC -DFACTOR=%d -DPAD=%d", i % 3, i, i * 1000000);
        struct object_bytes object = compile_cxx(source, flags);
        harness_link(harness, "e.o", &object);
        cr_expect_eq(harness_value(harness, "catching", 7), 7 * i);
        cr_expect(address == 0 || address == harness_address(harness, "throwing"));
        address = harness_address(harness, "throwing");
        harness_remove_unit(harness, "e.o");
        object_free(&object);
    }
    harness_close(harness);
}

Test(removal, makes_room_in_a_full_arena)
{
    static const char source[] = "char NAME[32 << 20] = {1};\n";
    struct harness *harness = harness_open(NULL);
    char flags[128];
    int count = 0;
    for (; count < 64; count++) {
        snprintf(flags, sizeof flags, "%s -DNAME=large_%d", HARNESS_FLAGS, count);
        struct object_bytes object = compile_c(source, flags);
        harness_add(harness, "large.o", &object);
        object_free(&object);
        if (harness_submit(harness, JITD_BATCH_CLOSED) != 0)
            break;
        harness_settle(harness);
    }
    const struct harness_error *error = &harness->errors[0];
    cr_assert_eq(error->code, JITD_ERROR_ARENA_FULL, "after %d units: %s", count, error->text);
    cr_expect(strstr(error->text, "zone D is full: 33554432 bytes wanted") != NULL, "%s", error->text);
    const struct jitd_removal what = {.units = &harness->units[1].id, .unit_count = 1};
    cr_assert_eq(harness_remove(harness, &what).count, 1);
    harness_link_c(harness, "again.o",
                   "char again[32 << 20] = {1};\n"
                   "long first(long x) { return again[0] + again[1]; }\n");
    cr_expect_eq(harness_value(harness, "first", 0), 1);
    harness_close(harness);
}
