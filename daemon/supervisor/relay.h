/*
 * For `jitd --stdio`: carries bytes between standard input and output and a session's socket, for transports such as
 * ssh that offer a pipe each way. Descriptors do not travel.
 */
#ifndef SUPERVISOR_RELAY_H
#define SUPERVISOR_RELAY_H

#include <uv.h>

#include "common/error.h"

struct relay {
    uv_async_t drained_async;
    uv_thread_t inward_thread, outward_thread;
    int inward, outward;                  /* owned by their threads once these run; the same socket twice */
    void (*drained)(struct relay *relay); /* all that the session had to say has been written */
};

/* Starts carrying. *controller is the other end, for session_open. `relay` must live until the process ends: a thread
   may still wait for standard input then. Errors: SYSTEM. */
int relay_open(struct relay *relay, uv_loop_t *loop, int *controller, struct error *error);

#endif
