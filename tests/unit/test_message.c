/*
 * proto/message: decoding stays within its budget, and enumerations within the schema.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/limits.h"
#include "proto/message.h"
#include "tests/lib/leaks.h"

static struct pool pool;

static void setup(void)
{
    pool_init(&pool, LIMIT_DECODE_BYTES);
}

static void teardown(void)
{
    pool_fini(&pool);
    expect_no_leaks();
}

TestSuite(message, .init = setup, .fini = teardown);

static uint8_t *packed(const ProtobufCMessage *message, size_t *length)
{
    *length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(*length + 1);
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

static int decode_again(uint16_t type, const ProtobufCMessage *message, ProtobufCMessage **out, struct error *error)
{
    size_t length;
    uint8_t *bytes = packed(message, &length);
    int code = message_decode(&pool, type, bytes, length, out, error);
    free(bytes); /* what was decoded holds copies */
    return code;
}

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){.len = strlen(string), .data = (uint8_t *)string};
}

Test(message, every_type_has_its_kind)
{
    static const struct {
        uint16_t type;
        const char *name;
        enum message_direction direction;
    } rows[] = {{1, "HELLO", MESSAGE_REQUEST},
                {2, "SUBMIT", MESSAGE_REQUEST},
                {128, "FAILED", MESSAGE_REPLY},
                {193, "RUNNER_ENDED", MESSAGE_EVENT}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct message_kind *kind = message_kind(rows[i].type);
        cr_assert(kind);
        cr_expect_str_eq(kind->name, rows[i].name);
        cr_expect_eq(kind->type, rows[i].type);
        cr_expect_eq(kind->direction, rows[i].direction);
    }
    cr_expect_null(message_kind(0));
    cr_expect_null(message_kind(60));
    cr_expect_null(message_kind(196));
    cr_expect_null(message_kind(UINT16_MAX));
}

Test(message, decodes_into_the_pool)
{
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT;
    Jitd__Proto__Range range = JITD__PROTO__RANGE__INIT;
    Jitd__Proto__Unit *units[] = {&unit, &unit};
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    unit.name = text("a.o");
    range.bytes = 77;
    unit.object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
    unit.range = &range;
    submit.n_units = 2;
    submit.units = units;
    ProtobufCMessage *out;
    struct error error;
    cr_assert_eq(decode_again(MESSAGE_SUBMIT, &submit.base, &out, &error), 0);
    const Jitd__Proto__Submit *decoded = (Jitd__Proto__Submit *)out;
    cr_assert_eq(decoded->n_units, 2);
    cr_expect_eq(decoded->units[1]->range->bytes, 77);
    cr_expect_arr_eq(decoded->units[0]->name.data, "a.o", 3);
}

Test(message, an_empty_message_is_legal)
{
    ProtobufCMessage *out;
    cr_expect_eq(message_decode(&pool, MESSAGE_HELLO, NULL, 0, &out, NULL), 0);
    cr_expect(out);
}

Test(message, refuses_bytes_that_do_not_parse)
{
    static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    ProtobufCMessage *out;
    struct error error;
    for (size_t length = 1; length <= sizeof garbage; length++) {
        cr_expect_eq(message_decode(&pool, MESSAGE_SUBMIT, garbage, length, &out, &error), ERROR_PROTOCOL);
        cr_expect_null(out);
    }
}

Test(message, survives_truncation_at_every_byte)
{
    Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    Jitd__Proto__Limits limits = JITD__PROTO__LIMITS__INIT;
    ProtobufCBinaryData names[] = {text("libm.so.6"), text("libc.so.6")};
    hello.n_libraries = 2;
    hello.libraries = names;
    hello.n_arguments = 2;
    hello.arguments = names;
    hello.limits = &limits;
    limits.cpu_seconds = 100000;
    hello.profile = JITD__PROTO__PROFILE__TRUSTED;
    size_t length;
    uint8_t *bytes = packed(&hello.base, &length);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, bytes, cut);
        ProtobufCMessage *out;
        int code = message_decode(&pool, MESSAGE_HELLO, exact, cut, &out, NULL);
        cr_expect(code == 0 || code == ERROR_PROTOCOL, "cut at %zu: %d", cut, code);
        cr_expect_eq(code == 0, out != NULL);
        free(exact);
        pool_reset(&pool);
    }
    free(bytes);
}

Test(message, an_unknown_type_is_told_apart)
{
    ProtobufCMessage *out;
    cr_expect_eq(message_decode(&pool, 77, NULL, 0, &out, NULL), ERROR_UNSUPPORTED);
    cr_expect_null(out);
}

Test(message, refuses_values_that_an_enumeration_lacks)
{
    ProtobufCMessage *out;
    struct error error;
    for (int value = -2; value < 5; value++) {
        Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
        hello.profile = (Jitd__Proto__Profile)value;
        int code = decode_again(MESSAGE_HELLO, &hello.base, &out, &error);
        cr_expect_eq(code, value >= 0 && value <= 2 ? 0 : ERROR_PROTOCOL, "value %d", value);
    }
    cr_expect(strstr(error.text, "Hello.profile: 4 is not a value of Profile"), "%s", error.text);
}

