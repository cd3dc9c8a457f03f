/*
 * Finalisers of the program's units (.fini_array), run at exit; their actions are undone after them (actions.h).
 */
#ifndef RUNNER_FINALISERS_H
#define RUNNER_FINALISERS_H

#include <stddef.h>

#include "common/error.h"

typedef void finaliser_function(void);

/* At exit: runs all arrays that were added and not run, then undoes actions. */
void finalisers_run(void);

/* Runs an array that was added, from its end, and forgets it; one that was not is left alone. Any thread. */
void finalisers_run_now(finaliser_function *const *array);

/* Remembers an array, borrowed for the life of the process. Returns 0 or NO_MEMORY. Any thread. */
int finalisers_add(finaliser_function *const *array, size_t count);

#endif
