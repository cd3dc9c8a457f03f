/*
 * The zones of a session's arena (docs/architecture.md): which there are, how large they are and where they lie.
 *
 * Sizes are fixed when a session begins. The controller asks, the linker shares out, the supervisor checks, and the
 * template takes from zone Z, where nobody asked for it, what the libraries need of the addresses that 32-bit
 * displacements reach.
 */
#ifndef PROTO_ZONES_H
#define PROTO_ZONES_H

#include <stdint.h>

#include "common/error.h"
#include "proto/limits.h"

/* In address order. Z has no memfd: it is the runner's alone. */
enum zone { ZONE_X, ZONE_S, ZONE_R, ZONE_D, ZONE_Z, ZONE_COUNT };

/* What the arena and the libraries above it may span. A compiler folds offsets of up to 16 MiB into a 32-bit
   displacement, so the small code models end that much before 2 GiB (psABI 3.5.1: 2^31 - 2^24 - 1). */
#define ARENA_REACH MIB(2032)

/* All offsets and sizes of zones are multiples of this. */
#define ARENA_ALIGNMENT MIB(2)

/* The least that a daemon may allow for all zones together: each must get something. */
#define ARENA_LEAST MIB(64)

/* Memory that can be written privately counts against limits whether it is used or not (vm.overcommit_memory 2,
   RLIMIT_DATA), once for each process. So a life can write this much of D and Z from the start, and as much more at a
   time as units need. */
#define ZONE_WRITABLE_STEP MIB(8)

/* Unwinding: zone R begins with the granule map, one u32 for each 16 bytes of X, in X's order: the offset in R, divided
   by 4, of the .eh_frame_hdr of the unit whose code covers that granule; 0 where there is none. The linker writes it
   with release stores at publish. Only the pages for as much of X as is in use exist. The zone's payload lies behind
   it. */
#define GRANULE_BYTES 16

/* No unit has the first 64 bytes of a zone. */
struct zone_sizes {
    uint64_t bytes[ZONE_COUNT];
};

extern const char *const zone_names[ZONE_COUNT];

/* Where a zone begins, from the arena's base; of ZONE_COUNT: the whole arena's size. */
static inline uint64_t zones_offset(const struct zone_sizes *sizes, unsigned zone)
{
    uint64_t offset = 0;
    for (unsigned z = 0; z < zone; z++)
        offset += sizes->bytes[z];
    return offset;
}

static inline uint64_t zones_total(const struct zone_sizes *sizes)
{
    return zones_offset(sizes, ZONE_COUNT);
}

/* Of the granule map for so much of X. */
static inline uint64_t zones_map_bytes(uint64_t code_bytes)
{
    return code_bytes / GRANULE_BYTES * sizeof(uint32_t);
}

/* What a zone may have where all together may have `most` bytes; also the size of its memfd, since that and the
   linker's view of it are made before anybody has asked. So it is half for X, R and D, an eighth for S, all for Z. */
uint64_t zones_most(unsigned zone, uint64_t most);

/* Why there is no more than `most`, for an error's text. */
const char *zones_bound(uint64_t most);

/* Turns what was asked for, of which any number may come and 0 leaves it open, into sizes: rounded up to
   ARENA_ALIGNMENT, what was left open shared out of what remains. *least_zeros is what Z may not fall below: its size
   where it was asked for. Errors: LIMIT, INVALID (R has no room for the granule map); the text says what may be had. */
int zones_choose(const uint64_t asked[ZONE_COUNT], uint64_t most, struct zone_sizes *sizes, uint64_t *least_zeros,
                 struct error *error);

/* Whether the sizes could have come from zones_choose. Errors: PROTOCOL. */
int zones_check(const struct zone_sizes *sizes, uint64_t least_zeros, uint64_t most, struct error *error);

#endif
