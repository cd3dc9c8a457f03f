/*
 * Calls by one convention of functions of another, through adapters of the program's own.
 *
 * PLAIN takes a number, BOXED a pointer to one, SHIFTED a number in the second register. Adapters are assembly, since
 * no compiler knows the register in which they find their target, and count how often they are entered.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/holdings.h"
#include "tests/integration/manifest.h"
#include "tests/integration/peer.h"

TestSuite(adapter, .timeout = 50);

enum { PLAIN, BOXED, SHIFTED };

static const char box_source[] = ".globl plain_to_boxed, boxed_of\n"
                                 ".type plain_to_boxed, @function\n"
                                 "plain_to_boxed:\n .cfi_startproc\n sub $24, %rsp\n .cfi_adjust_cfa_offset 24\n"
                                 " incq counter(%rip)\n mov %rdi, 8(%rsp)\n lea 8(%rsp), %rdi\n call *%r11\n"
                                 " add $24, %rsp\n .cfi_adjust_cfa_offset -24\n ret\n .cfi_endproc\n"
                                 ".type boxed_of, @function\nboxed_of:\n mov counter(%rip), %rax\n ret\n"
                                 ".bss\n.p2align 3\ncounter: .quad 0\n.section .note.GNU-stack,\"\",@progbits\n";

static const char unbox_source[] = ".globl boxed_to_plain, plain_of\n"
                                   ".type boxed_to_plain, @function\n"
                                   "boxed_to_plain:\n incq counter(%rip)\n mov (%rdi), %rdi\n jmp *%r11\n"
                                   ".type plain_of, @function\nplain_of:\n mov counter(%rip), %rax\n ret\n"
                                   ".bss\n.p2align 3\ncounter: .quad 0\n.section .note.GNU-stack,\"\",@progbits\n";

/* ---- what tests are made of ---- */

static void on_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    *(int *)data = errors ? errors->list[0].code : 0;
}

static int adapt_from(struct harness *harness, uint32_t library, const char *symbol, uint64_t wanted, uint64_t given)
{
    jitd_request request;
    int code = -1;
    cr_assert_eq(jitd_adapt(harness->session, library, symbol, wanted, given, on_done, &code, &request), 0);
    harness_wait(harness, request);
    return code;
}

static int adapt(struct harness *harness, const char *symbol, uint64_t wanted, uint64_t given)
{
    return adapt_from(harness, JITD_LIBRARY_MAIN, symbol, wanted, given);
}

/* Two adapters in units of their own: box.s for plain calls of boxed functions, unbox.s for the other way. */
static void add_adapters(struct harness *harness)
{
    int told = harness->told;
    harness_add_assembly(harness, "box.s", box_source);
    harness_add_assembly(harness, "unbox.s", unbox_source);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_dispatch_until(harness, &harness->told, told + 2);
    cr_assert_eq(adapt(harness, "plain_to_boxed", PLAIN, BOXED), 0);
    cr_assert_eq(adapt(harness, "boxed_to_plain", BOXED, PLAIN), 0);
}

static struct harness *open_with_adapters(void)
{
    struct harness *harness = harness_open(NULL);
    add_adapters(harness);
    return harness;
}

/* How often the adapter to the convention has been entered. */
static int64_t entered(struct harness *harness, int convention)
{
    return harness_value(harness, convention == BOXED ? "boxed_of" : "plain_of", 0);
}

static void submit_named(struct harness *harness, const char *name, const char *source,
                         const struct jitd_manifest *manifest)
{
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name, .manifest = manifest}, source);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
}

static void link_named(struct harness *harness, const char *name, const char *source,
                       const struct jitd_manifest *manifest)
{
    submit_named(harness, name, source, manifest);
    harness_settle(harness);
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_assert_eq(unit->state, JITD_UNIT_READY, "%s: %s", name, unit->error.text);
}

/* f, which adds a number to what it is given. */
#define PLAIN_SOURCE(number) "long f(long n) { return n + " #number "; }"
#define BOXED_SOURCE(number) "long f(const long *n) { return *n + " #number "; }"

/* `name` offers its f under that name, by that convention. */
static void link_function(struct harness *harness, const char *name, const char *source, uint64_t convention)
{
    link_named(harness, name, source,
               &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = name, .convention = convention})});
}

static const char *const caller_sources[] = {
    [PLAIN] = "long g(long n);\nlong call(long n) { return g(n) + 1; }\nlong (*address(void))(long) { return g; }",
    [BOXED] = "long g(const long *n);\nlong call(long n) { return g(&n) + 1; }\n"
              "long (*address(void))(const long *) { return g; }",
};

