/*
 * System-call filters, compiled when jitd is built: a table of rows (rules.h) becomes an array of classic BPF, and a
 * process that confines itself copies the array, writes its own process id into it, and hands it to the kernel. There
 * is no library and no allocation on that path, so that a freshly forked runner may walk it.
 *
 * A call that the profile does not know ends in SIGSYS: in the runner as a signal that its crash handler turns into a
 * report (code that catches it gains nothing: the call has not happened), in the linker as immediate death. Another
 * architecture's calls (int 0x80, x32) kill the process whatever the role.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "common/error.h"

/* The runner's three have the numbers of enum Profile in proto/jitd.proto. */
enum filter_role {
    FILTER_RUNNER_DEFAULT = 0,
    FILTER_RUNNER_COMPUTE = 1,
    FILTER_RUNNER_TRUSTED = 2,
    FILTER_LINKER = 3,
    FILTER_ROLE_COUNT
};

/* Puts the role's filter on the calling thread, and with it on all threads and processes it creates later: call it
   while the process has one thread. Sets no_new_privs. Cannot be undone. Makes no allocation; three system calls.
   Errors: INVALID (no such role), SYSTEM (the kernel refused; nothing is on). */
int filter_install(enum filter_role role, struct error *error);

/* The role's program as filter_install would load it for process `pid`, copied to `out` (FILTER_INSTRUCTIONS of room).
   Returns its length, or 0 where the role is unknown or the program does not hold as many places for the process id as
   its table has: then nothing may be loaded. */
#define FILTER_INSTRUCTIONS 1024
size_t filter_program(enum filter_role role, unsigned pid, struct sock_filter *out);

#endif
