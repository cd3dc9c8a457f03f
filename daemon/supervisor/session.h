/*
 * Sessions, as the supervisor sees them: two children and the descriptors they share. It creates those, starts the
 * linker, starts the template when the linker asks for it, and cleans up; it reads nothing else.
 *
 *   linker ends   -> the template is killed, and with it its pid namespace; the session ends when both are reaped
 *   template ends -> the linker sees that itself, on the lifecycle socket, is told of what, and tells its controller
 *   linker breaks the rules of the control socket, or outlives its controller by five seconds -> it is killed
 *   linker is killed -> the supervisor tells the controller, whose socket it holds for that, and never reads
 *
 * Sessions know nothing of each other.
 */
#ifndef SUPERVISOR_SESSION_H
#define SUPERVISOR_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/error.h"
#include "daemon/supervisor/configuration.h"
#include "proto/inspect.h"

struct session;

/* All sessions of a daemon, and what they have in common. */
struct session_set {
    uv_loop_t *loop;                           /* borrowed */
    const struct configuration *configuration; /* borrowed */
    struct session *first;                     /* owned; doubly linked */
    size_t count;
    uint64_t last_number; /* of the session opened last; they count from 1 */
    /* A session has ended, nothing of it is left. `failed`: by its linker's fault, which could not be executed, crashed
       or broke the rules of the control socket. */
    void (*ended)(struct session_set *set, bool failed);
};

/* Takes over `controller`, a connected stream socket, also on failure. Errors: LIMIT (too many sessions), NO_MEMORY,
   SYSTEM; `ended` is called only for sessions that were opened. */
int session_open(struct session_set *set, int controller, struct error *error);

/* Has all sessions end because of a signal to the daemon: linkers say goodbye, and are killed a second later, or when
   this is called again; `ended` follows for each, from the loop. */
void session_end_all(struct session_set *set, int number);

/* Describes at most `room` sessions, the youngest first. Returns how many. */
size_t session_list(const struct session_set *set, struct inspect_session *out, size_t room);

/* Whether session `number` can be given an observer. */
enum inspect_status session_check(const struct session_set *set, uint64_t number);

/* Hands a socket, which stays the caller's, to the linker of a session for which session_check has said OK. A linker
   that does not take it now never gets it: the observer sees its connection end. */
void session_observe(const struct session_set *set, uint64_t number, int observer);

#endif
