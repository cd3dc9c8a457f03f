/*
 * Units that go: who may, what runs on the way, what is free afterwards and when, and that nothing comes back.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/holdings.h"
#include "tests/lib/many_units.h"

TestSuite(removal, .timeout = 60);

static void expect_same_holdings(const struct holdings *before, const struct holdings *after)
{
    cr_expect_eq(after->units, before->units);
    holdings_expect_same(before, after);
}

/* ---- who may go ---- */

/* `name`.o defines `name` and, where `needs` is not NULL, uses that. */
static void add_link(struct harness *harness, const char *name, const char *needs)
{
    static char units[8][16];
    static size_t used;
    char *unit = units[used++ % 8], source[256]; /* the name is borrowed until the batch is submitted */

    snprintf(unit, sizeof units[0], "%s.o", name);
    if (needs)
        snprintf(source, sizeof source, "long %s(long); long %s(long x) { return x ? %s(x - 1) + 1 : 0; }", needs, name,
                 needs);
    else
        snprintf(source, sizeof source, "long %s(long x) { return 0; }", name);
    harness_add_c(harness, unit, source);
}

static void link_together(struct harness *harness)
{
    cr_assert_eq(harness_submit(harness, JITD_BATCH_CLOSED), 0, "%s", harness->errors[0].text);
    harness_settle(harness);
}

static bool is_removed(struct harness *harness, const char *unit)
{
    return harness_unit(harness, unit)->state == JITD_UNIT_REMOVED;
}

Test(removal, of_a_unit_that_others_use_is_refused_with_all_of_them)
{
    struct harness *harness = harness_open(NULL);
    add_link(harness, "base", NULL);
    add_link(harness, "one", "base");
    add_link(harness, "two", "base");
    link_together(harness);
    struct harness_removal removal = harness_try_removing(harness, "base.o", false);
    cr_assert_eq(removal.error.code, JITD_ERROR_DEPENDENTS, "%s", removal.error.text);
    cr_expect_str_eq(removal.error.unit, "base.o");
    cr_expect_str_eq(removal.error.symbol, "base");
    cr_assert_eq(removal.error.reference_count, 2);
    cr_expect_str_eq(removal.error.references[0], "one.o:");
    cr_expect_str_eq(removal.error.references[1], "two.o:");
    cr_expect_eq(harness_value(harness, "one", 1), 1, "a refused removal changes nothing");
    cr_expect(!is_removed(harness, "base.o"));
    harness_remove_unit(harness, "one.o");
    removal = harness_try_removing(harness, "base.o", false);
    cr_assert_eq(removal.error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(removal.error.reference_count, 1);
    harness_remove_unit(harness, "two.o");
    harness_remove_unit(harness, "base.o");
    harness_close(harness);
}

Test(removal, of_a_unit_with_all_of_its_users_listed_needs_no_cascade)
{
    struct harness *harness = harness_open(NULL);
    add_link(harness, "base", NULL);
    add_link(harness, "user", "base");
    link_together(harness);
    const uint64_t units[] = {harness_unit(harness, "base.o")->id, harness_unit(harness, "user.o")->id};
    const struct jitd_removal what = {.units = units, .unit_count = 2};
    cr_expect_eq(harness_remove(harness, &what).count, 2);
    harness_close(harness);
}

Test(removal, with_cascade_takes_a_chain_a_star_and_a_cycle_along)
{
    static const struct {
        const char *links[4][2];
        const char *removed;
        size_t count;
    } cases[] = {
        {{{"a", NULL}, {"b", "a"}, {"c", "b"}, {"d", "c"}}, "b.o", 3},
        {{{"a", NULL}, {"b", "a"}, {"c", "a"}, {"d", "a"}}, "a.o", 4},
        {{{"a", "c"}, {"b", "a"}, {"c", "b"}, {"d", NULL}}, "c.o", 3},
        {{{"a", "a"}, {"b", NULL}, {"c", "a"}, {"d", "b"}}, "a.o", 2},
    };
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t l = 0; l < 4; l++)
            add_link(harness, cases[i].links[l][0], cases[i].links[l][1]);
        link_together(harness);
        struct harness_removal removal = harness_try_removing(harness, cases[i].removed, true);
        cr_expect_eq(removal.error.code, 0, "%s", removal.error.text);
        cr_expect_eq(removal.count, cases[i].count, "case %zu: %zu have gone", i, removal.count);
        for (size_t l = 0; l < 4; l++) {
            char name[8];
            snprintf(name, sizeof name, "%s.o", cases[i].links[l][0]);
            if (!is_removed(harness, name))
                harness_try_removing(harness, name, true);
        }
    }
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    harness_close(harness);
}

