/*
 * Inside of a session: its connection, its outstanding requests, and what it knows of the daemon.
 *
 * A session lives in one of two states. *Connected*: `connection` is set. *Ended*: it is NULL, every request has been
 * completed, `why` says what happened, and each call is refused; there is no way back. The change is made in one place,
 * session_end, and only from within jitd_dispatch, where callbacks may run.
 *
 * Internal functions fill `error` and return its code; each public function returns through client_session_result,
 * which brings what jitd_last_error shows up to date. The functions here are called client_session_, since the linker
 * has sessions too and one test program holds both.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdbool.h>

#include "client/jitd.h"
#include "client/request.h"
#include "client/spawn.h"
#include "client/table.h"
#include "common/error.h"
#include "common/pool.h"
#include "proto/connection.h"

struct jitd_session {
    struct connection *connection; /* owned; NULL once ended */
    uint32_t call_deadline_ms;     /* of calls and runs that are sent; 0: none */
    size_t queue_bytes;            /* past so many queued bytes requests are refused */
    bool interruptible;            /* waits end when a signal handler has run */
    struct jitd_listener listener;
    void *data; /* the listener's */

    struct requests requests;
    struct table pending; /* struct pending_unit: accepted, neither ready nor failed nor removed */
    uint64_t hello;       /* the number of Hello's request */

    struct jitd_welcome *welcome; /* in welcome_pool; NULL until it came */
    struct pool welcome_pool;
    struct pool decoded; /* one message as it came... */
    struct pool shown;   /* ...and as callbacks see it; both live until it is dealt with */

    bool dispatching;
    struct error send_error; /* sending failed: the session ends when all that was received is read */
    struct error goodbye;    /* what the daemon has said of the end that comes; code 0: nothing */
    struct error why;        /* why the session ended */
    struct error error;      /* of the last call that failed... */
    struct jitd_error last;  /* ...as jitd_last_error shows it: points into `error` */
    struct spawned daemon;   /* none unless jitd_spawn started it */
};

/* The key is the unit's id plus one, for the table takes no key 0. */
struct pending_unit {
    uint64_t key;
};

/* An ended session with nothing in it; NULL when out of memory. The listener may be NULL. */
struct jitd_session *client_session_new(const struct jitd_listener *listener, void *data);

/* Ends a public function: returns `code`, after showing session->error where it is not 0. */
int client_session_result(struct jitd_session *session, int code);

/* Sets DISCONNECTED, with why, as what an ended session answers. */
int client_session_refuse(struct jitd_session *session);

/* Sends what the socket takes. A failure is kept until what the daemon said before it went has been read. */
void client_session_send(struct jitd_session *session);

#endif
