/*
 * A daemon of our own: starting `jitd --fd 3` and reaping it.
 *
 * The child is held by a pidfd, not by its number: a program whose own SIGCHLD handler waits for any child may reap it
 * before we do, and a number could by then be somebody else's. Where there are no pidfds (under valgrind, or a filter
 * that does not know them) its number has to do, and wait(2) is asked for it before it is ever used.
 */
#ifndef CLIENT_SPAWN_H
#define CLIENT_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/jitd.h"
#include "common/error.h"

struct spawned {
    int pidfd; /* owned; -1 where there is none */
    pid_t pid; /* a child that was not reaped; 0: none */
};

#define SPAWNED_NONE ((struct spawned){.pidfd = -1})

/* Starts the daemon that the options name with one end of a new socket pair as its descriptor 3; gives the other end,
   the caller's to close. The child has our standard error, our environment, no other descriptor of ours, and default
   signals. Errors: SYSTEM (also where there is no such program). */
int spawn_daemon(const struct jitd_options *options, struct spawned *out, int *socket_out, struct error *error);

/* "the daemon was killed by signal 9 (Killed)" or "the daemon exited with status 1", where it ends within the fifth of
   a second that is waited for it; else "the daemon has closed the connection". The child is left to spawn_reap. False
   where there is no daemon of ours. */
bool spawn_describe_end(const struct spawned *spawned, char *text, size_t bytes);

/* Waits until the daemon, whose socket has been closed, has ended; kills it after two seconds. Leaves *spawned none. */
void spawn_reap(struct spawned *spawned);

#endif
