/*
 * Looking into the sessions of a daemon that listens (proto/inspect.h). jitctl is no controller here: there is no
 * Hello, and the linker answers nothing but Inspect.
 *
 * Everything waits, and complains where it fails.
 */
#ifndef JITCTL_OBSERVATION_H
#define JITCTL_OBSERVATION_H

#include <stddef.h>
#include <stdint.h>

#include "common/pool.h"
#include "proto/connection.h"
#include "proto/inspect.h"
#include "proto/message.h"

/* The sessions of the daemon at `path`, by number. Returns 0 or EXIT_JITCTL. */
int observation_list(const char *path, struct inspect_session sessions[LIMIT_SESSIONS], size_t *count);

struct observation {
    uint64_t session;
    struct connection *connection; /* owned */
    struct pool pool;              /* of the last answer */
};

/* Returns 0 or EXIT_JITCTL. End with observation_close in both cases. */
int observation_open(struct observation *observation, const char *path, uint64_t session);
void observation_close(struct observation *observation);

/* *out lives until the next question. Returns 0 or EXIT_JITCTL. */
int observation_ask(struct observation *observation, const Jitd__Proto__Inspect *request,
                    const Jitd__Proto__Inspection **out);

#endif