Test(removal, of_a_unit_that_alone_holds_a_comdat_group_is_refused_while_another_uses_it)
{
    static const char source[] = "template <class T> __attribute__((noinline)) T twice(T x) { return x * 2; }\n"
                                 "extern \"C\" long NAME(long x) { return twice(x); }\n";
    struct harness *harness = harness_open(NULL);
    struct object_bytes first = compile_cxx(source, HARNESS_FLAGS " -DNAME=first");
    struct object_bytes second = compile_cxx(source, HARNESS_FLAGS " -DNAME=second");
    harness_link(harness, "first.o", &first);
    harness_link(harness, "second.o", &second);
    cr_expect_eq(harness_try_removing(harness, "first.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_try_removing(harness, "first.o", true).count, 2);
    harness_link(harness, "second.o", &second);
    cr_expect_eq(harness_value(harness, "second", 21), 42, "the group stands anew");
    object_free(&first);
    object_free(&second);
    harness_close(harness);
}

Test(removal, passes_over_what_is_no_unit_and_what_has_gone)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "a.o", "long a(long x) { return 1; }");
    uint64_t id = harness_unit(harness, "a.o")->id;
    const uint64_t units[] = {0, id, id, 4711, UINT64_MAX};
    const struct jitd_removal what = {.units = units, .unit_count = 5};
    cr_expect_eq(harness_remove(harness, &what).count, 1);
    struct harness_removal again = harness_remove(harness, &what);
    cr_expect_eq(again.error.code, 0, "%s", again.error.text);
    cr_expect_eq(again.count, 0);
    cr_expect_eq(harness_remove(harness, &(struct jitd_removal){0}).count, 0);
    harness_link_c(harness, "b.o", "long b(long x) { return 1; }");
    cr_expect_gt(harness_unit(harness, "b.o")->id, id, "an id was used again");
    harness_close(harness);
}

static void link_tagged(struct harness *harness, const char *name, uint64_t tag, uint32_t library)
{
    char *source = NULL;
    cr_assert(asprintf(&source, "long %.1s%u(long x) { return 1; }", name, library) > 0);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name, .tag = tag, .library = library}, source);
    link_together(harness);
    free(source);
}

Test(removal, by_tag_and_by_library_takes_all_of_it_and_nothing_else)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_library library = {.number = 3, .name = "three"};
    cr_assert_eq(jitd_define_library(harness->session, &library, NULL, NULL, NULL), 0);
    link_tagged(harness, "a.o", 7, 0);
    link_tagged(harness, "b.o", 7, 3);
    link_tagged(harness, "c.o", 0, 0);
    link_tagged(harness, "d.o", 8, 3);
    link_tagged(harness, "e.o", 0, 3);
    const struct jitd_removal tagged = {.tags = (const uint64_t[]){7, 99}, .tag_count = 2};
    cr_expect_eq(harness_remove(harness, &tagged).count, 2);
    cr_expect(is_removed(harness, "a.o") && is_removed(harness, "b.o"));
    const struct jitd_removal library_three = {.libraries = (const uint32_t[]){3}, .library_count = 1};
    cr_expect_eq(harness_remove(harness, &library_three).count, 2);
    cr_expect(is_removed(harness, "d.o") && is_removed(harness, "e.o"));
    cr_expect(!is_removed(harness, "c.o"));
    link_tagged(harness, "b.o", 7, 3);
    harness_close(harness);
}

/* ---- units that are not ready ---- */

