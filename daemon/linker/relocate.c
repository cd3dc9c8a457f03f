/*
 * Scan and apply share `choose`: how a relocation reaches its symbol depends on addresses and on the object's own bytes
 * alone, never on what has been written so far, so both see the same answer.
 *
 * All arithmetic is modulo 2^64, as the psABI's is; a hostile addend gives a wrong value, which the range check judges
 * as any other.
 */
#include "daemon/linker/relocate.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"

enum route {
    ROUTE_DIRECT,
    ROUTE_STUB,
    ROUTE_PLACE, /* a missing weak symbol that is out of reach: the place itself */
    ROUTE_SLOT,
    ROUTE_RELAXED /* the instruction is rewritten already, or will be */
};

static const struct relocation_howto *find_howto(const struct arch *arch, uint64_t type)
{
    static const struct relocation_howto none = {.expression = RELOCATE_UNSUPPORTED};
    return type < arch->howto_count ? &arch->howtos[type] : &none;
}

static bool uses_symbol(const struct relocation_howto *howto)
{
    return howto->expression != RELOCATE_NOTHING && howto->expression != RELOCATE_GOT_A_P;
}

static inline bool uses_slot(const struct relocation_howto *howto)
{
    return howto->expression == RELOCATE_G_GOT_A_P || howto->expression == RELOCATE_G_A;
}

/* Errors: "foo.o:.text+0x1c: R_X86_64_PC32 against 'bar': " and what is wrong. */

struct complaint {
    const struct arch *arch;
    const struct object *object;
    const char *unit;
    uint32_t section;
    const Elf64_Rela *relocation;
};

static void name_type(const struct arch *arch, uint64_t type, char *name, size_t size)
{
    const char *known = find_howto(arch, type)->name;
    if (known)
        snprintf(name, size, "%s", known);
    else
        snprintf(name, size, "relocation type %" PRIu64, type);
}

