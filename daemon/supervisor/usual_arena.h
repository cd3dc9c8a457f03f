/*
 * How large the arena of a session may be where the command line does not say.
 */
#ifndef SUPERVISOR_USUAL_ARENA_H
#define SUPERVISOR_USUAL_ARENA_H

#include <stdint.h>

/* All that 32-bit displacements reach, since addresses that nobody uses cost nothing; less where this process's own
   limits count them all the same. */
uint64_t usual_arena(void);

#endif
