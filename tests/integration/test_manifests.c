/*
 * Manifests and what goes with them, through libjitd and against a real daemon: what names mean, libraries, batches
 * that stand or fall together, waiting and its end, and what a session tells of itself.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/integration/peer.h"

#define MUST(harness, expression)                                                                                      \
    do {                                                                                                               \
        int code_ = (expression);                                                                                      \
        cr_assert(code_ == 0, #expression ": %s", jitd_last_error((harness)->session)->text);                          \
    } while (0)

static void add_to(struct harness *harness, uint32_t library, const char *name, const char *source,
                   const struct jitd_manifest *manifest)
{
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name, .library = library, .manifest = manifest},
                     source);
}

/* The batch that was put together is taken; what becomes of it is another matter. */
static void submit(struct harness *harness, unsigned flags)
{
    cr_assert_eq(harness_submit(harness, flags), 0, "%s", harness->errors[0].text);
}

static void submit_to(struct harness *harness, uint32_t library, const char *name, const char *source,
                      const struct jitd_manifest *manifest)
{
    add_to(harness, library, name, source, manifest);
    submit(harness, 0);
}

static void expect_state(const struct harness *harness, const char *name, enum jitd_unit_state state)
{
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_expect_eq(unit->state, state, "%s is in state %d: %s", name, (int)unit->state, unit->error.text);
}

/* ---- requests and their answers ---- */

struct answer {
    int completed;
    int code; /* 0: it was done */
    char text[256];
    size_t cause_count;
    char causes[4][64]; /* "unit:symbol" */
    size_t count;       /* of Cancelled, or of addresses */
    struct jitd_address addresses[2];
    int64_t value;
};

static void hear_errors(struct answer *answer, const struct jitd_errors *errors)
{
    answer->completed++;
    if (!errors)
        return;
    const struct jitd_error *error = &errors->list[0];
    answer->code = error->code;
    snprintf(answer->text, sizeof answer->text, "%s", error->text);
    for (size_t i = 0; i < error->cause_count && answer->cause_count < 4; i++)
        snprintf(answer->causes[answer->cause_count++], sizeof answer->causes[0], "%s:%s", error->causes[i].unit,
                 error->causes[i].symbol);
}

static void on_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    hear_errors(data, errors);
}

static void on_cancelled(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    hear_errors(data, errors);
    ((struct answer *)data)->count = count;
}

static void on_addresses(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct answer *answer = data;
    hear_errors(answer, errors);
    answer->count = count;
    for (size_t i = 0; i < count && i < 2; i++)
        answer->addresses[i] = addresses[i];
}

static void on_returned(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                        const struct jitd_errors *errors, void *data)
{
    struct answer *answer = data;
    hear_errors(answer, errors);
    if (result)
        answer->value = result->integer;
}

static int define(struct harness *harness, const struct jitd_library *library)
{
    struct answer answer = {0};
    jitd_request request;
    MUST(harness, jitd_define_library(harness->session, library, on_done, &answer, &request));
    harness_wait(harness, request);
    cr_assert_eq(answer.completed, 1);
    return answer.code;
}

static struct answer call_in(struct harness *harness, uint32_t library, const char *name, int64_t argument)
{
    const struct jitd_value value = {.type = JITD_INT64, .integer = argument};
    struct answer answer = {0};
    jitd_request request;
    MUST(harness, jitd_call_in(harness->session, library, name, JITD_INT64, &value, 1, on_returned, &answer, &request));
    harness_wait(harness, request);
    return answer;
}

static void expect_value_in(struct harness *harness, uint32_t library, const char *name, int64_t wanted)
{
    struct answer answer = call_in(harness, library, name, 1);
    cr_expect(answer.code == 0 && answer.value == wanted, "%s(1) in library %u is %lld, not %lld: %s", name, library,
              (long long)answer.value, (long long)wanted, answer.text);
}

static uint64_t address_in(struct harness *harness, uint32_t library, const char *name)
{
    struct answer answer = {0};
    jitd_request request;
    MUST(harness, jitd_lookup_in(harness->session, library, &name, 1, on_addresses, &answer, &request));
    harness_wait(harness, request);
    cr_assert(answer.code == 0 && answer.count == 1, "%s", answer.text);
    return answer.addresses[0].address;
}

static jitd_request look_up_ready(struct harness *harness, const char *const names[2], uint32_t deadline_ms,
                                  struct answer *answer)
{
    jitd_request request;
    *answer = (struct answer){0};
    MUST(harness,
         jitd_lookup_ready(harness->session, JITD_LIBRARY_MAIN, names, 2, deadline_ms, on_addresses, answer, &request));
    return request;
}

/* As harness_link_c where other units wait on: is done when the name is ready. */
static void link_beside(struct harness *harness, const char *unit, const char *source, const char *name)
{
    struct answer answer;
    submit_to(harness, 0, unit, source, NULL);
    harness_wait(harness, look_up_ready(harness, (const char *const[]){name, name}, 0, &answer));
    cr_assert_eq(answer.code, 0, "%s", answer.text);
}