static int refuse(const struct complaint *at, struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(const struct complaint *at, struct error *error, int code, const char *format, ...)
{
    const char *raw_section = at->object->sections[at->section].name;
    const char *unit = at->unit ? at->unit : "";
    uint64_t offset = at->relocation->r_offset;
    uint32_t index = (uint32_t)ELF64_R_SYM(at->relocation->r_info);
    const char *raw_symbol = index < at->object->symbol_count ? object_symbol_name(at->object, index) : "";
    char what[160], type[40], section[96], symbol[160], place[192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    name_type(at->arch, ELF64_R_TYPE(at->relocation->r_info), type, sizeof type);
    error_set(error, code, "%s:%s+%#" PRIx64 ": %s against '%s': %s",
              log_escape(place, sizeof place, unit, strnlen(unit, sizeof place)),
              log_escape(section, sizeof section, raw_section, strnlen(raw_section, sizeof section)), offset, type,
              log_escape(symbol, sizeof symbol, raw_symbol, strnlen(raw_symbol, sizeof symbol)), what);
    error_set_unit(error, unit);
    error_set_section(error, raw_section, offset);
    error_set_relocation(error, type);
    error_set_symbol(error, raw_symbol);
    return code;
}

/* Checking */

static int check_symbol(const struct complaint *at, uint32_t symbol, struct error *error)
{
    const struct object *object = at->object;
    uint32_t section = object_symbol_section(object, symbol);
    if (section == OBJECT_UNDEFINED) {
        if (symbol == 0 || ELF64_ST_BIND(object->symbols[symbol].st_info) != STB_LOCAL)
            return 0;
        return refuse(at, error, ERROR_OBJECT_RELOCATION, "the symbol is local and undefined");
    }
    if (section >= object->section_count || object->sections[section].loaded)
        return 0;
    char name[96];
    const char *raw = object->sections[section].name;
    return refuse(at, error, ERROR_OBJECT_RELOCATION, "the symbol is in section '%s', which is not loaded",
                  log_escape(name, sizeof name, raw, strnlen(raw, sizeof name)));
}

static int check_relocation(const struct complaint *at, uint8_t *referenced, struct error *error)
{
    const struct object *object = at->object;
    const struct relocation_howto *howto = find_howto(at->arch, ELF64_R_TYPE(at->relocation->r_info));
    uint64_t symbol = ELF64_R_SYM(at->relocation->r_info);
    uint64_t bytes = object->sections[at->section].bytes;
    if (howto->expression == RELOCATE_UNSUPPORTED)
        return refuse(at, error, ERROR_RELOCATION_UNSUPPORTED, "%s",
                      howto->name ? "this type is not supported" : "no such type is known");
    if (symbol >= object->symbol_count)
        return refuse(at, error, ERROR_OBJECT_RELOCATION, "symbol %" PRIu64 " does not exist; there are %" PRIu32,
                      symbol, object->symbol_count);
    if (!range_within(at->relocation->r_offset, howto->bits / 8, bytes))
        return refuse(at, error, ERROR_OBJECT_RELOCATION,
                      "a field of %u bytes here is past the end of the section (%#" PRIx64 " bytes)", howto->bits / 8,
                      bytes);
    if (!uses_symbol(howto))
        return 0;
    if (symbol == 0 && uses_slot(howto))
        return refuse(at, error, ERROR_OBJECT_RELOCATION, "no symbol that could have a slot");
    if (referenced[symbol])
        return 0;
    referenced[symbol] = 1;
    return check_symbol(at, (uint32_t)symbol, error);
}

int relocate_check(const struct arch *arch, const struct object *object, uint32_t section, uint8_t *referenced,
                   const char *unit, struct error *error)
{
    struct complaint at = {.arch = arch, .object = object, .unit = unit, .section = section};
    const struct object_section *source = &object->sections[section];
    for (uint32_t i = 0; i < source->relocation_count; i++) {
        at.relocation = &source->relocations[i];
        int code = check_relocation(&at, referenced, error);
        if (code)
            return code;
    }
    return 0;
}

/* Computing */

struct range {
    int64_t low;
    int64_t high;
};

/* What a field narrower than 64 bits holds. */
static inline struct range howto_range(const struct relocation_howto *howto)
{
    int64_t half = (int64_t)1 << (howto->bits - 1);
    int64_t high = howto->check == CHECK_SIGNED ? half - 1 : half + (half - 1);
    return (struct range){.low = howto->check == CHECK_UNSIGNED ? 0 : -high - 1, .high = high};
}

static inline bool fits(const struct relocation_howto *howto, uint64_t value)
{
    if (howto->check == CHECK_NOTHING)
        return true;
    struct range range = howto_range(howto);
    return value - (uint64_t)range.low <= (uint64_t)range.high - (uint64_t)range.low;
}

/* The psABI's expression. `S` is where the symbol is reached: itself or its stub, whence S stands for L as well. */
static inline uint64_t evaluate(const struct relocation_howto *howto, const struct relocation_target *target,
                                uint64_t S, uint64_t A, uint64_t P, uint64_t GOT)
{
    switch (howto->expression) {
    case RELOCATE_S_A:
        return S + A;
    case RELOCATE_S_A_P:
    case RELOCATE_L_A_P:
        return S + A - P;
    case RELOCATE_G_GOT_A_P:
        return target->slot + A - P;
    case RELOCATE_G_A:
        return target->slot - GOT + A;
    case RELOCATE_GOT_A_P:
        return GOT + A - P;
    case RELOCATE_S_A_GOT:
        return S + A - GOT;
    case RELOCATE_Z_A:
        return target->bytes + A;
    case RELOCATE_UNSUPPORTED:
    case RELOCATE_NOTHING:
        break;
    }
    assert(false && "a relocation without a value");
    return 0;
}

static inline bool uses_place(const struct relocation_howto *howto)
{
    return howto->expression == RELOCATE_S_A_P || howto->expression == RELOCATE_L_A_P;
}

/* How to reach the symbol. `out` is the section's copy, in which relaxed instructions are rewritten, or NULL. */
static inline enum route choose(const struct relocation_context *context, const struct object_section *section,
                                const struct relocation_howto *howto, const struct relocation_target *target,
                                const Elf64_Rela *relocation, uint64_t P, uint8_t *out)
{
    if (uses_slot(howto)) {
        /* A missing weak symbol keeps its slot, which holds the 0 that the code tests for. */
        if ((howto->flags & RELOCATION_RELAXABLE) && !target->weak_missing && !target->by_slot &&
            context->arch->relax((uint32_t)ELF64_R_TYPE(relocation->r_info), section->content, section->bytes,
                                 relocation->r_offset, target->address, relocation->r_addend, P, out))
            return ROUTE_RELAXED;
        return ROUTE_SLOT;
    }
    bool may_use_stub = target->function && (howto->flags & RELOCATION_FUNCTION_MAY_USE_STUB);
    if (may_use_stub && target->by_slot)
        return ROUTE_STUB;
    if (fits(howto, evaluate(howto, target, target->address, (uint64_t)relocation->r_addend, P, context->got)))
        return ROUTE_DIRECT;
    if (target->weak_missing && uses_place(howto))
        return ROUTE_PLACE;
    return may_use_stub ? ROUTE_STUB : ROUTE_DIRECT;
}

void relocate_scan(const struct relocation_context *context, uint32_t section_index, uint64_t place)
{
    const struct object_section *section = &context->object->sections[section_index];
    for (uint32_t i = 0; i < section->relocation_count; i++) {
        const Elf64_Rela *relocation = &section->relocations[i];
        const struct relocation_howto *howto = &context->arch->howtos[ELF64_R_TYPE(relocation->r_info)];
        struct relocation_target *target = &context->targets[ELF64_R_SYM(relocation->r_info)];
        if (!uses_symbol(howto) || target->discarded)
            continue;
        enum route route = choose(context, section, howto, target, relocation, place + relocation->r_offset, NULL);
        if (route == ROUTE_SLOT)
            target->needs |= NEEDS_SLOT;
        else if (route == ROUTE_STUB)
            target->needs |= NEEDS_STUB;
    }
}

static inline void store(uint8_t *at, unsigned bits, uint64_t value)
{
    switch (bits) {
    case 64:
        store_le64(at, value);
        break;
    case 32:
        store_le32(at, (uint32_t)value);
        break;
    case 16:
        store_le16(at, (uint16_t)value);
        break;
    default:
        *at = (uint8_t)value;
    }
}

static int refuse_applying(const struct relocation_context *context, uint32_t section, const Elf64_Rela *relocation,
                           uint64_t value, struct error *error)
{
    const struct complaint at = {.arch = context->arch,
                                 .object = context->object,
                                 .unit = context->unit,
                                 .section = section,
                                 .relocation = relocation};
    if (context->targets[ELF64_R_SYM(relocation->r_info)].discarded)
        return refuse(&at, error, ERROR_OBJECT_RELOCATION, "the symbol's section was discarded with its group");
    struct range range = howto_range(&context->arch->howtos[ELF64_R_TYPE(relocation->r_info)]);
    return refuse(&at, error, ERROR_RELOCATION_RANGE, "value %" PRId64 " not in [%" PRId64 ", %" PRId64 "]",
                  (int64_t)value, range.low, range.high);
}

int relocate_apply(const struct relocation_context *context, uint32_t section_index, uint8_t *bytes, uint64_t place,
                   struct error *error)
{
    const struct object_section *section = &context->object->sections[section_index];
    for (uint32_t i = 0; i < section->relocation_count; i++) {
        const Elf64_Rela *relocation = &section->relocations[i];
        const struct relocation_howto *howto = &context->arch->howtos[ELF64_R_TYPE(relocation->r_info)];
        const struct relocation_target *target = &context->targets[ELF64_R_SYM(relocation->r_info)];
        if (howto->expression == RELOCATE_NOTHING)
            continue;
        if (target->discarded && uses_symbol(howto)) {
            /* A description of a function that is not there: it stays unrelocated and unwind_build leaves it out, so
               that nobody comes to what describes its calls. */
            if (section->kind == SECTION_EH_FRAME || strcmp(section->name, ".gcc_except_table") == 0)
                continue;
            return refuse_applying(context, section_index, relocation, 0, error);
        }
        uint64_t P = place + relocation->r_offset;
        enum route route = choose(context, section, howto, target, relocation, P, bytes);
        if (route == ROUTE_RELAXED)
            continue;
        assert(route != ROUTE_SLOT || target->slot != 0);
        assert(route != ROUTE_STUB || target->stub != 0);
        uint64_t S = route == ROUTE_STUB ? target->stub : route == ROUTE_PLACE ? P : target->address;
        uint64_t value = evaluate(howto, target, S, (uint64_t)relocation->r_addend, P, context->got);
        if (!fits(howto, value))
            return refuse_applying(context, section_index, relocation, value, error);
        store(bytes + relocation->r_offset, howto->bits, value);
    }
    return 0;
}

static void find_places_in(const struct object *object, uint32_t index, struct relocation_place *places)
{
    const struct object_section *section = &object->sections[index];

    for (uint32_t i = 0; i < section->relocation_count; i++) {
        uint64_t symbol = ELF64_R_SYM(section->relocations[i].r_info);

        if (symbol < object->symbol_count && places[symbol].section == 0)
            places[symbol] = (struct relocation_place){index, section->relocations[i].r_offset};
    }
}

void relocate_find_places(const struct object *object, struct relocation_place *places)
{
    for (uint32_t i = 1; i < object->section_count; i++)
        if (object->sections[i].loaded)
            find_places_in(object, i, places);
}
