/*
 * A daemon of our own: starting `jitd --fd 3` and reaping it.
 *
 * The child is held by a pidfd, not by its number: a program whose own SIGCHLD handler waits for any child may reap it
 * before we do, and a number could by then be somebody else's.
 */
#ifndef CLIENT_SPAWN_H
#define CLIENT_SPAWN_H

#include "client/jitd.h"
#include "common/error.h"

struct spawned {
    int pidfd; /* owned; -1 where there is none */
};

#define SPAWNED_NONE ((struct spawned){.pidfd = -1})

/* Starts the daemon that the options name with one end of a new socket pair as its descriptor 3; gives the other end,
   the caller's to close. The child has our standard error, our environment, no other descriptor of ours, and default
   signals. Errors: SYSTEM (also where there is no such program). */
int spawn_daemon(const struct jitd_options *options, struct spawned *out, int *socket_out, struct error *error);

/* Waits until the daemon, whose socket has been closed, has ended; kills it after two seconds. Leaves *spawned none. */
void spawn_reap(struct spawned *spawned);

#endif
