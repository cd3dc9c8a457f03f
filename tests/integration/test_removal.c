/*
 * Units that go: who may, and what becomes of those that wait and of names.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/harness.h"
#include "tests/integration/holdings.h"

TestSuite(removal, .timeout = 60);

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
    harness_link_batch(harness, JITD_BATCH_CLOSED);
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
    harness_link_batch(harness, JITD_BATCH_CLOSED);
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
        harness_link_batch(harness, JITD_BATCH_CLOSED);
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
    holdings_expect_same(harness, &before);
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
    harness_link_batch(harness, JITD_BATCH_CLOSED);
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
    harness_accept(harness, 0);
    harness_add_c(harness, "user.o", "long waits(long); long user(long x) { return waits(x); }");
    harness_accept(harness, 0);
    cr_expect_eq(harness_try_removing(harness, "waits.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_try_removing(harness, "waits.o", true).count, 2);
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "waits.o")->error.code, JITD_ERROR_CANCELLED);
    cr_expect(is_removed(harness, "waits.o") && is_removed(harness, "user.o"));
    holdings_expect_same(harness, &before);
    harness_link_c(harness, "waits.o", "long waits(long x) { return 5; }");
    cr_expect_eq(harness_value(harness, "waits", 0), 5);
    harness_close(harness);
}

Test(removal, of_a_unit_that_failed_forgets_it)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    harness_add_c(harness, "bad.o", "__attribute__((constructor)) static void die(void) { *(volatile int *)8 = 1; }");
    harness_link_batch(harness, 0);
    cr_assert_eq(harness_unit(harness, "bad.o")->state, JITD_UNIT_FAILED);
    harness_remove_unit(harness, "bad.o");
    holdings_expect_same(harness, &before);
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
    harness_accept(harness, 0);
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
    harness_accept(harness, 0);
    cr_expect_eq(harness_unit(harness, "user.o")->state, JITD_UNIT_RESOLVED);
    harness_link_c(harness, "f2.o", "long f(long x) { return 2; }");
    cr_expect_eq(harness_value(harness, "g", 0), 2);
    harness_close(harness);
}