static size_t cancel_units(struct harness *harness, const uint64_t *units, size_t count)
{
    struct answer answer = {0};
    jitd_request request;
    MUST(harness, jitd_cancel_units(harness->session, units, count, on_cancelled, &answer, &request));
    harness_wait(harness, request);
    cr_assert_eq(answer.code, 0, "%s", answer.text);
    return answer.count;
}

static size_t cancel(struct harness *harness, jitd_request waiting)
{
    struct answer answer = {0};
    jitd_request request;
    MUST(harness, jitd_cancel(harness->session, waiting, on_cancelled, &answer, &request));
    harness_wait(harness, request);
    cr_assert_eq(answer.code, 0, "%s", answer.text);
    return answer.count;
}

/* ---- what names mean ---- */

static const char local_names[] = "extern long g_0(long); long f_0(long x) { return g_0(x) + 1; }\n";

Test(manifest, gives_the_same_local_names_a_meaning_of_their_own_in_each_unit)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest first = {DEFINITIONS({.local = "f_0", .global = "first"}),
                                        USES({.local = "g_0", .global = "twice"})};
    const struct jitd_manifest second = {DEFINITIONS({.local = "f_0", .global = "second"}),
                                         USES({.local = "g_0", .global = "thrice"})};
    add_to(harness, 0, "first.o", local_names, &first);
    add_to(harness, 0, "second.o", local_names, &second);
    harness_add_c(harness, "base.o", "long twice(long x) { return 2 * x; } long thrice(long x) { return 3 * x; }");
    submit(harness, JITD_BATCH_CLOSED);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "first", 10), 21);
    cr_expect_eq(harness_value(harness, "second", 10), 31);
    cr_expect_eq(harness_address(harness, "f_0"), 0, "a local name is nobody else's");
    harness_close(harness);
}

Test(manifest, reaches_a_use_by_slot_and_waits_for_what_nothing_refers_to)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest manifest = {
        DEFINITIONS({.local = "f_0", .global = "f"}),
        USES({.local = "g_0", .global = "late", .flags = JITD_USE_BY_SLOT}, {.global = "later"})};
    submit_to(harness, 0, "f.o", local_names, &manifest);
    link_beside(harness, "late.o", "long late(long x) { return x * 4; }", "late");
    expect_state(harness, "f.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "later.o", "long later;");
    expect_state(harness, "f.o", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "f", 10), 41);
    harness_close(harness);
}

Test(manifest, binds_a_weak_use_that_nobody_meets_to_nothing)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "f"}),
                                           USES({.local = "g_0", .global = "gone", .flags = JITD_USE_WEAK})};
    submit_to(harness, 0, "f.o",
              "extern long g_0(long);\n"
              "long f(long x) { long (*g)(long) = g_0; __asm__(\"\" : \"+r\"(g)); return g ? g(x) : x + 5; }\n",
              &manifest);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "f", 2), 7);
    harness_close(harness);
}

Test(manifest, keeps_a_hidden_definition_for_its_library)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1, .name = "one"}), 0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 2,
                                                        .search = (const struct jitd_search[]){{.library = 1}},
                                                        .search_count = 1}),
                 0);
    cr_assert_eq(
        define(harness, &(struct jitd_library){.number = 3,
                                               .search = (const struct jitd_search[]){{.library = 1, .hidden = true}},
                                               .search_count = 1}),
        0);
    const struct jitd_manifest hiding = {DEFINITIONS({.local = "f", .flags = JITD_DEFINITION_HIDDEN})};
    submit_to(harness, 1, "f.o", "long f(long x) { return x + 1; }", &hiding);
    static const char user[] = "extern long f(long); long user(long x) { return f(x) * 10; }";
    submit_to(harness, 1, "inside.o", user, NULL);
    submit_to(harness, 2, "outside.o", user, NULL);
    submit_to(harness, 3, "trusted.o", user, NULL);
    expect_value_in(harness, 1, "user", 20);
    expect_value_in(harness, 3, "user", 20);
    expect_state(harness, "outside.o", JITD_UNIT_RESOLVED);
    cr_expect_eq(address_in(harness, 2, "f"), 0);
    cr_expect_neq(address_in(harness, 1, "f"), 0);
    harness_close(harness);
}

Test(manifest, defines_addresses_and_further_names_without_an_object)
{
    struct harness *harness = harness_open(NULL);
    uint64_t address = harness_address(harness, "labs");
    cr_assert_neq(address, 0);
    const struct jitd_manifest manifest = {
        ABSOLUTES({.name = "magnitude", .address = address, .flags = JITD_DEFINITION_FUNCTION},
                  {.name = "somewhere", .address = 0x123456789000}),
        ALIASES({.name = "size", .target = "magnitude"}, {.name = "later", .target = "defined_later"})};
    submit_to(harness, 0, "names", NULL, &manifest);
    submit_to(harness, 0, "user.o",
              "extern long size(long), later(long); extern char somewhere[];\n"
              "long user(long x) { return size(x) + later(x); } long place(long x) { return (long)somewhere; }",
              NULL);
    expect_state(harness, "names", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "later.o", "long defined_later(long x) { return x * 100; }");
    expect_state(harness, "names", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "user", -3), -297);
    cr_expect_eq(harness_value(harness, "place", 0), 0x123456789000);
    cr_expect_eq(harness_address(harness, "size"), address);
    cr_expect_eq(harness_address(harness, "later"), harness_address(harness, "defined_later"));
    harness_close(harness);
}

