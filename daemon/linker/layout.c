#include "daemon/linker/layout.h"

#include <string.h>

#include "daemon/linker/actions.h"
#include "daemon/linker/gather.h"
#include "daemon/linker/initialisers.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/unwind.h"

/* libgcc walks .eh_frame up to a record of length 0. */
#define EH_FRAME_TERMINATOR 4

/* By the flags that the section has or that its name brings; sections that the linker writes once and nobody after it
   are constants. */
enum zone layout_zone_of(const struct object_section *section)
{
    enum section_kind kind = (enum section_kind)section->kind;

    if (section_kind_is_array(kind))
        return ZONE_R;
    if ((section->flags & SHF_EXECINSTR) || section_kind_is_piece(kind))
        return ZONE_X;
    if (!(section->flags & SHF_WRITE))
        return ZONE_R;
    if (section->type == SHT_NOBITS)
        return ZONE_Z;
    return kind == SECTION_RELRO ? ZONE_R : ZONE_D;
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

static int check_eh_frame(struct unit *unit, uint32_t index, const struct arch *arch, struct error *error)
{
    const struct object_section *section = &unit->pending->object.sections[index];
    struct pending *pending = unit->pending;
    struct unwind_shape shape;
    int code = unwind_check(arch, section->content, section->bytes, &shape, error);

    if (code)
        return code;
    if (pending->eh_frames++ == 0)
        pending->eh_frame = index;
    pending->fde_count += shape.fde_count;
    pending->omitted = pending->eh_frames == 1 ? omitted_bytes(unit, index, &shape, arch) : 0;
    return 0;
}

/* Room for the header, the records and their terminator, one behind another. Records that share the common CIE have
   fields of four bytes only. */
static void plan_eh_frames(struct unit *unit, struct arena_need *need)
{
    struct pending *pending = unit->pending;
    uint64_t header_bytes = unwind_header_bytes(pending->fde_count, pending->eh_frames);
    uint32_t left = pending->eh_frames;

    layout_append(need, header_bytes, 4);
    for (uint32_t i = pending->eh_frame; left > 0; i++) {
        const struct object_section *section = &pending->object.sections[i];

        if (!layout_is_eh_frame(unit, i))
            continue;
        uint64_t at = layout_append(need, section->bytes - pending->omitted + EH_FRAME_TERMINATOR,
                                    pending->omitted ? 4 : max_u64(section->alignment, 8));
        pending->placements[i].offset = (int32_t)at - (int32_t)pending->omitted;
        if (left-- == pending->eh_frames)
            pending->unwind_header = at - header_bytes;
    }
}

static int plan_section(struct unit *unit, uint32_t index, const struct arch *arch, struct arena_need needs[ZONE_COUNT],
                        struct error *error)
{
    const struct object_section *section = &unit->pending->object.sections[index];
    struct placement *placement = &unit->pending->placements[index];
    enum section_kind kind = (enum section_kind)section->kind;

    unit->pending->has_initialisers |= kind >= SECTION_INIT;
    if (kind == SECTION_EH_FRAME && section->bytes > 0) {
        placement->zone = ZONE_R;
        return check_eh_frame(unit, index, arch, error);
    }
    placement->zone = (uint8_t)layout_zone_of(section);
    if (section_kind_is_piece(kind) && section->bytes > 0)
        return 0;
    uint64_t alignment = section_kind_is_array(kind) ? max_u64(section->alignment, 8) : section->alignment;
    placement->offset = (int32_t)layout_append(&needs[placement->zone], section->bytes, alignment);
    return 0;
}

/* Common symbols that this unit won for its batch (gABI: value is the alignment). */
static void plan_commons(struct unit *unit, struct arena_need *need)
{
    for (uint32_t i = 0; i < unit->pending->offer_count; i++) {
        struct contest *contest = unit->pending->offers[i].symbol->contest;

        if (resolve_offer_stands(unit, i) && contest->strength == STRENGTH_COMMON)
            contest->common_offset = layout_append(need, contest->common_bytes, contest->common_alignment);
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

/* Sections are capped one by one; so many of them that the sum is absurd end here, before it can wrap. */
static int check_sums(const struct arena_need needs[ZONE_COUNT], struct error *error)
{
    for (int z = 0; z < ZONE_COUNT; z++)
        if (needs[z].bytes > ARENA_REACH)
            return error_set(error, ERROR_ARENA_FULL,
                             "the object needs more than %llu MiB of zone %s, which 32-bit displacements do not reach "
                             "across: no session has an arena of that size",
                             ARENA_REACH >> 20, zone_names[z]);
    return 0;
}

int layout_plan(struct unit *unit, const struct arch *arch, struct arena_need needs[ZONE_COUNT], struct error *error)
{
    memset(needs, 0, ZONE_COUNT * sizeof needs[0]);
    unit->pending->has_initialisers = false;
    unit->pending->eh_frame = unit->pending->eh_frames = unit->pending->fde_count = 0;
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        if (!object_section_is_loaded(&unit->pending->object.sections[i]))
            unit->pending->placements[i].zone = ZONE_COUNT;
        if (unit->pending->placements[i].zone == ZONE_COUNT || unit->pending->placements[i].gathered)
            continue;
        int code = plan_section(unit, i, arch, needs, error);
        if (!code)
            code = check_sums(needs, error);
        if (code)
            return code;
    }
    if (unit->pending->eh_frames)
        plan_eh_frames(unit, &needs[ZONE_R]);
    int code = initialisers_plan(unit, arch, needs, error);
    if (!code)
        code = gather_plan(unit, needs, error);
    if (code)
        return code;
    plan_commons(unit, &needs[ZONE_Z]);
    plan_own_commons(unit, &needs[ZONE_Z]);
    unit->pending->data_bytes = needs[ZONE_D].bytes;
    actions_plan(unit, &needs[ZONE_R]);
    return check_sums(needs, error);
}

void layout_settle(struct unit *unit, const struct arena *arena)
{
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        struct placement *placement = &unit->pending->placements[i];

        if (placement->zone != ZONE_COUNT && !placement->gathered)
            placement->offset += (int32_t)unit->block.extent[placement->zone].offset;
    }
    if (unit->pending->eh_frame)
        unit->pending->unwind_header += unit->block.extent[ZONE_R].offset;
    unit->pending->stub_offset += unit->block.extent[ZONE_X].offset;
    unit->pending->data_offset = unit->block.extent[ZONE_D].offset;
    unit->pending->common_offset = unit->block.extent[ZONE_Z].offset;
    initialisers_settle(unit, arena);
}
