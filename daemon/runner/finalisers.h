/*
 * Finalisers of the program's units (.fini_array), run at exit.
 */
#ifndef RUNNER_FINALISERS_H
#define RUNNER_FINALISERS_H

#include <stddef.h>

#include "common/error.h"

typedef void finaliser_function(void);

/* Registers with atexit before the program can, so that finalisers run after the program's own handlers. */
int finalisers_open(struct error *error);

/* Remembers an array, borrowed for the life of the process. Returns 0 or NO_MEMORY. Any thread. */
int finalisers_add(finaliser_function *const *array, size_t count);

#endif
