/*
 * What a crashing thread writes into the channel before it lets the kernel end the process.
 */
#ifndef RUNNER_CRASH_HANDLER_H
#define RUNNER_CRASH_HANDLER_H

#include <signal.h>

#include "common/error.h"
#include "proto/channel.h"

/* Handles the signals that mean a crash, on each thread's alternate stack. They end the process without a record until
   there is one to write. */
int crash_handler_install(struct error *error);

/* `record` is from now on the process's to claim; borrowed for its life. Call it before there is submitted code. */
void crash_handler_report_to(struct channel_crash *record);

/* The calling thread has called exit: says which one it was, unless the process is a child of the program's. */
void crash_handler_note_exit(void);

/* Ends the process as if the calling thread had just returned from a call and got signal `number`, whatever the program
   does with that signal. `registers` are in the order of channel_crash.registers, rip the call's return address; the
   backtrace begins with the call. */
_Noreturn void crash_handler_raise(int number, const uint64_t registers[CRASH_REGISTERS]);

/* Ends the process by signal `number` and leaves no record: for a process whose crashes are not the session's. After
   vfork too. */
_Noreturn void crash_handler_die(int number);

/* Takes the signals of the crash handler out of `set`: blocked, they would end the process without a record. */
void crash_handler_leave_unblocked(sigset_t *set);

#endif
