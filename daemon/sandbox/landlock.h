/*
 * Landlock: which files a process and all that it starts can reach. One layer among several: it says nothing of stat,
 * chdir, or sockets other than TCP, which are the filter's business (filter.h).
 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stddef.h>

#include "common/error.h"

/* Restricts the calling thread, and all threads and processes it creates later, for good: call it while the process has
   one thread. Below each of `readable` files can be read and directories listed; below each of `writable` files can
   also be written, made and removed. A path that does not exist is skipped; a file may stand for a directory. Nothing
   can be executed, no TCP port bound or connected to, and, where the kernel knows these, no abstract socket or signal
   reaches a process outside. Sets no_new_privs.
   Errors: UNSUPPORTED (the kernel has no Landlock, or has it switched off: nothing is on, the caller decides), SYSTEM.
 */
int landlock_restrict(const char *const *readable, size_t count, const char *const *writable, size_t writable_count,
                      struct error *error);

#endif
