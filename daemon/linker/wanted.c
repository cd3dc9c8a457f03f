#include "daemon/linker/wanted.h"

#include <stdlib.h>

#include "common/error.h"

struct wanted_entry {
    struct hash_entry entry;
    struct symbol *symbol; /* borrowed */
};

void wanted_close(struct wanted *wanted)
{
    hash_table_close(&wanted->by_name, free);
}

int wanted_add(struct wanted *wanted, struct symbol *symbol)
{
    struct wanted_entry *wanting;

    if (symbol->wanted)
        return 0;
    wanting = hash_table_reserve(&wanted->by_name, 1) == 0 ? malloc(sizeof *wanting) : NULL;
    if (!wanting)
        return ERROR_NO_MEMORY;
    wanting->symbol = symbol;
    hash_table_add(&wanted->by_name, &wanting->entry, symbol_name_hash(symbol));
    symbol->wanted = true;
    return 0;
}

static void visit_one(struct wanted *wanted, struct wanted_entry *wanting,
                      void (*visit)(struct symbol *symbol, void *data), void *data)
{
    struct symbol *symbol = wanting->symbol;

    visit(symbol, data);
    if (symbol->binding == SYMBOL_UNBOUND && symbol->uses)
        return;
    symbol->wanted = false;
    hash_table_remove(&wanted->by_name, &wanting->entry);
    free(wanting);
}

void wanted_visit(struct wanted *wanted, const struct symbol *name, void (*visit)(struct symbol *symbol, void *data),
                  void *data)
{
    const struct hash_table *table = &wanted->by_name;
    struct wanted_entry *wanting =
        name ? hash_table_find(table, symbol_name_hash(name)) : hash_table_after(table, NULL);

    for (struct wanted_entry *next; wanting; wanting = next) {
        next = name ? hash_table_next(&wanting->entry) : hash_table_after(table, &wanting->entry);
        if (!name || symbol_is_namesake(wanting->symbol, name))
            visit_one(wanted, wanting, visit, data);
    }
}
