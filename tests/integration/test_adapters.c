/*
 * Calls by one convention of functions of another, through adapters of the program's own.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/integration/adapting.h"
#include "tests/integration/holdings.h"

TestSuite(adapter, .timeout = 50);

/* ---- fixed targets ---- */

Test(adapter, leads_each_way_whichever_of_the_two_comes_first)
{
    static const struct {
        const char *function, *caller;
        int given, wanted;
        bool use_first;
        unsigned flags;
    } rows[] = {
        {"a", "call_a", BOXED, PLAIN, false, 0},
        {"b", "call_b", BOXED, PLAIN, true, 0},
        {"c", "call_c", PLAIN, BOXED, false, 0},
        {"d", "call_d", PLAIN, BOXED, true, 0},
        {"e", "call_e", BOXED, PLAIN, false, JITD_USE_BY_SLOT},
        {"g", "call_g", PLAIN, BOXED, true, JITD_USE_BY_SLOT},
        {"h", "call_h", BOXED, PLAIN, false, JITD_USE_WEAK},
    };
    struct harness *harness = adapting_open();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *source = rows[i].given == BOXED ? BOXED_SOURCE(10) : PLAIN_SOURCE(10);
        int64_t before = adapting_entered(harness, rows[i].given);
        if (rows[i].use_first)
            adapting_submit_caller(harness, rows[i].caller, rows[i].function, rows[i].wanted, rows[i].flags);
        adapting_link_function(harness, rows[i].function, source, rows[i].given);
        if (!rows[i].use_first)
            adapting_submit_caller(harness, rows[i].caller, rows[i].function, rows[i].wanted, rows[i].flags);
        harness_settle(harness);
        cr_expect_eq(harness_value(harness, rows[i].caller, 5), 16, "row %zu", i);
        cr_expect_eq(adapting_entered(harness, rows[i].given), before + 1, "row %zu", i);
    }
    harness_close(harness);
}

Test(adapter, gets_every_register_and_the_stack_as_the_caller_left_them)
{
    struct harness *harness = harness_open(NULL);
    /* From a number in the first register to one in the second; nothing else is touched. */
    harness_add_assembly(harness, "shift.s",
                         ".globl shift\n.type shift, @function\nshift: mov %rdi, %rsi\n xor %edi, %edi\n jmp *%r11\n"
                         ".section .note.GNU-stack,\"\",@progbits\n");
    harness_accept(harness, 0);
    cr_assert_eq(adapting_register(harness, "shift", PLAIN, SHIFTED), 0);
    harness_link_named(harness, "many",
                       "long f(long a, long b, long c, long d, long e, long g, double x, double y, long h, long i)\n"
                       "{ return b + 10 * c + 100 * d + 1000 * e + 10000 * g + (long)(100000 * x + 1000000 * y)\n"
                       "         + 10000000 * h + 100000000 * i + a; }",
                       &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "many", .convention = SHIFTED})});
    harness_link_named(
        harness, "call_many",
        "long many(long b, long ignored, long c, long d, long e, long g, double x, double y, long h, long i);\n"
        "long call_many(long n) { return many(n, 99, 2, 3, 4, 5, 6.0, 7.0, 8, 9); }",
        &(struct jitd_manifest){DEFINITIONS({.local = "call_many"}), USES({.local = "many"})});
    cr_expect_eq(harness_value(harness, "call_many", 1), 987654321);
    harness_close(harness);
}

Test(adapter, leads_all_users_of_a_function_by_one_way_whose_address_they_agree_on)
{
    struct harness *harness = adapting_open();
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    struct holdings before = holdings_of(harness);
    const struct jitd_manifest first = {DEFINITIONS({.local = "address", .global = "first"}),
                                        USES({.local = "g", .global = "a"})};
    const struct jitd_manifest second = {DEFINITIONS({.local = "address", .global = "second"}),
                                         USES({.local = "g", .global = "a"})};
    const struct jitd_manifest own = {DEFINITIONS({.local = "address", .global = "own"}),
                                      USES({.local = "g", .global = "a", .convention = BOXED})};
    harness_link_named(harness, "first.c", "long g(long);\nlong (*address(void))(long) { return g; }", &first);
    struct holdings between = holdings_of(harness);
    harness_link_named(harness, "second.c", "long g(long);\nlong (*address(void))(long) { return g; }", &second);
    struct holdings after = holdings_of(harness);
    harness_link_named(harness, "own.c", "long g(long);\nlong (*address(void))(long) { return g; }", &own);
    cr_expect_eq(harness_value(harness, "first", 0), harness_value(harness, "second", 0));
    cr_expect_neq(harness_value(harness, "first", 0), harness_value(harness, "own", 0));
    cr_expect_eq((uint64_t)harness_value(harness, "own", 0), harness_address(harness, "a"));
    cr_expect_eq(between.used[0] - before.used[0], after.used[0] - between.used[0] + 16, "one thunk of 16 bytes");
    harness_close(harness);
}