/* `name` offers `name`, which calls `callee` by that convention, and `address`_of it where that is asked for. */
static void submit_caller(struct harness *harness, const char *name, const char *callee, uint64_t convention,
                          unsigned flags)
{
    submit_named(
        harness, name, caller_sources[convention],
        &(struct jitd_manifest){DEFINITIONS({.local = "call", .global = name}),
                                USES({.local = "g", .global = callee, .flags = flags, .convention = convention})});
}

static void link_caller(struct harness *harness, const char *name, const char *callee, uint64_t convention,
                        unsigned flags)
{
    submit_caller(harness, name, callee, convention, flags);
    harness_settle(harness);
    cr_assert_eq(harness_unit(harness, name)->state, JITD_UNIT_READY, "%s", harness_unit(harness, name)->error.text);
}

static void expect_same_holdings(struct harness *harness, const struct holdings *before)
{
    struct holdings after = holdings_of(harness);
    holdings_expect_same(before, &after);
}

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
    struct harness *harness = open_with_adapters();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *source = rows[i].given == BOXED ? BOXED_SOURCE(10) : PLAIN_SOURCE(10);
        int64_t before = entered(harness, rows[i].given);
        if (rows[i].use_first)
            submit_caller(harness, rows[i].caller, rows[i].function, rows[i].wanted, rows[i].flags);
        link_function(harness, rows[i].function, source, rows[i].given);
        if (!rows[i].use_first)
            submit_caller(harness, rows[i].caller, rows[i].function, rows[i].wanted, rows[i].flags);
        harness_settle(harness);
        cr_expect_eq(harness_value(harness, rows[i].caller, 5), 16, "row %zu", i);
        cr_expect_eq(entered(harness, rows[i].given), before + 1, "row %zu", i);
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
    cr_assert_eq(harness_submit(harness, 0), 0);
    cr_assert_eq(adapt(harness, "shift", PLAIN, SHIFTED), 0);
    link_named(harness, "many",
               "long f(long a, long b, long c, long d, long e, long g, double x, double y, long h, long i)\n"
               "{ return b + 10 * c + 100 * d + 1000 * e + 10000 * g + (long)(100000 * x + 1000000 * y)\n"
               "         + 10000000 * h + 100000000 * i + a; }",
               &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "many", .convention = SHIFTED})});
    link_named(harness, "call_many",
               "long many(long b, long ignored, long c, long d, long e, long g, double x, double y, long h, long i);\n"
               "long call_many(long n) { return many(n, 99, 2, 3, 4, 5, 6.0, 7.0, 8, 9); }",
               &(struct jitd_manifest){DEFINITIONS({.local = "call_many"}), USES({.local = "many"})});
    cr_expect_eq(harness_value(harness, "call_many", 1), 987654321);
    harness_close(harness);
}

Test(adapter, leads_all_users_of_a_function_by_one_way_whose_address_they_agree_on)
{
    struct harness *harness = open_with_adapters();
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    struct holdings before = holdings_of(harness);
    const struct jitd_manifest first = {DEFINITIONS({.local = "address", .global = "first"}),
                                        USES({.local = "g", .global = "a"})};
    const struct jitd_manifest second = {DEFINITIONS({.local = "address", .global = "second"}),
                                         USES({.local = "g", .global = "a"})};
    const struct jitd_manifest own = {DEFINITIONS({.local = "address", .global = "own"}),
                                      USES({.local = "g", .global = "a", .convention = BOXED})};
    link_named(harness, "first.c", "long g(long);\nlong (*address(void))(long) { return g; }", &first);
    struct holdings between = holdings_of(harness);
    link_named(harness, "second.c", "long g(long);\nlong (*address(void))(long) { return g; }", &second);
    struct holdings after = holdings_of(harness);
    link_named(harness, "own.c", "long g(long);\nlong (*address(void))(long) { return g; }", &own);
    cr_expect_eq(harness_value(harness, "first", 0), harness_value(harness, "second", 0));
    cr_expect_neq(harness_value(harness, "first", 0), harness_value(harness, "own", 0));
    cr_expect_eq((uint64_t)harness_value(harness, "own", 0), harness_address(harness, "a"));
    cr_expect_eq(between.used[0] - before.used[0], after.used[0] - between.used[0] + 16, "one thunk of 16 bytes");
    harness_close(harness);
}

