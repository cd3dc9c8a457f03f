/*
 * Reserves the arena and maps the zones.
 *
 * Invariant: no mapping made here can ever become a writable view of X, S or R. The kernel takes VM_MAYWRITE from a
 * shared mapping of a memfd that is sealed with F_SEAL_FUTURE_WRITE when it is made, so a memfd without that seal is
 * refused: mapped too early it would give this process the right to mprotect its own code.
 *
 * Placement needs no address hint: mmap works downwards from the libraries, so a large reservation made before anything
 * else lands directly below them; above them where mappings grow upwards (vm.legacy_va_layout, setarch -L), which
 * reaches as well. What is left of it at both ends, for the sake of alignment or because the libraries are large, stays
 * reserved, as guard.
 */
#include "daemon/runner/arena.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "daemon/runner/image.h"
#include "daemon/runner/stage.h"
#include "proto/control.h"

#define REQUIRED_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)

struct zone_mapping {
    int descriptor; /* -1: anonymous */
    int protection, flags;
    const char *stage;
};

static const struct zone_mapping zone_mappings[ZONE_COUNT] = {
    [ZONE_X] = {FD_ZONE_X, PROT_READ | PROT_EXEC, MAP_SHARED, "map zone X"},
    [ZONE_S] = {FD_ZONE_S, PROT_READ, MAP_SHARED, "map zone S"},
    [ZONE_R] = {FD_ZONE_R, PROT_READ, MAP_SHARED, "map zone R"},
    [ZONE_D] = {FD_ZONE_D, PROT_NONE, MAP_PRIVATE, "map zone D"},
    [ZONE_Z] = {-1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, "map zone Z"},
};

static _Atomic uint64_t zone_writable[ZONE_COUNT]; /* bytes from the beginning of D and Z */

static int span_add(struct dl_phdr_info *image, size_t size, void *data)
{
    (void)size;
    struct arena *arena = data;
    if (image_is_executable(image) || image_is_vdso(image))
        return 0;
    uint64_t low, high;
    image_bounds(image, &low, &high);
    arena->span_low = min_u64(arena->span_low, low);
    arena->span_high = max_u64(arena->span_high, high);
    return 0;
}

/* From the lowest to the highest address of arena and libraries. */
static uint64_t arena_span(const struct arena *arena)
{
    uint64_t end = arena->base + zones_total(&arena->sizes);
    return max_u64(end, arena->span_high) - min_u64(arena->base, arena->span_low);
}

/* At that end of the reserved range which is next to the libraries. What is too far from their other end goes from zone
   Z, down to its least; below them the other zones then begin higher. */
static int arena_place(struct arena *arena, uintptr_t range, size_t bytes, uint64_t least_zeros, struct error *error)
{
    uint64_t total = zones_total(&arena->sizes), *zeros = &arena->sizes.bytes[ZONE_Z];
    bool above = range >= arena->span_high;
    arena->base = above ? align_up(range, ARENA_ALIGNMENT) : ((range + bytes) & ~(ARENA_ALIGNMENT - 1)) - total;
    uint64_t span = arena_span(arena), excess = span > ARENA_REACH ? align_up(span - ARENA_REACH, ARENA_ALIGNMENT) : 0;
    if (excess <= *zeros - least_zeros) {
        *zeros -= excess;
        arena->base += above ? 0 : excess;
    }
    if (arena_span(arena) <= ARENA_REACH)
        return 0;
    return error_set(error, ERROR_SETUP,
                     "zones of %" PRIu64 " MiB and libraries of %" PRIu64
                     " MiB span more than the %llu MiB that displacements reach; ask for smaller zones",
                     total >> 20, (span - total) >> 20, ARENA_REACH >> 20);
}

static int arena_reserve(struct arena *arena, uint64_t least_zeros, struct error *error)
{
    size_t bytes = zones_total(&arena->sizes) + ARENA_ALIGNMENT;
    void *range = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        return stage_failed(error, "reserve the arena");
    arena->span_low = UINT64_MAX;
    arena->span_high = 0;
    dl_iterate_phdr(span_add, arena);
    return arena_place(arena, (uintptr_t)range, bytes, least_zeros, error);
}

static int zone_check(const struct zone_mapping *zone, uint64_t bytes, struct error *error)
{
    struct stat status;
    int seals = fcntl(zone->descriptor, F_GET_SEALS);
    if (seals < 0 || fstat(zone->descriptor, &status) != 0)
        return stage_failed(error, zone->stage);
    if ((seals & REQUIRED_SEALS) != REQUIRED_SEALS)
        return error_set(error, ERROR_SETUP, "%s: memfd is not sealed (seals %#x)", zone->stage, (unsigned)seals);
    if (status.st_size < 0 || (uint64_t)status.st_size < bytes)
        return error_set(error, ERROR_SETUP, "%s: memfd is too small", zone->stage);
    return 0;
}

static int zone_map(const struct arena *arena, enum zone which, struct error *error)
{
    const struct zone_mapping *zone = &zone_mappings[which];
    uint64_t bytes = arena->sizes.bytes[which];
    int code = zone->descriptor < 0 ? 0 : zone_check(zone, bytes, error);
    if (code != 0)
        return code;
    void *address = (void *)arena_zone(arena, which);
    if (mmap(address, bytes, zone->protection, zone->flags | MAP_FIXED, zone->descriptor, 0) == MAP_FAILED)
        return stage_failed(error, zone->stage);
    return 0;
}

uint64_t arena_writable(enum zone zone)
{
    return atomic_load(&zone_writable[zone]);
}

/* Of threads that come at once each does all that it needs, which harms none. */
int arena_let_write(const struct arena *arena, enum zone zone, uint64_t end)
{
    uint64_t from = arena_writable(zone), to = min_u64(align_up(end, ZONE_WRITABLE_STEP), arena->sizes.bytes[zone]);
    if (to <= from)
        return 0;
    void *address = (void *)(arena_zone(arena, zone) + from);
    if (mprotect(address, to - from, PROT_READ | PROT_WRITE) != 0)
        return ERROR_NO_MEMORY;
    while (from < to && !atomic_compare_exchange_weak(&zone_writable[zone], &from, to))
        continue;
    return 0;
}

int arena_map(struct arena *arena, uint64_t least_zeros, struct error *error)
{
    int code = arena_reserve(arena, least_zeros, error);
    for (size_t i = 0; code == 0 && i < ZONE_COUNT; i++)
        code = zone_map(arena, (enum zone)i, error);
    if (code != 0)
        return code;
    if (arena_let_write(arena, ZONE_D, 1) != 0)
        return stage_failed(error, zone_mappings[ZONE_D].stage);
    if (arena_let_write(arena, ZONE_Z, 1) != 0)
        return stage_failed(error, zone_mappings[ZONE_Z].stage);
    void *image = mmap(NULL, arena->sizes.bytes[ZONE_D], PROT_READ, MAP_SHARED, FD_ZONE_D, 0);
    if (image == MAP_FAILED)
        return stage_failed(error, "map the image of zone D");
    arena->data_image = image;
    return 0;
}
