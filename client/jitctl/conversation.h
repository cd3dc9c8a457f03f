/*
 * One session as both commands use it: open, submit everything as one closed batch, wait for what comes.
 *
 * Waiting ends when what was waited for is there, when the connection breaks, or when a signal asks jitctl to end:
 * the exit status is then 128 + its number. The signals are left to their defaults in the processes that the session
 * starts, since handlers do not survive exec.
 */
#ifndef JITCTL_CONVERSATION_H
#define JITCTL_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>

#include "client/jitctl/inputs.h"
#include "client/jitctl/options.h"
#include "client/jitctl/places.h"
#include "client/jitd.h"

struct conversation {
    struct jitd_session *session; /* owned */
    const struct inputs *inputs;  /* borrowed */
    struct places places;
    enum jitd_profile profile;
    int interruption;     /* borrowed; readable once a signal asks to end */
    size_t units_waiting; /* neither ready nor failed */
    bool welcomed;        /* it is known which layers confine the program, and has been said */
    bool submitted;       /* the batch was accepted */
    bool finished;        /* nothing more is to be waited for */
    int status;           /* the command's exit status */
    /* How a life of the runner that ended is told; it may set `status`. NULL: it counts as a failure. */
    void (*ended)(struct conversation *conversation, const struct jitd_end *end);
    void *data; /* of the command */
};

/* Opens the session; `session` holds what is particular to the command and is completed from `options` and `inputs`.
   `conversation` must not move until conversation_close. Returns 0 or EXIT_JITCTL, having complained. */
int conversation_open(struct conversation *conversation, const struct options *options, const struct inputs *inputs,
                      struct jitd_options *session);

/* Submits all objects and waits until every unit is ready. Returns 0, or the exit status of the command. */
int conversation_submit(struct conversation *conversation, const struct inputs *inputs);

/* Waits until `finished`. Returns `status`. */
int conversation_wait(struct conversation *conversation);

/* Ends the waiting with this status. The first one stands. */
void conversation_finish(struct conversation *conversation, int status);

/* Complains of each error and finishes with EXIT_JITCTL. */
void conversation_fail(struct conversation *conversation, const struct jitd_errors *errors);

void conversation_close(struct conversation *conversation);

#endif
