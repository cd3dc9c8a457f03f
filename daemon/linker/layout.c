#include "daemon/linker/layout.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/actions.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/unwind.h"

/* gABI: a section without a number runs after all that have one, which go up to 65535. */
#define PRIORITY_LAST 65536u

/* libgcc walks .eh_frame up to a record of length 0. */
#define EH_FRAME_TERMINATOR 4

static bool starts_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_array(const struct object_section *section)
{
    return section->type == SHT_INIT_ARRAY || section->type == SHT_FINI_ARRAY || section->type == SHT_PREINIT_ARRAY;
}

/* Sections that the linker writes once and nobody after it. */
static bool is_relocated_constant(const struct object_section *section)
{
    return is_array(section) || starts_with(section->name, ".data.rel.ro");
}

static enum zone zone_of(const struct object_section *section)
{
    if (section->flags & SHF_EXECINSTR)
        return ZONE_X;
    if (!(section->flags & SHF_WRITE))
        return ZONE_R;
    if (section->type == SHT_NOBITS)
        return ZONE_Z;
    return is_relocated_constant(section) ? ZONE_R : ZONE_D;
}

static bool is_eh_frame(const struct object_section *section)
{
    return strcmp(section->name, ".eh_frame") == 0;
}

/* Code that ran only because crt files of a program put a call to it there; here nothing would call it. */
static int refuse_old_initialisers(const struct object_section *section, struct error *error)
{
    static const char *const names[] = {".ctors", ".dtors", ".init", ".fini"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *rest = section->name;

        /* Most names differ in their second letter already. */
        if (section->bytes == 0 || rest[0] != '.' || rest[1] != names[i][1] || !starts_with(rest, names[i]))
            continue;
        rest += strlen(names[i]);
        if (*rest != '\0' && *rest != '.')
            continue;
        error_set(error, ERROR_UNSUPPORTED,
                  "section %s is not supported: compile with a compiler that uses .init_array and .fini_array",
                  names[i]);
        error_set_section(error, section->name, 0);
        return ERROR_UNSUPPORTED;
    }
    return 0;
}

static uint64_t append(struct arena_need *need, uint64_t bytes, uint64_t alignment)
{
    uint64_t at = align_up(need->bytes, alignment);

    need->bytes = at + bytes;
    need->alignment = max_u64(need->alignment, alignment);
    return at;
}

/* Whether somebody may ask where in the section something lies. */
static bool is_referred_to(const struct unit *unit, uint32_t section)
{
    const struct object *object = &unit->pending->object;

    for (uint32_t i = 1; i < object->symbol_count; i++)
        if (object_symbol_section(object, i) == section && (unit->pending->referenced[i] || i >= object->first_global))
            return true;
    return false;
}

/* The bytes at the beginning of .eh_frame that need not be copied: the CIE, where it is the common one, stays as it is
   and nobody would miss it. */
static uint32_t omitted_bytes(const struct unit *unit, uint32_t index, const struct unwind_shape *shape,
                              const struct arch *arch)
{
    const struct object_section *section = &unit->pending->object.sections[index];

    if (!shape->common_cie || is_referred_to(unit, index))
        return 0;
    for (uint32_t i = 0; i < section->relocation_count; i++)
        if (section->relocations[i].r_offset < arch->common_cie_bytes)
            return 0;
    return arch->common_cie_bytes;
}

/* Room for the header, the records and their terminator, one behind another. Records that share the common CIE have
   fields of four bytes only. */
static int plan_eh_frame(struct unit *unit, uint32_t index, const struct arch *arch, struct arena_need *need,
                         struct error *error)
{
    const struct object_section *section = &unit->pending->object.sections[index];
    struct pending *pending = unit->pending;
    struct unwind_shape shape;
    int code = unwind_check(arch, section->content, section->bytes, &shape, error);

    if (code)
        return code;
    if (pending->eh_frame) {
        error_set(error, ERROR_UNSUPPORTED, "more than one .eh_frame section in one object");
        error_set_section(error, section->name, 0);
        return ERROR_UNSUPPORTED;
    }
    pending->eh_frame = index;
    pending->fde_count = shape.fde_count;
    pending->omitted = omitted_bytes(unit, index, &shape, arch);
    append(need, unwind_header_bytes(shape.fde_count), 4);
    uint64_t at = append(need, section->bytes - pending->omitted + EH_FRAME_TERMINATOR,
                         pending->omitted ? 4 : max_u64(section->alignment, 8));
    pending->placements[index].offset = (int32_t)at - (int32_t)pending->omitted;
    pending->unwind_header = at - unwind_header_bytes(shape.fde_count);
    return 0;
}

static int plan_section(struct unit *unit, uint32_t index, const struct arch *arch, struct arena_need needs[ZONE_COUNT],
                        struct error *error)
{
    const struct object_section *section = &unit->pending->object.sections[index];
    struct placement *placement = &unit->pending->placements[index];
    int code = refuse_old_initialisers(section, error);

