/*
 * Points in time on the monotonic clock, and polling one descriptor until one. No invariant but this: a signal that
 * interrupts the poll does not make the wait longer.
 */
#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct deadline {
    int64_t at; /* milliseconds of CLOCK_MONOTONIC; negative: never */
};

/* Negative for never. */
struct deadline deadline_after(int timeout_ms);

/* Milliseconds left, 0 when it has passed, -1 for never: what poll(2) takes. */
int deadline_left(struct deadline deadline);

/* As poll(2) of one descriptor: 1 when it is ready, 0 when time is up, -1 with errno. EINTR is retried unless the
   caller wants to be interrupted. */
int deadline_poll(int fd, short events, struct deadline deadline, bool interruptible);

#endif