Test(adapter, leads_to_an_alias_as_to_what_it_stands_for)
{
    struct harness *harness = open_with_adapters();
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    link_named(harness, "names", NULL, &(struct jitd_manifest){ALIASES({.name = "again", .target = "a"})});
    link_caller(harness, "call_again", "again", PLAIN, 0);
    cr_expect_eq(harness_value(harness, "call_again", 5), 16);
    submit_named(harness, "early_names", NULL, &(struct jitd_manifest){ALIASES({.name = "early", .target = "late"})});
    submit_caller(harness, "call_early", "early", PLAIN, 0);
    link_function(harness, "late", BOXED_SOURCE(20), BOXED);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "call_early", 5), 26);
    harness_close(harness);
}

Test(adapter, leads_to_what_a_new_search_order_brings)
{
    static const struct jitd_library far = {.number = 1, .process_symbols = JITD_PROCESS_NONE};
    static const struct jitd_search search[] = {{.library = 1}};
    static const struct jitd_library main = {.number = 0, .search = search, .search_count = 1};
    struct harness *harness = open_with_adapters();
    cr_assert_eq(jitd_define_library(harness->session, &far, NULL, NULL, NULL), 0);
    harness_add_unit(
        harness,
        &(struct jitd_unit_input){
            .name = "a",
            .library = 1,
            .manifest = &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a", .convention = 1}),
                                                ALIASES({.name = "b", .target = "a"})}},
        BOXED_SOURCE(10));
    cr_assert_eq(harness_submit(harness, 0), 0);
    submit_caller(harness, "call_a", "a", PLAIN, 0);
    submit_caller(harness, "call_b", "b", PLAIN, 0);
    submit_named(harness, "names", NULL, &(struct jitd_manifest){ALIASES({.name = "c", .target = "b"})});
    submit_caller(harness, "call_c", "c", PLAIN, 0);
    cr_assert_eq(jitd_define_library(harness->session, &main, NULL, NULL, NULL), 0);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    cr_expect_eq(harness_value(harness, "call_b", 5), 16);
    cr_expect_eq(harness_value(harness, "call_c", 5), 16);
    harness_close(harness);
}

Test(adapter, leads_to_symbols_of_the_libraries_and_is_then_used_by_their_callers)
{
    struct harness *harness = open_with_adapters();
    link_caller(harness, "call_labs", "labs", BOXED, 0);
    cr_expect_eq(harness_value(harness, "call_labs", -5), 6);
    cr_expect_eq(entered(harness, PLAIN), 1);
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
    link_function(harness, "a", PLAIN_SOURCE(10), PLAIN);
    submit_caller(harness, "call_a", "a", BOXED, 0);
    submit_caller(harness, "call_b", "b", BOXED, 0);
    link_function(harness, "b", PLAIN_SOURCE(10), PLAIN);
    harness_settle(harness);
    expect_no_way(harness, "call_a", "a");
    expect_no_way(harness, "call_b", "b");
    cr_expect(strstr(harness_unit(harness, "call_a")->error.text, "register an adapter"));
    harness_add_unit(harness,
                     &(struct jitd_unit_input){
                         .name = "call_labs",
                         .manifest = &(struct jitd_manifest){DEFINITIONS({.local = "call", .global = "call_labs"}),
                                                             USES({.local = "g", .global = "labs", .convention = 1})}},
                     caller_sources[BOXED]);
    cr_expect_eq(harness_submit(harness, 0), JITD_ERROR_CONVENTION);
    harness_close(harness);
}

Test(adapter, that_comes_after_two_have_met_changes_nothing_for_them)
{
    struct harness *harness = harness_open(NULL);
    /* call_a waits for `more`, but what `a` is to it was decided when `a` came. */
    submit_named(harness, "call_a", "long g(long *n);\nvoid more(void);\nlong call(long n) { more(); return g(&n); }",
                 &(struct jitd_manifest){DEFINITIONS({.local = "call", .global = "call_a"}),
                                         USES({.local = "g", .global = "a", .convention = BOXED}, {.local = "more"})});
    submit_named(harness, "a", PLAIN_SOURCE(10), &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a"})});
    add_adapters(harness);
    harness_link_c(harness, "more.c", "void more(void) {}");
    expect_no_way(harness, "call_a", "a");
    harness_close(harness);
}

Test(adapter, leads_to_no_data)
{
    struct harness *harness = open_with_adapters();
    link_named(harness, "data", "long f = 5;", &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "data"})});
    submit_caller(harness, "call_data", "data", BOXED, 0);
    harness_settle(harness);
    expect_no_way(harness, "call_data", "data");
    cr_expect(strstr(harness_unit(harness, "call_data")->error.text, "a function"));
    harness_close(harness);
}

