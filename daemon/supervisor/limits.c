/*
 * The resource limits that a plan gets, from what the daemon allows and what the session asks for.
 */
#include "daemon/supervisor/limits.h"

#include <sys/resource.h>

#include "common/bytes.h"
#include "proto/channel.h"

/* What a linker may take; bounds an accident, not what a session needs. */
#define LINKER_ADDRESS_SPACE MIB(16384)
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

/* The arena and the symbols count as address space; a session's figure is about what comes on top. The second between
   the two limits of processor time is for the program's own handler of SIGXCPU. */
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
    uint64_t overhead = ARENA_BYTES + LIMIT_PROCESS_SYMBOL_BYTES + sizeof(struct channel);
    if (memory != 0 && memory < UINT64_MAX - overhead)
        add_limit(plan, RLIMIT_AS, memory + overhead, memory + overhead);
#else
    (void)memory;
#endif
}

void limits_of_linker(struct child_plan *plan)
{
    add_limit(plan, RLIMIT_CORE, 0, 0);
    add_limit(plan, RLIMIT_NOFILE, LINKER_OPEN_FILES, LINKER_OPEN_FILES);
#ifndef JITD_SANITIZED
    add_limit(plan, RLIMIT_AS, LINKER_ADDRESS_SPACE, LINKER_ADDRESS_SPACE);
#endif
}