Test(manifest, looks_in_the_one_library_that_a_use_names)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1}), 0);
    submit_to(harness, 0, "main.o", "long g(long x) { return x + 1; }", NULL);
    submit_to(harness, 1, "one.o", "long g(long x) { return x + 2; }", NULL);
    const struct jitd_manifest own = {DEFINITIONS({.local = "f_0", .global = "own"}),
                                      USES({.local = "g_0", .global = "g"})};
    const struct jitd_manifest ones = {DEFINITIONS({.local = "f_0", .global = "ones"}),
                                       USES({.local = "g_0", .global = "g", .flags = JITD_USE_LIBRARY, .library = 1})};
    const struct jitd_manifest mains = {
        DEFINITIONS({.local = "f_0", .global = "mains"}),
        USES({.local = "g_0", .global = "g", .flags = JITD_USE_LIBRARY, .library = JITD_LIBRARY_MAIN}),
        ALIASES({.name = "alias", .target = "g", .flags = JITD_USE_LIBRARY, .library = 1})};
    submit_to(harness, 1, "own.o", local_names, &own);
    submit_to(harness, 0, "ones.o", local_names, &ones);
    submit_to(harness, 1, "mains.o", local_names, &mains);
    expect_value_in(harness, 1, "own", 4);
    expect_value_in(harness, 0, "ones", 4);
    expect_value_in(harness, 1, "mains", 3);
    expect_value_in(harness, 1, "alias", 3);
    harness_close(harness);
}

Test(manifest, refuses_libraries_that_are_not_there)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest nowhere = {USES({.local = "g_0", .flags = JITD_USE_LIBRARY, .library = 9})};
    add_to(harness, 0, "nowhere.o", local_names, &nowhere);
    cr_expect_eq(harness_submit(harness, 0), JITD_ERROR_NOT_FOUND, "%s", harness->errors[0].text);
    add_to(harness, 9, "stray.o", local_names, NULL);
    cr_expect_eq(harness_submit(harness, 0), JITD_ERROR_NOT_FOUND, "%s", harness->errors[0].text);
    harness_link_c(harness, "fine.o", "long fine(long x) { return x; }");
    harness_close(harness);
}

/* libjitd would not send them: names of an object where there is none, lengths that are odd in number, that add up to
   more or less than there is or wrap round, more entries said than there are, entries of no unit, columns that are too
   long, a name that is empty twice. */
Test(manifest, refuses_entries_that_do_not_add_up_or_are_of_no_object)
{
    static const struct {
        size_t names, lengths;
        uint32_t name_bytes[4], definitions, uses;
        size_t definition_flags, use_flags;
    } rows[] = {
        {1, 2, {1, 0}, 1, 0, 0, 0}, {1, 2, {1, 0}, 0, 1, 0, 0},          {1, 1, {1}, 0, 0, 0, 0},
        {1, 2, {0, 2}, 0, 1, 0, 0}, {2, 2, {0, 1}, 0, 1, 0, 0},          {1, 4, {UINT32_MAX, 1, 1, 0}, 0, 2, 0, 0},
        {1, 2, {0, 1}, 2, 0, 0, 0}, {1, 2, {0, 1}, UINT32_MAX, 2, 0, 0}, {1, 2, {0, 1}, 0, UINT32_MAX, 0, 0},
        {0, 2, {0, 0}, 0, 1, 0, 0}, {2, 4, {0, 1, 0, 1}, 0, 1, 0, 0},    {1, 2, {0, 1}, 0, 1, 1, 0},
        {1, 2, {0, 1}, 0, 1, 0, 2},
    };
    static uint32_t flags[2];
    struct peer peer = peer_open_welcomed();
    ProtobufCBinaryData name = {.len = 1, .data = (uint8_t *)"f"};
    for (uint64_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        Jitd__Proto__Entries entries = JITD__PROTO__ENTRIES__INIT;
        Jitd__Proto__Manifest manifest = JITD__PROTO__MANIFEST__INIT;
        entries.names = (ProtobufCBinaryData){.len = rows[i].names, .data = (uint8_t *)"fg"};
        entries.name_bytes = (uint32_t *)rows[i].name_bytes;
        entries.n_name_bytes = rows[i].lengths;
        entries.definition_flags = entries.use_flags = flags;
        entries.n_definition_flags = rows[i].definition_flags;
        entries.n_use_flags = rows[i].use_flags;
        Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT;
        unit.name = name;
        unit.manifest = &manifest;
        entries.unit_definitions = (uint32_t *)&rows[i].definitions;
        entries.unit_uses = (uint32_t *)&rows[i].uses;
        entries.n_unit_definitions = entries.n_unit_uses = 1;
        Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
        submit.units = (Jitd__Proto__Unit *[]){&unit};
        submit.n_units = 1;
        submit.entries = &entries;
        peer_send(&peer, MESSAGE_SUBMIT, 10 + i, &submit.base);
        peer_expect_failed(&peer, 10 + i, JITD_ERROR_INVALID);
    }
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(manifest, refuses_conventions_that_differ)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest defines = {DEFINITIONS({.local = "g_0", .global = "g", .convention = 5})};
    const struct jitd_manifest agrees = {DEFINITIONS({.local = "f_0", .global = "agrees"}),
                                         USES({.local = "g_0", .global = "g", .convention = 5})};
    const struct jitd_manifest differs = {DEFINITIONS({.local = "f_0", .global = "differs"}),
                                          USES({.local = "g_0", .global = "g", .convention = 6})};
    submit_to(harness, 0, "g.o", "long g_0(long x) { return x; }", &defines);
    submit_to(harness, 0, "agrees.o", local_names, &agrees);
    add_to(harness, 0, "differs.o", local_names, &differs);
    int code = harness_submit(harness, 0);
    harness_settle(harness);
    cr_expect(code == JITD_ERROR_CONVENTION || harness_unit(harness, "differs.o")->error.code == JITD_ERROR_CONVENTION);
    cr_expect_eq(harness_value(harness, "agrees", 1), 2);
    harness_close(harness);
}

