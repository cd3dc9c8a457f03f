/*
 * Sections gathered over a batch: ld defines __start_X and __stop_X as the bounds of the section X of the whole link,
 * for each X that is a C identifier, and programs build tables out of that.
 *
 * Where a unit refers to one of the two and no unit defines it, the sections X of all units of its batch and library
 * lie side by side in the block of that unit, the host, in the batch's order. A manifest keeps its object's names
 * local: then its own sections alone are gathered. The units whose sections lie there, and the host, use each other in
 * a circle, through symbols in a namespace of their own: they become ready, fail and are removed together, so that no
 * table leads to what is gone. A batch that refers to no such name pays for a look at the first letters of what its
 * objects leave undefined.
 */
#ifndef LINKER_GATHER_H
#define LINKER_GATHER_H

#include "daemon/linker/link.h"

/* Whether the name might be one of the two. */
static inline bool gather_may_bound(const char *name)
{
    return name[0] == '_' && name[1] == '_' && name[2] == 's' && name[3] == 't';
}

/* The unit refers to a name that its object does not define. NO_MEMORY. */
int gather_want(struct linker *linker, struct unit *unit, const char *name);

/* COMDAT groups are decided, and all names that matter to the unit's sections are wanted: finds its sections, and is
   asked once for each unit, in the batch's order. NO_MEMORY. */
int gather_collect(struct linker *linker, struct unit *unit, struct report *report);

/* What the name means in the unit: the batch's own symbol, whose address is known after gather_settle; NULL where there
   is no such section, or no memory. */
struct symbol *gather_find(struct linker *linker, struct unit *unit, const char *name);

/* All uses are resolved: sections of which a bound is used get their places. OBJECT_SECTION where one of them is
   writable and another one executable; ARENA_FULL; NO_MEMORY. */
int gather_place(struct linker *linker, struct batch *batch, struct report *report);

/* The room that the unit is host to: adds it to what its block needs. ARENA_FULL. */
int gather_plan(struct unit *unit, struct arena_need needs[ZONE_COUNT], struct error *error);

/* All units of the batch have their blocks: makes places in a host's room places in zones. */
void gather_settle(const struct linker *linker, const struct batch *batch);

/* Forgets what was only needed while the batch was being resolved. */
void gather_close(struct batch *batch);

/* Code that lies in another unit's block: of zone X. */
struct code_piece {
    struct code_piece *next;
    struct arena_extent extent;
};

#endif
