/*
 * When units become ready, what they are bound to, and how a failure spreads.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"

TestSuite(readiness, .timeout = 60);

/* Whatever the daemon had to say up to now has been heard: a lookup is answered after it. */
static enum jitd_unit_state state_of(struct harness *harness, const char *name)
{
    harness_address(harness, "getpid");
    return harness_unit(harness, name)->state;
}

static bool is_ready(struct harness *harness, const char *name)
{
    return state_of(harness, name) == JITD_UNIT_READY;
}

static int order_of(const struct harness *harness, const char *name)
{
    return harness_unit(harness, name)->order;
}

/* ---- waiting ---- */

static const char *const names[] = {"a.o", "b.o", "c.o", "d.o"};
static const char *const diamond[] = {
    "extern long b(long), c(long); long a(long x) { return b(x) + c(x); }\n",
    "extern long d(long); long b(long x) { return d(x) * 10; }\n",
    "extern long d(long); long c(long x) { return d(x) * 100; }\n",
    "long d(long x) { return x + 1; }\n",
};

Test(readiness, comes_whatever_the_order_of_submission)
{
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}, {0, 3, 1, 2}};
    struct object_bytes objects[4];
    for (int i = 0; i < 4; i++)
        objects[i] = compile_c(diamond[i], HARNESS_FLAGS);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct harness *harness = harness_open(NULL);
        for (int j = 0; j < 4; j++) {
            harness_add(harness, names[orders[i][j]], &objects[orders[i][j]]);
            harness_accept(harness, 0);
        }
        harness_settle(harness);
        cr_expect_eq(harness_value(harness, "a", 1), 220, "order %zu", i);
        cr_expect(order_of(harness, "d.o") < order_of(harness, "b.o"), "order %zu", i);
        cr_expect(order_of(harness, "d.o") < order_of(harness, "c.o"), "order %zu", i);
        cr_expect_eq(order_of(harness, "a.o"), 4, "order %zu", i);
        harness_close(harness);
    }
    for (int i = 0; i < 4; i++)
        object_free(&objects[i]);
}

Test(readiness, must_come_before_a_call)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "b.o", diamond[1], NULL);
    struct harness_call call = harness_call(harness, "b", 1);
    cr_expect_eq(call.code, JITD_ERROR_NOT_CALLABLE);
    cr_expect(strstr(call.text, "'b' is not ready"), "%s", call.text);
    cr_expect_neq(harness_address(harness, "b"), 0, "its address is known all the same");
    harness_submit_named(harness, "d.o", diamond[3], NULL);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "b", 1), 20);
    harness_close(harness);
}

Test(readiness, of_a_cycle_across_batches_comes_for_all_of_it_at_once)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "one.o",
                         "extern long two(long); long one(long x) { return x ? two(x - 1) + 1 : 0; }\n", NULL);
    harness_submit_named(harness, "two.o",
                         "extern long three(long); long two(long x) { return x ? three(x - 1) + 1 : 0; }\n", NULL);
    harness_submit_named(harness, "user.o", "extern long one(long); long user(long x) { return one(x); }\n", NULL);
    cr_expect_not(is_ready(harness, "one.o"));
    cr_expect_not(is_ready(harness, "two.o"));
    harness_submit_named(harness, "three.o",
                         "extern long one(long); long three(long x) { return x ? one(x - 1) + 1 : 0; }\n", NULL);
    harness_settle(harness);
    cr_expect_eq(order_of(harness, "user.o"), 4);
    cr_expect_eq(harness_value(harness, "one", 100), 100);
    cr_expect_eq(harness_value(harness, "user", 7), 7);
    harness_close(harness);
}

