/*
 * Deadlines over clock_gettime(2) and poll(2) (deadline.h).
 */
#include "client/deadline.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

static int64_t deadline_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct deadline deadline_after(int timeout_ms)
{
    return (struct deadline){.at = timeout_ms < 0 ? -1 : deadline_now() + timeout_ms};
}

int deadline_left(struct deadline deadline)
{
    if (deadline.at < 0)
        return -1;
    int64_t left = deadline.at - deadline_now();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int deadline_poll(int fd, short events, struct deadline deadline, bool interruptible)
{
    for (;;) {
        struct pollfd polled = {.fd = fd, .events = events};
        int ready = poll(&polled, 1, deadline_left(deadline));
        if (ready >= 0 || errno != EINTR || interruptible)
            return ready;
    }
}
