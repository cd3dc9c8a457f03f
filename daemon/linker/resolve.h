/*
 * Resolving one batch: which definition of each name stands, and what every unit needs from others.
 *
 * Inside a batch ld's rules hold (gABI, "Symbol Table"): a strong definition beats a common one beats a weak one, the
 * first of equals stands, two strong ones are an error; of COMDAT groups with one signature the first is kept
 * (comdat.h). Against earlier batches the first definition stands, and a strong one repeated is an error. Then come the
 * symbols of the runner's libraries, which any unit's definition hides from units that come after it.
 *
 * Nothing that lasts is written before resolve_commit: decisions lie in the symbols under the batch's number.
 */
#ifndef LINKER_RESOLVE_H
#define LINKER_RESOLVE_H

#include "daemon/linker/link.h"

/* All units of the batch are opened. Fills globals, offers, uses and discarded placements of each. */
int resolve_batch(struct linker *linker, struct batch *batch, struct report *report);

/* The batch has its room: binds its definitions, with their addresses, and enters its uses. */
void resolve_commit(struct linker *linker, struct batch *batch);

/* Takes back what a committed unit has bound. */
void resolve_withdraw(struct unit *unit);

/* The unit of this batch whose definition of the name stands so far, or NULL. */
struct unit *resolve_winner(const struct symbol *symbol, const struct batch *batch);

/* The batch's contest about a name, begun where there is none; NULL: out of memory. */
struct contest *resolve_enter_contest(struct linker *linker, struct symbol *symbol, const struct batch *batch);

/* How strong a definition the object's symbol is; STRENGTH_NONE for a reference. */
enum symbol_strength resolve_strength_of(const struct unit *unit, uint32_t index);

/* Report errors: the unit's name is put before the text. Give the code. */
int resolve_no_memory(struct report *report, const struct unit *unit);
int resolve_refuse_unit(struct report *report, const struct unit *unit, struct error *error);

/* Whether it is the unit's definition of that number that stands so far. */
bool resolve_offer_stands(const struct unit *unit, uint32_t number);

#endif
