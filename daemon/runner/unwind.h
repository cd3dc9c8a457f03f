/*
 * Stack unwinding through code in the arena: the answer to libgcc's question "whose frame is this?".
 */
#ifndef RUNNER_UNWIND_H
#define RUNNER_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/runner/arena.h"

/* Tells the unwinder where the arena lies, and initialises libgcc. Not libc's link to that, with which libc would
   initialise itself before it knows the program's environment. Once, by the template. */
void unwind_open(const struct arena *arena);

/* Whether there is unwind information for `pc`. Async-signal-safe. */
bool unwind_covers(uintptr_t pc);

/* Unwinds a little, so that a crash does not meet the first touch of every page that this takes. fork keeps what libgcc
   has set up by it, but not the pages of files. */
void unwind_warm(void);

#endif
