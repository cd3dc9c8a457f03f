/*
 * What the names in a unit's object stand for: which global symbols it offers and which it refers to, by its manifest
 * or, without one, under the names themselves.
 */
#ifndef LINKER_NAMES_H
#define LINKER_NAMES_H

#include "daemon/linker/link.h"

/* Phases of resolving a batch (resolve.h): for all units before the next. Make the keys of the names that the unit will
   have to do with, and ask for the memory of their symbols. NO_MEMORY. */
int names_foresee(struct linker *linker, struct unit *unit, struct report *report);
int names_fetch(struct linker *linker, struct unit *unit, struct report *report);

/* Which of a unit's keys is that of its manifest's use. */
uint32_t names_key_of_use(const struct manifest *manifest, const struct manifest_use *use);

/* The unit's keys are there, its object is open, COMDAT groups that lost are marked, `referenced` is filled. Fills
   globals, listed and offers. Errors of the submitter's go to the report; non-zero is out of memory, which is there
   too. */
int names_resolve(struct linker *linker, struct unit *unit, struct report *report);

#endif
