/*
 * Reserves the arena and maps the zones.
 *
 * Invariant: no mapping made here can ever become a writable view of X, S or R. The kernel takes VM_MAYWRITE from a
 * shared mapping of a memfd that is sealed with F_SEAL_FUTURE_WRITE when it is made, so a memfd without that seal is
 * refused: mapped too early it would give this process the right to mprotect its own code.
 *
 * Placement needs no address hint: mmap works downwards from the libraries, so a large reservation made before anything
 * else lands directly below them; above them where mappings grow upwards (vm.legacy_va_layout, setarch -L), which
 * reaches as well. What is left of it at both ends for the sake of alignment stays reserved, as guard.
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

#define ARENA_ALIGNMENT MIB(2)
#define ARENA_REACH     MIB(2048) /* of a signed 32-bit displacement */
#define REQUIRED_SEALS  (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)

struct zone_mapping {
    uint64_t offset, bytes;
    int descriptor; /* -1: anonymous */
    int protection, flags;
    const char *stage;
};

static const struct zone_mapping zone_mappings[ZONE_COUNT] = {
    [ZONE_X] = {ZONE_X_OFFSET, ZONE_X_BYTES, FD_ZONE_X, PROT_READ | PROT_EXEC, MAP_SHARED, "map zone X"},
    [ZONE_S] = {ZONE_S_OFFSET, ZONE_S_BYTES, FD_ZONE_S, PROT_READ, MAP_SHARED, "map zone S"},
    [ZONE_R] = {ZONE_R_OFFSET, ZONE_R_BYTES, FD_ZONE_R, PROT_READ, MAP_SHARED, "map zone R"},
    [ZONE_D] = {ZONE_D_OFFSET, ZONE_D_BYTES, FD_ZONE_D, PROT_NONE, MAP_PRIVATE, "map zone D"},
    [ZONE_Z] = {ZONE_Z_OFFSET, ZONE_Z_BYTES, -1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, "map zone Z"},
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

static int arena_reserve(struct arena *arena, struct error *error)
{
    size_t bytes = ARENA_BYTES + ARENA_ALIGNMENT;
    void *range = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        return stage_failed(error, "reserve the arena");
    arena->base = ((uintptr_t)range + bytes - ARENA_BYTES) & ~(ARENA_ALIGNMENT - 1);
    arena->span_low = UINT64_MAX;
    arena->span_high = 0;
    dl_iterate_phdr(span_add, arena);

    uint64_t low = min_u64(arena->base, arena->span_low);
    uint64_t high = max_u64(arena->base + ARENA_BYTES, arena->span_high);
    if (high - low >= ARENA_REACH)
        return error_set(error, ERROR_SETUP, "arena %" PRIx64 ", libraries to %" PRIx64 ": over 2 GiB", low, high);
    return 0;
}

static int zone_check(const struct zone_mapping *zone, struct error *error)
{
    struct stat status;
    int seals = fcntl(zone->descriptor, F_GET_SEALS);
    if (seals < 0 || fstat(zone->descriptor, &status) != 0)
        return stage_failed(error, zone->stage);
    if ((seals & REQUIRED_SEALS) != REQUIRED_SEALS)
        return error_set(error, ERROR_SETUP, "%s: memfd is not sealed (seals %#x)", zone->stage, (unsigned)seals);
    if (status.st_size < 0 || (uint64_t)status.st_size < zone->bytes)
        return error_set(error, ERROR_SETUP, "%s: memfd is too small", zone->stage);
    return 0;
}

static int zone_map(const struct arena *arena, const struct zone_mapping *zone, struct error *error)
{
    int code = zone->descriptor < 0 ? 0 : zone_check(zone, error);
    if (code != 0)
        return code;
    void *address = (void *)(arena->base + zone->offset);
    if (mmap(address, zone->bytes, zone->protection, zone->flags | MAP_FIXED, zone->descriptor, 0) == MAP_FAILED)
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
    uint64_t from = arena_writable(zone), to = min_u64(align_up(end, ZONE_WRITABLE_STEP), zone_mappings[zone].bytes);
    if (to <= from)
        return 0;
    void *address = (void *)(arena->base + zone_mappings[zone].offset + from);
    if (mprotect(address, to - from, PROT_READ | PROT_WRITE) != 0)
        return ERROR_NO_MEMORY;
    while (from < to && !atomic_compare_exchange_weak(&zone_writable[zone], &from, to))
        continue;
    return 0;
}

int arena_map(struct arena *arena, struct error *error)
{
    int code = arena_reserve(arena, error);
    for (size_t i = 0; code == 0 && i < ZONE_COUNT; i++)
        code = zone_map(arena, &zone_mappings[i], error);
    if (code != 0)
        return code;
    if (arena_let_write(arena, ZONE_D, 1) != 0)
        return stage_failed(error, zone_mappings[ZONE_D].stage);
    if (arena_let_write(arena, ZONE_Z, 1) != 0)
        return stage_failed(error, zone_mappings[ZONE_Z].stage);
    void *image = mmap(NULL, ZONE_D_BYTES, PROT_READ, MAP_SHARED, FD_ZONE_D, 0);
    if (image == MAP_FAILED)
        return stage_failed(error, "map the image of zone D");
    arena->data_image = image;
    return 0;
}
