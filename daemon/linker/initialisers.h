/*
 * What runs before a program and after it, as objects have it: arrays of pointers (.preinit_array, .init_array, .ctors,
 * .fini_array, .dtors) and pieces of two functions (.init, .fini).
 *
 * Arrays become the unit's list of them, in zone R. A static linker puts the pieces of all objects one behind another
 * between crti.o, which begins the functions _init and _fini, and crtn.o, which ends them. Here each unit's pieces are
 * a function of their own, with such a beginning and end around them (arch.h), and a word in zone R that leads to it is
 * an array of one. So a unit can come and go with its pieces as with its arrays.
 */
#ifndef LINKER_INITIALISERS_H
#define LINKER_INITIALISERS_H

#include "common/error.h"
#include "daemon/linker/arch.h"
#include "daemon/linker/unit.h"

/* All sections but pieces are placed: places those, and makes the list. UNSUPPORTED for the crt files themselves;
   NO_MEMORY. */
int initialisers_plan(struct unit *unit, const struct arch *arch, struct arena_need needs[ZONE_COUNT],
                      struct error *error);

/* Offsets in the block become offsets in zones, and the list's have their addresses. */
void initialisers_settle(struct unit *unit, const struct arena *arena);

/* Writes what surrounds the pieces, before they are copied. */
void initialisers_surround(const struct unit *unit, const struct arch *arch, const struct arena *arena);

/* The words of .ctors and .dtors, once they are relocated, are reversed, as by ld: those ran backwards. */
void initialisers_reverse(const struct unit *unit, const struct arena *arena);

#endif
