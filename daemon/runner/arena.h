/*
 * The arena: one reserved range just below the libraries, and the zones mapped into it.
 */
#ifndef RUNNER_ARENA_H
#define RUNNER_ARENA_H

#include <stdint.h>

#include "common/error.h"
#include "proto/control.h"

struct arena {
    uintptr_t base;
    const unsigned char *data_image; /* zone D's pristine bytes: a read-only view of its memfd, outside the arena */
    uint64_t span_low, span_high;    /* lowest and one past the highest address of the libraries */
};

/* Reserves the arena below the libraries loaded by now, checks that 32-bit displacements reach from one end of both to
   the other, and maps the zones from FD_ZONE_X..FD_ZONE_D, whose seals are checked first. Errors: SYSTEM, SETUP. */
int arena_map(struct arena *arena, struct error *error);

/* How much of zone D or Z can be written, and to have it so up to an offset in it, in steps of ZONE_WRITABLE_STEP. Any
   thread. Errors: NO_MEMORY; then it is as before. */
uint64_t arena_writable(enum zone zone);
int arena_let_write(const struct arena *arena, enum zone zone, uint64_t end);

#endif
