/*
 * The ways out of a program, each of which says first in what the calling thread was (crash_handler.h).
 *
 * exit runs the handlers of atexit, and quick_exit those of at_quick_exit; one that is registered before the program
 * can register any runs last. _exit has no handlers, so it is exported, and the program's calls and those of the
 * libraries come here; libc's own do not, since they are bound inside of it. A system call that the program makes
 * itself says nothing.
 */
#include "daemon/runner/exits.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/runner/crash_handler.h"
#include "daemon/runner/entry.h"
#include "daemon/runner/finalisers.h"

/* In a child of vfork too, whose memory is its parent's: nothing is written there. */
EXPORT _Noreturn void _exit(int status)
{
    crash_handler_note_exit();
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT _Noreturn void _Exit(int status)
{
    _exit(status);
}

ENTERED static void exits_handle(void)
{
    crash_handler_note_exit();
    finalisers_run();
}

ENTERED static void exits_handle_quick(void)
{
    crash_handler_note_exit();
}

int exits_open(struct error *error)
{
    if (atexit(exits_handle) != 0 || at_quick_exit(exits_handle_quick) != 0)
        return error_set(error, ERROR_NO_MEMORY, "register the exit handlers");
    return 0;
}
