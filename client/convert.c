/*
 * Conversions between messages and the public structs (convert.h).
 *
 * The enumerations of jitd.h and jitd.proto have the same numbers, so they are cast; the assertions below hold them
 * together.
 */
#include "client/convert.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define SAME(public_name, wire_name)                                                                                   \
    static_assert((int)(public_name) == (int)(wire_name), #public_name " differs from jitd.proto")
SAME(JITD_PLACEMENT_NEAR, JITD__PROTO__PLACEMENT__NEAR);
SAME(JITD_PLACEMENT_LOW, JITD__PROTO__PLACEMENT__LOW);
SAME(JITD_PROFILE_DEFAULT, JITD__PROTO__PROFILE__DEFAULT);
SAME(JITD_PROFILE_COMPUTE, JITD__PROTO__PROFILE__COMPUTE);
SAME(JITD_PROFILE_TRUSTED, JITD__PROTO__PROFILE__TRUSTED);
SAME(JITD_LAYER_NO_NEW_PRIVILEGES, JITD__PROTO__LAYER__LAYER_NO_NEW_PRIVILEGES);
SAME(JITD_LAYER_SECCOMP, JITD__PROTO__LAYER__LAYER_SECCOMP);
SAME(JITD_LAYER_RLIMITS, JITD__PROTO__LAYER__LAYER_RLIMITS);
SAME(JITD_LAYER_LANDLOCK, JITD__PROTO__LAYER__LAYER_LANDLOCK);
SAME(JITD_LAYER_PID_NAMESPACE, JITD__PROTO__LAYER__LAYER_PID_NAMESPACE);
SAME(JITD_LAYER_LINKER_SECCOMP, JITD__PROTO__LAYER__LAYER_LINKER_SECCOMP);
SAME(JITD_LAYER_SEALS, JITD__PROTO__LAYER__LAYER_SEALS);
SAME(JITD_LAYER_CAPABILITIES, JITD__PROTO__LAYER__LAYER_CAPABILITIES);
SAME(JITD_LAYER_UID, JITD__PROTO__LAYER__LAYER_UID);
SAME(JITD_LAYER_MOUNT_NAMESPACE, JITD__PROTO__LAYER__LAYER_MOUNT_NAMESPACE);
SAME(JITD_LAYER_PRIVATE_PROC, JITD__PROTO__LAYER__LAYER_PRIVATE_PROC);
SAME(JITD_LAYER_CGROUP, JITD__PROTO__LAYER__LAYER_CGROUP);
SAME(JITD_LAYER_USER_NAMESPACE, JITD__PROTO__LAYER__LAYER_USER_NAMESPACE);
SAME(JITD_UNIT_ACCEPTED, JITD__PROTO__UNIT_STATE__ACCEPTED);
SAME(JITD_UNIT_RESOLVED, JITD__PROTO__UNIT_STATE__RESOLVED);
SAME(JITD_UNIT_LINKED, JITD__PROTO__UNIT_STATE__LINKED);
SAME(JITD_UNIT_INITIALISED, JITD__PROTO__UNIT_STATE__INITIALISED);
SAME(JITD_UNIT_READY, JITD__PROTO__UNIT_STATE__READY);
SAME(JITD_UNIT_FAILED, JITD__PROTO__UNIT_STATE__FAILED);
SAME(JITD_UNIT_REMOVED, JITD__PROTO__UNIT_STATE__REMOVED);
SAME(JITD_VOID, JITD__PROTO__VALUE_TYPE__VOID);
SAME(JITD_INT32, JITD__PROTO__VALUE_TYPE__INT32);
SAME(JITD_UINT32, JITD__PROTO__VALUE_TYPE__UINT32);
SAME(JITD_INT64, JITD__PROTO__VALUE_TYPE__INT64);
SAME(JITD_UINT64, JITD__PROTO__VALUE_TYPE__UINT64);
SAME(JITD_FLOAT32, JITD__PROTO__VALUE_TYPE__FLOAT32);
SAME(JITD_FLOAT64, JITD__PROTO__VALUE_TYPE__FLOAT64);
SAME(JITD_POINTER, JITD__PROTO__VALUE_TYPE__POINTER);
SAME(JITD_PROCESS_ALL, JITD__PROTO__PROCESS_SYMBOLS__PROCESS_ALL);
SAME(JITD_PROCESS_NONE, JITD__PROTO__PROCESS_SYMBOLS__PROCESS_NONE);
SAME(JITD_PROCESS_LISTED, JITD__PROTO__PROCESS_SYMBOLS__PROCESS_LISTED);
SAME(JITD_DEFINITION_WEAK, JITD__PROTO__DEFINITION_FLAG__DEFINITION_WEAK);
SAME(JITD_DEFINITION_HIDDEN, JITD__PROTO__DEFINITION_FLAG__DEFINITION_HIDDEN);
SAME(JITD_DEFINITION_FUNCTION, JITD__PROTO__DEFINITION_FLAG__DEFINITION_FUNCTION);
SAME(JITD_DEFINITION_DATA, JITD__PROTO__DEFINITION_FLAG__DEFINITION_DATA);
SAME(JITD_DEFINITION_REDIRECTABLE, JITD__PROTO__DEFINITION_FLAG__DEFINITION_REDIRECTABLE);
SAME(JITD_USE_WEAK, JITD__PROTO__USE_FLAG__USE_WEAK);
SAME(JITD_USE_BY_SLOT, JITD__PROTO__USE_FLAG__USE_BY_SLOT);
SAME(JITD_USE_LAZY, JITD__PROTO__USE_FLAG__USE_LAZY);

int convert_result(const struct converter *converter, struct error *error)
{
    return converter->failed ? error_set(error, ERROR_NO_MEMORY, "out of memory for a message of the daemon") : 0;
}

void *convert_array(struct converter *converter, size_t count, size_t size)
{
    void *array = pool_allocate_array(converter->pool, count, size);
    converter->failed |= !array;
    return array;
}

const char *convert_string(struct converter *converter, const ProtobufCBinaryData *bytes)
{
    if (bytes->len == 0)
        return "";
    const char *copy = pool_copy_string(converter->pool, bytes->data, bytes->len);
    converter->failed |= !copy;
    return copy ? copy : "";
}

const char *const *convert_strings(struct converter *converter, const ProtobufCBinaryData *list, size_t count)
{
    const char **out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = convert_string(converter, &list[i]);
    return out;
}

static const struct jitd_reference *convert_references(struct converter *converter, Jitd__Proto__Reference *const *list,
                                                       size_t count)
{
    struct jitd_reference *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_reference){.unit = convert_string(converter, &list[i]->unit),
                                         .section = convert_string(converter, &list[i]->section),
                                         .offset = list[i]->offset,
                                         .unit_id = list[i]->unit_id,
                                         .unit_place = list[i]->unit_place,
                                         .section_index = list[i]->section_index};
    return out;
}

