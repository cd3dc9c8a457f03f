/*
 * The arena: one reserved range just below the libraries, and the zones mapped into it.
 */
#ifndef RUNNER_ARENA_H
#define RUNNER_ARENA_H

#include <stdint.h>

#include "common/error.h"

struct arena {
    uintptr_t base;
    const unsigned char *data_image; /* zone D's pristine bytes: a read-only view of its memfd, outside the arena */
    uint64_t span_low, span_high;    /* lowest and one past the highest address of the libraries */
};

/* Reserves the arena below the libraries loaded by now, checks that 32-bit displacements reach from one end of both to
   the other, and maps the zones from FD_ZONE_X..FD_ZONE_D, whose seals are checked first. Errors: SYSTEM, SETUP. */
int arena_map(struct arena *arena, struct error *error);

#endif
