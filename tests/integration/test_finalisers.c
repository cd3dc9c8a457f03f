/*
 * What runs when a unit goes, and that nothing of it comes back in the runner's further lives.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "tests/integration/harness.h"

/* ---- finalisers ---- */

/* Writes one letter when it is initialised and another one when it is finalised. */
static void add_noting(struct harness *harness, const char *name, char letter, const char *priority)
{
    char all[256];
    snprintf(all, sizeof all, "%s -DLETTER=%d '-DPRIORITY=%s'", HARNESS_FLAGS, letter, priority);
    struct object_bytes object = compile_c("#include <unistd.h>\n"
                                           "__attribute__((constructor PRIORITY)) static void begin(void)\n"
                                           "{ char c = LETTER; write(1, &c, 1); }\n"
                                           "__attribute__((destructor PRIORITY)) static void end(void)\n"
                                           "{ char c = LETTER - 'a' + 'A'; write(1, &c, 1); }\n",
                                           all);
    harness_add(harness, name, &object);
    object_free(&object);
}

static void exit_program(struct harness *harness)
{
    struct harness_call call = harness_call(harness, "leave", 0);
    cr_expect(call.ended && call.end.exited, "signal %d", call.end.signal);
}

static const char leave_source[] = "#include <stdlib.h>\nlong leave(long x) { exit((int)x); }\n"
                                   "long stay(long x) { return x; }\n";

Test(removal, runs_finalisers_once_and_not_again_at_exit)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "leave.o", leave_source);
    add_noting(harness, "a.o", 'a', "");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    add_noting(harness, "b.o", 'b', "");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    harness_remove_unit(harness, "a.o");
    harness_expect_output(harness, "abA");
    exit_program(harness);
    exit_program(harness);
    harness_value(harness, "stay", 0); /* the third life has begun */
    harness_expect_output(harness, "abABbBb");
    harness_close(harness);
}

Test(removal, runs_finalisers_of_several_units_in_the_reverse_order_of_their_initialisers)
{
    struct harness *harness = harness_open_with_output(NULL);
    add_noting(harness, "a.o", 'a', "(103)");
    add_noting(harness, "b.o", 'b', "(101)");
    add_noting(harness, "c.o", 'c', "(102)");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    add_noting(harness, "d.o", 'd', "");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    const uint64_t units[] = {harness_unit(harness, "d.o")->id, harness_unit(harness, "b.o")->id,
                              harness_unit(harness, "a.o")->id, harness_unit(harness, "c.o")->id};
    const struct jitd_removal what = {.units = units, .unit_count = 4};
    cr_expect_eq(harness_remove(harness, &what).count, 4);
    harness_expect_output(harness, "bcadDACB");
    harness_close(harness);
}

#define STATIC_FLAGS HARNESS_FLAGS " -fno-exceptions -fno-threadsafe-statics"

static const char static_source[] = "#include <unistd.h>\n"
                                    "namespace { struct noting { char c; noting(char l) : c(l) { write(1, &c, 1); }\n"
                                    "    ~noting() { char u = c - 'a' + 'A'; write(1, &u, 1); } }; }\n"
                                    "static noting first(FIRST), second(FIRST + 1);\n"
                                    "extern \"C\" long NAME(long x) { static noting late(FIRST + 2); return x; }\n";

Test(removal, runs_cxx_static_destructors_of_its_own_unit)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct object_bytes a = compile_cxx(static_source, STATIC_FLAGS " -DFIRST=97 -DNAME=use_a");
    struct object_bytes x = compile_cxx(static_source, STATIC_FLAGS " -DFIRST=120 -DNAME=use_x");
    harness_link_c(harness, "leave.o", leave_source);
    harness_link(harness, "a.o", &a);
    harness_link(harness, "x.o", &x);
    cr_expect_eq(harness_value(harness, "use_a", 1), 1);
    harness_expect_output(harness, "abxyc");
    harness_remove_unit(harness, "a.o");
    harness_expect_output(harness, "abxycCBA");
    harness_link(harness, "a.o", &a);
    exit_program(harness);
    harness_value(harness, "use_x", 0);
    /* The second life has both of them again; `late` of a never. */
    harness_expect_output(harness, "abxycCBAabBAYXxyabz");
    object_free(&a);
    object_free(&x);
    harness_close(harness);
}

