/*
 * The lives of the runner, one after another, and the standby of the next one.
 */
#ifndef RUNNER_LIVES_H
#define RUNNER_LIVES_H

#include "daemon/runner/runner.h"

/* In the template, when all is prepared and SIGCHLD is blocked and has a handler. Returns when the linker has gone, or
   after a failure, which has been reported to it. */
void lives_run(const struct runner *runner);

#endif