Test(adapter, leads_to_an_alias_as_to_what_it_stands_for)
{
    struct harness *harness = adapting_open();
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){ALIASES({.name = "again", .target = "a"})});
    adapting_link_caller(harness, "call_again", "again", PLAIN, 0);
    cr_expect_eq(harness_value(harness, "call_again", 5), 16);
    harness_submit_named(harness, "early_names", NULL,
                         &(struct jitd_manifest){ALIASES({.name = "early", .target = "late"})});
    adapting_submit_caller(harness, "call_early", "early", PLAIN, 0);
    adapting_link_function(harness, "late", BOXED_SOURCE(20), BOXED);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "call_early", 5), 26);
    harness_close(harness);
}

Test(adapter, leads_to_what_a_new_search_order_brings)
{
    static const struct jitd_library far = {.number = 1, .process_symbols = JITD_PROCESS_NONE};
    static const struct jitd_search search[] = {{.library = 1}};
    static const struct jitd_library main = {.number = 0, .search = search, .search_count = 1};
    struct harness *harness = adapting_open();
    cr_assert_eq(jitd_define_library(harness->session, &far, NULL, NULL, NULL), 0);
    harness_add_unit(
        harness,
        &(struct jitd_unit_input){
            .name = "a",
            .library = 1,
            .manifest = &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a", .convention = 1}),
                                                ALIASES({.name = "b", .target = "a"})}},
        BOXED_SOURCE(10));
    harness_accept(harness, 0);
    adapting_submit_caller(harness, "call_a", "a", PLAIN, 0);
    adapting_submit_caller(harness, "call_b", "b", PLAIN, 0);
    harness_submit_named(harness, "names", NULL, &(struct jitd_manifest){ALIASES({.name = "c", .target = "b"})});
    adapting_submit_caller(harness, "call_c", "c", PLAIN, 0);
    cr_assert_eq(jitd_define_library(harness->session, &main, NULL, NULL, NULL), 0);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    cr_expect_eq(harness_value(harness, "call_b", 5), 16);
    cr_expect_eq(harness_value(harness, "call_c", 5), 16);
    harness_close(harness);
}

Test(adapter, leads_to_symbols_of_the_libraries_and_is_then_used_by_their_callers)
{
    struct harness *harness = adapting_open();
    adapting_link_caller(harness, "call_labs", "labs", BOXED, 0);
    cr_expect_eq(harness_value(harness, "call_labs", -5), 6);
    cr_expect_eq(adapting_entered(harness, PLAIN), 1);
    struct harness_removal removal = harness_try_removing(harness, "unbox.s", false);
    cr_expect_eq(removal.error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_str_eq(removal.error.references[0], "call_labs:");
    harness_remove_unit(harness, "call_labs");
    harness_remove_unit(harness, "unbox.s");
    harness_close(harness);
}

/* ---- where there is no way ---- */

static void expect_no_way(struct harness *harness, const char *unit, const char *symbol)
{
    const struct harness_error *error = &harness_unit(harness, unit)->error;
    cr_expect_eq(harness_unit(harness, unit)->state, JITD_UNIT_FAILED);
    cr_expect_eq(error->code, JITD_ERROR_CONVENTION, "%s", error->text);
    cr_expect_str_eq(error->symbol, symbol);
    cr_expect(strstr(error->text, symbol) && strstr(error->text, "convention 1") && strstr(error->text, "with 0"), "%s",
              error->text);
}

Test(adapter, that_is_not_registered_is_asked_for_by_a_clear_error)
{
    struct harness *harness = harness_open(NULL);
    adapting_link_function(harness, "a", PLAIN_SOURCE(10), PLAIN);
    adapting_submit_caller(harness, "call_a", "a", BOXED, 0);
    adapting_submit_caller(harness, "call_b", "b", BOXED, 0);
    adapting_link_function(harness, "b", PLAIN_SOURCE(10), PLAIN);
    harness_settle(harness);
    expect_no_way(harness, "call_a", "a");
    expect_no_way(harness, "call_b", "b");
    cr_expect(strstr(harness_unit(harness, "call_a")->error.text, "register an adapter"));
    harness_add_unit(harness,
                     &(struct jitd_unit_input){
                         .name = "call_labs",
                         .manifest = &(struct jitd_manifest){DEFINITIONS({.local = "call", .global = "call_labs"}),
                                                             USES({.local = "g", .global = "labs", .convention = 1})}},
                     adapting_caller_sources[BOXED]);
    cr_expect_eq(harness_submit(harness, 0), JITD_ERROR_CONVENTION);
    harness_close(harness);
}

Test(adapter, that_comes_after_two_have_met_changes_nothing_for_them)
{
    struct harness *harness = harness_open(NULL);
    /* call_a waits for `more`, but what `a` is to it was decided when `a` came. */
    harness_submit_named(
        harness, "call_a", "long g(long *n);\nvoid more(void);\nlong call(long n) { more(); return g(&n); }",
        &(struct jitd_manifest){DEFINITIONS({.local = "call", .global = "call_a"}),
                                USES({.local = "g", .global = "a", .convention = BOXED}, {.local = "more"})});
    harness_submit_named(harness, "a", PLAIN_SOURCE(10),
                         &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a"})});
    adapting_add(harness);
    harness_link_c(harness, "more.c", "void more(void) {}");
    expect_no_way(harness, "call_a", "a");
    harness_close(harness);
}

Test(adapter, leads_to_no_data)
{
    struct harness *harness = adapting_open();
    harness_link_named(harness, "data", "long f = 5;",
                       &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "data"})});
    adapting_submit_caller(harness, "call_data", "data", BOXED, 0);
    harness_settle(harness);
    expect_no_way(harness, "call_data", "data");
    cr_expect(strstr(harness_unit(harness, "call_data")->error.text, "a function"));
    harness_close(harness);
}

