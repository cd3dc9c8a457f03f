/*
 * Adapters that are registered, kept by what goes through them, and go.
 */
#include <criterion/criterion.h>

#include "tests/integration/adapting.h"
#include "tests/integration/holdings.h"
#include "tests/integration/peer.h"

/* ---- going ---- */

/* The unit that offers both goes first, being the later one; the redirection is in force until its own unit goes. */
Test(adapter, is_not_looked_for_on_the_way_to_what_goes_together_with_a_redirection)
{
    struct harness *harness = adapting_open();
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "x"})});
    harness_link_named(harness, "both", "long x(long n) { return n; }\nlong y(const long *n) { return *n + 10; }",
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
    struct harness *harness = adapting_open();
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    harness_remove_unit(harness, "unbox.s");
    cr_expect_eq(adapting_register(harness, "boxed_to_plain", BOXED, PLAIN), JITD_ERROR_NOT_FOUND);
    adapting_link_caller(harness, "call_a", "a", PLAIN, 0);
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
    struct harness *harness = adapting_open();
    expect_ways(harness, 0, 0);
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    adapting_link_function(harness, "b", BOXED_SOURCE(10), BOXED);
    adapting_link_caller(harness, "call_a", "a", PLAIN, 0);
    adapting_link_caller(harness, "again", "a", PLAIN, 0);
    adapting_link_caller(harness, "call_b", "b", PLAIN, 0);
    adapting_link_caller(harness, "call_labs", "labs", BOXED, 0);
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
    adapting_add(harness);
    expect_ways(harness, 0, 0);
    harness_close(harness);
}

Test(adapter, leaves_nothing_in_the_arena_when_all_is_removed)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    for (int round = 0; round < 3; round++) {
        adapting_add(harness);
        adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
        adapting_link_lazy(harness, "late", "body");
        adapting_link_function(harness, "body", PLAIN_SOURCE(20), PLAIN);
        adapting_link_caller(harness, "call_a", "a", PLAIN, 0);
        adapting_link_caller(harness, "call_late", "late", PLAIN, 0);
        adapting_link_caller(harness, "call_labs", "labs", BOXED, 0);
        cr_expect_eq(harness_value(harness, "call_a", 5), 16);
        cr_expect_eq(harness_value(harness, "call_late", 5), 26);
        const uint32_t library = JITD_LIBRARY_MAIN;
        struct harness_removal removal =
            harness_remove(harness, &(struct jitd_removal){.libraries = &library, .library_count = 1});
        cr_expect_eq(removal.error.code, 0, "%s", removal.error.text);
        harness_value(harness, "labs", 1);
        holdings_expect_same_room(harness, &before);
    }
    harness_close(harness);
}

Test(adapter, whose_function_fails_leaves_no_way_behind)
{
    struct harness *harness = adapting_open();
    struct holdings before = holdings_of(harness);
    harness_submit_named(harness, "a", "void more(void);\nlong f(const long *n) { more(); return *n; }",
                         &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a", .convention = BOXED}),
                                                 USES({.local = "more"})});
    adapting_submit_caller(harness, "call_a", "a", PLAIN, 0);
    const uint64_t unit = harness_unit(harness, "a")->id;
    cr_assert_eq(jitd_cancel_units(harness->session, &unit, 1, NULL, NULL, NULL), 0);
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "call_a")->state, JITD_UNIT_FAILED);
    holdings_expect_same_room(harness, &before);
    harness_remove_unit(harness, "box.s");
    harness_close(harness);
}

Test(adapter, is_the_same_after_a_crash)
{
    struct harness *harness = adapting_open();
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    adapting_link_lazy(harness, "late", "body");
    adapting_link_function(harness, "body", PLAIN_SOURCE(20), PLAIN);
    adapting_link_caller(harness, "call_a", "a", PLAIN, 0);
    adapting_link_caller(harness, "call_late", "late", PLAIN, 0);
    harness_link_c(harness, "crash.c", "long crash(long n) { *(volatile int *)16 = 0; return n; }");
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "call_a", 5), 16);
    cr_expect_eq(harness_value(harness, "call_late", 5), 26);
    cr_expect_eq(adapting_entered(harness, BOXED), 1);
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
    harness_link_batch(harness, 0);
    cr_assert_eq(adapting_register(harness, "plain_to_boxed", PLAIN, BOXED), 0);
    adapting_link_function(harness, "a", BOXED_SOURCE(10), BOXED);
    adapting_link_caller(harness, "call_a", "a", PLAIN, 0);
    adapting_link_caller(harness, "call_b", "a", BOXED, 0);
    cr_expect(harness_call(harness, "call_a", 5).ended);
    harness_begin_life(harness);
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
    adapting_add(harness);
    adapting_link_lazy(harness, "late", "body");
    harness_link_named(harness, "there", FAILS_LATER "long f(long n) { return n + 10; }",
                       &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "there"})});
    harness_link_c(harness, "crash.c", "long crash(long n) { *(volatile int *)16 = 0; return n; }");
    cr_assert_eq(harness_redirect(harness, "late", "there"), 0);
    int told = harness->told;
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_begin_life(harness);
    harness_dispatch_until(harness, &harness->told, told + 1);
    cr_expect_eq(harness_unit(harness, "there")->error.code, JITD_ERROR_INITIALISER_FAILED);
    adapting_link_function(harness, "body", BOXED_SOURCE(20), BOXED);
    adapting_link_caller(harness, "call_late", "late", BOXED, 0);
    cr_expect_eq(harness_value(harness, "call_late", 5), 26);
    harness_close(harness);
}

Test(adapter, can_be_seen_through_by_a_backtrace)
{
    struct harness *harness = adapting_open();
    harness_link_named(harness, "a", "long f(const long *n) { return *(volatile long *)16 + *n; }",
                       &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = "a", .convention = BOXED})});
    adapting_link_caller(harness, "call_a", "a", PLAIN, 0);
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
    struct harness *harness = adapting_open();
    const struct jitd_manifest odd = {
        DEFINITIONS({.local = "moved", .flags = JITD_DEFINITION_REDIRECTABLE}, {.local = "data"}, {.local = "plain"}),
        LAZIES({.name = "late", .target = "body"}),
        ABSOLUTES({.name = "far", .address = 0x1234, .flags = JITD_DEFINITION_FUNCTION})};
    harness_link_named(harness, "odd", "void moved(void) {}\nvoid plain(void) {}\nint data = 5;", &odd);
    harness_add_c(harness, "waiting.c", "void nowhere(void);\nvoid waiting(void) { nowhere(); }");
    harness_accept(harness, 0);
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
        cr_expect_eq(adapting_register_from(harness, rows[i].library, rows[i].symbol, rows[i].wanted, rows[i].given),
                     rows[i].code, "row %zu", i);
    harness_remove_unit(harness, "odd");
    cr_expect_eq(adapting_register(harness, "boxed_to_plain", 7, UINT64_MAX), 0, "the pair is free again");
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
    cr_expect_eq(adapting_register(harness, "adapter", 1, 0), 0);
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
