/*
 * Actions that make no sense, as many as there may be, and messages that libjitd would not send.
 */
#include <criterion/criterion.h>

#include "proto/limits.h"
#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/integration/peer.h"

Test(actions, that_make_no_sense_or_exceed_a_limit_are_refused_by_the_library)
{
    static struct jitd_manifest_action many[LIMIT_ACTIONS + 1];
    static const char long_argument[LIMIT_ACTION_BYTES + 1];
    for (size_t i = 0; i < LIMIT_ACTIONS + 1; i++)
        many[i].publish = "f";
    const struct {
        struct jitd_manifest_action action;
        int code;
    } cases[] = {
        {{0}, JITD_ERROR_INVALID},
        {{.publish = "", .remove = ""}, JITD_ERROR_INVALID},
        {{.publish = "f", .remove_argument = "x", .remove_bytes = 1}, JITD_ERROR_INVALID},
        {{.remove = "f", .remove_bytes = 1}, JITD_ERROR_INVALID},
        {{.publish = "f", .flags = JITD_USE_WEAK}, JITD_ERROR_INVALID},
        {{.publish = "f", .flags = JITD_USE_LIBRARY, .library = 65536}, JITD_ERROR_LIMIT},
        {{.publish = "f", .publish_argument = long_argument, .publish_bytes = sizeof long_argument}, JITD_ERROR_LIMIT},
    };
    struct jitd_batch *batch = jitd_batch_new(0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct jitd_manifest manifest = {.actions = &cases[i].action, .action_count = 1};
        cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u", .manifest = &manifest}),
                     cases[i].code, "case %zu", i);
    }
    const struct jitd_manifest too_many = {.actions = many, .action_count = LIMIT_ACTIONS + 1};
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u", .manifest = &too_many}),
                 JITD_ERROR_LIMIT);
    jitd_batch_free(batch);
}

Test(actions, as_many_as_a_unit_may_have_are_all_made)
{
    static struct jitd_manifest_action many[LIMIT_ACTIONS];
    const struct jitd_manifest manifest = {.actions = many, .action_count = LIMIT_ACTIONS};
    struct harness *harness = harness_open(NULL);
    for (size_t i = 0; i < LIMIT_ACTIONS; i++)
        many[i] = (struct jitd_manifest_action){.publish = "count_up", .remove = "count_down"};
    harness_link_c(harness, "count.o",
                   "static long count; long counted(long x) { return count; }\n"
                   "int count_up(const void *p, unsigned long n) { count++; return p || n; }\n"
                   "int count_down(const void *p, unsigned long n) { count--; return p || n; }\n");
    harness_add_named(harness, "unit", NULL, &manifest);
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_value(harness, "counted", 0), LIMIT_ACTIONS);
    harness_remove_unit(harness, "unit");
    cr_expect_eq(harness_value(harness, "counted", 0), 0);
    harness_close(harness);
}

static ProtobufCBinaryData bytes_of(const char *bytes, size_t length)
{
    return (ProtobufCBinaryData){.len = length, .data = (uint8_t *)(uintptr_t)bytes};
}

static void send_actions(struct peer *peer, uint64_t request, Jitd__Proto__Action *action, size_t count)
{
    Jitd__Proto__Action *actions[LIMIT_ACTIONS + 1];
    Jitd__Proto__Manifest manifest = JITD__PROTO__MANIFEST__INIT;
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT, *units[] = {&unit};
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    for (size_t i = 0; i < count; i++)
        actions[i] = action;
    manifest.actions = actions;
    manifest.n_actions = count;
    unit.name = bytes_of("unit", 4);
    unit.manifest = &manifest;
    submit.units = units;
    submit.n_units = 1;
    peer_send(peer, MESSAGE_SUBMIT, request, &submit.base);
}

Test(actions, that_no_library_would_send_are_refused_by_the_daemon)
{
    static const char long_argument[LIMIT_ACTION_BYTES + 1];
    static const char long_name[LIMIT_NAME_BYTES + 1] = "f";
    const struct {
        ProtobufCBinaryData publish, publish_argument, remove;
        uint32_t library;
        size_t count;
        uint32_t code;
    } cases[] = {
        {{0}, {0}, {0}, 0, 1, JITD_ERROR_INVALID},
        {{0}, bytes_of("x", 1), bytes_of("f", 1), 0, 1, JITD_ERROR_INVALID},
        {bytes_of("f\0g", 3), {0}, {0}, 0, 1, JITD_ERROR_INVALID},
        {bytes_of(long_name, sizeof long_name), {0}, {0}, 0, 1, JITD_ERROR_INVALID},
        {bytes_of("f", 1), bytes_of(long_argument, sizeof long_argument), {0}, 0, 1, JITD_ERROR_LIMIT},
        {bytes_of("f", 1), {0}, {0}, 0, LIMIT_ACTIONS + 1, JITD_ERROR_LIMIT},
        {bytes_of("f", 1), {0}, {0}, 7, 1, JITD_ERROR_NOT_FOUND},
        {bytes_of("f", 1), {0}, {0}, UINT32_MAX, 1, JITD_ERROR_NOT_FOUND},
    };
    struct peer peer = peer_open_welcomed();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Jitd__Proto__Action action = JITD__PROTO__ACTION__INIT;
        action.publish = cases[i].publish;
        action.publish_argument = cases[i].publish_argument;
        action.remove = cases[i].remove;
        action.library = cases[i].library;
        send_actions(&peer, 10 + i, &action, cases[i].count);
        peer_expect_failed(&peer, 10 + i, cases[i].code);
    }
    peer_expect_alive(&peer);
    peer_close(&peer);
}
