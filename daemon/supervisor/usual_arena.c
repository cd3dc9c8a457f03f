#include "daemon/supervisor/usual_arena.h"

#include <sys/resource.h>

#include "common/bytes.h"
#include "proto/zones.h"

static uint64_t limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : UINT64_MAX;
}

/* A linker maps up to 1.6 times the arena, a runner little more than one, and both need room beside; a file is at most
   half an arena. */
uint64_t usual_arena(void)
{
    uint64_t bytes = min_u64(ARENA_REACH, limit_of(RLIMIT_AS) / 3);
    if (limit_of(RLIMIT_FSIZE) < ARENA_REACH / 2)
        bytes = min_u64(bytes, limit_of(RLIMIT_FSIZE) * 2);
    return max_u64(bytes & ~(ARENA_ALIGNMENT - 1), ARENA_LEAST);
}