Test(removal, of_a_unit_that_waits_fails_it_as_cancelled)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    harness_add_c(harness, "waits.o", "long never(long); long waits(long x) { return never(x); }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    harness_add_c(harness, "user.o", "long waits(long); long user(long x) { return waits(x); }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    cr_expect_eq(harness_try_removing(harness, "waits.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_try_removing(harness, "waits.o", true).count, 2);
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "waits.o")->error.code, JITD_ERROR_CANCELLED);
    cr_expect(is_removed(harness, "waits.o") && is_removed(harness, "user.o"));
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    harness_link_c(harness, "waits.o", "long waits(long x) { return 5; }");
    cr_expect_eq(harness_value(harness, "waits", 0), 5);
    harness_close(harness);
}

Test(removal, of_a_unit_that_failed_forgets_it)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    harness_add_c(harness, "bad.o", "__attribute__((constructor)) static void die(void) { *(volatile int *)8 = 1; }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    harness_settle(harness);
    cr_assert_eq(harness_unit(harness, "bad.o")->state, JITD_UNIT_FAILED);
    harness_remove_unit(harness, "bad.o");
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    harness_close(harness);
}

Test(removal, of_a_unit_that_is_being_initialised_is_refused)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "gate.o", "volatile long gate; long open_gate(long x) { return gate = 1; }");
    harness_add_c(harness, "slow.o",
                  "#include <unistd.h>\n"
                  "__attribute__((constructor)) static void wait(void)\n"
                  "{ write(1, \"inside\\n\", 7); usleep(300000); }\n");
    cr_assert_eq(harness_submit(harness, 0), 0);
    harness_await_output(harness, "inside");
    struct harness_removal removal = harness_try_removing(harness, "slow.o", false);
    cr_expect_eq(removal.error.code, JITD_ERROR_INVALID, "%s", removal.error.text);
    harness_settle(harness);
    harness_remove_unit(harness, "slow.o");
    harness_close(harness);
}

static void on_looked_up(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    *(int *)data = errors ? errors->list[0].code : -1;
}

Test(removal, is_not_kept_from_by_lookups_that_wait_and_ends_those)
{
    struct harness *harness = harness_open(NULL);
    const char *const names[] = {"ready", "never"};
    jitd_request request;
    int code = 0;
    harness_link_c(harness, "ready.o", "long ready(long x) { return 1; }");
    cr_assert_eq(jitd_lookup_ready(harness->session, 0, names, 2, 0, on_looked_up, &code, &request), 0);
    harness_remove_unit(harness, "ready.o");
    harness_wait(harness, request);
    cr_expect_eq(code, JITD_ERROR_DEPENDENCY_FAILED, "code %d", code);
    harness_close(harness);
}

/* ---- names ---- */

Test(removal, frees_names_at_once_and_for_another_meaning)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "f.o", "long f(long x) { return x + 1; }");
    harness_link_c(harness, "user.o", "long f(long); long g(long x) { return f(x); }");
    cr_expect_eq(harness_value(harness, "g", 1), 2);
    /* All of it without waiting for any answer. */
    const struct jitd_removal what = {.units = &harness_unit(harness, "f.o")->id, .unit_count = 1, .cascade = true};
    struct harness_removal removal;
    harness_remove_begin(harness, &what, &removal);
    harness_link_c(harness, "f2.o", "long f(long x) { return x + 2; }");
    cr_expect(removal.completed && removal.count == 2);
    cr_expect_eq(harness_value(harness, "f", 1), 3);
    cr_expect_eq(harness_call(harness, "g", 1).code, JITD_ERROR_NOT_FOUND, "the old user is gone");
    harness_link_c(harness, "user2.o", "long f(long); long g(long x) { return f(x); }");
    cr_expect_eq(harness_value(harness, "g", 1), 3);
    harness_close(harness);
}