Test(readiness, comes_with_a_late_definition_to_exactly_those_that_waited_for_it)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "x1.o", "extern long x; long x1(long y) { return x + y; }\n", NULL);
    harness_submit_named(harness, "y1.o", "extern long y; long y1(long x) { return y + x; }\n", NULL);
    harness_submit_named(harness, "x2.o", "extern long x; long x2(long y) { return x * y; }\n", NULL);
    harness_submit_named(harness, "xy.o", "extern long x, y; long xy(long z) { return x + y + z; }\n", NULL);
    harness_submit_named(harness, "x.o", "long x = 6;\n", NULL);
    harness_dispatch_until(harness, &harness->told, 3);
    cr_expect(is_ready(harness, "x1.o") && is_ready(harness, "x2.o"));
    cr_expect(!is_ready(harness, "y1.o") && !is_ready(harness, "xy.o"));
    cr_expect_eq(harness_value(harness, "x2", 7), 42);
    harness_submit_named(harness, "y.o", "long y = 30;\n", NULL);
    harness_settle(harness);
    cr_expect(is_ready(harness, "y1.o"));
    cr_expect_eq(harness_value(harness, "xy", 6), 42);
    harness_close(harness);
}

Test(readiness, of_a_closed_batch_may_wait_for_what_was_submitted_before)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "b.o", diamond[1], NULL);
    harness_add_c(harness, "user.o", "extern long b(long); long user(long x) { return b(x); }\n");
    harness_accept(harness, JITD_BATCH_CLOSED);
    cr_expect_not(is_ready(harness, "user.o"));
    harness_submit_named(harness, "d.o", diamond[3], NULL);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "user", 1), 20);
    harness_close(harness);
}

Test(readiness, waits_for_no_weak_reference_which_reads_as_zero)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(
        harness, "weak.o",
        "extern long absent(void) __attribute__((weak)); extern long nothing __attribute__((weak));\n"
        "static long (*table[])(void) = {absent};\n"
        "long present(long x) { return x + (absent ? 1 : 0) + (&nothing ? 2 : 0) + (table[0] ? 4 : 0); }\n",
        NULL);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "present", 40), 40);
    harness_close(harness);
}

/* ---- what a name is bound to ---- */

static void link_batch(struct harness *harness, const char *first, const char *second, const char *flags)
{
    struct object_bytes objects[] = {compile_c(first, flags), compile_c(second, flags)};
    harness_add(harness, "first.o", &objects[0]);
    harness_add(harness, "second.o", &objects[1]);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    for (int i = 0; i < 2; i++)
        object_free(&objects[i]);
}

/* Written from end to end, the largest must not run into its neighbours. */
Test(readiness, binds_a_batch_s_common_symbols_to_the_largest_of_them)
{
    struct harness *harness = harness_open(NULL);
    link_batch(harness,
               "long a_before, b_shared[512], c_behind;\n"
               "long fill(long x) { for (int i = 0; i < 512; i++) b_shared[i] = x; return (long)b_shared; }\n"
               "long neighbours(long x) { return a_before + c_behind; }\n",
               "char b_shared[8]; long d_last;\n"
               "long read_back(long x) { return b_shared[0] + d_last; }\n"
               "long where(long x) { return (long)b_shared; }\n",
               "-O1 -fPIC -fcommon");
    cr_expect_eq(harness_value(harness, "fill", 42), harness_value(harness, "where", 0));
    cr_expect_eq(harness_value(harness, "read_back", 0), 42);
    cr_expect_eq(harness_value(harness, "neighbours", 0), 0);
    cr_expect_eq(harness_value(harness, "where", 0) % 32, 0);
    harness_close(harness);
}

Test(readiness, binds_a_batch_s_common_symbol_to_its_definition)
{
    struct harness *harness = harness_open(NULL);
    link_batch(harness, "long shared; long see(long x) { return shared; }\n", "long shared = 42;\n",
               "-O1 -fPIC -fcommon");
    cr_expect_eq(harness_value(harness, "see", 0), 42);
    harness_close(harness);
}

Test(readiness, binds_a_batch_s_weak_symbol_to_its_strong_definition)
{
    struct harness *harness = harness_open(NULL);
    link_batch(harness,
               "__attribute__((weak)) long choice(void) { return 1; }\n"
               "long chosen(long x) { return choice(); }\n",
               "long choice(void) { return 2; }\n", HARNESS_FLAGS);
    cr_expect_eq(harness_value(harness, "chosen", 0), 2);
    harness_close(harness);
}