Test(manifest, gives_an_alias_the_convention_of_what_it_stands_for)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest names = {ALIASES({.name = "again", .target = "g"})};
    const struct jitd_manifest defines = {DEFINITIONS({.local = "g_0", .global = "g", .convention = 5})};
    const struct jitd_manifest uses = {DEFINITIONS({.local = "f_0", .global = "f"}),
                                       USES({.local = "g_0", .global = "again", .convention = 5})};
    struct answer answer;
    submit_to(harness, 0, "names", NULL, &names);
    submit_to(harness, 0, "uses.o", local_names, &uses);
    submit_to(harness, 0, "g.o", "long g_0(long x) { return x; }", &defines);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "f", 1), 2);
    harness_wait(harness, look_up_ready(harness, (const char *const[]){"g", "again"}, 0, &answer));
    cr_expect_eq(answer.code, 0, "who only asks for an address calls nothing: %s", answer.text);
    harness_close(harness);
}

/* ---- libraries ---- */

Test(library, is_searched_in_its_order_with_what_is_re_exported)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1}), 0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 2}), 0);
    cr_assert_eq(
        define(harness, &(struct jitd_library){.number = 3,
                                               .search = (const struct jitd_search[]){{.library = 1, .re_export = true},
                                                                                      {.library = 2}},
                                               .search_count = 2}),
        0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 4,
                                                        .search = (const struct jitd_search[]){{.library = 3}},
                                                        .search_count = 1}),
                 0);
    submit_to(harness, 1, "one.o", "long both(long x) { return 10; } long only_one(long x) { return 11; }", NULL);
    submit_to(harness, 2, "two.o", "long both(long x) { return 20; } long only_two(long x) { return 21; }", NULL);
    submit_to(harness, 3, "three.o",
              "extern long both(long), only_two(long); long three(long x) { return both(x) * 100 + only_two(x); }",
              NULL);
    expect_value_in(harness, 3, "three", 1021);
    expect_value_in(harness, 4, "both", 10);
    expect_value_in(harness, 4, "only_one", 11);
    cr_expect_eq(address_in(harness, 4, "only_two"), 0, "library 3 searches it and does not pass it on");
    cr_expect_eq(address_in(harness, 0, "both"), 0);
    harness_close(harness);
}

Test(library, may_search_in_circles)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_search second[] = {{.library = 2, .re_export = true}};
    const struct jitd_search first[] = {{.library = 1, .re_export = true}, {.library = 2}};
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1}), 0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 2, .search = first, .search_count = 2}), 0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1, .search = second, .search_count = 1}), 0);
    submit_to(harness, 1, "even.o", "extern long odd(long); long even(long x) { return x == 0 ? 1 : odd(x - 1); }",
              NULL);
    submit_to(harness, 2, "odd.o", "extern long even(long); long odd(long x) { return x == 0 ? 0 : even(x - 1); }",
              NULL);
    harness_settle(harness);
    expect_value_in(harness, 1, "odd", 1);
    expect_value_in(harness, 2, "even", 0);
    cr_expect_eq(address_in(harness, 2, "nowhere"), 0);
    harness_close(harness);
}

Test(library, lets_what_waits_look_again_when_its_search_order_changes)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1}), 0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 2}), 0);
    submit_to(harness, 1, "g.o", "long g(long x) { return x + 6; }", NULL);
    submit_to(harness, 2, "f.o", "extern long g(long); long f(long x) { return g(x); }", NULL);
    expect_state(harness, "f.o", JITD_UNIT_RESOLVED);
    const struct jitd_search search[] = {{.library = 1}};
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 2, .search = search, .search_count = 1}), 0);
    harness_settle(harness);
    expect_value_in(harness, 2, "f", 7);
    harness_close(harness);
}