/* ---- targets that change ---- */

Test(adapter, is_gone_through_until_a_function_of_the_wanted_convention_comes_and_again_when_that_goes)
{
    struct harness *harness = adapting_open();
    struct harness_call call;
    adapting_link_lazy(harness, "late", "body");
    adapting_link_caller(harness, "call_late", "late", PLAIN, 0);
    uint64_t address = harness_address(harness, "late");
    jitd_request request = harness_call_begin(harness, "call_late", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    cr_expect_eq(harness->questions[0].convention, BOXED);
    adapting_link_function(harness, "body", PLAIN_SOURCE(10), PLAIN);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 16, "there and back: by both adapters");
    cr_expect(adapting_entered(harness, BOXED) == 1 && adapting_entered(harness, PLAIN) == 1);
    cr_expect_eq(harness_value(harness, "call_late", 5), 16);
    cr_expect(adapting_entered(harness, BOXED) == 1 && adapting_entered(harness, PLAIN) == 1,
              "straight on from then on");
    harness_remove_unit(harness, "body");
    request = harness_call_begin(harness, "call_late", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 2);
    adapting_link_function(harness, "body", BOXED_SOURCE(20), BOXED);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 26);
    cr_expect(adapting_entered(harness, BOXED) == 2 && adapting_entered(harness, PLAIN) == 1);
    cr_expect_eq(harness_value(harness, "call_late", 5), 26);
    cr_expect_eq(adapting_entered(harness, BOXED), 3);
    cr_expect_eq(harness_address(harness, "late"), address);
    harness_close(harness);
}

Test(adapter, is_not_gone_through_where_the_function_is_there_before_the_first_call)
{
    struct harness *harness = adapting_open();
    adapting_link_lazy(harness, "late", "body");
    adapting_link_function(harness, "body", PLAIN_SOURCE(10), PLAIN);
    adapting_link_caller(harness, "call_late", "late", PLAIN, JITD_USE_BY_SLOT);
    cr_expect_eq(harness_value(harness, "call_late", 5), 16);
    cr_expect_eq(harness->asked, 0);
    cr_expect(adapting_entered(harness, BOXED) == 0 && adapting_entered(harness, PLAIN) == 0);
    harness_close(harness);
}

Test(adapter, leads_a_lazy_use_to_what_comes_with_another_convention)
{
    struct harness *harness = adapting_open();
    struct harness_call call;
    adapting_link_caller(harness, "call_a", "a", PLAIN, JITD_USE_LAZY);
    jitd_request request = harness_call_begin(harness, "call_a", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 16);
    cr_expect_eq(harness_value(harness, "call_a", 6), 17);
    cr_expect_eq(adapting_entered(harness, BOXED), 2);
    harness_close(harness);
}

Test(adapter, that_comes_later_helps_the_next_call_of_a_lazy_function)
{
    struct harness *harness = harness_open(NULL);
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    adapting_link_caller(harness, "call_a", "a", PLAIN, JITD_USE_LAZY);
    struct harness_call call = harness_call(harness, "call_a", 5);
    cr_expect(call.ended);
    cr_expect_eq(call.end.lazy_error.code, JITD_ERROR_CONVENTION, "%s", call.end.lazy_error.text);
    adapting_add(harness);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    harness_close(harness);
}