Test(removal, whose_finaliser_crashes_is_answered_and_reported)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "good.o", "long good(long x) { return 1; }");
    harness_link_c(harness, "bad.o",
                   "__attribute__((destructor)) static void bang(void) { *(volatile int *)8 = 1; }\n"
                   "long bad(long x) { return 1; }\n");
    struct harness_removal removal = harness_try_removing(harness, "bad.o", false);
    cr_expect_eq(removal.error.code, 0, "%s", removal.error.text);
    cr_expect_eq(removal.count, 1);
    harness_dispatch_until(harness, &harness->runner_ends, 1);
    cr_expect_eq(harness->last_end.signal, SIGSEGV);
    cr_expect_str_eq(harness->last_end.finaliser_of, "bad.o");
    cr_expect_str_eq(harness->last_end.initialiser_of, "");
    cr_assert_geq(harness->last_end.frame_count, 1);
    cr_expect_str_eq(harness->last_end.frames[0].unit, "bad.o");
    cr_expect_str_eq(harness->last_end.frames[0].function, "bang");
    cr_expect_eq(harness_value(harness, "good", 0), 1);
    cr_expect_eq(harness_call(harness, "bad", 0).code, JITD_ERROR_NOT_FOUND);
    harness_close(harness);
}

/* ---- lives of the runner ---- */

static const char crash_source[] = "long crash(long x) { return *(volatile long *)8; }\n";

Test(removal, is_for_all_further_lives)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "leave.o", leave_source);
    harness_link_c(harness, "crash.o", crash_source);
    add_noting(harness, "a.o", 'a', "");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    add_noting(harness, "b.o", 'b', "");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    harness_remove_unit(harness, "a.o");
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_value(harness, "stay", 0);
    harness_expect_output(harness, "abAbb");
    harness_close(harness);
}

Test(removal, at_the_beginning_of_a_life_waits_for_the_initialisers_that_run_again)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "leave.o", leave_source);
    harness_link_c(harness, "crash.o", crash_source);
    harness_link_c(harness, "slow.o",
                   "#include <unistd.h>\n__attribute__((constructor)) static void slow(void)\n"
                   "{ write(1, \"s\", 1); usleep(50000); }\n");
    add_noting(harness, "a.o", 'a', "");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    harness_link_c(harness, "init.o",
                   "#include <unistd.h>\n__attribute__((constructor)) static void i(void) { write(1, \"i\", 1); }\n");
    struct harness_call crash, leave;
    harness_call_begin(harness, "crash", 0, &crash);
    jitd_request leaving = harness_call_begin(harness, "leave", 0, &leave);
    harness_await_output(harness, "sais");
    const uint64_t units[] = {harness_unit(harness, "a.o")->id, harness_unit(harness, "init.o")->id};
    cr_expect_eq(harness_remove(harness, &(struct jitd_removal){.units = units, .unit_count = 2}).count, 2);
    harness_await_output(harness, "saisaiA");
    harness_wait(harness, leaving);
    cr_expect(crash.ended && leave.ended && leave.end.exited, "signal %d", leave.end.signal);
    harness_value(harness, "stay", 0);
    harness_expect_output(harness, "saisaiAs");
    harness_close(harness);
}

/* The second time it runs it is slow, and then it crashes. */
static const char relapsing_source[] = "#include <unistd.h>\n"
                                       "__attribute__((constructor)) static void begin(void) {\n"
                                       "    write(1, \"i\", 1); if (lseek(1, 0, SEEK_CUR) == 1) return;\n"
                                       "    usleep(50000); *(volatile int *)8 = 1; }\n";

Test(removal, at_the_beginning_of_a_life_whose_initialiser_crashes_is_answered_and_reported)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "crash.o", crash_source);
    harness_link_c(harness, "relapsing.o", relapsing_source);
    struct harness_call next;
    cr_expect(harness_call(harness, "crash", 0).ended);
    jitd_request request = harness_call_begin(harness, "crash", 0, &next);
    harness_await_output(harness, "ii");
    harness_remove_unit(harness, "relapsing.o");
    harness_dispatch_until(harness, &harness->runner_ends, 2);
    cr_expect_str_eq(harness->last_end.initialiser_of, "relapsing.o");
    harness_wait(harness, request);
    cr_expect(next.ended);
    harness_expect_output(harness, "ii");
    harness_close(harness);
}
