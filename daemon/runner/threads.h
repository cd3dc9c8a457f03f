/*
 * The threads of the program: how many there are, where the program's frames end on each one's stack (boundary.h), and
 * an alternate stack to stand on when one has run over its own.
 */
#ifndef RUNNER_THREADS_H
#define RUNNER_THREADS_H

#include <stdint.h>

#include "common/error.h"

/* Gives the main thread, now the only one, its alternate stack. fork keeps it. */
int threads_open(struct error *error);

/* From now on the program's threads, the main one not among them, are counted there. Before the program has any. */
void threads_count_in(_Atomic uint32_t *count);

/* Waits until every thread that the program has made has ended, then exits with status 0: what libc does when the main
   thread calls pthread_exit, which it cannot do itself while the agent thread lives. */
_Noreturn void threads_exit_after_others(void);

/* Makes a detached thread that does not count as the program's. Returns 0 or an errno. */
int threads_create_agent(void *(*function)(void *), void *argument);

#endif
