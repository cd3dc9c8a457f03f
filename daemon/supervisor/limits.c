/*
 * The resource limits that a plan gets, from what the daemon allows and what the session asks for.
 */
#include "daemon/supervisor/limits.h"

#include <sys/resource.h>

#include "common/bytes.h"
#include "proto/channel.h"

/* What a linker may take beside the zones; bounds an accident, not what a session needs. */
#define LINKER_ADDRESS_SPACE MIB(15360)
#define LINKER_OPEN_FILES    1024

static uint64_t at_most(uint64_t asked, uint64_t own)
{
    if (asked == 0 || own == 0)
        return max_u64(asked, own);
    return min_u64(asked, own);
}

static void add_limit(struct child_plan *plan, __rlimit_resource_t resource, uint64_t soft, uint64_t hard)
{
    plan->limits[plan->limit_count++] = (struct child_limit){resource, {.rlim_cur = soft, .rlim_max = hard}};
}

/* The arena, the runner's second view of zone D (daemon/runner/arena.c) and the symbols count as address space; a
   session's figure is about what comes on top, so that zero data which is not touched costs it nothing. The second
   between the two limits of processor time is for the program's own handler of SIGXCPU. */
void limits_of_runner(struct child_plan *plan, const struct control_start *start,
                      const struct configuration *configuration)
{
    uint64_t memory = at_most(start->address_space_bytes, configuration->address_space_bytes);
    uint64_t seconds = at_most(start->cpu_seconds, configuration->cpu_seconds);
    uint64_t files = at_most(start->open_files, configuration->open_files);
    add_limit(plan, RLIMIT_CORE, 0, 0);
    if (files != 0)
        add_limit(plan, RLIMIT_NOFILE, files, files);
    if (seconds != 0 && seconds < UINT32_MAX)
        add_limit(plan, RLIMIT_CPU, seconds, seconds + 1);
#ifndef JITD_SANITIZED
    uint64_t arena = zones_total(&start->zones) + ARENA_ALIGNMENT + start->zones.bytes[ZONE_D];
    uint64_t overhead = arena + LIMIT_PROCESS_SYMBOL_BYTES + sizeof(struct channel);
    if (memory != 0 && memory < UINT64_MAX - overhead)
        add_limit(plan, RLIMIT_AS, memory + overhead, memory + overhead);
#else
    (void)memory;
#endif
}

void limits_of_linker(struct child_plan *plan, const struct configuration *configuration)
{
    add_limit(plan, RLIMIT_CORE, 0, 0);
    add_limit(plan, RLIMIT_NOFILE, LINKER_OPEN_FILES, LINKER_OPEN_FILES);
#ifndef JITD_SANITIZED
    uint64_t bytes = LINKER_ADDRESS_SPACE;
    for (unsigned z = 0; z < ZONE_Z; z++)
        bytes += zones_most(z, configuration->arena_bytes);
    add_limit(plan, RLIMIT_AS, bytes, bytes);
#else
    (void)configuration;
#endif
}