/* ---- targets that change ---- */

/* A name of convention BOXED for `body`, which need not be there. */
static void add_lazy_name(struct harness *harness, const char *name, const char *body)
{
    link_named(harness, name, NULL,
               &(struct jitd_manifest){LAZIES({.name = name, .target = body, .convention = BOXED})});
}

Test(adapter, is_gone_through_until_a_function_of_the_wanted_convention_comes_and_again_when_that_goes)
{
    struct harness *harness = open_with_adapters();
    struct harness_call call;
    add_lazy_name(harness, "late", "body");
    link_caller(harness, "call_late", "late", PLAIN, 0);
    uint64_t address = harness_address(harness, "late");
    jitd_request request = harness_call_begin(harness, "call_late", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    cr_expect_eq(harness->questions[0].convention, BOXED);
    link_function(harness, "body", PLAIN_SOURCE(10), PLAIN);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 16, "there and back: by both adapters");
    cr_expect(entered(harness, BOXED) == 1 && entered(harness, PLAIN) == 1);
    cr_expect_eq(harness_value(harness, "call_late", 5), 16);
    cr_expect(entered(harness, BOXED) == 1 && entered(harness, PLAIN) == 1, "straight on from then on");
    harness_remove_unit(harness, "body");
    request = harness_call_begin(harness, "call_late", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 2);
    link_function(harness, "body", BOXED_SOURCE(20), BOXED);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 26);
    cr_expect(entered(harness, BOXED) == 2 && entered(harness, PLAIN) == 1);
    cr_expect_eq(harness_value(harness, "call_late", 5), 26);
    cr_expect_eq(entered(harness, BOXED), 3);
    cr_expect_eq(harness_address(harness, "late"), address);
    harness_close(harness);
}

Test(adapter, is_not_gone_through_where_the_function_is_there_before_the_first_call)
{
    struct harness *harness = open_with_adapters();
    add_lazy_name(harness, "late", "body");
    link_function(harness, "body", PLAIN_SOURCE(10), PLAIN);
    link_caller(harness, "call_late", "late", PLAIN, JITD_USE_BY_SLOT);
    cr_expect_eq(harness_value(harness, "call_late", 5), 16);
    cr_expect_eq(harness->asked, 0);
    cr_expect(entered(harness, BOXED) == 0 && entered(harness, PLAIN) == 0);
    harness_close(harness);
}

Test(adapter, leads_a_lazy_use_to_what_comes_with_another_convention)
{
    struct harness *harness = open_with_adapters();
    struct harness_call call;
    link_caller(harness, "call_a", "a", PLAIN, JITD_USE_LAZY);
    jitd_request request = harness_call_begin(harness, "call_a", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 16);
    cr_expect_eq(harness_value(harness, "call_a", 6), 17);
    cr_expect_eq(entered(harness, BOXED), 2);
    harness_close(harness);
}

Test(adapter, that_comes_later_helps_the_next_call_of_a_lazy_function)
{
    struct harness *harness = harness_open(NULL);
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    link_caller(harness, "call_a", "a", PLAIN, JITD_USE_LAZY);
    struct harness_call call = harness_call(harness, "call_a", 5);
    cr_expect(call.ended);
    cr_expect_eq(call.end.lazy_error.code, JITD_ERROR_CONVENTION, "%s", call.end.lazy_error.text);
    add_adapters(harness);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    harness_close(harness);
}