static const struct jitd_cause *convert_causes(struct converter *converter, Jitd__Proto__Cause *const *list,
                                               size_t count)
{
    struct jitd_cause *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_cause){.unit = convert_string(converter, &list[i]->unit),
                                     .symbol = convert_string(converter, &list[i]->symbol)};
    return out;
}

static struct jitd_error convert_error_message(struct converter *converter, const Jitd__Proto__Error *error)
{
    struct jitd_error out = {
        .code = error->code == 0 || error->code > INT_MAX ? JITD_ERROR_PROTOCOL : (int)error->code,
        .text = convert_string(converter, &error->text),
        .unit = convert_string(converter, &error->unit),
        .section = convert_string(converter, &error->section),
        .offset = error->offset,
        .relocation = convert_string(converter, &error->relocation),
        .symbol = convert_string(converter, &error->symbol),
        .references = convert_references(converter, error->references, error->n_references),
        .reference_count = error->n_references,
        .references_omitted = error->references_omitted,
        .causes = convert_causes(converter, error->causes, error->n_causes),
        .cause_count = error->n_causes,
        .causes_omitted = error->causes_omitted,
    };
    return out;
}

static const struct jitd_error convert_unexplained = {
    .code = JITD_ERROR_PROTOCOL,
    .text = "the daemon reported a failure without saying why",
    .unit = "",
    .section = "",
    .relocation = "",
    .symbol = "",
};

struct jitd_errors convert_errors(struct converter *converter, Jitd__Proto__Error *const *list, size_t count,
                                  size_t omitted)
{
    if (count == 0)
        return (struct jitd_errors){.list = &convert_unexplained, .count = 1, .omitted = omitted};
    struct jitd_error *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = convert_error_message(converter, list[i]);
    return (struct jitd_errors){.list = out, .count = count, .omitted = omitted};
}

const struct jitd_definition *convert_definitions(struct converter *converter, Jitd__Proto__Definition *const *list,
                                                  size_t count)
{
    struct jitd_definition *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_definition){
            .name = convert_string(converter, &list[i]->name), .address = list[i]->address, .bytes = list[i]->bytes};
    return out;
}

static const struct jitd_register *convert_registers(struct converter *converter, Jitd__Proto__Register *const *list,
                                                     size_t count)
{
    struct jitd_register *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_register){.name = convert_string(converter, &list[i]->name), .value = list[i]->value};
    return out;
}

static const struct jitd_frame *convert_frames(struct converter *converter, Jitd__Proto__StackFrame *const *list,
                                               size_t count)
{
    struct jitd_frame *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_frame){.pc = list[i]->pc,
                                     .unit = convert_string(converter, &list[i]->unit),
                                     .section = convert_string(converter, &list[i]->section),
                                     .section_offset = list[i]->section_offset,
                                     .function = convert_string(converter, &list[i]->function),
                                     .function_offset = list[i]->function_offset,
                                     .unit_id = list[i]->unit_id,
                                     .section_index = list[i]->section_index,
                                     .exact = list[i]->exact};
    return out;
}

static const struct jitd_error convert_no_error = {
    .text = "", .unit = "", .section = "", .relocation = "", .symbol = ""};

