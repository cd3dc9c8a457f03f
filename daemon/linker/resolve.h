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

/* All units of the batch are opened. Fills globals, offers, uses and discarded placements of each. */
int resolve_batch(struct linker *linker, struct batch *batch, struct report *report);

/* The batch has its room: binds its definitions, with their addresses, and enters its uses. */
void resolve_commit(struct linker *linker, struct batch *batch);

/* "needs 'f' by calling convention 1, but it is defined with 0". */
int resolve_refuse_convention(const struct unit *unit, const struct symbol *symbol, uint64_t wanted,
                              struct error *error);

/* Gives the unit's aliases the addresses of what they stand for; how many of them have none yet. */
uint32_t resolve_settle_aliases(struct unit *unit);

/* Takes back what a committed unit has bound. */
void resolve_withdraw(struct unit *unit);

/* The unit of this batch whose definition of the name stands so far, or NULL. */
struct unit *resolve_winner(const struct symbol *symbol, const struct batch *batch);

/* How strong a definition the object's symbol is; STRENGTH_NONE for a reference. */
enum symbol_strength resolve_strength_of(const struct unit *unit, uint32_t index);

/* Report errors: the unit's name is put before the text. Give the code. */
int resolve_no_memory(struct report *report, const struct unit *unit);
int resolve_refuse_unit(struct report *report, const struct unit *unit, struct error *error);

/* Reports a name that is referred to by the object's symbol `index` and missing; `why` ends the text. A later reference
   to the same name joins the entry. */
void resolve_report_missing(struct report *report, const struct unit *unit, uint32_t index, const char *name,
                            const char *why);

#endif
