/*
 * The arena: the linker's writable view of the session's zones, and who owns which bytes of them.
 *
 * All zones are mapped once, at start-up, and sealed at once: from then on no process, this one included, can make a
 * second writable view. Allocation makes no system call: a bump pointer for each zone, and what is free below it in
 * address order (extents.h); blocks lie side by side, at their sections' own alignment. A block takes room in all zones
 * together or in none; freeing it leaves the zones byte for byte as if it had never been allocated. What is free or not
 * yet linked in X holds trap bytes.
 *
 * Offsets count from the beginning of a zone. Zone Z has no memory here: it is the runner's alone.
 */
#ifndef LINKER_ARENA_H
#define LINKER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/control.h"

/* Where blocks begin; what lies before is no unit's. Offsets in R count from the zone's beginning, behind the map. */
#define ARENA_FIRST 64

/* Where in X the stub lies that all lazy calls go through; its slot is the first of S. */
#define ARENA_LANDING      16
#define ARENA_LANDING_SLOT 0

/* Where in X a function lies that does nothing. */
#define ARENA_NOTHING 32

/* Where in S a dynamic section lies, as a program has one: behind the first slot. */
#define ARENA_DYNAMIC 16

struct arena;

struct arena_need {
    uint64_t bytes;
    uint64_t alignment; /* a power of two; 0 means 1 */
};

struct arena_extent {
    uint32_t offset;
    uint32_t bytes; /* a multiple of the zone's grain: GRANULE_BYTES in X, so that no two units share a word of the
                       granule map, 4 in R, 8 elsewhere; 0: nothing in this zone */
};

struct arena_block {
    struct arena_extent extent[ZONE_COUNT];
};

/* Maps the zones' memfds (none for Z) read-write, seals them (F_SEAL_GROW, SHRINK, FUTURE_WRITE, SEAL) and closes them,
   also on failure. All together will have `most` bytes at most, each what zones_most says. `trap` fills X. */
int arena_open(const int fds[ZONE_COUNT], uint64_t most, uint8_t trap, struct arena **out, struct error *error);
void arena_close(struct arena *arena);

/* Where the runner has mapped the arena, and with what sizes; told once by the template. Nothing may be asked for
   before that. */
void arena_place(struct arena *arena, uint64_t base, const struct zone_sizes *sizes);
uint64_t arena_base(const struct arena *arena);
uint64_t arena_zone_bytes(const struct arena *arena, enum zone zone);

/* Where in R the common CIE lies (arch.h): below every block, since a description leads back to its CIE. */
uint64_t arena_cie(const struct arena *arena);

/* The runner's address of a byte, and the linker's own writable alias of it (not for Z). */
uint64_t arena_address(const struct arena *arena, enum zone zone, uint64_t offset);
uint8_t *arena_bytes(const struct arena *arena, enum zone zone, uint64_t offset);

/* Which zone an address of the runner lies in, and where; false when in none. */
bool arena_find(const struct arena *arena, uint64_t address, enum zone *zone, uint64_t *offset);

/* Room in every zone at once. ARENA_FULL names the zone, what was asked for, what is left, and with which size of the
   zone there would be room; nothing is taken then. */
int arena_allocate(struct arena *arena, const struct arena_need needs[ZONE_COUNT], struct arena_block *out,
                   struct error *error);

/* A life of the runner is over: what units have written in Z is gone. */
void arena_renew(struct arena *arena);

/* How much of D or Z a life that begins must be able to write, for all blocks that former lives could. What waits for
   this one has its room prepared in it, and can fail alone. */
uint64_t arena_writable_at_first(struct arena *arena, enum zone zone);

/* The runner can write D or Z up to there now. */
void arena_is_writable_to(struct arena *arena, enum zone zone, uint64_t end);

/* Whether the runner must prepare the block's room in Z: it may hold what a removed unit has written there, or cannot
   be written yet. */
bool arena_is_stale(const struct arena *arena, const struct arena_block *block);

/* Gives a block back: X gets traps, S, R and D get zeros, bump pointers move back where they can. */
void arena_free(struct arena *arena, const struct arena_block *block);

/* Bytes from the first block to the bump pointer; in R also what the granule map needs for the same stretch of X. */
uint64_t arena_used(const struct arena *arena, enum zone zone);

/* A digest (XXH3, 64 bits) of a zone's used bytes as the linker wrote them; 0 for Z. In R the granule map is left out.
 */
uint64_t arena_digest(const struct arena *arena, enum zone zone);

/* Touches the next few pages ahead of the bump pointers, so that linking does not pay for first touches. Called while
   the loop is idle; true while more is wanted. Makes no system call. */
bool arena_warm(struct arena *arena);

/* As arena_warm for memory that will be needed soon, in pieces that different threads may fill at once: how much of the
   zone's next `bytes` has not been touched; fills a piece of it; all of it has been filled. Nothing else may be asked
   of the arena between the first and the last. */
uint64_t arena_untouched(const struct arena *arena, enum zone zone, uint64_t bytes);
void arena_fill_ahead(struct arena *arena, enum zone zone, uint64_t from, uint64_t bytes);
void arena_filled_ahead(struct arena *arena, enum zone zone, uint64_t bytes);

/* The granule map (proto/zones.h): tells the unwinder that code in `code` belongs to the header at `header` (an
   offset in R), or to none with 0. */
void arena_map_granules(struct arena *arena, const struct arena_extent *code, uint64_t header);

#endif
