#include "daemon/linker/hash_table.h"

#include <stdlib.h>

#include "common/error.h"

#define FIRST_BUCKETS 64

void hash_table_close(struct hash_table *table, void (*release)(void *entry))
{
    for (struct hash_entry *entry = release ? hash_table_after(table, NULL) : NULL, *next; entry; entry = next) {
        next = hash_table_after(table, entry);
        release(entry);
    }
    free(table->buckets);
    *table = (struct hash_table){0};
}

static struct hash_entry **bucket_of(const struct hash_table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

int hash_table_reserve(struct hash_table *table, size_t more)
{
    struct hash_table wider = {.bucket_count = table->bucket_count ? table->bucket_count : FIRST_BUCKETS};

    while (wider.bucket_count < table->count + more)
        wider.bucket_count *= 2;
    if (wider.bucket_count == table->bucket_count)
        return 0;
    wider.buckets = calloc(wider.bucket_count, sizeof *wider.buckets);
    if (!wider.buckets)
        return ERROR_NO_MEMORY;
    for (struct hash_entry *entry = hash_table_after(table, NULL), *next; entry; entry = next) {
        next = hash_table_after(table, entry);
        hash_table_add(&wider, entry, entry->hash);
    }
    free(table->buckets);
    *table = wider;
    return 0;
}

void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint32_t hash)
{
    struct hash_entry **bucket = bucket_of(table, hash);

    *entry = (struct hash_entry){*bucket, hash};
    *bucket = entry;
    table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_entry *entry)
{
    struct hash_entry **link = bucket_of(table, entry->hash);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    table->count--;
}

void *hash_table_after(const struct hash_table *table, const struct hash_entry *entry)
{
    size_t bucket = 0;

    if (entry && entry->next)
        return entry->next;
    if (entry)
        bucket = (entry->hash & (table->bucket_count - 1)) + 1;
    while (bucket < table->bucket_count && !table->buckets[bucket])
        bucket++;
    return bucket < table->bucket_count ? table->buckets[bucket] : NULL;
}
