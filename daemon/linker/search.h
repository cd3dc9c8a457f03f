/*
 * Where a name that a unit uses is looked for (library.h), and what becomes of uses that wait for a name when a library
 * on their way comes to offer it.
 */
#ifndef LINKER_SEARCH_H
#define LINKER_SEARCH_H

#include "daemon/linker/link.h"

/* A use of a name: `wanted` is the name's symbol in the namespace of the library itself, where it waits if nobody
   offers it. */
struct search {
    struct symbol *wanted;
    uint32_t library;
    bool exact;
    bool of_units;    /* the runner's libraries are not asked */
    bool from_object; /* a reference in an object's code or data, which alone may mean what the linker itself defines */
};

/* The first symbol in the search's order that a unit defines, one of `batch` (which may be NULL) included, or that the
   runner's libraries have, or a symbol that the linker itself defines (standard.h); NULL when there is none. */
struct symbol *search_find(struct linker *linker, const struct search *search, const struct batch *batch);

/* The same for a name that nobody need have spoken of, and without entering it anywhere: of units alone. NULL when
   there is none. */
struct symbol *search_units(struct linker *linker, uint32_t library, const char *name, size_t length);

/* Whether the search passes the symbol's namespace, and so may come to the symbol. */
bool search_passes(const struct linker *linker, const struct search *search, const struct symbol *symbol);

/* Of units, then of the runner's own libraries, whose symbol is then copied to *process. */
const struct symbol *search_look_up(struct linker *linker, uint32_t library, const char *name, size_t length,
                                    struct symbol *process);

/* A symbol of the runner's libraries, or one that the linker itself defines (symbol.standard); or NULL. */
struct symbol *search_process(struct linker *linker, const char *name, size_t length);

/* From now on there is more than one namespace to search. NO_MEMORY. */
int search_open_spaces(struct linker *linker);

/* The symbol has been bound: binds uses that have waited for its name to what they find first. Before
   graph_symbol_bound, for all symbols of the batch. */
void search_adopt(struct linker *linker, const struct symbol *symbol);

/* Search orders have changed: all that waits looks again. */
void search_again(struct linker *linker);

#endif
