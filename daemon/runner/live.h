/*
 * A live runner: one life, from the template's fork to the end of the program.
 */
#ifndef RUNNER_LIVE_H
#define RUNNER_LIVE_H

#include "daemon/runner/runner.h"

/* In the process just forked, which still has the template's signal dispositions: locks itself down, waits for its turn
   and for its epoch, and leaves by runner->life_begins. */
_Noreturn void live_run(const struct runner *runner, uint32_t epoch);

/* In that process, when the libraries have been initialised: serves. */
_Noreturn void live_serve(void);

#endif
