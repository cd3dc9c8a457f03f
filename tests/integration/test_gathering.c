/*
 * __start_X and __stop_X: the sections X of a batch lie side by side, and the units that have them hold together.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

TestSuite(gathering, .timeout = 60);

#define ENTRY(n, v)                                                                                                    \
    "static long get_" n "(void) { return " v "; }\n"                                                                  \
    "__attribute__((used, section(\"table\"))) static long (*const entry_" n ")(void) = get_" n ";\n"

static const char walker_source[] =
    "typedef long entry(void); extern entry *const __start_table[], *const __stop_table[];\n"
    "long walk(long x) { for (entry *const *e = __start_table; e < __stop_table; e++) x = x * 10 + (*e)(); return x; "
    "}\n"
    "long count(long x) { return __stop_table - __start_table; }\n" ENTRY("w", "2");

static void add_table(struct harness *harness)
{
    harness_add_c(harness, "one.o", ENTRY("a", "1"));
    harness_add_c(harness, "walker.o", walker_source);
    harness_add_c(harness, "three.o", ENTRY("b", "3") "long three(long x) { return 3; }\n");
    harness_add_c(harness, "four.o", ENTRY("c", "4"));
}

Test(gathering, a_table_of_four_units_is_walked_in_the_order_of_the_batch_in_each_life)
{
    struct harness *harness = harness_open(NULL);
    add_table(harness);
    harness_add_c(harness, "crash.o", "long crash(long x) { return *(volatile long *)8; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "walk", 0), 1234);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "walk", 0), 1234);
    cr_expect_eq(harness_address(harness, "__start_table"), 0, "the batch's own, and nobody else's");
    harness_close(harness);
}

Test(gathering, each_batch_has_its_own)
{
    struct harness *harness = harness_open(NULL);
    add_table(harness);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    harness_link_c(harness, "other.o",
                   "extern char __start_table[], __stop_table[]; __attribute__((used, section(\"table\"))) int t[3];\n"
                   "long other(long x) { return __stop_table - __start_table; }");
    cr_expect_eq(harness_value(harness, "other", 0), 12);
    cr_expect_eq(harness_value(harness, "count", 0), 4);
    harness_close(harness);
}

Test(gathering, without_such_a_section_a_weak_bound_is_0_and_a_strong_one_missing)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "weak.o",
                   "extern char __start_none[] __attribute__((weak)), __stop_none[] __attribute__((weak));\n"
                   "long weak(long x) { return __start_none == 0 && __stop_none == 0; }");
    cr_expect_eq(harness_value(harness, "weak", 0), 1);
    harness_add_c(harness, "strong.o", "extern char __start_none[]; char *strong(void) { return __start_none; }");
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(harness->errors[0].symbol, "__start_none");
    harness_close(harness);
}

/* Each of the sections asks for its own alignment; what lies between is zeros, as ld has it. */
Test(gathering, pieces_are_aligned_as_they_ask_and_bounds_are_those_of_the_pieces)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "a.o", "__attribute__((used, section(\"bytes\"))) static char a[3] = {1, 1, 1};");
    harness_add_c(harness, "b.o",
                  "__attribute__((used, section(\"bytes\"), aligned(16))) static char b[5] = {2, 2, 2, 2, 2};\n"
                  "extern char __start_bytes[], __stop_bytes[];\n"
                  "long span(long x) { return __stop_bytes - __start_bytes; }\n"
                  "long at(long x) { return __start_bytes[x]; }\n"
                  "long store(long x) { return __start_bytes[20] = x; }\n"
                  "long aligned(long x) { return (long)__start_bytes % 16; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "span", 0), 21);
    cr_expect_eq(harness_value(harness, "at", 2), 1);
    cr_expect_eq(harness_value(harness, "at", 3), 0);
    cr_expect_eq(harness_value(harness, "at", 16), 2);
    cr_expect_eq(harness_value(harness, "aligned", 0), 0);
    cr_expect_eq(harness_value(harness, "store", 7), 7);
    harness_close(harness);
}

Test(gathering, a_programs_own_symbol_of_the_name_comes_first)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "own.o", "char __start_mine[4] = \"own\";");
    harness_add_c(harness, "user.o",
                  "extern char __start_mine[]; __attribute__((used, section(\"mine\"))) int entries[3];\n"
                  "long first(long x) { return __start_mine[0]; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "first", 0), 'o');
    harness_remove_unit(harness, "user.o");
    harness_remove_unit(harness, "own.o");
    harness_close(harness);
}

