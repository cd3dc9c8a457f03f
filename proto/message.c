/*
 * Decoding of messages under a budget, and the checks that protobuf-c leaves out.
 *
 * protobuf-c turns a few bytes on the wire into a large heap (an empty repeated submessage grows more than sixtyfold,
 * an unknown field nearly as much) and takes any number for an enumeration. Hence every allocation comes from a pool
 * with a budget, and a walk over the decoded message, guided by its descriptor, refuses values the schema lacks. The
 * walk recurses as deep as the schema does, which contains no cycle, whatever the peer sent.
 */
#include "proto/message.h"

#include <inttypes.h>

#include "common/bytes.h"
#include "common/log.h"
#include "proto/limits.h"

static const struct message_kind kinds[] = {
#define MESSAGE_KIND(name, number, type, descriptor, direction)                                                        \
    [number] = {#name, (number), MESSAGE_##direction, &jitd__proto__##descriptor##__descriptor},
    MESSAGE_TYPES(MESSAGE_KIND)
#undef MESSAGE_KIND
};

const struct message_kind *message_kind(uint16_t type)
{
    return type < ARRAY_LENGTH(kinds) && kinds[type].name ? &kinds[type] : NULL;
}

struct budget {
    struct pool *pool; /* borrowed */
    bool refused;
};

static void *budget_allocate(void *data, size_t size)
{
    struct budget *budget = data;
    void *memory = pool_allocate_uninitialised(budget->pool, size);
    budget->refused |= !memory;
    return memory;
}

static void budget_free(void *data, void *memory)
{
    (void)data; /* the pool's reset frees */
    (void)memory;
}

static bool holds_enumeration(const ProtobufCMessageDescriptor *descriptor)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_ENUM)
            return true;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && holds_enumeration(field->descriptor))
            return true;
    }
    return false;
}

static int check_enumerations(const ProtobufCMessage *message, struct error *error);

static int check_value(const ProtobufCFieldDescriptor *field, const ProtobufCMessageDescriptor *parent,
                       const void *element, struct error *error)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)element;
        return inner ? check_enumerations(inner, error) : 0;
    }
    int value = *(const int *)element;
    if (protobuf_c_enum_descriptor_get_value(field->descriptor, value))
        return 0;
    return error_set(error, ERROR_PROTOCOL, "%s.%s: %d is not a value of %s", parent->short_name, field->name, value,
                     ((const ProtobufCEnumDescriptor *)field->descriptor)->short_name);
}

static int check_field(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message, struct error *error)
{
    const char *base = (const char *)message;
    const char *element = base + field->offset;
    size_t count = 1;
    size_t stride = field->type == PROTOBUF_C_TYPE_MESSAGE ? sizeof(void *) : sizeof(int);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        count = *(const size_t *)(base + field->quantifier_offset);
        element = *(const char *const *)element;
    } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        count = *(const uint32_t *)(base + field->quantifier_offset) == field->id;
    }
    int code = 0;
    for (size_t i = 0; i < count && !code; i++)
        code = check_value(field, message->descriptor, element + i * stride, error);
    return code;
}

static int check_enumerations(const ProtobufCMessage *message, struct error *error)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        bool wanted = field->type == PROTOBUF_C_TYPE_ENUM ||
                      (field->type == PROTOBUF_C_TYPE_MESSAGE && holds_enumeration(field->descriptor));
        int code = wanted ? check_field(field, message, error) : 0;
        if (code)
            return code;
    }
    return 0;
}

/* Unpacks with the pool's own budget lowered to what a message of this length may take. */
static ProtobufCMessage *unpack(struct budget *budget, const ProtobufCMessageDescriptor *descriptor,
                                const uint8_t *bytes, size_t length)
{
    ProtobufCAllocator allocator = {.alloc = budget_allocate, .free = budget_free, .allocator_data = budget};
    struct pool *pool = budget->pool;
    size_t own = pool->budget;
    uint64_t allowed = min_u64(LIMIT_DECODE_BYTES, LIMIT_DECODE_FLOOR + LIMIT_DECODE_FACTOR * (uint64_t)length);
    if (pool->used <= own && allowed < own - pool->used)
        pool->budget = pool->used + allowed;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, length, bytes);
    pool->budget = own;
    return message;
}

int message_decode(struct pool *pool, uint16_t type, const uint8_t *bytes, size_t length, ProtobufCMessage **out,
                   struct error *error)
{
    *out = NULL;
    const struct message_kind *kind = message_kind(type);
    if (!kind)
        return error_set(error, ERROR_UNSUPPORTED, "message type %u is not known", type);
    if (length > LIMIT_MESSAGE_BYTES)
        return error_set(error, ERROR_LIMIT, "%s of %zu bytes, at most %llu are taken", kind->name, length,
                         LIMIT_MESSAGE_BYTES);
    struct budget budget = {.pool = pool};
    ProtobufCMessage *message = unpack(&budget, kind->descriptor, bytes, length);
    if (!message && budget.refused)
        return error_set(error, ERROR_LIMIT, "%s of %zu bytes would take too much memory when decoded", kind->name,
                         length);
    if (!message)
        return error_set(error, ERROR_PROTOCOL, "%s of %zu bytes does not parse", kind->name, length);
    int code = check_enumerations(message, error);
    if (!code)
        *out = message;
    return code;
}

void message_trace(const char *arrow, uint16_t type, uint64_t request, size_t message_bytes, size_t attachment_bytes,
                   size_t descriptors)
{
    const struct message_kind *kind = message_kind(type);
    log_trace(TRACE_PROTO, "%s %s #%" PRIu64 " message %zu attachment %zu descriptors %zu", arrow,
              kind ? kind->name : "UNKNOWN", request, message_bytes, attachment_bytes, descriptors);
}
