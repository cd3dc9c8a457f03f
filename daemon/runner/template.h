/*
 * The template: prepares everything that is the same in every life of the runner, then forks one life after another.
 */
#ifndef RUNNER_TEMPLATE_H
#define RUNNER_TEMPLATE_H

#include <stdint.h>

#include "proto/zones.h"

/* The command line (proto/control.h). */
struct template_orders {
    uint32_t disabled, layers;
    struct zone_sizes zones;
    uint64_t least_zeros;
};

/* Runs until the linker's end of the lifecycle socket closes, or set-up fails, which has been reported there. Returns
   the exit status. */
int template_run(const struct template_orders *orders);

/* In a forked process: default dispositions and an empty mask again. */
void template_restore_signals(void);

#endif