Test(removal, of_what_a_waiting_unit_would_have_used_lets_it_wait_for_another)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "f.o", "long f(long x) { return 1; }");
    harness_remove_unit(harness, "f.o");
    harness_add_c(harness, "user.o", "long f(long); long g(long x) { return f(x); }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    cr_expect_eq(harness_unit(harness, "user.o")->state, JITD_UNIT_RESOLVED);
    harness_link_c(harness, "f2.o", "long f(long x) { return 2; }");
    cr_expect_eq(harness_value(harness, "g", 0), 2);
    harness_close(harness);
}

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

static void expect_output(const struct harness *harness, const char *expected)
{
    char *output = harness_output(harness);
    cr_expect_str_eq(output, expected);
    free(output);
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
    link_together(harness);
    add_noting(harness, "b.o", 'b', "");
    link_together(harness);
    harness_remove_unit(harness, "a.o");
    expect_output(harness, "abA");
    exit_program(harness);
    exit_program(harness);
    harness_value(harness, "stay", 0); /* the third life has begun */
    expect_output(harness, "abABbBb");
    harness_close(harness);
}

Test(removal, runs_finalisers_of_several_units_in_the_reverse_order_of_their_initialisers)
{
    struct harness *harness = harness_open_with_output(NULL);
    add_noting(harness, "a.o", 'a', "(103)");
    add_noting(harness, "b.o", 'b', "(101)");
    add_noting(harness, "c.o", 'c', "(102)");
    link_together(harness);
    add_noting(harness, "d.o", 'd', "");
    link_together(harness);
    const uint64_t units[] = {harness_unit(harness, "d.o")->id, harness_unit(harness, "b.o")->id,
                              harness_unit(harness, "a.o")->id, harness_unit(harness, "c.o")->id};
    const struct jitd_removal what = {.units = units, .unit_count = 4};
    cr_expect_eq(harness_remove(harness, &what).count, 4);
    expect_output(harness, "bcadDACB");
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
    expect_output(harness, "abxyc");
    harness_remove_unit(harness, "a.o");
    expect_output(harness, "abxycCBA");
    harness_link(harness, "a.o", &a);
    exit_program(harness);
    harness_value(harness, "use_x", 0);
    /* The second life has both of them again; `late` of a never. */
    expect_output(harness, "abxycCBAabBAYXxyabz");
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
    link_together(harness);
    add_noting(harness, "b.o", 'b', "");
    link_together(harness);
    harness_remove_unit(harness, "a.o");
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_value(harness, "stay", 0);
    expect_output(harness, "abAbb");
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
    link_together(harness);
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
    expect_output(harness, "saisaiAs");
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
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_await_output(harness, "ii");
    harness_remove_unit(harness, "relapsing.o");
    harness_dispatch_until(harness, &harness->runner_ends, 2);
    cr_expect_str_eq(harness->last_end.initialiser_of, "relapsing.o");
    cr_expect(harness_call(harness, "crash", 0).ended);
    expect_output(harness, "ii");
    harness_close(harness);
}

/* ---- memory ---- */

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
        struct holdings after = holdings_of(harness);
        expect_same_holdings(&before, &after);
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

static const char busy_source[] = "#include <unistd.h>\nextern volatile long gate;\n"
                                  "static long wait_for_gate(void) { write(1, \"inside\\n\", 7);\n"
                                  "    while (!gate) usleep(1000); return 42; }\n"
                                  "long busy(long x) { return wait_for_gate(); }\n";
static const char gate_source[] = "volatile long gate;\n";
static const char opener_source[] = "extern volatile long gate;\n"
                                    "__attribute__((constructor)) static void open_it(void) { gate = 1; }\n";

