/*
 * The symbols that ld defines by itself, one row each in standard.c: bounds of code and data, arrays of initialisers,
 * and what a program's start files bring.
 *
 * They have ld's rule of PROVIDE: a definition of any unit's that the search finds comes first, and they come before
 * the runner's libraries. Each batch has its own, since a batch is what ld calls a link; they are never offered to
 * others, and no lookup finds them.
 */
#ifndef LINKER_STANDARD_H
#define LINKER_STANDARD_H

#include "daemon/linker/link.h"

/* Enters the names into linker->provided, where searching for process symbols finds them (symbol.standard). */
int standard_provide(struct linker *linker, struct error *error);

/* Whether a reference from an object of the batch may be bound to it. If not, *why says so to those who need it, or is
   empty where the name is just not there yet: `end` and the like are names that a program may give, so that in an open
   batch they are waited for. */
bool standard_has_meaning(const struct symbol *provided, const struct batch *batch, const char **why);

/* The batch's own symbol of that name, which has its address after standard_settle. NULL: out of memory. */
struct symbol *standard_bind(struct linker *linker, struct batch *batch, struct symbol *provided);

/* The batch's units have their room. */
void standard_settle(const struct linker *linker, const struct batch *batch);

#endif