Test(library, has_the_process_symbols_that_it_wants)
{
    static const char *const listed[] = {"atol", NULL};
    static const char source[] = "extern long atol(const char *); long number(long x) { return atol(\"12\"); }\n";
    static const char other[] = "extern long strtol(const char *, char **, int);\n"
                                "long other(long x) { return strtol(\"12\", 0, 10); }\n";
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 1, .process_symbols = JITD_PROCESS_NONE}), 0);
    cr_assert_eq(
        define(harness,
               &(struct jitd_library){.number = 2, .process_symbols = JITD_PROCESS_LISTED, .process_names = listed}),
        0);
    add_to(harness, 1, "none.o", source, NULL);
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(harness->errors[0].symbol, "atol");
    add_to(harness, 2, "unlisted.o", other, NULL);
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(harness->errors[0].symbol, "strtol");
    submit_to(harness, 2, "listed.o", source, NULL);
    harness_settle(harness);
    expect_value_in(harness, 2, "number", 12);
    cr_expect_eq(address_in(harness, 1, "atol"), 0);
    cr_expect_eq(address_in(harness, 2, "strtol"), 0);
    cr_expect_neq(address_in(harness, 0, "strtol"), 0);
    harness_close(harness);
}

Test(library, may_be_used_before_the_answer_has_come)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer = {0};
    MUST(harness,
         jitd_define_library(harness->session, &(struct jitd_library){.number = 65535}, on_done, &answer, NULL));
    submit_to(harness, 65535, "f.o", "long f(long x) { return x; }", NULL);
    cr_expect(answer.completed == 1 && answer.code == 0);
    expect_value_in(harness, 65535, "f", 1);
    cr_expect_eq(call_in(harness, 0, "f", 1).code, JITD_ERROR_NOT_FOUND);
    cr_expect_eq(define(harness, &(struct jitd_library){.number = 1,
                                                        .search = (const struct jitd_search[]){{.library = 7}},
                                                        .search_count = 1}),
                 JITD_ERROR_NOT_FOUND);
    harness_close(harness);
}

/* ---- waiting lookups ---- */

static const char *const both_names[2] = {"here", "later"};

Test(lookup, is_answered_when_all_of_its_names_are_ready)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    harness_link_c(harness, "here.o", "long here(long x) { return x; }");
    jitd_request request = look_up_ready(harness, both_names, 300, &answer);
    submit_to(harness, 0, "later.o", "extern long last(long); long later(long x) { return last(x); }", NULL);
    cr_expect_eq(answer.completed, 0, "'later' has an address and is not ready");
    harness_link_c(harness, "last.o", "long last(long x) { return x; }");
    harness_wait(harness, request);
    cr_assert_eq(answer.code, 0, "%s", answer.text);
    cr_expect(answer.addresses[0].ready && answer.addresses[1].ready);
    cr_expect_eq(answer.addresses[1].address, harness_address(harness, "later"));
    request = look_up_ready(harness, both_names, 0, &answer);
    harness_wait(harness, request);
    cr_expect(answer.code == 0 && answer.addresses[1].ready, "what is ready is answered at once");
    /* The first lookup's deadline passes, and there is nothing left that it could hit. */
    request = look_up_ready(harness, (const char *const[]){"here", "never"}, 400, &answer);
    harness_wait(harness, request);
    cr_expect_eq(answer.code, JITD_ERROR_TIMEOUT);
    cr_expect_eq(harness_value(harness, "later", 4), 4);
    harness_close(harness);
}

Test(lookup, is_given_up_at_its_deadline)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    harness_wait(harness, look_up_ready(harness, both_names, 30, &answer));
    cr_expect_eq(answer.code, JITD_ERROR_TIMEOUT, "%s", answer.text);
    cr_expect(strstr(answer.text, "'here'") || strstr(answer.text, "'later'"), "%s", answer.text);
    harness_link_c(harness, "here.o", "long here(long x) { return x; }");
    harness_close(harness);
}

Test(lookup, can_be_cancelled_as_long_as_it_waits)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    jitd_request request = look_up_ready(harness, both_names, 0, &answer);
    cr_expect_eq(cancel(harness, request), 1);
    cr_expect_eq(answer.completed, 1, "its own answer comes first");
    cr_expect_eq(answer.code, JITD_ERROR_CANCELLED);
    cr_expect_eq(cancel(harness, request), 0, "it waits no more");
    cr_expect_eq(cancel(harness, 123456), 0);
    harness_close(harness);
}

static const char far_source[] = "__asm__(\".globl far_away\\nfar_away = 0x123456789abc\\n\");\n";
static const char near_source[] = "\t.globl a\n\t.type a, @function\na:\tmov far_away(%rip), %rax\n\tret\n"
                                  "\t.section .note.GNU-stack,\"\",@progbits\n";

/* A unit a.o that is taken, is linked when far.o comes, and cannot be. */
static void submit_doomed(struct harness *harness)
{
    harness_add_assembly(harness, "a.o", near_source);
    submit(harness, 0);
}

static void submit_doom(struct harness *harness)
{
    submit_to(harness, 0, "far.o", far_source, NULL);
    harness_settle(harness);
}

