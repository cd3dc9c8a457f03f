/*
 * What the template prepares once and every live runner inherits by fork.
 *
 * The template fills this in order (template.c) and never changes it after its first fork; a live runner only reads
 * it. Nothing here is freed: it lives as long as the process.
 */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/runner/arena.h"
#include "daemon/runner/startup.h"
#include "proto/channel.h"
#include "proto/control.h"

/* How far the set-up of a forked process came. */
struct runner_setup {
    _Atomic uint32_t done; /* 1 once it has nothing to do but wait */
    int32_t os;            /* where set-up failed: errno... */
    char stage[64];        /* ...and what failed; "" while nothing has */
};

/* One page shared by the template and those of its forks that have not begun. Each unmaps it before it runs submitted
   code, which therefore can neither write it nor wake its sleepers: unlike the channel it may be believed. */
struct runner_gate {
    _Atomic uint32_t turn;         /* the epoch whose process may go on to the channel; futex; the template's */
    struct runner_setup setups[2]; /* of epoch e: setups[e % 2]. No more than two processes have the page */
};

struct runner {
    uint32_t disabled; /* layers not to put on, bits 1 << Layer */
    uint32_t layers;   /* layers that are on */
    struct channel *channel;
    struct startup startup;
    struct arena arena;
    struct runner_gate *gate;
    pid_t template_process;
    jmp_buf *life_begins; /* out of the template's frames, of which a fork has a copy, and back to ld.so */
};

static inline struct runner_setup *runner_setup(const struct runner *runner, uint32_t epoch)
{
    return &runner->gate->setups[epoch % 2];
}

static inline bool runner_layer_disabled(const struct runner *runner, unsigned layer)
{
    return (runner->disabled & 1u << layer) != 0;
}

#endif
