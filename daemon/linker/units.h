/*
 * The session's units by their ids, which count up and are never used again. Memory follows the units that are there,
 * not the ids that have been: a session may see millions come and go.
 */
#ifndef LINKER_UNITS_H
#define LINKER_UNITS_H

#include <stddef.h>
#include <stdint.h>

struct unit;
struct units_chunk;

/* Zero-initialised is empty. */
struct units {
    struct units_chunk **chunks; /* owned; NULL where no unit is left */
    size_t chunk_capacity;
    uint64_t last_id;
    uint64_t count;
};

/* The units themselves are the owner's. */
void units_close(struct units *units);

/* Room for so many more. NO_MEMORY. */
int units_reserve(struct units *units, uint32_t count);

/* Gives the unit the next id; there is room for it. */
void units_add(struct units *units, struct unit *unit);
void units_remove(struct units *units, const struct unit *unit);

/* NULL for a number that is no unit, or none any more. */
struct unit *units_find(const struct units *units, uint64_t id);

/* The first unit with an id above `id`, or NULL: from 0 on all of them in order. */
struct unit *units_after(const struct units *units, uint64_t id);

#endif
