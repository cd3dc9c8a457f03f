/*
 * What the program finds when it starts: arguments, environment, working directory, as the controller's Hello said.
 */
#ifndef RUNNER_STARTUP_H
#define RUNNER_STARTUP_H

#include <stdint.h>

#include "common/error.h"
#include "proto/channel.h"

/* Where ld.so and libc look for arguments and environment: what execve was given, of which the arrays may be written.
 */
struct startup_place {
    int argument_count;
    char **arguments;
    char **environment;
};

struct startup {
    uint32_t profile;     /* enum Profile */
    uint32_t patience_ms; /* how long a thread waits for a waiter */
    int argument_count;
    char **arguments;        /* owned, NULL-terminated; so are the strings */
    char **environment;      /* owned, NULL-terminated */
    char *working_directory; /* owned; "" for the daemon's own */
    struct startup_place place;
};

/* Copies it out of the channel, which hostile code can write later; `place` is there. Errors: SETUP where counts and
   bytes disagree or the place is too small, NO_MEMORY. */
int startup_read(struct startup *startup, const struct channel_startup *source, struct error *error);

/* Puts arguments and environment in their place. */
void startup_put(const struct startup *startup);

#endif
