/*
 * Redirection: what a redirectable or lazy definition's trampoline leads to instead of what it came with.
 */
#ifndef LINKER_REDIRECT_H
#define LINKER_REDIRECT_H

#include "daemon/linker/link.h"

struct redirect_request {
    struct symbol *symbol;
    struct symbol *target; /* NULL: its own body */
    struct symbol *before; /* what was in force */
};

/* Looks both names up as a unit of the library would find them, and checks that the one may take the place of the
   other. NOT_FOUND, NOT_CALLABLE, CONVENTION, INVALID. An empty target asks for the symbol's own body. */
int redirect_check(struct linker *linker, uint32_t library, const struct manifest_name *symbol,
                   const struct manifest_name *target, struct redirect_request *out, struct error *error);

/* All of them, each one store, or with an error none: INVALID where calls would go in a circle. While it is in force
   the target's unit cannot be removed. */
int redirect_apply(struct linker *linker, struct redirect_request *requests, size_t count, struct error *error);

/* Units that were ready have failed and still have their names: functions that were redirected to theirs are what they
   were before. */
void redirect_lead_back(struct linker *linker);

/* The unit goes, with all redirections of its symbols. */
void redirect_forget(const struct unit *unit);

#endif