Test(lookup, fails_with_what_it_waits_for)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    submit_doomed(harness);
    submit_to(harness, 0, "b.o", "extern long a(long); long b(long x) { return a(x); }", NULL);
    jitd_request request = look_up_ready(harness, (const char *const[]){"b", "b"}, 0, &answer);
    submit_doom(harness);
    harness_wait(harness, request);
    cr_expect_eq(answer.code, JITD_ERROR_DEPENDENCY_FAILED, "%s", answer.text);
    cr_assert_eq(answer.cause_count, 3);
    cr_expect(strstr(answer.causes[0], ":b"), "%s", answer.causes[0]);
    cr_expect_str_eq(answer.causes[1], "b.o:a");
    cr_expect_str_eq(answer.causes[2], "a.o:");
    harness_close(harness);
}

/* ---- failing ---- */

Test(failure, tells_the_chain_of_its_causes)
{
    struct harness *harness = harness_open(NULL);
    submit_doomed(harness);
    submit_to(harness, 0, "b.o", "extern long a(long); long b(long x) { return a(x); }", NULL);
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "f_0", .global = "c"}),
                                           USES({.local = "g_0", .global = "b"})};
    submit_to(harness, 0, "c.o", local_names, &manifest);
    submit_doom(harness);
    const struct harness_error *first = &harness_unit(harness, "a.o")->error,
                               *last = &harness_unit(harness, "c.o")->error;
    cr_expect_eq(first->code, JITD_ERROR_RELOCATION_RANGE);
    cr_expect_eq(first->cause_count, 0);
    cr_expect_eq(last->code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_assert_eq(last->cause_count, 3);
    cr_expect_str_eq(last->causes[0], "c.o:b");
    cr_expect_str_eq(last->causes[1], "b.o:a");
    cr_expect_str_eq(last->causes[2], "a.o:");
    cr_expect_eq(last->causes_omitted, 0);
    harness_close(harness);
}

Test(failure, of_a_long_chain_keeps_both_ends_and_counts_the_rest)
{
    enum { UNITS = 40 };
    static char names[UNITS][16], sources[UNITS][128];
    struct harness *harness = harness_open(NULL);
    submit_doomed(harness);
    for (int i = 0; i < UNITS; i++) {
        char callee[16] = "a";
        if (i > 0)
            snprintf(callee, sizeof callee, "f%d", i - 1);
        snprintf(names[i], sizeof names[i], "%d.o", i);
        snprintf(sources[i], sizeof sources[i], "extern long %s(long); long f%d(long x) { return %s(x); }", callee, i,
                 callee);
        harness_add_c(harness, names[i], sources[i]);
    }
    submit(harness, 0);
    submit_doom(harness);
    const struct harness_error *last = &harness_unit(harness, "39.o")->error;
    cr_assert_eq(last->cause_count, 16);
    cr_expect_str_eq(last->causes[0], "39.o:f38");
    cr_expect_str_eq(last->causes[14], "25.o:f24");
    cr_expect_str_eq(last->causes[15], "a.o:");
    cr_expect_eq(last->causes_omitted, 25, "24.o down to 0.o");
    harness_close(harness);
}

Test(atomic_batch, becomes_ready_as_a_whole)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "easy.o", "long easy(long x) { return x; }");
    harness_add_c(harness, "waits.o", "extern long late(long); long waits(long x) { return late(x); }");
    submit(harness, JITD_BATCH_ATOMIC);
    link_beside(harness, "other.o", "long other(long x) { return x; }", "other");
    expect_state(harness, "easy.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "late.o", "long late(long x) { return x + 1; }");
    harness_settle(harness);
    expect_state(harness, "easy.o", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "waits", 1), 2);
    harness_close(harness);
}

Test(atomic_batch, fails_as_a_whole)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "easy.o", "long easy(long x) { return x; }");
    harness_add_assembly(harness, "a.o", near_source);
    submit(harness, JITD_BATCH_ATOMIC);
    submit_doom(harness);
    const struct harness_error *error = &harness_unit(harness, "easy.o")->error;
    expect_state(harness, "easy.o", JITD_UNIT_FAILED);
    cr_expect_eq(error->code, JITD_ERROR_DEPENDENCY_FAILED, "%s", error->text);
    cr_assert_eq(error->cause_count, 2);
    cr_expect_str_eq(error->causes[0], "easy.o:", "no symbol joins them");
    cr_expect_str_eq(error->causes[1], "a.o:");
    cr_expect_eq(harness_address(harness, "easy"), 0);
    harness_close(harness);
}

Test(cancelling, units_takes_their_dependents_with_them_and_leaves_what_is_ready)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "ready.o", "long ready(long x) { return x; }");
    submit_to(harness, 0, "waits.o", "extern long gone(long); long waits(long x) { return gone(x); }", NULL);
    submit_to(harness, 0, "above.o", "extern long waits(long); long above(long x) { return waits(x); }", NULL);
    const uint64_t units[] = {harness_unit(harness, "ready.o")->id, harness_unit(harness, "waits.o")->id, 4000000};
    cr_expect_eq(cancel_units(harness, units, 3), 1);
    const struct harness_error *above = &harness_unit(harness, "above.o")->error;
    cr_expect_eq(harness_unit(harness, "waits.o")->error.code, JITD_ERROR_CANCELLED, "told before the answer");
    cr_expect_eq(above->code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_assert_eq(above->cause_count, 2);
    cr_expect_str_eq(above->causes[0], "above.o:waits");
    cr_expect_str_eq(above->causes[1], "waits.o:");
    cr_expect_eq(cancel_units(harness, units, 3), 0);
    cr_expect_eq(harness_value(harness, "ready", 1), 1);
    submit_to(harness, 0, "waits.o", "long waits(long x) { return x + 8; }", NULL);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "waits", 1), 9, "the name is free again");
    harness_close(harness);
}

