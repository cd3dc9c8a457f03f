/*
 * The bump allocator: a list of blocks, of which only the newest is filled.
 *
 * An allocation that would leave much of the newest block unused gets a block of its own behind it. Under
 * AddressSanitizer what lies between allocations is poisoned, so that an overrun inside a block is seen as well.
 */
#include "common/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#define ALIGNMENT       16
#define BLOCK_BYTES_MIN 4096
#define BLOCK_BYTES_MAX (256 * 1024)

struct pool_block {
    struct pool_block *next; /* owned */
    size_t capacity;
    size_t used;
    char padding[ALIGNMENT - sizeof(size_t)];
    char bytes[];
};

_Static_assert(offsetof(struct pool_block, bytes) % ALIGNMENT == 0, "blocks hold aligned memory");

void pool_init(struct pool *pool, size_t budget)
{
    *pool = (struct pool){.budget = budget};
}

static void free_block(struct pool_block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->capacity);
    free(block);
}

static void free_blocks(struct pool_block *block)
{
    while (block) {
        struct pool_block *next = block->next;
        free_block(block);
        block = next;
    }
}

void pool_fini(struct pool *pool)
{
    free_blocks(pool->blocks);
    *pool = (struct pool){0};
}

size_t pool_memory(const struct pool *pool)
{
    size_t bytes = 0;
    for (const struct pool_block *block = pool->blocks; block; block = block->next)
        bytes += sizeof *block + block->capacity;
    return bytes;
}

void pool_reset(struct pool *pool)
{
    struct pool_block **largest = &pool->blocks;
    for (struct pool_block **at = &pool->blocks; *at; at = &(*at)->next)
        if ((*at)->capacity > (*largest)->capacity)
            largest = at;
    pool->used = 0;
    struct pool_block *kept = *largest;
    if (!kept)
        return;
    *largest = kept->next;
    free_blocks(pool->blocks);
    kept->next = NULL;
    kept->used = 0;
    ASAN_POISON_MEMORY_REGION(kept->bytes, kept->capacity);
    pool->blocks = kept;
}

static struct pool_block *new_block(size_t capacity)
{
    struct pool_block *block = malloc(sizeof *block + capacity);
    if (!block)
        return NULL;
    *block = (struct pool_block){.capacity = capacity};
    ASAN_POISON_MEMORY_REGION(block->bytes, capacity);
    return block;
}

/* A block with room for `size` more bytes, or NULL. */
static struct pool_block *find_room(struct pool *pool, size_t size)
{
    struct pool_block *newest = pool->blocks;
    if (newest && size <= newest->capacity - newest->used)
        return newest;
    if (newest && size > BLOCK_BYTES_MAX / 4) {
        struct pool_block *own = new_block(size);
        if (own) {
            own->next = newest->next;
            newest->next = own;
        }
        return own;
    }
    size_t capacity = newest ? newest->capacity * 2 : BLOCK_BYTES_MIN;
    capacity = capacity < BLOCK_BYTES_MAX ? capacity : BLOCK_BYTES_MAX;
    struct pool_block *block = new_block(size > capacity ? size : capacity);
    if (block) {
        block->next = newest;
        pool->blocks = block;
    }
    return block;
}

void *pool_allocate_uninitialised(struct pool *pool, size_t size)
{
    if (pool->used > pool->budget || size > pool->budget - pool->used || size > SIZE_MAX / 2)
        return NULL;
    size_t rounded = ((size ? size : 1) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct pool_block *block = find_room(pool, rounded);
    if (!block)
        return NULL;
    char *at = block->bytes + block->used;
    block->used += rounded;
    pool->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(at, size);
    return at;
}

void *pool_allocate(struct pool *pool, size_t size)
{
    void *memory = pool_allocate_uninitialised(pool, size);
    return memory ? memset(memory, 0, size) : NULL;
}

void *pool_allocate_array(struct pool *pool, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return pool_allocate(pool, bytes);
}

char *pool_copy_string(struct pool *pool, const void *bytes, size_t length)
{
    if (length == SIZE_MAX)
        return NULL;
    char *copy = pool_allocate(pool, length + 1);
    if (copy && length)
        memcpy(copy, bytes, length);
    return copy;
}
