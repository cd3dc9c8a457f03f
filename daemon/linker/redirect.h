/*
 * Redirection: what a redirectable or lazy definition's trampoline leads to instead of what it came with.
 */
#ifndef LINKER_REDIRECT_H
#define LINKER_REDIRECT_H

#include "daemon/linker/link.h"

struct redirect_request {
    struct symbol *symbol;
    struct symbol *target; /* NULL: its own body */
};

/* Looks both names up as a unit of the library would find them, and checks that the one may take the place of the
   other. NOT_FOUND, NOT_CALLABLE, CONVENTION, INVALID. An empty target asks for the symbol's own body. */
int redirect_check(struct linker *linker, uint32_t library, const struct manifest_name *symbol,
                   const struct manifest_name *target, struct redirect_request *out, struct error *error);

/* One store. While it is in force the target's unit cannot be removed. INVALID where calls would go in a circle; then
   nothing has changed. */
int redirect_apply(struct linker *linker, const struct redirect_request *request, struct error *error);

/* The unit goes, with all redirections of its symbols. */
void redirect_forget(const struct unit *unit);

#endif
