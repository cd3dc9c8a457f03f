#include "tests/integration/mutate.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/limits.h"
#include "tests/stress/random.h"

#define MOST_ELEMENTS 100000
#define MOST_MESSAGES 2000

static void *allocate(struct pool *pool, size_t size)
{
    void *memory = pool_allocate(pool, size);
    cr_assert(memory);
    return memory;
}

static uint64_t edge(uint64_t *state)
{
    static const uint64_t edges[] = {0,          1,          2,          3,          7,          8,
                                     16,         31,         32,         64,         255,        256,
                                     0x7fff,     0xffff,     0x10000,    0x7fffffff, 0x80000000, 0xfffffffe,
                                     0xffffffff, 1ull << 32, 1ull << 48, INT64_MAX,  1ull << 63, UINT64_MAX - 1,
                                     UINT64_MAX};
    return edges[random_draw(state, ARRAY_LENGTH(edges))];
}

/* ---- values ---- */

static void fill(uint8_t *bytes, size_t length, uint64_t *state)
{
    static const char fillings[] = {'\0', 'f', '\xff', '/', '%'};
    memset(bytes, fillings[random_draw(state, sizeof fillings)], length);
}

static void mutate_bytes(ProtobufCBinaryData *value, struct pool *pool, uint64_t *state)
{
    static const size_t lengths[] = {0, 1, 2, 255, LIMIT_UNIT_NAME_BYTES + 1, LIMIT_NAME_BYTES, LIMIT_NAME_BYTES + 1};
    size_t length = value->len;
    switch (random_draw(state, 4)) {
    case 0: /* one byte of it */
        if (length) {
            value->data = memcpy(allocate(pool, length), value->data, length);
            fill(value->data + random_draw(state, length), 1, state);
            return;
        }
        break;
    case 1: /* its end is missing */
        value->len = random_draw(state, length + 1);
        return;
    case 2: /* something behind it */
        value->data = memcpy(allocate(pool, length + 1), length ? value->data : (uint8_t *)"", length);
        fill(value->data + length, 1, state);
        value->len++;
        return;
    }
    value->len = lengths[random_draw(state, ARRAY_LENGTH(lengths))];
    value->data = allocate(pool, value->len);
    fill(value->data, value->len, state);
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return sizeof(uint64_t);
    default:
        return sizeof(uint32_t);
    }
}

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *descriptor, struct pool *pool)
{
    ProtobufCMessage *message = allocate(pool, descriptor->sizeof_message);
    descriptor->message_init(message);
    return message;
}

static void mutate_value(const ProtobufCFieldDescriptor *field, void *value, struct pool *pool, uint64_t *state)
{
    const ProtobufCEnumDescriptor *values = field->descriptor;
    ProtobufCMessage **message = value;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!*message)
            *message = new_message(field->descriptor, pool);
        else
            mutate(*message, pool, state);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        mutate_bytes(value, pool, state);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *(uint64_t *)value = edge(state);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)value = !*(protobuf_c_boolean *)value;
        break;
    case PROTOBUF_C_TYPE_ENUM:
        *(uint32_t *)value = (uint32_t)values->values[random_draw(state, values->n_values)].value;
        break;
    default:
        *(uint32_t *)value = (uint32_t)edge(state);
    }
}

/* ---- lists ---- */

static size_t other_count(const ProtobufCFieldDescriptor *field, size_t count, uint64_t *state)
{
    size_t most = field->type == PROTOBUF_C_TYPE_MESSAGE ? MOST_MESSAGES : MOST_ELEMENTS;
    switch (random_draw(state, 5)) {
    case 0:
        return 0;
    case 1:
        return count ? count - 1 : 0;
    case 2:
        return random_once_in(state, 8) && size_of(field) <= sizeof(uint64_t) ? most : count + 1;
    case 3:
        return min_u64(count * 2, most);
    default:
        return count + 1;
    }
}

/* Those that are new are as those that were there. */
static void resize(const ProtobufCFieldDescriptor *field, void **list, size_t *count, struct pool *pool,
                   uint64_t *state)
{
    size_t size = size_of(field), wanted = other_count(field, *count, state);
    char *resized = allocate(pool, wanted * size);
    for (size_t i = 0; i < wanted; i++) {
        if (*count)
            memcpy(resized + i * size, (char *)*list + i % *count * size, size);
        else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            ((ProtobufCMessage **)(void *)resized)[i] = new_message(field->descriptor, pool);
    }
    *list = resized;
    *count = wanted;
}

static void mutate_list(const ProtobufCFieldDescriptor *field, void **list, size_t *count, struct pool *pool,
                        uint64_t *state)
{
    if (*count == 0 || random_once_in(state, 3))
        resize(field, list, count, pool, state);
    else
        mutate_value(field, (char *)*list + random_draw(state, *count) * size_of(field), pool, state);
}

void mutate(ProtobufCMessage *message, struct pool *pool, uint64_t *state)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (descriptor->n_fields == 0)
        return;
    const ProtobufCFieldDescriptor *field = &descriptor->fields[random_draw(state, descriptor->n_fields)];
    char *value = (char *)message + field->offset, *quantifier = (char *)message + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        mutate_list(field, (void **)(void *)value, (size_t *)(void *)quantifier, pool, state);
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(uint32_t *)(void *)quantifier != field->id) {
        *(uint32_t *)(void *)quantifier = field->id;
        memset(value, 0, size_of(field));
    }
    mutate_value(field, value, pool, state);
}
