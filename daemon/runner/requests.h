/*
 * Serves the linker's requests: the part of the runner that calls submitted code.
 */
#ifndef RUNNER_REQUESTS_H
#define RUNNER_REQUESTS_H

#include "daemon/runner/runner.h"

/* Takes and answers the records of `queue`, one of the channel's two, for ever. The main thread serves channel.main and
   the agent thread channel.agent. */
_Noreturn void requests_serve(const struct runner *runner, struct channel_queue *queue);

/* Tells the linker that the calling thread, which has taken waiter `number`, has called through slot `slot` what is not
   there, and does what it asks until it may go on. Returns where: the function's address, or 0 for nowhere. */
uint64_t requests_serve_waiter(const struct runner *runner, uint32_t number, uint64_t slot);

/* Tells the linker that the calling thread, which has called through that slot, found no waiter and ends the process.
 */
void requests_give_up(const struct runner *runner, uint64_t slot);

/* What the calling thread has been asked to do and has not answered yet, the innermost; NULL: nothing.
 * Async-signal-safe.
 */
const struct channel_record *requests_under_way(void);

/* Whether the calling thread is in code of the program that the linker has it run for others, as initialisers are.
   Async-signal-safe. */
bool requests_are_performed(void);

#endif
