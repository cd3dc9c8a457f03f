#include "daemon/linker/dependents.h"

#include <stdlib.h>

#include "daemon/linker/link.h"

const struct symbol *dependents_symbol(const struct dependent *dependent)
{
    return unit_needs(dependent->user)[dependent->need];
}

static size_t count_needs(const struct linker *linker)
{
    size_t count = 0;

    for (const struct unit *user = units_after(&linker->units, 0); user; user = units_after(&linker->units, user->id))
        count += user->need_count;
    return count;
}

static void add_needs(struct dependents *dependents, struct unit *user)
{
    for (uint32_t n = 0; n < user->need_count; n++) {
        const struct symbol *symbol = unit_needs(user)[n];

        if (symbol->binding == SYMBOL_UNIT)
            dependents->list[dependents->count++] = (struct dependent){symbol->definer->id, user, n};
    }
}

static int compare(const void *left, const void *right)
{
    const struct dependent *a = left, *b = right;

    if (a->definer != b->definer)
        return a->definer < b->definer ? -1 : 1;
    if (a->user != b->user)
        return a->user->id < b->user->id ? -1 : 1;
    return a->need < b->need ? -1 : a->need > b->need;
}

int dependents_open(const struct linker *linker, struct dependents *out)
{
    *out = (struct dependents){.list = malloc((count_needs(linker) + 1) * sizeof *out->list)};
    if (!out->list)
        return ERROR_NO_MEMORY;
    for (struct unit *user = units_after(&linker->units, 0); user; user = units_after(&linker->units, user->id))
        add_needs(out, user);
    qsort(out->list, out->count, sizeof *out->list, compare);
    return 0;
}

void dependents_close(struct dependents *dependents)
{
    free(dependents->list);
    *dependents = (struct dependents){0};
}

static size_t first_of(const struct dependents *dependents, uint64_t definer)
{
    size_t low = 0, high = dependents->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (dependents->list[middle].definer < definer)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct dependent *dependents_of(const struct dependents *dependents, uint64_t definer, size_t *count)
{
    size_t first = first_of(dependents, definer), end = first;

    while (end < dependents->count && dependents->list[end].definer == definer)
        end++;
    *count = end - first;
    return dependents->list + first;
}
