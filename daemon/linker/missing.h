/*
 * Names that a batch needs and nobody has: one entry of the report for each, with the places that refer to it, as far
 * as a report goes; the rest is counted. Costs time by the names and the relocations, however many are missing.
 */
#ifndef LINKER_MISSING_H
#define LINKER_MISSING_H

#include "daemon/linker/link.h"

/* The name is referred to by the object's symbol `index`, or 0 where nothing in the object does; `why` ends the text. A
   later reference to the same name joins the entry. */
void missing_report(struct linker *linker, struct report *report, struct unit *unit, uint32_t index, const char *name,
                    const char *why);

/* Forgets what was only needed while the batch was being resolved. */
void missing_close(struct batch *batch);

#endif