    if (code)
        return code;
    if (is_eh_frame(section) && section->bytes > 0) {
        placement->zone = ZONE_R;
        return plan_eh_frame(unit, index, arch, &needs[ZONE_R], error);
    }
    placement->zone = (uint8_t)zone_of(section);
    unit->array_count += is_array(section) && section->bytes >= 8;
    placement->offset = (int32_t)append(&needs[placement->zone], section->bytes, section->alignment);
    return 0;
}

/* Common symbols that this unit won for its batch (gABI: value is the alignment). */
static void plan_commons(struct unit *unit, struct arena_need *need)
{
    for (uint32_t i = 0; i < unit->pending->offer_count; i++) {
        struct contest *contest = unit->pending->offers[i].symbol->contest;

        if (resolve_offer_stands(unit, i) && contest->strength == STRENGTH_COMMON)
            contest->common_offset = append(need, contest->common_bytes, contest->common_alignment);
    }
}

uint64_t layout_own_common(const struct unit *unit, uint32_t index, uint64_t *end)
{
    const struct object *object = &unit->pending->object;
    const Elf64_Sym *entry = &object->symbols[index];

    if (index < object->first_global || unit->pending->globals[index - object->first_global] ||
        object_symbol_section(object, index) != OBJECT_COMMON)
        return LAYOUT_NOWHERE;
    uint64_t at = align_up(*end, max_u64(entry->st_value, 1));
    *end = at + entry->st_size;
    return at;
}

/* Those that a manifest keeps local, behind the others. */
static void plan_own_commons(struct unit *unit, struct arena_need *need)
{
    unit->pending->own_commons = need->bytes;
    for (uint32_t i = unit->pending->object.first_global; i < unit->pending->object.symbol_count; i++)
        if (layout_own_common(unit, i, &need->bytes) != LAYOUT_NOWHERE)
            need->alignment = max_u64(need->alignment, unit->pending->object.symbols[i].st_value);
}

static uint32_t array_priority(const struct object_section *section)
{
    const char *dot = strrchr(section->name, '.');

    if (section->type == SHT_PREINIT_ARRAY)
        return 0;
    if (!dot || dot == section->name || dot[1] < '0' || dot[1] > '9')
        return PRIORITY_LAST;
    return (uint32_t)min_u64(strtoul(dot + 1, NULL, 10), PRIORITY_LAST);
}

static int collect_arrays(struct unit *unit, struct error *error)
{
    uint32_t count = 0;

    free(unit->arrays);
    unit->arrays = NULL;
    if (unit->array_count == 0)
        return 0;
    unit->arrays = calloc(unit->array_count, sizeof *unit->arrays);
    if (!unit->arrays)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the list of initialisers");
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        const struct object_section *section = &unit->pending->object.sections[i];

        /* An .eh_frame is one whatever its type. */
        if (unit->pending->placements[i].zone != ZONE_R || section->bytes < 8 || !is_array(section) ||
            i == unit->pending->eh_frame)
            continue;
        unit->arrays[count++] = (struct call_array){
            .address = i, /* the section, until layout_settle */
            .count = (uint32_t)(section->bytes / 8),
            .priority = array_priority(section),
            .finalisers = section->type == SHT_FINI_ARRAY,
        };
    }
    unit->array_count = count;
    return 0;
}

int layout_plan(struct unit *unit, const struct arch *arch, struct arena_need needs[ZONE_COUNT], struct error *error)
{
    memset(needs, 0, ZONE_COUNT * sizeof needs[0]);
    unit->array_count = 0;
    unit->pending->eh_frame = 0;
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        if (!object_section_is_loaded(&unit->pending->object.sections[i]))
            unit->pending->placements[i].zone = ZONE_COUNT;
        if (unit->pending->placements[i].zone == ZONE_COUNT)
            continue;
        int code = plan_section(unit, i, arch, needs, error);
        if (code)
            return code;
        /* Sections are capped one by one; so many of them that the sum is absurd end here, before it can wrap. */
        for (int z = 0; z < ZONE_COUNT; z++)
            if (needs[z].bytes > ARENA_BYTES)
                return error_set(error, ERROR_ARENA_FULL, "the object needs more than %llu bytes of zone %s",
                                 ARENA_BYTES, zone_names[z]);
    }
    plan_commons(unit, &needs[ZONE_Z]);
    plan_own_commons(unit, &needs[ZONE_Z]);
    unit->pending->data_bytes = needs[ZONE_D].bytes;
    actions_plan(unit, &needs[ZONE_R]);
    return collect_arrays(unit, error);
}

void layout_settle(struct unit *unit, const struct arena *arena)
{
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        struct placement *placement = &unit->pending->placements[i];

        if (placement->zone != ZONE_COUNT)
            placement->offset += (int32_t)unit->block.extent[placement->zone].offset;
    }
    if (unit->pending->eh_frame)
        unit->pending->unwind_header += unit->block.extent[ZONE_R].offset;
    unit->pending->stub_offset += unit->block.extent[ZONE_X].offset;
    unit->pending->data_offset = unit->block.extent[ZONE_D].offset;
    unit->pending->common_offset = unit->block.extent[ZONE_Z].offset;
    for (uint32_t i = 0; i < unit->array_count; i++)
        unit->arrays[i].address = unit_section_address(arena, unit, (uint32_t)unit->arrays[i].address);
}
