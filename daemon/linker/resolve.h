/*
 * Resolving one batch: which definition of each name stands, and what every unit needs from others.
 *
 * Inside a batch ld's rules hold (gABI, "Symbol Table"): a strong definition beats a common one beats a weak one, the
 * first of equals stands, two strong ones are an error; of COMDAT groups with one signature the first is kept.
 * Against earlier batches the first definition stands, and a strong one repeated is an error. Then come the symbols of
 * the runner's libraries, which any unit's definition hides from units that come after it.
 *
 * Nothing that lasts is written before resolve_commit: decisions lie in the symbols under the batch's number.
 */
#ifndef LINKER_RESOLVE_H
#define LINKER_RESOLVE_H

#include "daemon/linker/link.h"

/* All units of the batch are opened. Fills globals, referenced, uses and discarded placements of each. */
int resolve_batch(struct linker *linker, struct batch *batch, struct report *report);

/* The batch has its room: binds its definitions, with their addresses, and enters its uses. */
void resolve_commit(struct linker *linker, struct batch *batch);

/* Takes back what a committed unit has bound. */
void resolve_withdraw(struct unit *unit);

/* Binds an unbound symbol to the runner's libraries where they have it. */
void resolve_process(struct linker *linker, struct symbol *symbol);

#endif