Test(adapter, leads_a_lazy_name_to_a_symbol_of_the_libraries)
{
    struct harness *harness = open_with_adapters();
    add_lazy_name(harness, "late", "labs");
    link_caller(harness, "call_late", "late", BOXED, 0);
    cr_expect_eq(harness_value(harness, "call_late", -5), 6);
    cr_expect_eq(entered(harness, PLAIN), 1);
    struct harness_removal removal = harness_try_removing(harness, "unbox.s", false);
    cr_expect_eq(removal.error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_str_eq(removal.error.references[0], "late:");
    harness_close(harness);
}

Test(adapter, is_gone_through_after_a_redirection_to_another_convention_and_not_by_those_who_want_that)
{
    struct harness *harness = open_with_adapters();
    link_named(harness, "moved", BOXED_SOURCE(10),
               &(struct jitd_manifest){DEFINITIONS(
                   {.local = "f", .global = "moved", .flags = JITD_DEFINITION_REDIRECTABLE, .convention = BOXED})});
    link_function(harness, "there", PLAIN_SOURCE(20), PLAIN);
    link_function(harness, "elsewhere", BOXED_SOURCE(30), BOXED);
    link_caller(harness, "call_boxed", "moved", BOXED, 0);
    link_caller(harness, "call_plain", "moved", PLAIN, 0);
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
        int64_t boxes = entered(harness, BOXED), unboxes = entered(harness, PLAIN);
        cr_assert_eq(harness_redirect(harness, "moved", steps[i].target), 0);
        cr_expect_eq(harness_value(harness, "call_boxed", 5), steps[i].boxed, "step %zu", i);
        cr_expect_eq(harness_value(harness, "call_plain", 5), steps[i].plain, "step %zu", i);
        cr_expect_eq(entered(harness, BOXED), boxes + steps[i].boxes, "step %zu", i);
        cr_expect_eq(entered(harness, PLAIN), unboxes + steps[i].unboxes, "step %zu", i);
    }
    harness_close(harness);
}

Test(adapter, that_is_missing_refuses_a_redirection_to_another_convention)
{
    struct harness *harness = harness_open(NULL);
    link_named(
        harness, "moved", PLAIN_SOURCE(10),
        &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "moved", .flags = JITD_DEFINITION_REDIRECTABLE})});
    link_function(harness, "there", BOXED_SOURCE(20), BOXED);
    cr_expect_eq(harness_redirect(harness, "moved", "there"), JITD_ERROR_CONVENTION);
    cr_expect_eq(harness_value(harness, "moved", 5), 15);
    add_adapters(harness);
    link_function(harness, "strange", PLAIN_SOURCE(30), SHIFTED);
    struct holdings before = holdings_of(harness);
    const char *const symbols[] = {"moved", "moved"}, *const targets[] = {"there", "strange"};
    jitd_request request;
    int code = 0;
    cr_assert_eq(jitd_redirect(harness->session, 0, symbols, targets, 2, on_done, &code, &request), 0);
    harness_wait(harness, request);
    cr_expect_eq(code, JITD_ERROR_CONVENTION);
    expect_same_holdings(harness, &before);
    cr_expect_eq(harness_redirect(harness, "moved", "there"), 0);
    cr_expect_eq(harness_value(harness, "moved", 5), 25);
    harness_close(harness);
}

Test(adapter, leads_a_thread_that_waits_to_a_redirection_of_another_convention)
{
    struct harness *harness = open_with_adapters();
    struct harness_call call;
    add_lazy_name(harness, "late", "body");
    link_caller(harness, "call_late", "late", BOXED, 0);
    link_function(harness, "there", PLAIN_SOURCE(20), PLAIN);
    jitd_request request = harness_call_begin(harness, "call_late", 5, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    cr_expect_eq(harness_redirect(harness, "late", "there"), 0);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 26);
    cr_expect_eq(entered(harness, PLAIN), 1);
    harness_close(harness);
}

/* ---- going ---- */

/* The unit that offers both goes first, being the later one; the redirection is in force until its own unit goes. */
Test(adapter, is_not_looked_for_on_the_way_to_what_goes_together_with_a_redirection)
{
    struct harness *harness = open_with_adapters();
    link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "x"})});
    link_named(harness, "both", "long x(long n) { return n; }\nlong y(const long *n) { return *n + 10; }",
               &(struct jitd_manifest){DEFINITIONS({.local = "x"}, {.local = "y", .convention = BOXED})});
    cr_assert_eq(harness_redirect(harness, "late", "y"), 0);
    cr_expect_eq(harness_value(harness, "late", 5), 15);
    const uint64_t units[] = {harness_unit(harness, "names")->id, harness_unit(harness, "both")->id};
    struct harness_removal removal = harness_remove(harness, &(struct jitd_removal){.units = units, .unit_count = 2});
    cr_expect_eq(removal.count, 2, "%s", removal.error.text);
    harness_close(harness);
}

