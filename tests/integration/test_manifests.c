/*
 * Manifests, through libjitd and against a real daemon: what names mean.
 */
#include <criterion/criterion.h>

#include "common/bytes.h"
#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/integration/peer.h"
#include "tests/integration/requests.h"

static const char local_names[] = "extern long g_0(long); long f_0(long x) { return g_0(x) + 1; }\n";

Test(manifest, gives_the_same_local_names_a_meaning_of_their_own_in_each_unit)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest first = {DEFINITIONS({.local = "f_0", .global = "first"}),
                                        USES({.local = "g_0", .global = "twice"})};
    const struct jitd_manifest second = {DEFINITIONS({.local = "f_0", .global = "second"}),
                                         USES({.local = "g_0", .global = "thrice"})};
    harness_add_to(harness, 0, "first.o", local_names, &first);
    harness_add_to(harness, 0, "second.o", local_names, &second);
    harness_add_c(harness, "base.o", "long twice(long x) { return 2 * x; } long thrice(long x) { return 3 * x; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
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
    harness_submit_named(harness, "f.o", local_names, &manifest);
    requests_link_beside(harness, "late.o", "long late(long x) { return x * 4; }", "late");
    harness_expect_state(harness, "f.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "later.o", "long later;");
    harness_expect_state(harness, "f.o", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "f", 10), 41);
    harness_close(harness);
}

Test(manifest, binds_a_weak_use_that_nobody_meets_to_nothing)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "f"}),
                                           USES({.local = "g_0", .global = "gone", .flags = JITD_USE_WEAK})};
    harness_submit_named(
        harness, "f.o",
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
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1, .name = "one"}), 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 2,
                                                                 .search = (const struct jitd_search[]){{.library = 1}},
                                                                 .search_count = 1}),
                 0);
    cr_assert_eq(
        requests_define(harness,
                        &(struct jitd_library){.number = 3,
                                               .search = (const struct jitd_search[]){{.library = 1, .hidden = true}},
                                               .search_count = 1}),
        0);
    const struct jitd_manifest hiding = {DEFINITIONS({.local = "f", .flags = JITD_DEFINITION_HIDDEN})};
    harness_submit_to(harness, 1, "f.o", "long f(long x) { return x + 1; }", &hiding);
    static const char user[] = "extern long f(long); long user(long x) { return f(x) * 10; }";
    harness_submit_to(harness, 1, "inside.o", user, NULL);
    harness_submit_to(harness, 2, "outside.o", user, NULL);
    harness_submit_to(harness, 3, "trusted.o", user, NULL);
    requests_expect_value(harness, 1, "user", 20);
    requests_expect_value(harness, 3, "user", 20);
    harness_expect_state(harness, "outside.o", JITD_UNIT_RESOLVED);
    cr_expect_eq(requests_address_in(harness, 2, "f"), 0);
    cr_expect_neq(requests_address_in(harness, 1, "f"), 0);
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
    harness_submit_named(harness, "names", NULL, &manifest);
    harness_submit_named(
        harness, "user.o",
        "extern long size(long), later(long); extern char somewhere[];\n"
        "long user(long x) { return size(x) + later(x); } long place(long x) { return (long)somewhere; }",
        NULL);
    harness_expect_state(harness, "names", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "later.o", "long defined_later(long x) { return x * 100; }");
    harness_expect_state(harness, "names", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "user", -3), -297);
    cr_expect_eq(harness_value(harness, "place", 0), 0x123456789000);
    cr_expect_eq(harness_address(harness, "size"), address);
    cr_expect_eq(harness_address(harness, "later"), harness_address(harness, "defined_later"));
    harness_close(harness);
}

Test(manifest, looks_in_the_one_library_that_a_use_names)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1}), 0);
    harness_submit_named(harness, "main.o", "long g(long x) { return x + 1; }", NULL);
    harness_submit_to(harness, 1, "one.o", "long g(long x) { return x + 2; }", NULL);
    const struct jitd_manifest own = {DEFINITIONS({.local = "f_0", .global = "own"}),
                                      USES({.local = "g_0", .global = "g"})};
    const struct jitd_manifest ones = {DEFINITIONS({.local = "f_0", .global = "ones"}),
                                       USES({.local = "g_0", .global = "g", .flags = JITD_USE_LIBRARY, .library = 1})};
    const struct jitd_manifest mains = {
        DEFINITIONS({.local = "f_0", .global = "mains"}),
        USES({.local = "g_0", .global = "g", .flags = JITD_USE_LIBRARY, .library = JITD_LIBRARY_MAIN}),
        ALIASES({.name = "alias", .target = "g", .flags = JITD_USE_LIBRARY, .library = 1})};
    harness_submit_to(harness, 1, "own.o", local_names, &own);
    harness_submit_named(harness, "ones.o", local_names, &ones);
    harness_submit_to(harness, 1, "mains.o", local_names, &mains);
    requests_expect_value(harness, 1, "own", 4);
    requests_expect_value(harness, 0, "ones", 4);
    requests_expect_value(harness, 1, "mains", 3);
    requests_expect_value(harness, 1, "alias", 3);
    harness_close(harness);
}

Test(manifest, refuses_libraries_that_are_not_there)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest nowhere = {USES({.local = "g_0", .flags = JITD_USE_LIBRARY, .library = 9})};
    harness_add_to(harness, 0, "nowhere.o", local_names, &nowhere);
    cr_expect_eq(harness_submit(harness, 0), JITD_ERROR_NOT_FOUND, "%s", harness->errors[0].text);
    harness_add_to(harness, 9, "stray.o", local_names, NULL);
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
    harness_submit_named(harness, "g.o", "long g_0(long x) { return x; }", &defines);
    harness_submit_named(harness, "agrees.o", local_names, &agrees);
    harness_add_to(harness, 0, "differs.o", local_names, &differs);
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
    harness_submit_named(harness, "names", NULL, &names);
    harness_submit_named(harness, "uses.o", local_names, &uses);
    harness_submit_named(harness, "g.o", "long g_0(long x) { return x; }", &defines);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "f", 1), 2);
    harness_wait(harness, requests_look_up_ready(harness, (const char *const[]){"g", "again"}, 0, &answer));
    cr_expect_eq(answer.error.code, 0, "who only asks for an address calls nothing: %s", answer.error.text);
    harness_close(harness);
}
