/*
 * Unwinding through many units: a chain of small functions, one object each, whose unwind tables share the session's
 * CIE and have no search table of their own, and now and then an object of many functions that has one. Whoever unwinds
 * starts at the chain's end and must see every link.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"

#define LINKS 12

/* Each link adds one to what the next one gives. */
static const char link_source[] = "long NEXT(long n);\n"
                                  "#ifdef MANY\n"
                                  "static __attribute__((used)) long other_1(long n) { return NEXT(n) * 2; }\n"
                                  "static __attribute__((used)) long other_2(long n) { return NEXT(n) * 3; }\n"
                                  "static __attribute__((used)) long other_3(long n) { return NEXT(n) * 4; }\n"
                                  "static __attribute__((used)) long other_4(long n) { return NEXT(n) * 5; }\n"
                                  "#endif\n"
                                  "long NAME(long n) { return NEXT(n) + 1; }\n";

static const char last_source[] =
    "#define _GNU_SOURCE\n#include <execinfo.h>\n#include <pthread.h>\n#include <unistd.h>\n"
    "extern void throw_it(long n) __attribute__((weak));\n"
    "long last(long n) {\n"
    "    void *frames[64];\n"
    "    switch (n) {\n"
    "    case 1: return backtrace(frames, 64) * 1000;\n"
    "    case 2: throw_it(n); return 0;\n"
    "    case 3: pthread_exit((void *)7L);\n"
    "    case 4: for (;;) pause();\n"
    "    case 5: *(volatile int *)16 = 0; return 0;\n"
    "    }\n"
    "    return 0;\n"
    "}\n";

static const char threads_source[] =
    "#define _GNU_SOURCE\n#include <pthread.h>\n#include <unistd.h>\n"
    "long link_0(long n);\n"
    "static volatile long cleaned;\n"
    "static void clean(void *x) { cleaned++; }\n"
    "static void *thread(void *n) { void *r; pthread_cleanup_push(clean, 0); r = (void *)link_0((long)n);\n"
    "    pthread_cleanup_pop(0); return r; }\n"
    "long leave_thread(long n) { pthread_t t; void *result;\n"
    "    pthread_create(&t, 0, thread, (void *)n);\n"
    "    if (n == 4) { usleep(20000); pthread_cancel(t); }\n"
    "    pthread_join(t, &result);\n"
    "    return cleaned * 100 + (result == PTHREAD_CANCELED ? 1 : (long)result); }\n";

static const char cxx_source[] = "extern \"C\" long link_0(long n);\n"
                                 "extern \"C\" void throw_it(long n) { throw n; }\n"
                                 "extern \"C\" long attempt(long n) {\n"
                                 "    try { return link_0(n); } catch (long x) { return -x; } }\n";

static void add_links(struct harness *harness)
{
    static char names[LINKS][16];

    for (int i = 0; i < LINKS; i++) {
        char flags[128], next[16];

        snprintf(names[i], sizeof names[i], "link_%d.o", i);
        snprintf(next, sizeof next, i + 1 < LINKS ? "link_%d" : "last", i + 1);
        snprintf(flags, sizeof flags, "%s -DNAME=link_%d -DNEXT=%s%s", HARNESS_FLAGS, i, next,
                 i % 4 == 3 ? " -DMANY" : "");
        struct object_bytes object = compile_c(link_source, flags);
        harness_add(harness, names[i], &object);
        object_free(&object);
    }
}

static struct harness *open_with_chain(void)
{
    struct harness *harness = harness_open_with_libstdcxx();
    struct object_bytes cxx = compile_cxx(cxx_source, HARNESS_FLAGS);
    struct object_bytes threads = compile_c(threads_source, HARNESS_FLAGS " -fexceptions");

    add_links(harness);
    harness_add_c(harness, "last.o", last_source);
    harness_add(harness, "cxx.o", &cxx);
    harness_add(harness, "threads.o", &threads);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    object_free(&cxx);
    object_free(&threads);
    return harness;
}

Test(unwinding, exceptions_pass_through_every_unit)
{
    struct harness *harness = open_with_chain();

    cr_expect_eq(harness_value(harness, "attempt", 0), LINKS);
    cr_expect_eq(harness_value(harness, "attempt", 2), -2);
    cr_expect_eq(harness_value(harness, "attempt", 2), -2);
    harness_close(harness);
}

Test(unwinding, backtrace_sees_every_unit)
{
    struct harness *harness = open_with_chain();
    int64_t frames = (harness_value(harness, "attempt", 1) - LINKS) / 1000;

    cr_expect_geq(frames, LINKS + 2, "%ld frames", (long)frames);
    harness_close(harness);
}

Test(unwinding, threads_that_end_or_are_cancelled_run_their_clean_up)
{
    struct harness *harness = open_with_chain();

    cr_expect_eq(harness_value(harness, "leave_thread", 3), 107);
    cr_expect_eq(harness_value(harness, "leave_thread", 4), 201);
    harness_close(harness);
}

Test(unwinding, a_crash_report_names_every_unit)
{
    struct harness *harness = open_with_chain();
    struct harness_call call = harness_call(harness, "attempt", 5);

    cr_assert(call.ended && call.end.signal == 11, "%s", call.text);
    cr_assert_geq(call.end.frame_count, LINKS + 2);
    cr_expect_str_eq(call.end.frames[0].function, "last");
    for (int i = 0; i < LINKS; i++) {
        char name[16];

        snprintf(name, sizeof name, "link_%d", LINKS - 1 - i);
        cr_expect_str_eq(call.end.frames[i + 1].function, name);
    }
    harness_close(harness);
}
