/*
 * What many objects have and one copy of is wanted: COMDAT groups, and the .gnu.linkonce sections of compilers before
 * them. Of all that have one key the first is kept, in the batch or by a unit that is still there; the sections of the
 * others go nowhere, and their symbols are references to its own. A manifest keeps keys local as it does all names:
 * then all is kept.
 *
 *   a group              its signature
 *   .gnu.linkonce.t.F    the section's name; and F, against groups of one section (ld's
 * _bfd_elf_section_already_linked) .gnu.linkonce.r.F    the same; and it goes with a .gnu.linkonce.t.F that another
 * unit has
 */
#ifndef LINKER_COMDAT_H
#define LINKER_COMDAT_H

#include "daemon/linker/link.h"

/* A phase of resolving (resolve.h): marks discarded sections with ZONE_COUNT in the unit's placements. */
int comdat_resolve(struct linker *linker, struct unit *unit, struct report *report);

/* The batch is being committed: what the unit has kept is known to batches that follow. */
void comdat_keep(struct linker *linker, struct unit *unit);

/* Whether a unit that is there has kept what has the symbol's name for a key: a predicate for symbols_sweep. */
bool comdat_is_key(const struct symbol *symbol, void *linker);

#endif
