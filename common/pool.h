/*
 * A bump allocator: many small allocations that die together (one decoded message, one object's tables).
 *
 * Memory is zeroed. A pool has a budget in bytes, so that a peer cannot make a small message into a large heap: past
 * the budget pool_allocate returns NULL as it does when malloc fails. A pool that was reset keeps its largest block
 * for the next use. One owner, no locks.
 */
#ifndef COMMON_POOL_H
#define COMMON_POOL_H

#include <stddef.h>

struct pool_block;

struct pool {
    struct pool_block *blocks; /* owned; newest first */
    size_t budget;             /* bytes of allocations allowed between resets */
    size_t used;
};

void pool_init(struct pool *pool, size_t budget);
void pool_fini(struct pool *pool);

/* Bytes of memory that the pool has taken, used or not. */
size_t pool_memory(const struct pool *pool);

/* Forgets every allocation. */
void pool_reset(struct pool *pool);

/* 16-byte aligned, zeroed; NULL when the budget or the memory is used up. A size of 0 gives a valid pointer. */
void *pool_allocate(struct pool *pool, size_t size);

/* The same, with whatever the memory held before. */
void *pool_allocate_uninitialised(struct pool *pool, size_t size);

/* As pool_allocate of count * size bytes, which is checked for overflow. */
void *pool_allocate_array(struct pool *pool, size_t count, size_t size);

/* A NUL-terminated copy of `length` bytes. */
char *pool_copy_string(struct pool *pool, const void *bytes, size_t length);

#endif