Test(cancelling, leaves_nothing_with_those_that_the_unit_waited_for)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "middle.o", "extern long last(long); long middle(long x) { return last(x); }");
    submit(harness, 0);
    harness_add_c(harness, "above.o", "extern long middle(long); long above(long x) { return middle(x); }");
    submit(harness, 0);
    cr_expect_eq(cancel_units(harness, &harness_unit(harness, "above.o")->id, 1), 1);
    harness_add_c(harness, "idle.o", "extern long never(long); long idle(long x) { return never(x); }");
    submit(harness, 0); /* uses the memory again that the cancelled one has had */
    link_beside(harness, "last.o", "long last(long x) { return x; }", "middle");
    expect_state(harness, "middle.o", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "middle", 3), 3);
    harness_close(harness);
}

Test(cancelling, a_call_that_has_not_begun_leaves_the_one_that_runs)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call running, waiting;
    harness_link_c(harness, "f.o",
                   "#include <unistd.h>\nlong slow(long x) { write(1, \"on\", 2); usleep(300000); return x; }\n"
                   "long f(long x) { return x; }\n");
    jitd_request first = harness_call_begin(harness, "slow", 1, &running);
    jitd_request second = harness_call_begin(harness, "f", 2, &waiting);
    harness_await_output(harness, "on");
    cr_expect_eq(cancel(harness, first), 0, "it has begun");
    cr_expect_eq(cancel(harness, second), 1);
    cr_expect(waiting.completed && waiting.code == JITD_ERROR_CANCELLED);
    harness_wait(harness, first);
    cr_expect(running.returned && running.value == 1);
    cr_expect_eq(harness_value(harness, "f", 3), 3);
    harness_close(harness);
}

Test(cancelling, a_run_whose_unit_waits_leaves_nothing_of_it)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c("long user(long); long f(long x) { return user(x); }", HARNESS_FLAGS);
    struct harness_call call;
    harness_add_c(harness, "user.o", "long late(long); long user(long x) { return late(x); }");
    cr_assert_eq(harness_submit(harness, 0), 0);
    jitd_request run = harness_run_begin(harness, "run.o", &object, "f", 1, &call);
    cr_expect_eq(cancel(harness, run), 1);
    cr_expect(call.completed && call.code == JITD_ERROR_CANCELLED, "%s", call.text);
    cr_expect_eq(cancel(harness, run), 0, "it waits no more");
    harness_link_c(harness, "late.o", "long late(long x) { return x + 1; }");
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, "f", 1, &call));
    cr_expect(call.returned && call.value == 2, "%s", call.text);
    object_free(&object);
    harness_close(harness);
}

/* ---- introspection ---- */

#define LISTED 8

struct listing {
    int completed;
    uint64_t next_unit;
    size_t unit_count;
    uint64_t units[LISTED];
    char names[LISTED][32];
    uint32_t libraries[LISTED];
    enum jitd_unit_state states[LISTED];
    size_t use_counts[LISTED];
    uint64_t first_use[LISTED];
    uint64_t waits_for[LISTED];
    size_t missing_counts[LISTED];
    char missing[LISTED][32];
    bool has_code[LISTED]; /* an extent in zone X */
    size_t library_count;
    uint32_t library_numbers[LISTED];
    char library_names[LISTED][32];
    size_t search_counts[LISTED];
    uint32_t first_searched[LISTED];
};

static void list_unit(struct listing *listing, const struct jitd_unit *unit)
{
    size_t i = listing->unit_count++;
    listing->units[i] = unit->unit;
    snprintf(listing->names[i], sizeof listing->names[i], "%s", unit->name);
    listing->libraries[i] = unit->library;
    listing->states[i] = unit->state;
    listing->use_counts[i] = unit->use_count;
    listing->first_use[i] = unit->use_count ? unit->uses[0] : 0;
    listing->waits_for[i] = unit->waits_for;
    listing->missing_counts[i] = unit->missing_count;
    snprintf(listing->missing[i], sizeof listing->missing[i], "%s", unit->missing_count ? unit->missing[0] : "");
    for (size_t e = 0; e < unit->extent_count; e++)
        listing->has_code[i] |= strcmp(unit->extents[e].zone, "X") == 0 && unit->extents[e].bytes != 0;
}

