/*
 * Trampolines: stubs of a unit's own whose slots change while code runs.
 *
 *   a lazy use                what the unit's code calls until the function is there: leads to whoever supplies it
 *   a lazy definition         a name that is offered before its function is there: the same, for others
 *   a redirectable definition the function's address; its slot leads to its body, or to what took its place
 *
 * They lie at the beginning of the unit's slots and stubs, so that their addresses are known as soon as the unit has
 * its room. What a slot holds is one aligned word, stored at once: a call sees the old function or the new one.
 */
#ifndef LINKER_TRAMPOLINE_H
#define LINKER_TRAMPOLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/linker/hash_table.h"

struct lazy;
struct linker;
struct offer;
struct symbol;
struct unit;
struct way;

enum trampoline_kind { TRAMPOLINE_LAZY_USE, TRAMPOLINE_LAZY_DEFINITION, TRAMPOLINE_REDIRECTABLE };

struct trampoline {
    struct hash_entry entry;  /* once the unit is linked, of those that are lazy */
    struct unit *unit;        /* whose array it lies in */
    struct lazy *lazy;        /* borrowed; once the unit is linked, of those that are lazy */
    struct trampoline *next;  /* of the same lazy symbol */
    struct trampoline **link; /* what points to this one */
    struct symbol *wanted;    /* borrowed, and counted in its `lazies`; what a lazy one waits for, in its own library */
    struct symbol *definition; /* borrowed; the symbol that has the trampoline's address; NULL for a use */
    struct symbol *target;     /* borrowed, and counted as used; what it was redirected to, or NULL */
    uint64_t body;             /* of a redirectable one: the function that came with the unit */
    struct way *ways;          /* borrowed; ways to it by other conventions (adapters.h) */
    uint64_t convention;       /* by which it is called */
    uint32_t library;          /* where the search of a lazy one begins... */
    bool exact;                /* ...and ends */
    uint8_t kind;              /* enum trampoline_kind */
    uint32_t index;            /* of a lazy use: in the object's symbol table */
};

/* The unit's next trampoline; there is room for it. */
struct trampoline *trampoline_add(struct unit *unit, enum trampoline_kind kind);

/* Addresses in the runner; valid once the unit has its room. */
uint64_t trampoline_stub(const struct linker *linker, const struct trampoline *trampoline);
uint64_t trampoline_slot(const struct linker *linker, const struct trampoline *trampoline);

/* The number that identifies it to the runner: its slot's place in zone S. */
uint32_t trampoline_number(const struct trampoline *trampoline);

/* Writes the stubs and first slots of a unit that is being linked: a redirectable one leads to its body, the others to
   whoever supplies what is not there. Touches the unit's own room alone. */
void trampoline_write(const struct linker *linker, const struct unit *unit);

/* The function that calls of it go on to; NULL: its own body, or nothing yet. */
struct symbol *trampoline_reached(const struct trampoline *trampoline);

/* Has it lead where its calls go on to, through an adapter where that is called otherwise, and to whoever supplies what
   is not there; gives the address, or 0 for the latter. Other threads may be in it. */
uint64_t trampoline_lead(struct linker *linker, const struct trampoline *trampoline);

#endif
