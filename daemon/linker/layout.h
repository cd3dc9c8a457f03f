/*
 * Layout: which zone each section of a unit goes to, and where in the unit's block.
 *
 *   X: executable sections, one behind another, so that one unwind header serves the unit; the pieces of .init and
 * .fini
 *
 *   R: constants, .data.rel.ro and the arrays of initialisers (only the linker ever writes them), .eh_frame with the
 *      header that unwind.h builds and a terminator, actions with their arguments
 *
 *   D: initialised data
 *
 *   Z: zero data and common symbols
 *
 *   nowhere: notes, debug information, losing COMDATs
 */
#ifndef LINKER_LAYOUT_H
#define LINKER_LAYOUT_H

#include "common/bytes.h"
#include "common/error.h"
#include "daemon/linker/arch.h"
#include "daemon/linker/unit.h"

/* Decides zones and offsets inside the block, and what the block needs. `unit->placements` marks sections that lost
   their COMDAT group with ZONE_COUNT beforehand. Fills eh_frame, fde_count, omitted, arrays, data_bytes. UNSUPPORTED
   for what initialisers_plan refuses; errors of the unwind tables; NO_MEMORY. Touches the unit alone and may be asked
   again. */
int layout_plan(struct unit *unit, const struct arch *arch, struct arena_need needs[ZONE_COUNT], struct error *error);

/* Where a loaded section goes by its flags, and by its name. */
enum zone layout_zone_of(const struct object_section *section);

/* Makes room behind what is needed already, and says where. */
static inline uint64_t layout_append(struct arena_need *need, uint64_t bytes, uint64_t alignment)
{
    uint64_t at = align_up(need->bytes, alignment);

    need->bytes = at + bytes;
    need->alignment = max_u64(need->alignment, alignment);
    return at;
}

/* Whether the section is one with unwind tables that the unit keeps. An object may have several. */
static inline bool layout_is_eh_frame(const struct unit *unit, uint32_t section)
{
    const struct object_section *of = &unit->pending->object.sections[section];

    return of->kind == SECTION_EH_FRAME && of->bytes > 0 && unit->pending->placements[section].zone != ZONE_COUNT;
}

#define LAYOUT_NOWHERE UINT64_MAX

/* Where in the unit's block of zone Z the object's symbol `index` lies, if it is a common symbol of which the session
   does not know; else NOWHERE. Asked of all symbols in order: `*end` begins as own_commons and is carried along. */
uint64_t layout_own_common(const struct unit *unit, uint32_t index, uint64_t *end);

/* The block has its room: makes offsets in the block offsets in zones. */
void layout_settle(struct unit *unit, const struct arena *arena);

#endif