Test(adapter, leads_a_lazy_name_to_a_symbol_of_the_libraries)
{
    struct harness *harness = adapting_open();
    adapting_link_lazy(harness, "late", "labs");
    adapting_link_caller(harness, "call_late", "late", BOXED, 0);
    cr_expect_eq(harness_value(harness, "call_late", -5), 6);
    cr_expect_eq(adapting_entered(harness, PLAIN), 1);
    struct harness_removal removal = harness_try_removing(harness, "unbox.s", false);
    cr_expect_eq(removal.error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_str_eq(removal.error.references[0], "late:");
    harness_close(harness);
}

Test(adapter, is_gone_through_after_a_redirection_to_another_convention_and_not_by_those_who_want_that)
{
    struct harness *harness = adapting_open();
    harness_link_named(
        harness, "moved", BOXED_SOURCE(10),
        &(struct jitd_manifest){DEFINITIONS(
            {.local = "f", .global = "moved", .flags = JITD_DEFINITION_REDIRECTABLE, .convention = BOXED})});
    adapting_link_function(harness, "there", PLAIN_SOURCE(20), PLAIN);
    adapting_link_function(harness, "elsewhere", BOXED_SOURCE(30), BOXED);
    adapting_link_caller(harness, "call_boxed", "moved", BOXED, 0);
    adapting_link_caller(harness, "call_plain", "moved", PLAIN, 0);
    static const struct {
        const char *target;
        int64_t boxed, plain; /* results for 5 */
        int boxes, unboxes;   /* how often each adapter is entered by the two calls */
    } steps[] = {{NULL, 16, 16, 1, 0},
                 {"there", 26, 26, 0, 1},
                 {"elsewhere", 36, 36, 1, 0},
                 {"there", 26, 26, 0, 1},
                 {"", 16, 16, 1, 0}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int64_t boxes = adapting_entered(harness, BOXED), unboxes = adapting_entered(harness, PLAIN);
        cr_assert_eq(harness_redirect(harness, "moved", steps[i].target), 0);
        cr_expect_eq(harness_value(harness, "call_boxed", 5), steps[i].boxed, "step %zu", i);
        cr_expect_eq(harness_value(harness, "call_plain", 5), steps[i].plain, "step %zu", i);
        cr_expect_eq(adapting_entered(harness, BOXED), boxes + steps[i].boxes, "step %zu", i);
        cr_expect_eq(adapting_entered(harness, PLAIN), unboxes + steps[i].unboxes, "step %zu", i);
    }
    harness_close(harness);
}

Test(adapter, that_is_missing_refuses_a_redirection_to_another_convention)
{
    struct harness *harness = harness_open(NULL);
    harness_link_named(
        harness, "moved", PLAIN_SOURCE(10),
        &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "moved", .flags = JITD_DEFINITION_REDIRECTABLE})});
    adapting_link_function(harness, "there", BOXED_SOURCE(20), BOXED);
    cr_expect_eq(harness_redirect(harness, "moved", "there"), JITD_ERROR_CONVENTION);
    cr_expect_eq(harness_value(harness, "moved", 5), 15);
    adapting_add(harness);
    adapting_link_function(harness, "strange", PLAIN_SOURCE(30), SHIFTED);
    struct holdings before = holdings_of(harness);
    const char *const symbols[] = {"moved", "moved"}, *const targets[] = {"there", "strange"};
    cr_expect_eq(harness_redirect_all(harness, symbols, targets, 2).code, JITD_ERROR_CONVENTION);
    holdings_expect_same_room(harness, &before);
    cr_expect_eq(harness_redirect(harness, "moved", "there"), 0);
    cr_expect_eq(harness_value(harness, "moved", 5), 25);
    harness_close(harness);
}

Test(adapter, leads_a_thread_that_waits_to_a_redirection_of_another_convention)
{
    struct harness *harness = adapting_open();
    struct harness_call call;
    adapting_link_lazy(harness, "late", "body");
    adapting_link_caller(harness, "call_late", "late", BOXED, 0);
    adapting_link_function(harness, "there", PLAIN_SOURCE(20), PLAIN);
    jitd_request request = harness_call_begin(harness, "call_late", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    cr_expect_eq(harness_redirect(harness, "late", "there"), 0);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 26);
    cr_expect_eq(adapting_entered(harness, PLAIN), 1);
    harness_close(harness);
}