Test(removal, of_a_unit_that_a_call_is_inside_lets_the_call_return_and_keeps_the_memory_until_then)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call, late;
    harness_link_c(harness, "gate.o", gate_source);
    harness_link_c(harness, "busy.o", busy_source);
    uint64_t address = harness_address(harness, "busy");
    jitd_request request = harness_call_begin(harness, "busy", 0, &call);
    jitd_request refused = harness_call_begin(harness, "busy", 0, &late);
    harness_await_output(harness, "inside");
    harness_remove_unit(harness, "busy.o");
    harness_wait(harness, refused);
    cr_expect_eq(late.code, JITD_ERROR_NOT_CALLABLE, "a call that had not begun: %s", late.text);
    cr_expect(!call.completed);
    harness_link_c(harness, "busy.o", busy_source);
    cr_expect_neq(harness_address(harness, "busy"), address, "memory was used again under a call");
    harness_link_c(harness, "opener.o", opener_source);
    harness_wait(harness, request);
    cr_expect(call.returned && call.value == 42, "%s, signal %d", call.text, call.end.signal);
    harness_remove_unit(harness, "busy.o");
    harness_link_c(harness, "busy.o", busy_source);
    cr_expect_eq(harness_address(harness, "busy"), address, "memory was not used again after the call");
    harness_close(harness);
}

Test(removal, of_a_unit_that_a_thread_runs_in_keeps_the_memory_until_it_ends)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "gate.o",
                   "#include <pthread.h>\nvolatile long gate; static pthread_t thread;\n"
                   "long begin_thread(void *(*f)(void *)) { return pthread_create(&thread, 0, f, 0); }\n"
                   "long end_thread(long x) { void *result; gate = 1; pthread_join(thread, &result);\n"
                   "    return (long)result; }\n");
    harness_link_c(harness, "busy.o",
                   "#include <unistd.h>\nextern volatile long gate; long begin_thread(void *(*)(void *));\n"
                   "static void *run(void *x) { write(1, \"inside\\n\", 7); while (!gate) usleep(1000);\n"
                   "    return (void *)42L; }\n"
                   "long busy(long x) { return begin_thread(run); }\n");
    uint64_t address = harness_address(harness, "busy");
    cr_expect_eq(harness_value(harness, "busy", 0), 0);
    harness_await_output(harness, "inside");
    harness_remove_unit(harness, "busy.o");
    harness_link_c(harness, "f.o", "long f(long x) { return 1; }");
    cr_expect_eq(harness_value(harness, "f", 0), 1);
    cr_expect_gt(harness_address(harness, "f"), address, "memory was used again under a thread");
    cr_expect_eq(harness_value(harness, "end_thread", 0), 42);
    harness_value(harness, "f", 0); /* the thread may have been on its last steps */
    harness_link_c(harness, "g.o", "long g(long x) { return 1; }");
    cr_expect_lt(harness_address(harness, "g"), harness_address(harness, "f"),
                 "memory was not used again after the thread");
    harness_close(harness);
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

/* ---- a unit, a call, and gone ---- */

Test(run, gives_the_value_and_leaves_nothing)
{
    static const char source[] = "static long data = 5; static long zero; extern long base(long);\n"
                                 "__attribute__((constructor)) static void set(void) { zero += 2; }\n"
                                 "long once(long x) { return base(x) + data++ + zero++; }\n";
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c(source, HARNESS_FLAGS);
    struct harness_call call;
    harness_link_c(harness, "base.o", "long base(long x) { return x * 10; }");
    harness_wait(harness, harness_run_begin(harness, "once.o", &object, "once", 3, &call));
    struct holdings before = holdings_of(harness);
    for (int i = 0; i < 300; i++) {
        harness_wait(harness, harness_run_begin(harness, "once.o", &object, "once", i, &call));
        cr_assert(call.returned && call.value == i * 10 + 7, "%lld, %s", (long long)call.value, call.text);
    }
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    cr_expect_eq(after.units, 1);
    cr_expect_eq(harness->told, 1, "an event tells of a unit that nobody knows");
    cr_expect_eq(harness_call(harness, "once", 0).code, JITD_ERROR_NOT_FOUND);
    object_free(&object);
    harness_close(harness);
}

