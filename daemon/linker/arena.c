#include "daemon/linker/arena.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "daemon/linker/extents.h"

/* How far ahead of its bump pointer a zone is kept touched, and how much of that one idle step does. */
#define WARM_WINDOW KIB(256)
#define WARM_STEP   KIB(64)
#define PAGE        KIB(4)

struct zone_state {
    uint8_t *bytes;      /* the writable alias; NULL for Z */
    uint64_t view_bytes; /* of that alias, which was made before the size was known */
    uint64_t start;      /* offset in the arena */
    uint64_t limit;      /* size; 0 until the arena has its place */
    uint64_t first;      /* where the first allocation may lie */
    uint64_t bump;       /* everything at or above it is free */
    uint64_t stale;      /* Z: below it freed bytes may hold what the runner wrote */
    uint64_t writable;   /* D and Z: so much of it the runner can write, as far as its blocks have been prepared */
    uint64_t touched;    /* pages below it exist and hold the fill byte where free */
    uint8_t fill;        /* what free bytes hold */
    struct extents free; /* below the bump pointer */
};

struct arena {
    uint64_t base;
    uint64_t most; /* that all zones may have together */
    struct zone_state zones[ZONE_COUNT];
};

static const uint64_t grains[ZONE_COUNT] = {
    [ZONE_X] = GRANULE_BYTES, [ZONE_S] = 8, [ZONE_R] = 4, [ZONE_D] = 8, [ZONE_Z] = 8,
};

/* The order matters: a view made before the seals is the only one that can ever write. */
static int map_and_seal(int fd, uint64_t bytes, uint8_t **out, struct error *error)
{
    void *view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

    if (view == MAP_FAILED)
        return error_system(error, "mapping a zone of %llu bytes", (unsigned long long)bytes);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
        error_system(error, "sealing a zone");
        munmap(view, bytes);
        return ERROR_SYSTEM;
    }
    madvise(view, bytes, MADV_DONTFORK);
    *out = view;
    return 0;
}

static int open_zone(struct arena *arena, unsigned which, int fd, uint8_t fill, struct error *error)
{
    struct zone_state *zone = &arena->zones[which];

    zone->fill = fill;
    zone->view_bytes = zones_most(which, arena->most);
    zone->writable = ZONE_WRITABLE_STEP;
    if (which == ZONE_Z || map_and_seal(fd, zone->view_bytes, &zone->bytes, error) == 0)
        return 0;
    return error_prefix(error, "zone %s", zone_names[which]);
}

int arena_open(const int fds[ZONE_COUNT], uint64_t most, uint8_t trap, struct arena **out, struct error *error)
{
    struct arena *arena = calloc(1, sizeof *arena);
    int code = arena ? 0 : error_set(error, ERROR_NO_MEMORY, "no memory for the arena");

    if (arena)
        arena->most = most;
    for (unsigned z = 0; z < ZONE_COUNT; z++) {
        int fd = z == ZONE_Z ? -1 : fds[z];

        if (!code)
            code = open_zone(arena, z, fd, z == ZONE_X ? trap : 0, error);
        descriptor_close(&fd);
    }
    if (code)
        arena_close(arena);
    else
        *out = arena;
    return code;
}

void arena_close(struct arena *arena)
{
    if (!arena)
        return;
    for (int z = 0; z < ZONE_COUNT; z++) {
        struct zone_state *zone = &arena->zones[z];

        if (zone->bytes)
            munmap(zone->bytes, zone->view_bytes);
        extents_clear(&zone->free);
    }
    free(arena);
}

void arena_place(struct arena *arena, uint64_t base, const struct zone_sizes *sizes)
{
    arena->base = base;
    for (unsigned z = 0; z < ZONE_COUNT; z++) {
        struct zone_state *zone = &arena->zones[z];

        zone->start = zones_offset(sizes, z);
        zone->limit = sizes->bytes[z];
        zone->first = ARENA_FIRST + (z == ZONE_R ? zones_map_bytes(sizes->bytes[ZONE_X]) : 0);
        zone->bump = zone->touched = zone->first;
    }
}

uint64_t arena_base(const struct arena *arena)
{
    return arena->base;
}

uint64_t arena_zone_bytes(const struct arena *arena, enum zone zone)
{
    return arena->zones[zone].limit;
}

uint64_t arena_cie(const struct arena *arena)
{
    return zones_map_bytes(arena->zones[ZONE_X].limit) + 16;
}

