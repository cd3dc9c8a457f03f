/*
 * Linking one component: units whose needs are met by ready units or by each other. All addresses are known, so this is
 * arithmetic and copying, without a question to anybody and without a system call; the units of a large component are
 * linked on all threads at once (workers.h).
 */
#ifndef LINKER_COMPONENT_H
#define LINKER_COMPONENT_H

#include "common/error.h"
#include "daemon/linker/link.h"

/* Adds room for the unit's slots and stubs to what its block needs. They are foreseen when the unit is submitted and
   are the unit's own, so that which bytes lie where depends on the order of submission alone, not on when units are
   linked, and so that they go when the unit goes. Symbols that nobody has bound yet are taken to lie in the arena.
   Any thread, with a pool of its own. */
int component_foresee(const struct linker *linker, struct pool *scratch, struct unit *unit,
                      struct arena_need needs[ZONE_COUNT], struct error *error);

/* scan -> allocate slots -> copy -> relocate -> publish. On failure the culprit is named; bytes already in place are
   the caller's to free with the units. */
int component_link(struct linker *linker, struct unit *root, struct unit **culprit, struct error *error);

#endif