Test(run, answers_with_the_error_of_whichever_step_failed)
{
    static const struct {
        const char *source, *function;
        int code;
    } cases[] = {
        {"long gone(long); long f(long x) { return gone(x); }", "f", JITD_ERROR_SYMBOL_MISSING},
        {"long f(long x) { return 1; }", "g", JITD_ERROR_NOT_CALLABLE},
        {"long f = 1;", "f", JITD_ERROR_NOT_CALLABLE},
        {"long f(long x) { return 1; } long base(long x) { return 2; }", "f", JITD_ERROR_SYMBOL_DUPLICATE},
        {"__attribute__((constructor)) static void die(void) { *(volatile int *)8 = 1; } long f(long x) { return 1; }",
         "f", JITD_ERROR_INITIALISER_FAILED},
    };
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "base.o", "long base(long x) { return 1; }");
    struct holdings before = holdings_of(harness);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct harness_call call = harness_run(harness, cases[i].source, cases[i].function, 0);
        cr_expect_eq(call.code, cases[i].code, "case %zu: %d, %s", i, call.code, call.text);
    }
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    cr_expect_eq(harness_value(harness, "base", 0), 1);
    harness_close(harness);
}

Test(run, that_crashes_is_answered_with_the_report_and_leaves_nothing)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct harness_call call =
        harness_run(harness, "long data = 1; long f(long x) { return *(volatile long *)x; }", "f", 8);
    cr_assert(call.ended, "%s", call.text);
    cr_expect_eq(call.end.signal, SIGSEGV);
    cr_expect_str_eq(call.end.frames[0].unit, "run.o");
    cr_expect_str_eq(call.end.frames[0].function, "f");
    call = harness_run(harness, "long data = 1; long f(long x) { return data + x; }", "f", 8);
    cr_expect(call.returned && call.value == 9, "%s", call.text);
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    harness_close(harness);
}

Test(run, runs_finalisers_of_its_unit)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call =
        harness_run(harness,
                    "#include <unistd.h>\n__attribute__((destructor)) static void end(void) { write(1, \"end\", 3); }\n"
                    "long f(long x) { write(1, \"call \", 5); return x; }\n",
                    "f", 4);
    cr_expect(call.returned && call.value == 4);
    harness_await_output(harness, "call end");
    harness_close(harness);
}