uint64_t arena_address(const struct arena *arena, enum zone zone, uint64_t offset)
{
    return arena->base + arena->zones[zone].start + offset;
}

uint8_t *arena_bytes(const struct arena *arena, enum zone zone, uint64_t offset)
{
    return arena->zones[zone].bytes + offset;
}

bool arena_find(const struct arena *arena, uint64_t address, enum zone *zone, uint64_t *offset)
{
    for (int z = 0; z < ZONE_COUNT; z++) {
        uint64_t within = address - arena->base - arena->zones[z].start;

        if (within >= arena->zones[z].limit)
            continue;
        *zone = (enum zone)z;
        *offset = within;
        return true;
    }
    return false;
}

/* Fresh memory must hold the fill byte before anything may be told of it; whole pages, so that code never shares a page
   with bytes that are neither code nor trap. */
static void touch_up_to(struct zone_state *zone, uint64_t end)
{
    end = min_u64(align_up(end, PAGE), zone->limit);
    if (!zone->bytes || end <= zone->touched)
        return;
    memset(zone->bytes + zone->touched, zone->fill, end - zone->touched);
    zone->touched = end;
}

static bool take_fresh(struct zone_state *zone, uint64_t bytes, uint64_t alignment, uint64_t *offset)
{
    uint64_t at = align_up(zone->bump, alignment);

    if (at > zone->limit || zone->limit - at < bytes)
        return false;
    if (at > zone->bump && extents_add(&zone->free, zone->bump, at - zone->bump) != 0)
        return false;
    zone->bump = at + bytes;
    touch_up_to(zone, zone->bump);
    *offset = at;
    return true;
}

/* What the zone would have to be for the block to fit into it, and whether the others could give that up. */
static bool could_have(const struct arena *arena, unsigned which, uint64_t bytes, uint64_t alignment, uint64_t *size)
{
    const struct zone_state *zone = &arena->zones[which];
    uint64_t sum = 0;

    if (bytes > ARENA_REACH)
        return false;
    *size = align_up(align_up(zone->bump, alignment) + bytes, ARENA_ALIGNMENT);
    for (unsigned z = 0; z < ZONE_COUNT; z++)
        sum += z == which ? *size : align_up(arena->zones[z].bump, ARENA_ALIGNMENT);
    return sum <= arena->most && *size <= zones_most(which, arena->most);
}

static int refuse_full(const struct arena *arena, unsigned which, const struct arena_need *need, struct error *error)
{
    const struct zone_state *zone = &arena->zones[which];
    const char *name = zone_names[which];
    unsigned long long left = zone->limit - zone->bump, wanted = need->bytes, of = zone->limit;
    uint64_t size;

    if (could_have(arena, which, need->bytes, max_u64(need->alignment, grains[which]), &size))
        return error_set(error, ERROR_ARENA_FULL,
                         "zone %s is full: %llu bytes wanted, %llu of %llu left at its end; begin the session with a "
                         "larger one (jitctl --arena %s=%lluM, jitd_options.zone_bytes), or remove units",
                         name, wanted, left, of, name, (unsigned long long)size >> 20);
    return error_set(error, ERROR_ARENA_FULL,
                     "zone %s is full: %llu bytes wanted, %llu of %llu left at its end; no size of it would do, since "
                     "it may have %llu MiB, and all zones together %llu MiB (%s); remove units or start a new session",
                     name, wanted, left, of, (unsigned long long)zones_most(which, arena->most) >> 20,
                     (unsigned long long)arena->most >> 20, zones_bound(arena->most));
}

int arena_allocate(struct arena *arena, const struct arena_need needs[ZONE_COUNT], struct arena_block *out,
                   struct error *error)
{
    *out = (struct arena_block){0};
    for (unsigned z = 0; z < ZONE_COUNT; z++) {
        struct zone_state *zone = &arena->zones[z];
        uint64_t grain = grains[z], alignment = max_u64(needs[z].alignment, grain), bytes, offset;

        if (needs[z].bytes == 0)
            continue;
        bytes = needs[z].bytes <= zone->limit ? align_up(needs[z].bytes, grain) : UINT64_MAX;
        if (!extents_take(&zone->free, bytes, alignment, &offset) && !take_fresh(zone, bytes, alignment, &offset)) {
            arena_free(arena, out);
            return refuse_full(arena, z, &needs[z], error);
        }
        out->extent[z] = (struct arena_extent){(uint32_t)offset, (uint32_t)bytes};
    }
    return 0;
}

