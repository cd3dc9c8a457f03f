/*
 * Where controllers come in, and who wants to look in: a listening Unix socket, jitd's own or systemd's. Only the
 * daemon's own user is let in.
 */
#ifndef SUPERVISOR_LISTENER_H
#define SUPERVISOR_LISTENER_H

#include <sys/un.h>
#include <uv.h>

#include "common/error.h"

struct listener {
    uv_poll_t poll;
    int fd;                                /* owned */
    int lock;                              /* owned; -1 for systemd's socket */
    int reserve;                           /* owned; given up for a moment to accept and close one when none is left */
    char path[sizeof(struct sockaddr_un)]; /* of the socket that is ours to remove; "" for systemd's */
    void (*accepted)(struct listener *listener, int socket); /* takes the socket over */
};

/* Opens the socket at `path` with mode 0600, its directory being made with 0700 where it is missing; "systemd:" stands
   for the one that systemd passes. A socket that a daemon left behind is replaced, one that is in use is not: the lock
   file PATH.lock tells them apart. PATH appears when whoever connects to it is heard. Errors: INVALID, LIMIT, SYSTEM.
 */
int listener_open(struct listener *listener, uv_loop_t *loop, const char *path, struct error *error);

/* The same at `owner`'s path, which is not systemd's, with `suffix` behind it. The owner's lock covers it: the owner is
   opened before and closed after it. */
int listener_open_beside(struct listener *listener, uv_loop_t *loop, const struct listener *owner, const char *suffix,
                         struct error *error);

/* Removes the socket; the loop may then end. Nothing where it is not open. */
void listener_close(struct listener *listener);

#endif
