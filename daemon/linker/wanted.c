#include "daemon/linker/wanted.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define FIRST_BUCKETS 64

struct wanted_entry {
    struct wanted_entry *next;
    struct symbol *symbol; /* borrowed */
};

void wanted_close(struct wanted *wanted)
{
    for (size_t b = 0; b < wanted->bucket_count; b++) {
        for (struct wanted_entry *entry = wanted->buckets[b], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    free(wanted->buckets);
    *wanted = (struct wanted){0};
}

static size_t bucket_of(const struct wanted *wanted, const struct symbol *symbol)
{
    return symbol_name_hash(symbol) & (wanted->bucket_count - 1);
}

static int grow(struct wanted *wanted)
{
    struct wanted wider = {.bucket_count = wanted->bucket_count ? wanted->bucket_count * 2 : FIRST_BUCKETS,
                           .count = wanted->count};

    wider.buckets = calloc(wider.bucket_count, sizeof(struct wanted_entry *));
    if (!wider.buckets)
        return ERROR_NO_MEMORY;
    for (size_t b = 0; b < wanted->bucket_count; b++) {
        for (struct wanted_entry *entry = wanted->buckets[b], *next; entry; entry = next) {
            struct wanted_entry **bucket = &wider.buckets[bucket_of(&wider, entry->symbol)];

            next = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(wanted->buckets);
    *wanted = wider;
    return 0;
}

int wanted_add(struct wanted *wanted, struct symbol *symbol)
{
    struct wanted_entry *entry;

    if (symbol->wanted)
        return 0;
    if (wanted->count >= wanted->bucket_count && grow(wanted) != 0)
        return ERROR_NO_MEMORY;
    entry = malloc(sizeof *entry);
    if (!entry)
        return ERROR_NO_MEMORY;
    struct wanted_entry **bucket = &wanted->buckets[bucket_of(wanted, symbol)];
    *entry = (struct wanted_entry){*bucket, symbol};
    *bucket = entry;
    symbol->wanted = true;
    wanted->count++;
    return 0;
}

static bool is_named(const struct symbol *symbol, const struct symbol *name)
{
    return !name ||
           (symbol->name_length == name->name_length && memcmp(symbol->name, name->name, name->name_length) == 0);
}

static void visit_bucket(struct wanted *wanted, struct wanted_entry **link, const struct symbol *name,
                         void (*visit)(struct symbol *symbol, void *data), void *data)
{
    while (*link) {
        struct wanted_entry *entry = *link;

        if (!is_named(entry->symbol, name)) {
            link = &entry->next;
            continue;
        }
        visit(entry->symbol, data);
        if (entry->symbol->binding == SYMBOL_UNBOUND && entry->symbol->uses) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry->symbol->wanted = false;
        wanted->count--;
        free(entry);
    }
}

void wanted_visit(struct wanted *wanted, const struct symbol *name, void (*visit)(struct symbol *symbol, void *data),
                  void *data)
{
    if (wanted->bucket_count == 0)
        return;
    if (name) {
        visit_bucket(wanted, &wanted->buckets[bucket_of(wanted, name)], name, visit, data);
        return;
    }
    for (size_t b = 0; b < wanted->bucket_count; b++)
        visit_bucket(wanted, &wanted->buckets[b], NULL, visit, data);
}