Test(run, whose_unit_goes_with_what_it_uses_is_over_with_its_call)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    struct object_bytes object = compile_c("long busy(long); long run(long x) { return busy(x) + 1; }", HARNESS_FLAGS);
    harness_link_c(harness, "gate.o", gate_source);
    harness_link_c(harness, "busy.o", busy_source);
    jitd_request request = harness_run_begin(harness, "run.o", &object, "run", 0, &call);
    harness_await_output(harness, "inside");
    cr_expect_eq(harness_try_removing(harness, "busy.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_try_removing(harness, "busy.o", true).count, 1, "the run's own unit does not count");
    harness_link_c(harness, "opener.o", opener_source);
    harness_wait(harness, request);
    cr_expect(call.returned && call.value == 43, "%s", call.text);
    object_free(&object);
    harness_close(harness);
}

/* ---- runs whose units others have come to use ---- */

static const char run_source[] =
    "long busy(long); long value(void) { return 7; } long run(long x) { return busy(x) + 1; }";

struct used_run {
    struct harness *harness;
    struct holdings before; /* with what it uses, without its own unit */
    struct harness_call call;
    jitd_request request;
};

/* The call of run.o is under way. */
static void used_run_open(struct used_run *run)
{
    struct object_bytes object = compile_c(run_source, HARNESS_FLAGS);
    run->harness = harness_open_with_output(NULL);
    harness_link_c(run->harness, "gate.o", gate_source);
    harness_link_c(run->harness, "busy.o", busy_source);
    run->before = holdings_of(run->harness);
    run->request = harness_run_begin(run->harness, "run.o", &object, "run", 0, &run->call);
    harness_await_output(run->harness, "inside");
    object_free(&object);
}

static void used_run_return(struct used_run *run)
{
    harness_link_c(run->harness, "opener.o", opener_source);
    harness_wait(run->harness, run->request);
    cr_expect(run->call.returned && run->call.value == 43, "%s", run->call.text);
    harness_remove_unit(run->harness, "opener.o");
}

/* Nothing is left, and the names may be defined again at once. */
static void used_run_close(struct used_run *run)
{
    struct holdings after = holdings_of(run->harness);
    expect_same_holdings(&run->before, &after);
    harness_link_c(run->harness, "value.o", "long value(void) { return 8; }");
    harness_close(run->harness);
}

static const char user_source[] = "long value(void); long user(long x) { return value() + x; }";

Test(run, whose_unit_is_used_by_others_stays_until_the_last_of_them_goes)
{
    struct used_run run;
    used_run_open(&run);
    harness_link_c(run.harness, "user.o", user_source);
    harness_link_c(run.harness, "second.o", "long value(void); long second(long x) { return value() - x; }");
    used_run_return(&run);
    cr_expect_eq(harness_value(run.harness, "user", 1), 8);
    harness_remove_unit(run.harness, "user.o");
    cr_expect_eq(harness_value(run.harness, "second", 1), 6);
    harness_remove_unit(run.harness, "second.o");
    used_run_close(&run);
}

Test(run, whose_unit_stays_goes_in_the_place_of_the_removal_in_the_stream)
{
    struct used_run run;
    struct harness_removal removal = {0};
    used_run_open(&run);
    harness_link_c(run.harness, "user.o", user_source);
    used_run_return(&run);
    uint64_t unit = harness_unit(run.harness, "user.o")->id;
    jitd_request request =
        harness_remove_begin(run.harness, &(struct jitd_removal){.units = &unit, .unit_count = 1}, &removal);
    harness_link_c(run.harness, "value.o", "long value(void) { return 8; }");
    harness_wait(run.harness, request);
    cr_expect_eq(removal.count, 1, "the run's own unit does not count");
    harness_remove_unit(run.harness, "value.o");
    used_run_close(&run);
}

Test(run, whose_unit_stays_lets_go_of_what_it_uses_with_its_last_user)
{
    struct used_run run;
    used_run_open(&run);
    harness_link_c(run.harness, "user.o", user_source);
    used_run_return(&run);
    cr_expect_eq(harness_try_removing(run.harness, "busy.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_value(run.harness, "user", 1), 8, "a removal that was refused took it along");
    const uint64_t units[] = {harness_unit(run.harness, "busy.o")->id, harness_unit(run.harness, "user.o")->id};
    struct harness_removal removal =
        harness_remove(run.harness, &(struct jitd_removal){.units = units, .unit_count = 2});
    cr_expect(removal.error.code == 0 && removal.count == 2, "%s", removal.error.text);
    harness_close(run.harness);
}

Test(run, whose_unit_stays_goes_when_its_last_user_fails)
{
    struct used_run run;
    used_run_open(&run);
    harness_link_c(run.harness, "crash.o", "long crash(long x) { return *(volatile long *)8; }");
    harness_link_c(run.harness, "user.o",
                   "#include <stdlib.h>\n#include <unistd.h>\nlong value(void);\n"
                   "__attribute__((constructor)) static void begin(void)\n"
                   "{ if (lseek(1, 0, SEEK_CUR) > 7) abort(); else write(1, \"x\", 1); }\n"
                   "long user(long x) { return value() + x; }");
    used_run_return(&run);
    cr_expect(harness_call(run.harness, "crash", 0).ended);
    harness_dispatch_until(run.harness, &run.harness->runner_ends, 3);
    cr_expect_eq(harness_unit(run.harness, "user.o")->state, JITD_UNIT_FAILED);
    cr_expect_eq(harness_address(run.harness, "value"), 0);
    harness_remove_unit(run.harness, "crash.o");
    harness_remove_unit(run.harness, "user.o");
    used_run_close(&run);
}

/* Of a circle with a unit that nobody can name. */
Test(run, whose_unit_and_another_use_each_other_goes_with_that_one)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct object_bytes object = compile_c(
        "long other(void); long once(void) { return 5; } long run(long x) { return other() + x; }", HARNESS_FLAGS);
    struct harness_call call;
    harness_add_c(harness, "other.o", "long once(void); long other(void) { return once(); }");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, "run", 1, &call));
    cr_expect(call.returned && call.value == 6, "%s", call.text);
    cr_expect_neq(harness_address(harness, "once"), 0);
    harness_remove_unit(harness, "other.o");
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    object_free(&object);
    harness_close(harness);
}