Test(readiness, binds_to_the_first_of_several_weak_definitions_even_of_other_batches)
{
    struct harness *harness = harness_open(NULL);
    link_batch(harness, "__attribute__((weak)) long choice(void) { return 1; }\n",
               "__attribute__((weak)) long choice(void) { return 2; }\n"
               "long chosen(long x) { return choice(); }\n",
               HARNESS_FLAGS);
    cr_expect_eq(harness_value(harness, "chosen", 0), 1);
    harness_link_c(harness, "third.o",
                   "__attribute__((weak)) long choice(void) { return 3; }\n"
                   "long chosen_later(long x) { return choice(); }\n");
    cr_expect_eq(harness_value(harness, "chosen_later", 0), 1);
    harness_close(harness);
}

Test(readiness, lets_a_unit_s_definition_stand_before_a_library_s)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "own.o", "int getpid(void) { return -42; }\n");
    harness_link_c(harness, "user.o", "extern int getpid(void); long user(long x) { return getpid(); }\n");
    cr_expect_eq(harness_value(harness, "user", 0), -42);
    harness_close(harness);
}

/* ---- C++ ---- */

/* One source for two units, whose inline function and its counter are one. */
static const char counting_source[] = "inline long *counter() { static long count = 40; return &count; }\n"
                                      "extern \"C\" long NAME(long x) { return ++*counter(); }\n"
                                      "extern \"C\" long *(*WHERE)() = counter;\n"
                                      "extern \"C\" long NAME_where(long x) { return (long)WHERE; }\n";

static void add_counting(struct harness *harness, const char *name, const char *flags)
{
    struct object_bytes object = compile_cxx(counting_source, flags);
    harness_add(harness, name, &object);
    object_free(&object);
}

#define COUNTING(n) "-O1 -fPIC -DNAME=count_" n " -DWHERE=where_" n " -DNAME_where=address_" n

Test(readiness, keeps_one_copy_of_what_is_inline_in_several_units)
{
    struct harness *harness = harness_open_with_libstdcxx();
    add_counting(harness, "one.o", COUNTING("1"));
    add_counting(harness, "two.o", COUNTING("2"));
    harness_accept(harness, JITD_BATCH_CLOSED);
    add_counting(harness, "three.o", COUNTING("3"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "count_1", 0), 41);
    cr_expect_eq(harness_value(harness, "count_2", 0), 42);
    cr_expect_eq(harness_value(harness, "count_3", 0), 43);
    int64_t address = harness_value(harness, "address_1", 0);
    cr_expect_eq(harness_value(harness, "address_2", 0), address);
    cr_expect_eq(harness_value(harness, "address_3", 0), address);
    harness_close(harness);
}

static const char throwing_source[] =
    "struct closing { ~closing(); }; closing::~closing() { extern long closed; closed++; } long closed;\n"
    "extern \"C\" long descend(long n) { closing c; if (n == 0) throw 42L; return descend(n - 1) + 1; }\n";
static const char catching_source[] =
    "extern \"C\" long descend(long n); extern long closed;\n"
    "extern \"C\" long attempt(long n) { try { return descend(n); } catch (long x) { return x; } }\n"
    "extern \"C\" long all_closed(long x) { return closed; }\n";

Test(readiness, lets_exceptions_pass_from_unit_to_unit)
{
    struct harness *harness = harness_open_with_libstdcxx();
    struct object_bytes objects[] = {compile_cxx(catching_source, HARNESS_FLAGS),
                                     compile_cxx(throwing_source, HARNESS_FLAGS)};
    harness_add(harness, "catching.o", &objects[0]);
    harness_accept(harness, 0);
    harness_add(harness, "throwing.o", &objects[1]);
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_value(harness, "attempt", 0), 42);
    cr_expect_eq(harness_value(harness, "attempt", 100), 42);
    cr_expect_eq(harness_value(harness, "all_closed", 0), 102);
    for (int i = 0; i < 2; i++)
        object_free(&objects[i]);
    harness_close(harness);
}

