/*
 * Symbols that units wait for and nobody offers, by name, whatever library they are wanted in: kept only where a
 * session has more than one library, so that a new definition finds those whose search order leads to it.
 */
#ifndef LINKER_WANTED_H
#define LINKER_WANTED_H

#include "daemon/linker/hash_table.h"
#include "daemon/linker/symbols.h"

/* Zero-initialised is empty. */
struct wanted {
    struct hash_table by_name; /* struct wanted_entry, owned */
};

void wanted_close(struct wanted *wanted);

/* Enters a symbol; one that is there already is left alone. NO_MEMORY. */
int wanted_add(struct wanted *wanted, struct symbol *symbol);

/* Calls `visit` for each symbol of a name, or of any name where `name` is NULL; those that nobody wants any more leave
   the table instead. `visit` must not add symbols. */
void wanted_visit(struct wanted *wanted, const struct symbol *name, void (*visit)(struct symbol *symbol, void *data),
                  void *data);

#endif
