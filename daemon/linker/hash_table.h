/*
 * A hash table of its owners' structs, each of which begins with a `struct hash_entry`.
 *
 * The table knows the entries' hashes and not their keys: it gives all entries of one hash, and the owner compares.
 * Hashes of what a controller chooses are seeded ones (symbols_hash). Entries that are neither added nor removed stay
 * where they are, so that the next one of a walk is taken first and the current one may then be removed.
 */
#ifndef LINKER_HASH_TABLE_H
#define LINKER_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The first field of what is entered. */
struct hash_entry {
    struct hash_entry *next; /* in its bucket */
    uint32_t hash;
};

/* Zero-initialised is empty. */
struct hash_table {
    struct hash_entry **buckets; /* owned; the entries are borrowed */
    size_t bucket_count;         /* 0, or a power of two */
    size_t count;
};

/* Calls `release`, which is `free` for entries from malloc, for each entry; NULL: they are left alone, and may be gone
   already. The table is empty then. */
void hash_table_close(struct hash_table *table, void (*release)(void *entry));

/* Room for so many more. NO_MEMORY, and the table is as before. */
int hash_table_reserve(struct hash_table *table, size_t more);

/* There has been room once; where there is none left the entries of a bucket are more, which is slower, not wrong. */
void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint32_t hash);

/* It is in the table. */
void hash_table_remove(struct hash_table *table, struct hash_entry *entry);

/* The entry that follows in a walk over all, in no particular order: after NULL the first one. NULL: no more. Adding
   in between may change the order. */
void *hash_table_after(const struct hash_table *table, const struct hash_entry *entry);

/* The first entry with the hash, and the one after it; NULL: no more. */
static inline void *hash_table_next(const struct hash_entry *entry)
{
    struct hash_entry *next = entry->next;

    while (next && next->hash != entry->hash)
        next = next->next;
    return next;
}

static inline void *hash_table_find(const struct hash_table *table, uint32_t hash)
{
    struct hash_entry *entry = table->count ? table->buckets[hash & (table->bucket_count - 1)] : NULL;

    while (entry && entry->hash != hash)
        entry = entry->next;
    return entry;
}

#endif