Test(gathering, none_of_the_units_goes_without_the_others)
{
    struct harness *harness = harness_open(NULL);
    add_table(harness);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    static const char *const names[] = {"one.o", "walker.o", "three.o", "four.o"};
    uint64_t units[4];
    for (size_t i = 0; i < 4; i++) {
        units[i] = harness_unit(harness, names[i])->id;
        struct harness_removal removal = harness_try_removing(harness, names[i], false);
        cr_expect_eq(removal.error.code, JITD_ERROR_DEPENDENTS, "%s", names[i]);
        cr_expect_str_eq(removal.error.symbol, "table");
    }
    cr_expect_eq(harness_value(harness, "walk", 0), 1234);
    uint64_t first = harness_address(harness, "walk");
    cr_expect_eq(harness_try_removing(harness, "three.o", true).count, 4);
    add_table(harness);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "walk", 0), 1234);
    for (size_t i = 0; i < 4; i++)
        units[i] = harness_unit(harness, names[i])->id;
    const struct jitd_removal all = {.units = units, .unit_count = 4};
    cr_expect_eq(harness_remove(harness, &all).count, 4);
    cr_expect_eq(harness_address(harness, "walk"), 0);
    cr_expect_neq(first, 0);
    harness_close(harness);
}

Test(gathering, a_unit_that_fails_takes_the_others_along)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "walker.o", walker_source);
    harness_add_assembly(harness, "bad.o",
                         ".section table,\"aw\"\n.quad 0\n.text\nf: lea far(%rip), %rax\n.globl far\n.set far, 0x1234\n"
                         ".section .note.GNU-stack,\"\"\n");
    harness_accept(harness, JITD_BATCH_CLOSED);
    harness_settle(harness);
    harness_expect_state(harness, "bad.o", JITD_UNIT_FAILED);
    harness_expect_state(harness, "walker.o", JITD_UNIT_FAILED);
    cr_expect_eq(harness_unit(harness, "walker.o")->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    add_table(harness);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "walk", 0), 1234);
    harness_close(harness);
}

/* The table leads to one.o, which waits: so does the walker. */
Test(gathering, units_become_ready_together)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "one.o",
                  "long late(void); __attribute__((used, section(\"table\"))) static long (*const e)(void) = late;");
    harness_add_c(harness, "walker.o", walker_source);
    harness_accept(harness, 0);
    harness_expect_state(harness, "walker.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "late.o", "long late(void) { return 1; }");
    harness_expect_ready(harness, "walker.o");
    cr_expect_eq(harness_value(harness, "walk", 0), 12);
    harness_close(harness);
}

/* Functions that a program wants to know by their addresses; each is still its own unit's to the unwinder and in
   reports. */
Test(gathering, code_can_be_gathered_called_unwound_and_told_apart)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "a.o",
                  "__attribute__((section(\"hot\"))) long hot_a(long x) { return *(volatile long *)x; }\n"
                  "long call_a(long x) { return hot_a(x) + 1; }");
    harness_add_c(harness, "b.o",
                  "long hot_a(long); extern char __start_hot[], __stop_hot[];\n"
                  "__attribute__((section(\"hot\"))) long hot_b(long x) { return hot_a(x) + 1; }\n"
                  "static long inside(void *p) { return (char *)p >= __start_hot && (char *)p < __stop_hot; }\n"
                  "long test(long x) { return inside(hot_a) * 4 + inside(hot_b) * 2 + inside(test); }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "test", 0), 6);
    struct harness_call call = harness_call(harness, "hot_b", 8);
    cr_assert(call.ended);
    cr_assert_geq(call.end.frame_count, 2);
    cr_expect_str_eq(call.end.frames[0].function, "hot_a");
    cr_expect_str_eq(call.end.frames[0].unit, "a.o");
    cr_expect_str_eq(call.end.frames[1].function, "hot_b");
    cr_expect_str_eq(call.end.frames[1].unit, "b.o");
    harness_close(harness);
}

Test(gathering, a_section_that_is_code_here_and_data_there_is_refused)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "a.o", "__attribute__((section(\"mixed\"))) long f(long x) { return x; }");
    harness_add_c(harness, "b.o",
                  "__attribute__((used, section(\"mixed\"))) int data = 3; extern char __start_mixed[];\n"
                  "char *user(void) { return __start_mixed; }");
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_OBJECT_SECTION);
    cr_expect_str_eq(harness->errors[0].section, "mixed");
    harness_close(harness);
}

Test(gathering, with_a_manifest_an_object_has_its_own_sections_alone)
{
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "count", .global = "own_count"})};
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "one.o", ENTRY("a", "1"));
    harness_add_named(harness, "own.o", walker_source, &manifest);
    harness_add_c(harness, "walker.o", walker_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "own_count", 0), 1);
    cr_expect_eq(harness_value(harness, "walk", 0), 12);
    harness_remove_unit(harness, "own.o");
    harness_close(harness);
}
