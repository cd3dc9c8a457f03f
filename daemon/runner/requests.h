/*
 * Serves the linker's requests: the part of the runner that calls submitted code.
 */
#ifndef RUNNER_REQUESTS_H
#define RUNNER_REQUESTS_H

#include "daemon/runner/runner.h"

/* Takes and answers the records of `queue`, one of the channel's two, for ever. The main thread serves channel.main and
   the agent thread channel.agent. */
_Noreturn void requests_serve(const struct runner *runner, struct channel_queue *queue);

#endif