Test(adapter, is_kept_by_what_goes_through_it)
{
    struct harness *harness = open_with_adapters();
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    harness_remove_unit(harness, "unbox.s");
    cr_expect_eq(adapt(harness, "boxed_to_plain", BOXED, PLAIN), JITD_ERROR_NOT_FOUND);
    link_caller(harness, "call_a", "a", PLAIN, 0);
    struct harness_removal removal = harness_try_removing(harness, "box.s", false);
    cr_expect_eq(removal.error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(removal.error.reference_count, 1);
    cr_expect_str_eq(removal.error.references[0], "a:");
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    removal = harness_try_removing(harness, "box.s", true);
    cr_expect_eq(removal.error.code, 0);
    cr_expect_eq(removal.count, 3, "adapter, function and caller");
    harness_close(harness);
}

/* The ways through the two adapters, or -1 for one that is not registered. */
struct ways {
    int64_t to_boxed, to_plain;
};

static void count_ways(struct jitd_session *session, const struct jitd_inspection *inspection,
                       const struct jitd_errors *errors, void *data)
{
    struct ways *ways = data;
    cr_assert_not(errors);
    for (size_t i = 0; i < inspection->units_listed; i++)
        for (size_t a = 0; a < inspection->units[i].adapter_count; a++) {
            const struct jitd_adapter *adapter = &inspection->units[i].adapters[a];
            bool boxed = adapter->wanted == PLAIN;
            cr_expect_eq(adapter->given, boxed ? BOXED : PLAIN);
            cr_expect_str_eq(adapter->symbol, boxed ? "plain_to_boxed" : "boxed_to_plain");
            *(boxed ? &ways->to_boxed : &ways->to_plain) = (int64_t)adapter->ways;
        }
}

static void expect_ways(struct harness *harness, int64_t to_boxed, int64_t to_plain)
{
    struct ways ways = {-1, -1};
    jitd_request request;
    cr_assert_eq(
        jitd_inspect(harness->session, JITD_INSPECT_UNITS | JITD_INSPECT_ADAPTERS, count_ways, &ways, &request), 0);
    harness_wait(harness, request);
    cr_expect(ways.to_boxed == to_boxed && ways.to_plain == to_plain, "%ld and %ld ways", (long)ways.to_boxed,
              (long)ways.to_plain);
}

Test(adapter, is_listed_with_the_number_of_ways_through_it)
{
    struct harness *harness = open_with_adapters();
    expect_ways(harness, 0, 0);
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    link_function(harness, "b", BOXED_SOURCE(10), BOXED);
    link_caller(harness, "call_a", "a", PLAIN, 0);
    link_caller(harness, "again", "a", PLAIN, 0);
    link_caller(harness, "call_b", "b", PLAIN, 0);
    link_caller(harness, "call_labs", "labs", BOXED, 0);
    expect_ways(harness, 2, 1);
    harness_remove_unit(harness, "again");
    harness_remove_unit(harness, "call_b");
    expect_ways(harness, 2, 1);
    harness_remove_unit(harness, "b");
    expect_ways(harness, 1, 1);
    cr_expect_eq(harness_try_removing(harness, "unbox.s", true).error.code, 0);
    expect_ways(harness, 1, -1);
    cr_expect_eq(harness_try_removing(harness, "box.s", true).error.code, 0);
    expect_ways(harness, -1, -1);
    add_adapters(harness);
    expect_ways(harness, 0, 0);
    harness_close(harness);
}

Test(adapter, leaves_nothing_in_the_arena_when_all_is_removed)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    for (int round = 0; round < 3; round++) {
        add_adapters(harness);
        link_function(harness, "a", BOXED_SOURCE(10), BOXED);
        add_lazy_name(harness, "late", "body");
        link_function(harness, "body", PLAIN_SOURCE(20), PLAIN);
        link_caller(harness, "call_a", "a", PLAIN, 0);
        link_caller(harness, "call_late", "late", PLAIN, 0);
        link_caller(harness, "call_labs", "labs", BOXED, 0);
        cr_expect_eq(harness_value(harness, "call_a", 5), 16);
        cr_expect_eq(harness_value(harness, "call_late", 5), 26);
        const uint32_t library = JITD_LIBRARY_MAIN;
        struct harness_removal removal =
            harness_remove(harness, &(struct jitd_removal){.libraries = &library, .library_count = 1});
        cr_expect_eq(removal.error.code, 0, "%s", removal.error.text);
        harness_value(harness, "labs", 1);
        expect_same_holdings(harness, &before);
    }
    harness_close(harness);
}

