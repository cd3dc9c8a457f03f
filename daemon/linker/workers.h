/*
 * Worker threads: the independent parts of a large batch, done on all processors at once.
 *
 * The session's thread decides what is done and in which order it counts; a run only computes. It begins a run, works
 * along, and leaves it when every part is done, so that outside of runs no other thread looks at anything. Threads are
 * started by the first run: a session whose batches are small never has any, and an idle one has none that runs.
 */
#ifndef LINKER_WORKERS_H
#define LINKER_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/pool.h"
#include "proto/limits.h"

#define WORKERS_MOST LIMIT_LINK_THREADS

struct workers;

/* One part of a run: `index` counts from 0. Called on any thread; may reset `scratch`, which is the thread's own, and
   what lies in it lasts as long as the part does. Must not log. */
typedef void workers_function(void *data, uint32_t index, struct pool *scratch);

/* Reserves stacks for up to `count` threads (at most WORKERS_MOST) beside the caller's and starts none: to be called
   before the process confines itself. 0 gives NULL, which is no workers. Errors: NO_MEMORY, SYSTEM. */
int workers_open(unsigned count, struct workers **out, struct error *error);

/* Ends the threads. NULL is allowed. */
void workers_close(struct workers *workers);

/* Whether work over so many symbols is enough that waking threads pays; never with NULL. */
bool workers_pay(const struct workers *workers, uint64_t symbols);

/* Calls the function for each index below `count`, on all threads at once and in any order; returns when all calls
   have returned. What they wrote is then visible to the caller. Where no thread can be started the caller does all. */
void workers_run(struct workers *workers, uint32_t count, workers_function *function, void *data);

#endif
