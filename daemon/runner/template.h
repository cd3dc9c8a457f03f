/*
 * The template: prepares everything that is the same in every life of the runner, then forks one life after another.
 */
#ifndef RUNNER_TEMPLATE_H
#define RUNNER_TEMPLATE_H

#include <stdint.h>

#include "daemon/runner/startup.h"
#include "proto/zones.h"

/* The settings (proto/control.h), and where the program's strings go. */
struct template_orders {
    uint32_t disabled, layers;
    struct zone_sizes zones;
    uint64_t least_zeros;
    struct startup_place place;
};

/* Returns in each life, when it begins, with the program's arguments and environment in their place. In the template
   itself it runs until the linker's end of the lifecycle socket closes, or set-up fails, which has been reported there;
   then the process exits. */
void template_run(const struct template_orders *orders);

/* In a forked process: default dispositions and an empty mask again. */
void template_restore_signals(void);

#endif
