/*
 * Where the program's frames end on each thread's stack, so far as crash reports need it.
 */
#ifndef RUNNER_BOUNDARY_H
#define RUNNER_BOUNDARY_H

#include <stdint.h>

/* The stack address at which the calling thread's frames begin to be the runner's own; those of the program lie below.
   0 where not known. Async-signal-safe. */
uintptr_t boundary_of_thread(void);
void boundary_set(uintptr_t boundary);

#endif