Test(adapter, whose_function_fails_leaves_no_way_behind)
{
    struct harness *harness = open_with_adapters();
    struct holdings before = holdings_of(harness);
    submit_named(harness, "a", "void more(void);\nlong f(const long *n) { more(); return *n; }",
                 &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a", .convention = BOXED}),
                                         USES({.local = "more"})});
    submit_caller(harness, "call_a", "a", PLAIN, 0);
    const uint64_t unit = harness_unit(harness, "a")->id;
    cr_assert_eq(jitd_cancel_units(harness->session, &unit, 1, NULL, NULL, NULL), 0);
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "call_a")->state, JITD_UNIT_FAILED);
    expect_same_holdings(harness, &before);
    harness_remove_unit(harness, "box.s");
    harness_close(harness);
}

Test(adapter, is_the_same_after_a_crash)
{
    struct harness *harness = open_with_adapters();
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    add_lazy_name(harness, "late", "body");
    link_function(harness, "body", PLAIN_SOURCE(20), PLAIN);
    link_caller(harness, "call_a", "a", PLAIN, 0);
    link_caller(harness, "call_late", "late", PLAIN, 0);
    harness_link_c(harness, "crash.c", "long crash(long n) { *(volatile int *)16 = 0; return n; }");
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    cr_expect_eq(harness_value(harness, "call_late", 5), 26);
    cr_expect_eq(entered(harness, BOXED), 1);
    harness_close(harness);
}

/* An initialiser that fails in all lives but the first: the program's output outlives them. */
#define FAILS_LATER                                                                                                    \
    "#include <stdlib.h>\n#include <unistd.h>\n__attribute__((constructor)) static void begin(void)\n"                 \
    "{ if (lseek(1, 0, SEEK_END) > 0) abort(); if (write(1, \"x\", 1) != 1) abort(); }\n"

Test(adapter, that_fails_in_a_new_life_takes_along_what_goes_through_it)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_c(harness, "box.c", FAILS_LATER "void plain_to_boxed(void) { abort(); }\n");
    cr_assert_eq(harness_submit(harness, 0), 0);
    harness_settle(harness);
    cr_assert_eq(adapt(harness, "plain_to_boxed", PLAIN, BOXED), 0);
    link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    link_caller(harness, "call_a", "a", PLAIN, 0);
    link_caller(harness, "call_b", "a", BOXED, 0);
    cr_expect(harness_call(harness, "call_a", 5).ended);
    harness_dispatch_until(harness, &harness->runner_ends, 3);
    harness_dispatch_until(harness, &harness->told, 7);
    cr_expect_eq(harness_unit(harness, "box.c")->error.code, JITD_ERROR_INITIALISER_FAILED);
    cr_expect_eq(harness_unit(harness, "a")->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect_str_eq(harness_unit(harness, "a")->error.causes[0], "a:plain_to_boxed");
    cr_expect_eq(harness_unit(harness, "call_a")->state, JITD_UNIT_FAILED);
    harness_close(harness);
}

Test(adapter, is_not_looked_for_on_the_way_to_a_redirection_that_has_failed)
{
    struct harness *harness = harness_open_with_output(NULL);
    add_adapters(harness);
    add_lazy_name(harness, "late", "body");
    link_named(harness, "there", FAILS_LATER "long f(long n) { return n + 10; }",
               &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "there"})});
    harness_link_c(harness, "crash.c", "long crash(long n) { *(volatile int *)16 = 0; return n; }");
    cr_assert_eq(harness_redirect(harness, "late", "there"), 0);
    int told = harness->told;
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_dispatch_until(harness, &harness->told, told + 1);
    cr_expect_eq(harness_unit(harness, "there")->error.code, JITD_ERROR_INITIALISER_FAILED);
    link_function(harness, "body", BOXED_SOURCE(20), BOXED);
    link_caller(harness, "call_late", "late", BOXED, 0);
    cr_expect_eq(harness_value(harness, "call_late", 5), 26);
    harness_close(harness);
}