/* Ten that overlap, so they share no global name. They are answered in the order in which their units become ready,
   which the runner's two threads decide: each has to be waited for before its name is used again, not only the last. */
static void run_ten(struct harness *harness, const struct object_bytes objects[10], int first)
{
    struct harness_call calls[10];
    jitd_request requests[10];
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "run_%d", i);
        requests[i] = harness_run_begin(harness, name, &objects[i], name, first + i, &calls[i]);
    }
    for (int i = 0; i < 10; i++) {
        harness_wait(harness, requests[i]);
        cr_expect(calls[i].returned && calls[i].value == first + i + 3, "run %d: %s", first + i, calls[i].text);
    }
}

Test(run, of_distinct_names_can_be_sent_without_waiting)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct object_bytes objects[10];
    for (int i = 0; i < 10; i++) {
        char flags[64];
        snprintf(flags, sizeof flags, "%s -DNAME=run_%d", HARNESS_FLAGS, i);
        objects[i] = compile_c("static volatile long data = 3; long NAME(long x) { return x + data; }", flags);
    }
    for (int first = 0; first < 100; first += 10)
        run_ten(harness, objects, first);
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    for (int i = 0; i < 10; i++)
        object_free(&objects[i]);
    harness_close(harness);
}

Test(run, is_refused_where_a_thousand_wait_already)
{
    enum { MOST = 1024 };
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct harness_call *calls = calloc(MOST + 1, sizeof *calls);
    struct unit_pattern pattern = unit_pattern_function(1);
    jitd_request last = 0;
    harness_add_c(harness, "waits.o",
                  "unsigned never(unsigned); unsigned unit_900000(unsigned x) { return never(x); }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    for (unsigned i = 0; i <= MOST; i++) {
        char name[UNIT_NAME_BYTES];
        struct object_bytes object = unit_pattern_make(&pattern, (const unsigned[]){i, 900000});
        last = harness_run_begin(harness, "run.o", &object, unit_name(i, name), 1, &calls[i]);
        object_free(&object);
    }
    harness_wait(harness, last);
    cr_expect_eq(calls[MOST].code, JITD_ERROR_LIMIT, "%s", calls[MOST].text);
    cr_expect(!calls[MOST - 1].completed, "%s", calls[MOST - 1].text);
    cr_expect_eq(harness_try_removing(harness, "waits.o", true).count, 1);
    for (unsigned i = 0; i < MOST; i++)
        cr_expect(calls[i].code == JITD_ERROR_DEPENDENCY_FAILED, "run %u: %s", i, calls[i].text);
    struct holdings after = holdings_of(harness);
    expect_same_holdings(&before, &after);
    unit_pattern_free(&pattern);
    free(calls);
    harness_close(harness);
}

static void on_run(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                   const struct jitd_errors *errors, void *data)
{
    cr_assert(result, "%s", errors ? errors->list[0].text : "the runner ended");
    *(int64_t *)data = result->integer;
}

Test(run, of_a_unit_with_a_manifest_calls_it_by_its_global_name)
{
    static const struct jitd_manifest_definition definition = {.local = "f", .global = "run:7"};
    static const struct jitd_manifest_use use = {.local = "g", .global = "base"};
    static const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = 1};
    const struct jitd_value argument = {.type = JITD_INT64, .integer = 4};
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c("long g(long); long f(long x) { return g(x) + 1; }", HARNESS_FLAGS);
    const struct jitd_unit_input unit = {
        .name = "run.o", .object = object.bytes, .bytes = object.length, .manifest = &manifest};
    jitd_request request;
    int64_t value = 0;
    harness_link_c(harness, "base.o", "long base(long x) { return x * 10; }");
    cr_assert_eq(jitd_run(harness->session, &unit, "run:7", JITD_INT64, &argument, 1, on_run, &value, &request), 0);
    harness_wait(harness, request);
    cr_expect_eq(value, 41);
    object_free(&object);
    harness_close(harness);
}
