/*
 * What the template prepares once and every live runner inherits by fork.
 *
 * The template fills this in order (template.c) and never changes it after its first fork; a live runner only reads
 * it. Nothing here is freed: it lives as long as the process.
 */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/runner/arena.h"
#include "daemon/runner/startup.h"
#include "proto/channel.h"
#include "proto/control.h"

/* One shared page through which a live runner tells the template how far its set-up came. Submitted code can write it
   too, but gains nothing: it can only make the template give up the session that the code belongs to. */
struct runner_progress {
    _Atomic uint32_t waiting; /* 1 once the runner waits for its epoch */
    int32_t os;               /* where set-up failed: errno... */
    char stage[64];           /* ...and what failed; "" while nothing has */
};

struct runner {
    uint32_t disabled; /* layers not to put on, bits 1 << Layer */
    uint32_t layers;   /* layers that are on */
    struct channel *channel;
    struct startup startup;
    struct arena arena;
    struct runner_progress *progress;
    pid_t template_process;
};

static inline bool runner_layer_disabled(const struct runner *runner, unsigned layer)
{
    return (runner->disabled & 1u << layer) != 0;
}

#endif
