/*
 * Open addressing over one block of records (table.h).
 *
 * Invariant: between a record's home place and the place where it lies no place is free. At most three quarters of the
 * places are taken, so every probe ends.
 */
#include "client/table.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_FIRST_CAPACITY 16

void table_init(struct table *table, size_t record_bytes)
{
    *table = (struct table){.record_bytes = record_bytes};
}

void table_fini(struct table *table)
{
    free(table->records);
    table_init(table, table->record_bytes);
}

static uint8_t *table_at(const struct table *table, size_t place)
{
    return table->records + place * table->record_bytes;
}

static uint64_t table_key(const uint8_t *record)
{
    uint64_t key;
    memcpy(&key, record, sizeof key);
    return key;
}

/* Fibonacci hashing: the upper bits of the product spread keys that are counted up by one. */
static size_t table_home(const struct table *table, uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (table->capacity - 1);
}

/* The place of the key, or the free one where it would be put. */
static size_t table_probe(const struct table *table, uint64_t key)
{
    size_t place = table_home(table, key);
    for (;;) {
        uint64_t found = table_key(table_at(table, place));
        if (found == key || found == 0)
            return place;
        place = (place + 1) & (table->capacity - 1);
    }
}

void *table_find(const struct table *table, uint64_t key)
{
    if (table->count == 0 || key == 0)
        return NULL;
    uint8_t *record = table_at(table, table_probe(table, key));
    return table_key(record) == key ? record : NULL;
}

static int table_grow(struct table *table)
{
    struct table larger = *table;
    larger.capacity = table->capacity ? table->capacity * 2 : TABLE_FIRST_CAPACITY;
    larger.records = calloc(larger.capacity, larger.record_bytes);
    if (!larger.records)
        return -1;
    for (size_t i = 0; i < table->capacity; i++) {
        const uint8_t *record = table_at(table, i);
        uint64_t key = table_key(record);
        if (key != 0)
            memcpy(table_at(&larger, table_probe(&larger, key)), record, table->record_bytes);
    }
    free(table->records);
    *table = larger;
    return 0;
}

void *table_insert(struct table *table, uint64_t key)
{
    if (table->count >= table->capacity / 4 * 3 && table_grow(table) != 0)
        return NULL;
    uint8_t *record = table_at(table, table_probe(table, key));
    if (table_key(record) == 0) {
        memcpy(record, &key, sizeof key);
        table->count++;
    }
    return record;
}

bool table_remove(struct table *table, uint64_t key)
{
    if (!table_find(table, key))
        return false;
    size_t mask = table->capacity - 1;
    size_t hole = table_probe(table, key);
    for (size_t next = (hole + 1) & mask;; next = (next + 1) & mask) {
        uint64_t moved = table_key(table_at(table, next));
        if (moved == 0)
            break;
        /* A record may move back into the hole unless its home lies behind the hole. */
        if (((next - table_home(table, moved)) & mask) >= ((next - hole) & mask)) {
            memcpy(table_at(table, hole), table_at(table, next), table->record_bytes);
            hole = next;
        }
    }
    memset(table_at(table, hole), 0, table->record_bytes);
    table->count--;
    return true;
}

static int table_compare(const void *a, const void *b)
{
    uint64_t left = table_key(a);
    uint64_t right = table_key(b);
    return (left > right) - (left < right);
}

void *table_drain(struct table *table, size_t *count)
{
    uint8_t *records = table->records;
    size_t kept = 0;
    for (size_t i = 0; i < table->capacity; i++)
        if (table_key(table_at(table, i)) != 0)
            memmove(table_at(table, kept++), table_at(table, i), table->record_bytes);
    if (kept != 0)
        qsort(records, kept, table->record_bytes, table_compare);
    *count = kept;
    table_init(table, table->record_bytes);
    if (kept == 0) {
        free(records);
        return NULL;
    }
    return records;
}
