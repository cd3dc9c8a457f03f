/*
 * What the names in a unit's object stand for: which global symbols it offers and which it refers to, by its manifest
 * or, without one, under the names themselves.
 */
#ifndef LINKER_NAMES_H
#define LINKER_NAMES_H

#include "daemon/linker/link.h"

/* The unit's object is open, COMDAT groups that lost are marked, `referenced` is filled. Fills globals, listed and
   offers. Errors of the submitter's go to the report; non-zero is out of memory, which is there too. */
int names_resolve(struct linker *linker, struct unit *unit, struct report *report);

#endif
