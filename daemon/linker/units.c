#include "daemon/linker/units.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "daemon/linker/unit.h"

#define CHUNK 1024u

struct units_chunk {
    uint32_t count;
    struct unit *units[CHUNK]; /* borrowed; by id - 1, modulo CHUNK */
};

void units_close(struct units *units)
{
    for (size_t i = 0; i < units->chunk_capacity; i++)
        free(units->chunks[i]);
    free(units->chunks);
    *units = (struct units){0};
}

static int reserve_directory(struct units *units, size_t wanted)
{
    size_t capacity = units->chunk_capacity ? units->chunk_capacity : 8;

    while (capacity < wanted)
        capacity *= 2;
    if (capacity == units->chunk_capacity)
        return 0;
    struct units_chunk **chunks = realloc(units->chunks, capacity * sizeof *chunks);
    if (!chunks)
        return ERROR_NO_MEMORY;
    memset(chunks + units->chunk_capacity, 0, (capacity - units->chunk_capacity) * sizeof *chunks);
    units->chunks = chunks;
    units->chunk_capacity = capacity;
    return 0;
}

int units_reserve(struct units *units, uint32_t count)
{
    size_t first = units->last_id / CHUNK, end = (units->last_id + count + CHUNK - 1) / CHUNK;

    if (reserve_directory(units, end) != 0)
        return ERROR_NO_MEMORY;
    for (size_t i = first; i < end; i++) {
        if (!units->chunks[i])
            units->chunks[i] = calloc(1, sizeof *units->chunks[i]);
        if (!units->chunks[i])
            return ERROR_NO_MEMORY;
    }
    return 0;
}

void units_add(struct units *units, struct unit *unit)
{
    struct units_chunk *chunk = units->chunks[units->last_id / CHUNK];

    chunk->units[units->last_id % CHUNK] = unit;
    chunk->count++;
    units->count++;
    unit->id = ++units->last_id;
}

void units_remove(struct units *units, const struct unit *unit)
{
    struct units_chunk **chunk = &units->chunks[(unit->id - 1) / CHUNK];

    (*chunk)->units[(unit->id - 1) % CHUNK] = NULL;
    units->count--;
    if (--(*chunk)->count > 0)
        return;
    free(*chunk);
    *chunk = NULL;
}

struct unit *units_find(const struct units *units, uint64_t id)
{
    const struct units_chunk *chunk = id >= 1 && id <= units->last_id ? units->chunks[(id - 1) / CHUNK] : NULL;

    return chunk ? chunk->units[(id - 1) % CHUNK] : NULL;
}

struct unit *units_after(const struct units *units, uint64_t id)
{
    while (id < units->last_id) {
        const struct units_chunk *chunk = units->chunks[id / CHUNK];

        if (chunk && chunk->units[id % CHUNK])
            return chunk->units[id % CHUNK];
        id = chunk ? id + 1 : (id / CHUNK + 1) * CHUNK;
    }
    return NULL;
}
