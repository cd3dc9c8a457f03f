/*
 * Symbols that units wait for and nobody offers, by name, whatever library they are wanted in: kept only where a
 * session has more than one library, so that a new definition finds those whose search order leads to it.
 */
#ifndef LINKER_WANTED_H
#define LINKER_WANTED_H

#include "daemon/linker/symbols.h"

/* Zero-initialised is empty. */
struct wanted {
    struct wanted_entry **buckets; /* owned; a power of two of them */
    size_t bucket_count;
    size_t count;
};

void wanted_close(struct wanted *wanted);

/* Enters a symbol; one that is there already is left alone. NO_MEMORY. */
int wanted_add(struct wanted *wanted, struct symbol *symbol);

/* Calls `visit` for each symbol of a name, or of any name where `name` is NULL; those that nobody wants any more leave
   the table instead. `visit` must not add symbols. */
void wanted_visit(struct wanted *wanted, const struct symbol *name, void (*visit)(struct symbol *symbol, void *data),
                  void *data);

#endif
