/*
 * Relocation: one table per instruction set (arch.h), read twice. Scanning tells which symbols need a slot or a stub,
 * once all addresses are known but before memory for slots is taken; applying computes each field, checks its range and
 * stores it. Both decide by the same function whether an instruction can be relaxed, so they cannot disagree.
 */
#ifndef LINKER_RELOCATE_H
#define LINKER_RELOCATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/linker/arch.h"
#include "daemon/linker/object.h"

enum target_needs { NEEDS_SLOT = 1, NEEDS_STUB = 2 };

/* One symbol of an object, as relocations see it. Addresses are the runner's. */
struct relocation_target {
    uint64_t address;  /* S; 0 for an undefined weak symbol */
    uint64_t bytes;    /* Z */
    uint64_t slot;     /* address of its slot; 0 until it has one */
    uint64_t stub;     /* address of its stub; 0 until it has one */
    bool function;     /* may be reached through a stub */
    bool by_slot;      /* where it can be, it is reached through its slot or its stub, however near it is */
    bool weak_missing; /* undefined weak: address 0 is out of reach of a 32-bit displacement and is replaced by the
                          place itself (the code around it tests before it uses) */
    bool discarded; /* in a COMDAT group that lost: the field stays as it is in .eh_frame, and is an error elsewhere */
    uint8_t needs;  /* enum target_needs, set by scanning */
};

struct relocation_context {
    const struct arch *arch;
    const struct object *object;
    struct relocation_target *targets; /* [object->symbol_count] */
    uint64_t got;                      /* GOT: the address of zone S */
    const char *unit;                  /* for errors */
};

/* Whether every relocation of a loaded section is of a supported type, its field lies within the section and its symbol
   exists and is undefined or in a loaded section (RELOCATION_UNSUPPORTED by name, OBJECT_RELOCATION). The functions
   below rely on it. Marks in `referenced` (one byte a symbol) what is used; R_*_NONE and relocations that compute the
   address of GOT alone use no symbol. */
int relocate_check(const struct arch *arch, const struct object *object, uint32_t section, uint8_t *referenced,
                   const char *unit, struct error *error);

/* Sets `needs` of the targets of one section that lies at `place`. Cannot fail: what does not fit is found by applying.
 */
void relocate_scan(const struct relocation_context *context, uint32_t section, uint64_t place);

/* Relocates the section's copy at `bytes`, which is at `place` in the runner. Errors: RELOCATION_RANGE, with the text
   "foo.o:.text+0x1c: R_X86_64_PC32 against 'bar': value 2147483652 not in [-2147483648, 2147483647]";
   OBJECT_RELOCATION for a reference to a discarded section. */
int relocate_apply(const struct relocation_context *context, uint32_t section, uint8_t *bytes, uint64_t place,
                   struct error *error);

/* Where a symbol is referred to. */
struct relocation_place {
    uint32_t section; /* 0: nowhere */
    uint64_t offset;
};

/* The first relocation of a loaded section against each symbol; `places` has one for each, zeroed. */
void relocate_find_places(const struct object *object, struct relocation_place *places);

#endif