void convert_end(struct converter *converter, const Jitd__Proto__Ended *ended, struct jitd_end *out)
{
    *out = (struct jitd_end){
        .epoch = ended->epoch,
        .exited = ended->exited,
        .exit_status = ended->exit_status,
        .signal = ended->signal,
        .record = ended->record,
        .record_signal = ended->record_signal,
        .signal_code = ended->signal_code,
        .fault_address = ended->fault_address,
        .stack_overflow = ended->stack_overflow,
        .thread = ended->thread,
        .registers = convert_registers(converter, ended->registers, ended->n_registers),
        .register_count = ended->n_registers,
        .frames = convert_frames(converter, ended->frames, ended->n_frames),
        .frame_count = ended->n_frames,
        .initialiser_of = convert_string(converter, &ended->initialiser_of),
        .finaliser_of = convert_string(converter, &ended->finaliser_of),
        .action_of = convert_string(converter, &ended->action_of),
        .deadline_ms = ended->deadline_ms,
        .lazy_symbol = convert_string(converter, &ended->lazy_symbol),
        .lazy_error = ended->lazy_error ? convert_error_message(converter, ended->lazy_error) : convert_no_error,
    };
}

void convert_welcome(struct converter *converter, const Jitd__Proto__Welcome *welcome, struct jitd_welcome *out)
{
    *out = (struct jitd_welcome){
        .triple = convert_string(converter, &welcome->triple),
        .cpu_features = convert_strings(converter, welcome->cpu_features, welcome->n_cpu_features),
        .cpu_feature_count = welcome->n_cpu_features,
        .page_bytes = welcome->page_bytes,
        .arena_base = welcome->arena_base,
        .arena_bytes = welcome->arena_bytes,
        .libc = convert_string(converter, &welcome->libc),
        .daemon = convert_string(converter, &welcome->daemon),
        .waiting_bytes = welcome->waiting_bytes,
    };
    const Jitd__Proto__ZoneSizes *zones = welcome->zones;
    if (zones) {
        out->zone_bytes[JITD_ZONE_CODE] = zones->code;
        out->zone_bytes[JITD_ZONE_SLOTS] = zones->slots;
        out->zone_bytes[JITD_ZONE_CONSTANTS] = zones->constants;
        out->zone_bytes[JITD_ZONE_DATA] = zones->data;
        out->zone_bytes[JITD_ZONE_ZEROS] = zones->zeros;
    }
    for (size_t i = 0; i < welcome->n_layers; i++)
        if ((unsigned)welcome->layers[i] < 32)
            out->layers |= 1u << welcome->layers[i];
}

struct jitd_value convert_value(const Jitd__Proto__Value *value)
{
    struct jitd_value out = {.type = JITD_VOID, .unsigned_integer = 0};
    if (!value)
        return out;
    out.type = (enum jitd_type)value->type;
    switch (out.type) {
    case JITD_VOID:
        break;
    case JITD_INT32:
        out.integer = (int32_t)value->bits;
        break;
    case JITD_UINT32:
        out.unsigned_integer = (uint32_t)value->bits;
        break;
    case JITD_FLOAT32: {
        uint32_t low = (uint32_t)value->bits;
        memcpy(&out.float32, &low, sizeof low);
        break;
    }
    case JITD_INT64:
    case JITD_UINT64:
    case JITD_FLOAT64:
    case JITD_POINTER:
        memcpy(&out.unsigned_integer, &value->bits, sizeof value->bits);
        break;
    }
    return out;
}

uint64_t convert_bits(const struct jitd_value *value)
{
    uint32_t low;
    switch (value->type) {
    case JITD_VOID:
        return 0;
    case JITD_INT32:
        return (uint64_t)(int64_t)(int32_t)value->integer;
    case JITD_UINT32:
        return (uint32_t)value->unsigned_integer;
    case JITD_FLOAT32:
        memcpy(&low, &value->float32, sizeof low);
        return low;
    case JITD_INT64:
    case JITD_UINT64:
    case JITD_FLOAT64:
    case JITD_POINTER:
        break;
    }
    return value->unsigned_integer; /* the same eight bytes for all four */
}

ProtobufCBinaryData convert_borrow(const char *string)
{
    /* Packing only reads; the generated type has no const. */
    return (ProtobufCBinaryData){.len = string ? strlen(string) : 0, .data = (uint8_t *)string};
}

void convert_error(const struct error *error, struct jitd_error *out)
{
    *out = (struct jitd_error){
        .code = error->code,
        .text = error->text,
        .unit = error->unit,
        .section = error->section,
        .offset = error->offset,
        .relocation = error->relocation,
        .symbol = error->symbol,
    };
}

int convert_keep(const struct jitd_error *shown, struct error *out)
{
    error_set(out, shown->code, "%s", shown->text);
    error_set_unit(out, shown->unit);
    error_set_section(out, shown->section, shown->offset);
    error_set_relocation(out, shown->relocation);
    error_set_symbol(out, shown->symbol);
    return out->code;
}