void arena_free(struct arena *arena, const struct arena_block *block)
{
    if (block->extent[ZONE_X].bytes)
        arena_map_granules(arena, &block->extent[ZONE_X], 0);
    for (int z = 0; z < ZONE_COUNT; z++) {
        struct zone_state *zone = &arena->zones[z];
        const struct arena_extent *extent = &block->extent[z];

        if (extent->bytes == 0)
            continue;
        if (zone->bytes)
            memset(zone->bytes + extent->offset, zone->fill, extent->bytes);
        else
            zone->stale = max_u64(zone->stale, (uint64_t)extent->offset + extent->bytes);
        /* Without memory for a node the stretch is lost until the session ends, and nothing else. */
        if (extents_add(&zone->free, extent->offset, extent->bytes) == 0)
            extents_take_last(&zone->free, zone->bump, &zone->bump);
    }
}

void arena_renew(struct arena *arena)
{
    arena->zones[ZONE_Z].stale = 0;
}

uint64_t arena_writable_at_first(struct arena *arena, enum zone zone)
{
    struct zone_state *state = &arena->zones[zone];

    state->writable = min_u64(state->writable, min_u64(align_up(state->bump, ZONE_WRITABLE_STEP), state->limit));
    return state->writable;
}

void arena_is_writable_to(struct arena *arena, enum zone zone, uint64_t end)
{
    struct zone_state *state = &arena->zones[zone];

    state->writable = max_u64(state->writable, min_u64(align_up(end, ZONE_WRITABLE_STEP), state->limit));
}

bool arena_is_stale(const struct arena *arena, const struct arena_block *block)
{
    const struct arena_extent *extent = &block->extent[ZONE_Z];
    const struct zone_state *zone = &arena->zones[ZONE_Z];

    return extent->bytes > 0 &&
           (extent->offset < zone->stale || (uint64_t)extent->offset + extent->bytes > zone->writable);
}

static uint64_t bytes_below_bump(const struct zone_state *zone)
{
    return zone->bump - zone->first;
}

uint64_t arena_used(const struct arena *arena, enum zone zone)
{
    uint64_t map = bytes_below_bump(&arena->zones[ZONE_X]) / GRANULE_BYTES * sizeof(uint32_t);

    return bytes_below_bump(&arena->zones[zone]) + (zone == ZONE_R ? map : 0);
}

uint64_t arena_digest(const struct arena *arena, enum zone zone)
{
    const struct zone_state *state = &arena->zones[zone];

    return state->bytes ? XXH3_64bits(state->bytes + state->first, bytes_below_bump(state)) : 0;
}

bool arena_warm(struct arena *arena)
{
    for (int z = 0; z < ZONE_COUNT; z++) {
        struct zone_state *zone = &arena->zones[z];
        uint64_t wanted = min_u64(zone->bump + WARM_WINDOW, zone->limit);

        if (!zone->bytes || zone->touched >= wanted)
            continue;
        touch_up_to(zone, min_u64(zone->touched + WARM_STEP, wanted));
        return true;
    }
    return false;
}

uint64_t arena_untouched(const struct arena *arena, enum zone zone, uint64_t bytes)
{
    const struct zone_state *state = &arena->zones[zone];
    uint64_t end = state->bump + min_u64(bytes, state->limit - state->bump);

    end = min_u64(align_up(end, PAGE), state->limit);
    return state->bytes && end > state->touched ? end - state->touched : 0;
}

void arena_fill_ahead(struct arena *arena, enum zone zone, uint64_t from, uint64_t bytes)
{
    const struct zone_state *state = &arena->zones[zone];

    memset(state->bytes + state->touched + from, state->fill, bytes);
}

void arena_filled_ahead(struct arena *arena, enum zone zone, uint64_t bytes)
{
    arena->zones[zone].touched += bytes;
}

void arena_map_granules(struct arena *arena, const struct arena_extent *code, uint64_t header)
{
    uint32_t *map = (uint32_t *)(void *)arena->zones[ZONE_R].bytes;
    uint32_t entry = (uint32_t)(header / 4);

    for (uint64_t granule = code->offset / GRANULE_BYTES;
         granule < ((uint64_t)code->offset + code->bytes) / GRANULE_BYTES; granule++)
        __atomic_store_n(&map[granule], entry, __ATOMIC_RELEASE);
}
