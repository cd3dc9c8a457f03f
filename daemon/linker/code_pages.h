/*
 * Whose code an address is in: the units by the pages of zone X in which their blocks begin.
 *
 * Blocks do not overlap, so that the unit which covers an address is one that begins in its page, or the last one that
 * begins before that. A page has room for 256 blocks at most; how many pages an answer looks at, the size of the unit
 * decides, not the number of units. Ways and other room that a unit took later (unit.extra) are not in it.
 */
#ifndef LINKER_CODE_PAGES_H
#define LINKER_CODE_PAGES_H

#include <stddef.h>
#include <stdint.h>

struct unit;

struct code_pages {
    struct unit **first; /* owned mapping; of each page, a list through unit.next_in_page */
    size_t bytes;
};

int code_pages_open(struct code_pages *pages, uint64_t code_bytes); /* the size of X; NO_MEMORY */
void code_pages_close(struct code_pages *pages);

/* The unit has got its block, which stays where it is until it is removed here. */
void code_pages_add(struct code_pages *pages, struct unit *unit);

/* One that is not there is allowed. */
void code_pages_remove(struct code_pages *pages, const struct unit *unit);

/* The unit whose block covers an offset in zone X, or NULL. */
struct unit *code_pages_find(const struct code_pages *pages, uint64_t offset);

#endif
