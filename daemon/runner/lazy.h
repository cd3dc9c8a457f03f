/*
 * Calls of functions that are not there yet: the thread waits until the linker has brought the function, does meanwhile
 * what that asks of it, and then goes on in the function as if it had called it directly.
 */
#ifndef RUNNER_LAZY_H
#define RUNNER_LAZY_H

#include "daemon/runner/runner.h"

/* Once, by the template, when the zones and the channel are mapped. `runner` is borrowed for ever. Returns the address
   that such calls must be led to (lifecycle.lazy_entry). */
uint64_t lazy_open(const struct runner *runner);

/* The calling process is the one whose threads may wait; any that it forks is not. Before there is submitted code. */
void lazy_begin(void);

#endif
