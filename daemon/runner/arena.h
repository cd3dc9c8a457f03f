/*
 * The arena: one reserved range just below the libraries, and the zones mapped into it.
 */
#ifndef RUNNER_ARENA_H
#define RUNNER_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/error.h"
#include "proto/zones.h"

struct arena {
    uintptr_t base;
    struct zone_sizes sizes;
    const unsigned char *data_image; /* zone D's pristine bytes: a read-only view of its memfd, outside the arena */
    uint64_t span_low, span_high;    /* lowest and one past the highest address of the libraries */
};

/* Reserves the arena below the libraries loaded by now, sees to it that 32-bit displacements reach from one end of both
   to the other, and maps the zones from FD_ZONE_X..FD_ZONE_D, whose seals are checked first. `arena->sizes` is what was
   asked for; zone Z becomes less, but not less than `least_zeros`, where libraries take much. Errors: SYSTEM, SETUP. */
int arena_map(struct arena *arena, uint64_t least_zeros, struct error *error);

/* The address of a zone, and whether [offset, offset + bytes) lies in it. */
static inline uintptr_t arena_zone(const struct arena *arena, enum zone zone)
{
    return arena->base + zones_offset(&arena->sizes, zone);
}

static inline bool arena_has(const struct arena *arena, enum zone zone, uint64_t offset, uint64_t bytes)
{
    return range_within(offset, bytes, arena->sizes.bytes[zone]);
}

/* How much of zone D or Z can be written, and to have it so up to an offset in it, in steps of ZONE_WRITABLE_STEP. Any
   thread. Errors: NO_MEMORY; then it is as before. */
uint64_t arena_writable(enum zone zone);
int arena_let_write(const struct arena *arena, enum zone zone, uint64_t end);

#endif