Test(readiness, ends_the_call_with_abort_where_nobody_catches)
{
    struct harness *harness = harness_open_with_libstdcxx();
    struct object_bytes object = compile_cxx(throwing_source, HARNESS_FLAGS);
    harness_link(harness, "throwing.o", &object);
    struct harness_call call = harness_call(harness, "descend", 3);
    cr_expect(call.ended && call.end.signal == 6, "signal %d", call.end.signal);
    object_free(&object);
    harness_close(harness);
}

/* ---- failures ---- */

Test(readiness, is_lost_to_all_dependents_of_a_unit_that_fails)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "c.o", "extern long b(long); long c(long x) { return b(x); }\n", NULL);
    harness_submit_named(harness, "b.o", "extern long a(long); long b(long x) { return a(x); }\n", NULL);
    harness_submit_named(harness, "far.o", "__asm__(\".globl far_away\\nfar_away = 0x123456789abc\\n\");\n", NULL);
    harness_submit_named(harness, "bystander.o", "long bystander(long x) { return x; }\n", NULL);
    harness_add_assembly(harness, "a.o",
                         "\t.globl a\n\t.type a, @function\na:\tmov far_away(%rip), %rax\n\tret\n"
                         "\t.section .note.GNU-stack,\"\",@progbits\n");
    harness_link_batch(harness, 0);
    const struct harness_unit *b = harness_unit(harness, "b.o"), *c = harness_unit(harness, "c.o");
    cr_expect_eq(harness_unit(harness, "a.o")->error.code, JITD_ERROR_RELOCATION_RANGE);
    cr_expect_eq(b->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect_eq(c->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect(strstr(b->error.text, "needs 'a' of a.o") && strstr(b->error.text, "R_X86_64_PC32"), "%s", b->error.text);
    cr_expect(strstr(c->error.text, "needs 'b' of b.o") && strstr(c->error.text, "R_X86_64_PC32"), "%s", c->error.text);
    cr_expect_eq(harness_call(harness, "c", 0).code, JITD_ERROR_NOT_FOUND);
    cr_expect_eq(harness_value(harness, "bystander", 5), 5);
    harness_close(harness);
}

Test(readiness, can_be_had_by_submitting_again_what_failed)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "far.o", "__asm__(\".globl far_away\\nfar_away = 0x123456789abc\\n\");\n", NULL);
    harness_add_assembly(harness, "a.o",
                         "\t.globl a\n\t.type a, @function\na:\tmov far_away(%rip), %rax\n\tret\n"
                         "\t.section .note.GNU-stack,\"\",@progbits\n");
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_unit(harness, "a.o")->state, JITD_UNIT_FAILED);
    harness_submit_named(harness, "a.o", "long a(long x) { return x + 1; }\n", NULL);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "a", 41), 42);
    harness_close(harness);
}

Test(readiness, is_given_up_at_the_deadline_with_the_name_of_what_never_came)
{
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "above.o", "long waits(long); long above(long x) { return waits(x); }", NULL);
    harness->deadline_ms = 50;
    harness_submit_named(harness, "complete.o", "long complete(long x) { return x; }", NULL);
    harness_submit_named(harness, "waits.o", "long gone(long); long waits(long x) { return gone(x); }", NULL);
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "complete.o")->state, JITD_UNIT_READY);
    cr_expect_eq(harness_unit(harness, "waits.o")->state, JITD_UNIT_FAILED);
    cr_expect_eq(harness_unit(harness, "waits.o")->error.code, JITD_ERROR_TIMEOUT);
    cr_expect_str_eq(harness_unit(harness, "waits.o")->error.text, "waits.o: 'gone' was not defined within 50 ms");
    cr_expect_eq(harness_unit(harness, "above.o")->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect_eq(harness_value(harness, "complete", 3), 3, "the session goes on");
    harness_close(harness);
}