Test(message, refuses_them_in_submessages_too)
{
    Jitd__Proto__Value values[2] = {JITD__PROTO__VALUE__INIT, JITD__PROTO__VALUE__INIT};
    Jitd__Proto__Value *arguments[] = {&values[0], &values[1]};
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_ADDRESS;
    call.address = 0x1000;
    call.n_arguments = 2;
    call.arguments = arguments;
    values[0].type = JITD__PROTO__VALUE_TYPE__POINTER;
    ProtobufCMessage *out;
    cr_expect_eq(decode_again(MESSAGE_CALL, &call.base, &out, NULL), 0);
    values[1].type = (Jitd__Proto__ValueType)8;
    cr_expect_eq(decode_again(MESSAGE_CALL, &call.base, &out, NULL), ERROR_PROTOCOL);
}

Test(message, refuses_them_in_repeated_fields_too)
{
    Jitd__Proto__Layer layers[] = {JITD__PROTO__LAYER__LAYER_SECCOMP, JITD__PROTO__LAYER__LAYER_RLIMITS};
    Jitd__Proto__Welcome welcome = JITD__PROTO__WELCOME__INIT;
    welcome.n_layers = 2;
    welcome.layers = layers;
    ProtobufCMessage *out;
    cr_expect_eq(decode_again(MESSAGE_WELCOME, &welcome.base, &out, NULL), 0);
    layers[1] = (Jitd__Proto__Layer)1000;
    cr_expect_eq(decode_again(MESSAGE_WELCOME, &welcome.base, &out, NULL), ERROR_PROTOCOL);
}

/* `count` fields of two bytes each: the tag given and a length of zero. */
static int decode_repeated(uint16_t type, uint8_t tag, size_t count, struct error *error)
{
    uint8_t *bytes = calloc(count, 2);
    for (size_t i = 0; i < count; i++)
        bytes[2 * i] = tag;
    ProtobufCMessage *out;
    int code = message_decode(&pool, type, bytes, 2 * count, &out, error);
    free(bytes);
    return code;
}

Test(message, refuses_what_grows_beyond_the_budget)
{
    struct error error;
    cr_expect_eq(decode_repeated(MESSAGE_SUBMIT, 0x0a, MIB(2), &error), ERROR_LIMIT);
    cr_expect_leq(pool.used, LIMIT_DECODE_BYTES);
    cr_expect_eq(pool.budget, LIMIT_DECODE_BYTES);
}

Test(message, the_budget_follows_the_length)
{
    struct error error;
    cr_expect_eq(decode_repeated(MESSAGE_SUBMIT, 0x0a, 65536, &error), ERROR_LIMIT);
    cr_expect_leq(pool.used, LIMIT_DECODE_FLOOR + LIMIT_DECODE_FACTOR * 2 * 65536);
    cr_expect_eq(pool.budget, LIMIT_DECODE_BYTES, "the pool's own budget is back");
}

Test(message, unknown_fields_are_within_the_budget_too)
{
    struct error error;
    int code = decode_repeated(MESSAGE_SUBMIT, 15 << 3 | 2, MIB(2), &error);
    cr_expect(code == 0 || code == ERROR_LIMIT);
    cr_expect_leq(pool.used, LIMIT_DECODE_BYTES);
}

Test(message, an_honest_reply_of_unknown_addresses_fits)
{
    struct error error;
    cr_expect_eq(decode_repeated(MESSAGE_ADDRESSES, 0x0a, LIMIT_LOOKUPS_PER_REQUEST, &error), 0, "%s", error.text);
}

Test(message, the_largest_honest_batch_fits)
{
    static const uint8_t unit[] = {0x0a, 4, 0x12, 2, 0x10, 1}; /* no name, a range of one byte */
    uint8_t *bytes = malloc(LIMIT_UNITS_PER_BATCH * sizeof unit);
    for (size_t i = 0; i < LIMIT_UNITS_PER_BATCH; i++)
        memcpy(bytes + i * sizeof unit, unit, sizeof unit);
    ProtobufCMessage *out;
    struct error error;
    cr_expect_eq(message_decode(&pool, MESSAGE_SUBMIT, bytes, LIMIT_UNITS_PER_BATCH * sizeof unit, &out, &error), 0,
                 "%s", error.text);
    free(bytes);
}

Test(message, a_smaller_budget_of_the_pool_stands)
{
    struct pool tiny;
    pool_init(&tiny, 64);
    static const uint8_t two_units[] = {0x0a, 0, 0x0a, 0};
    ProtobufCMessage *out;
    cr_expect_eq(message_decode(&tiny, MESSAGE_SUBMIT, two_units, sizeof two_units, &out, NULL), ERROR_LIMIT);
    pool_fini(&tiny);
}

Test(message, refuses_a_message_over_its_limit_unread)
{
    ProtobufCMessage *out;
    cr_expect_eq(message_decode(&pool, MESSAGE_SUBMIT, NULL, LIMIT_MESSAGE_BYTES + 1, &out, NULL), ERROR_LIMIT);
}
