/*
 * A hash table from 64-bit numbers to small records of one size, kept in one block: the outstanding requests and the
 * units that are not ready yet.
 *
 * Each record begins with its key, a uint64_t that is not 0: a zero key marks a free place. Records move when others
 * are inserted or removed, so pointers to them are good only until the next change. Open addressing with linear
 * probing; removal shifts back what follows, so that there are no tombstones and a long session stays as fast as a
 * young one.
 */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
    uint8_t *records; /* owned; `capacity` of them */
    size_t record_bytes;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void table_init(struct table *table, size_t record_bytes);
void table_fini(struct table *table);

/* The record, or NULL. */
void *table_find(const struct table *table, uint64_t key);

/* The record of that key: the one that is there, or a new one, zero but for the key. NULL when out of memory. */
void *table_insert(struct table *table, uint64_t key);

/* Whether the key was there. */
bool table_remove(struct table *table, uint64_t key);

/* Empties the table and gives its records, in the order of their keys, as an array of *count; the caller frees it.
   Needs no memory. NULL where there are none. */
void *table_drain(struct table *table, size_t *count);

#endif