static void on_inspection(struct jitd_session *session, const struct jitd_inspection *inspection,
                          const struct jitd_errors *errors, void *data)
{
    struct listing *listing = data;
    listing->completed++;
    cr_assert(inspection, "%s", errors ? errors->list[0].text : "");
    cr_assert(inspection->units_listed <= LISTED && inspection->library_count <= LISTED);
    listing->next_unit = inspection->next_unit;
    for (size_t i = 0; i < inspection->units_listed; i++)
        list_unit(listing, &inspection->units[i]);
    for (size_t i = 0; i < inspection->library_count; i++) {
        const struct jitd_library_info *library = &inspection->libraries[listing->library_count++];
        listing->library_numbers[i] = library->number;
        snprintf(listing->library_names[i], sizeof listing->library_names[i], "%s", library->name);
        listing->search_counts[i] = library->search_count;
        listing->first_searched[i] = library->search_count ? library->search[0].library : 0;
    }
}

static struct listing inspect(struct harness *harness, unsigned flags, uint64_t first, uint32_t limit)
{
    struct listing listing = {0};
    jitd_request request;
    MUST(harness, jitd_inspect_from(harness->session, flags, first, limit, on_inspection, &listing, &request));
    harness_wait(harness, request);
    cr_assert_eq(listing.completed, 1);
    return listing;
}

Test(inspection, lists_whom_units_use_and_what_they_wait_for)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    harness_link_c(harness, "base.o", "long base(long x) { return x; } long base_2(long x) { return x; }");
    submit_to(harness, 0, "waits.o",
              "extern long base(long), base_2(long), gone(long);\n"
              "long waits(long x) { return base(x) + base_2(x) + gone(x); }",
              NULL);
    look_up_ready(harness, (const char *const[]){"base", "gone"}, 0, &answer);
    submit_to(harness, 0, "above.o", "extern long waits(long); long above(long x) { return waits(x); }", NULL);
    struct listing listing = inspect(harness, JITD_INSPECT_UNITS | JITD_INSPECT_DEPENDENCIES, 0, 0);
    cr_assert_eq(listing.unit_count, 3, "a lookup that waits is no unit of ours");
    cr_expect_eq(listing.next_unit, 0);
    cr_expect_str_eq(listing.names[0], "base.o");
    cr_expect(listing.states[0] == JITD_UNIT_READY && listing.has_code[0] && listing.use_counts[0] == 0);
    cr_expect_eq(listing.use_counts[1], 1, "each unit once");
    cr_expect_eq(listing.first_use[1], listing.units[0]);
    cr_expect_eq(listing.waits_for[1], 0, "nobody offers what it waits for");
    cr_assert_eq(listing.missing_counts[1], 1);
    cr_expect_str_eq(listing.missing[1], "gone");
    cr_expect_eq(listing.first_use[2], listing.units[1]);
    cr_expect_eq(listing.waits_for[2], listing.units[1]);
    cr_expect_eq(listing.missing_counts[2], 0);
    listing = inspect(harness, JITD_INSPECT_UNITS, 0, 0);
    cr_expect_eq(listing.use_counts[1] + listing.missing_counts[1] + listing.waits_for[2], 0, "only where asked for");
    harness_close(harness);
}

Test(inspection, lists_units_page_by_page)
{
    static const char *const names[] = {"0.o", "1.o", "2.o", "3.o", "4.o"};
    struct harness *harness = harness_open(NULL);
    for (int i = 0; i < 5; i++) {
        char source[64];
        snprintf(source, sizeof source, "long f%d(long x) { return x; }", i);
        harness_link_c(harness, names[i], source);
    }
    uint64_t first = 0;
    for (int i = 0; i < 5; i += 2) {
        struct listing listing = inspect(harness, JITD_INSPECT_UNITS, first, 2);
        cr_assert_eq(listing.unit_count, i == 4 ? 1 : 2);
        for (size_t u = 0; u < listing.unit_count; u++)
            cr_expect_str_eq(listing.names[u], names[(size_t)i + u]);
        cr_expect_eq(listing.next_unit == 0, i == 4);
        first = listing.next_unit;
    }
    cr_expect_eq(inspect(harness, JITD_INSPECT_UNITS, 1000, 0).unit_count, 0);
    harness_close(harness);
}

Test(inspection, lists_libraries_and_where_units_belong)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_search search[] = {{.library = 5}, {.library = 0}};
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 5, .name = "five"}), 0);
    cr_assert_eq(define(harness, &(struct jitd_library){.number = 9, .search = search, .search_count = 2}), 0);
    submit_to(harness, 9, "f.o", "long f(long x) { return x; }", NULL);
    struct listing listing = inspect(harness, JITD_INSPECT_UNITS | JITD_INSPECT_LIBRARIES, 0, 0);
    cr_assert_eq(listing.library_count, 3);
    cr_expect_str_eq(listing.library_names[0], "main");
    cr_expect(listing.library_numbers[1] == 5 && listing.search_counts[1] == 0);
    cr_expect_str_eq(listing.library_names[1], "five");
    cr_expect(listing.library_numbers[2] == 9 && listing.search_counts[2] == 2 && listing.first_searched[2] == 5);
    cr_assert_eq(listing.unit_count, 1);
    cr_expect_eq(listing.libraries[0], 9);
    harness_close(harness);
}
