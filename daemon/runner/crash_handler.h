/*
 * What a crashing thread writes into the channel before it lets the kernel end the process.
 */
#ifndef RUNNER_CRASH_HANDLER_H
#define RUNNER_CRASH_HANDLER_H

#include <signal.h>

#include "common/error.h"
#include "proto/channel.h"

/* Handles the signals that mean a crash, on each thread's alternate stack. `record` is borrowed for the life of the
   process. */
int crash_handler_install(struct channel_crash *record, struct error *error);

/* Takes the signals of the crash handler out of `set`: blocked, they would end the process without a record. */
void crash_handler_leave_unblocked(sigset_t *set);

#endif