Test(adapter, can_be_seen_through_by_a_backtrace)
{
    struct harness *harness = open_with_adapters();
    link_named(harness, "a", "long f(const long *n) { return *(volatile long *)16 + *n; }",
               &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a", .convention = BOXED})});
    link_caller(harness, "call_a", "a", PLAIN, 0);
    struct harness_call call = harness_call(harness, "call_a", 5);
    cr_assert(call.ended);
    cr_assert_geq(call.end.frame_count, 3);
    static const char *const units[] = {"a", "box.s", "call_a"};
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(call.end.frames[i].unit, units[i]);
    harness_close(harness);
}

/* ---- registering ---- */

Test(adapter, is_a_function_of_a_ready_unit_for_a_pair_that_has_none)
{
    struct harness *harness = open_with_adapters();
    const struct jitd_manifest odd = {
        DEFINITIONS({.local = "moved", .flags = JITD_DEFINITION_REDIRECTABLE}, {.local = "data"}, {.local = "plain"}),
        LAZIES({.name = "late", .target = "body"}),
        ABSOLUTES({.name = "far", .address = 0x1234, .flags = JITD_DEFINITION_FUNCTION})};
    link_named(harness, "odd", "void moved(void) {}\nvoid plain(void) {}\nint data = 5;", &odd);
    harness_add_c(harness, "waiting.c", "void nowhere(void);\nvoid waiting(void) { nowhere(); }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    static const struct {
        const char *symbol;
        uint32_t library;
        uint64_t wanted, given;
        int code;
    } rows[] = {
        {"nowhere", 0, 7, 8, JITD_ERROR_NOT_FOUND},
        {"labs", 0, 7, 8, JITD_ERROR_NOT_FOUND},
        {"plain", 5, 7, 8, JITD_ERROR_NOT_FOUND},
        {"data", 0, 7, 8, JITD_ERROR_NOT_CALLABLE},
        {"waiting", 0, 7, 8, JITD_ERROR_NOT_CALLABLE},
        {"moved", 0, 7, 8, JITD_ERROR_NOT_CALLABLE},
        {"late", 0, 7, 8, JITD_ERROR_NOT_CALLABLE},
        {"far", 0, 7, 8, JITD_ERROR_NOT_CALLABLE},
        {"plain", 0, PLAIN, BOXED, JITD_ERROR_SYMBOL_DUPLICATE},
        {"plain", 0, 7, UINT64_MAX, 0},
        {"plain", 0, 7, UINT64_MAX, JITD_ERROR_SYMBOL_DUPLICATE},
        {"plain", 0, UINT64_MAX, 7, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(adapt_from(harness, rows[i].library, rows[i].symbol, rows[i].wanted, rows[i].given), rows[i].code,
                     "row %zu", i);
    harness_remove_unit(harness, "odd");
    cr_expect_eq(adapt(harness, "boxed_to_plain", 7, UINT64_MAX), 0, "the pair is free again");
    harness_close(harness);
}

static void count_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    int *counts = data;
    counts[0]++;
    counts[1] += errors && errors->list[0].code == JITD_ERROR_LIMIT;
}

Test(adapter, is_one_of_65536_at_most)
{
    struct harness *harness = harness_open(NULL);
    int counts[2] = {0};
    harness_link_c(harness, "adapter.c", "void adapter(void) {}");
    for (uint64_t i = 1; i <= 65537; i++)
        cr_assert_eq(jitd_adapt(harness->session, 0, "adapter", i, 0, count_done, counts, NULL), 0);
    harness_dispatch_until(harness, &counts[0], 65537);
    cr_expect_eq(counts[1], 1);
    harness_remove_unit(harness, "adapter.c");
    harness_link_c(harness, "adapter.c", "void adapter(void) {}");
    cr_expect_eq(adapt(harness, "adapter", 1, 0), 0);
    harness_close(harness);
}

Test(adapter, message_that_cannot_be_is_refused_by_the_library_and_by_the_daemon)
{
    struct harness *harness = harness_open(NULL);
    cr_expect_eq(jitd_adapt(harness->session, 0, NULL, 1, 2, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_adapt(harness->session, 0, "", 1, 2, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_adapt(harness->session, 0, "f", 2, 2, NULL, NULL, NULL), JITD_ERROR_INVALID);
    harness_close(harness);
    struct peer peer = peer_open_welcomed();
    static const struct {
        const char *symbol;
        size_t length;
        uint32_t library;
        uint32_t code;
    } rows[] = {{"", 0, 0, JITD_ERROR_NOT_FOUND},
                {"f\0g", 3, 0, JITD_ERROR_NOT_FOUND},
                {"\xff\x01", 2, 0, JITD_ERROR_NOT_FOUND},
                {"f", 1, UINT32_MAX, JITD_ERROR_NOT_FOUND}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Jitd__Proto__Adapt message = JITD__PROTO__ADAPT__INIT;
        message.symbol = (ProtobufCBinaryData){rows[i].length, (uint8_t *)(uintptr_t)rows[i].symbol};
        message.library = rows[i].library;
        message.wanted = i; /* the first row's is the given one, too */
        peer_send(&peer, MESSAGE_ADAPT, 10 + i, &message.base);
        peer_expect_failed(&peer, 10 + i, rows[i].code);
    }
    peer_expect_alive(&peer);
    peer_close(&peer);
}
