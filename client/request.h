/*
 * Outstanding requests: what was asked, and whom to tell.
 *
 * A request is in the table from the moment it is queued until just before its callback runs. Whoever completes one
 * removes it first: that is what makes completion happen exactly once, and lets the callback send further requests.
 * The removed record is the caller's copy; those in the table move.
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/jitd.h"
#include "client/table.h"
#include "common/error.h"
#include "proto/connection.h"
#include "proto/message.h"

enum request_kind {
    REQUEST_HELLO,
    REQUEST_SUBMIT,
    REQUEST_LOOKUP,
    REQUEST_CALL,
    REQUEST_INSPECT,
    REQUEST_DEFINE_LIBRARY,
    REQUEST_CANCEL,
    REQUEST_REMOVE,
    REQUEST_REFUSE,
    REQUEST_REDIRECT,
    REQUEST_ADAPT
};

struct request {
    uint64_t id; /* the table's key */
    enum request_kind kind;
    enum jitd_type result; /* CALL: the type that was asked for */
    bool main;             /* CALL: of main, which never returns a value */
    uint32_t count;        /* SUBMIT: units, LOOKUP: names: the reply must bring as many */
    union {
        jitd_submit_callback *submit;
        jitd_lookup_callback *lookup;
        jitd_call_callback *call;
        jitd_inspect_callback *inspect;
        jitd_done_callback *done;
        jitd_cancel_callback *cancel;
        jitd_remove_callback *remove;
    } callback; /* NULL where nobody asked to be told */
    void *data; /* the callback's */
};

struct requests {
    struct table table;
    uint64_t last;      /* the number given last; the first is 1 */
    size_t submissions; /* outstanding SUBMITs */
};

/* What goes behind the message: all zero for none. Borrowed during the call. */
struct request_attachment {
    const struct connection_range *ranges;
    size_t range_count;
    const int *fds;
    size_t fd_count;
};

/* What every function that sends a request begins with: one that is refused has no number. */
static inline void request_clear(jitd_request *number)
{
    if (number)
        *number = 0;
}

void requests_init(struct requests *requests);
void requests_fini(struct requests *requests);

/* Queues `message` as a request and enters a copy of `request`, whose id is chosen here and given in *number, which may
   be NULL. On failure nothing has changed: DISCONNECTED, LIMIT, NO_MEMORY, in the session's error. */
int request_send(struct jitd_session *session, const struct request *request, uint16_t type,
                 const ProtobufCMessage *message, const struct request_attachment *attachment, jitd_request *number);

bool request_outstanding(const struct jitd_session *session, uint64_t id);

/* Copies the record of an outstanding request to *out; false where the number is not one. */
bool request_find(const struct jitd_session *session, uint64_t id, struct request *out);

/* To be called right before the callback. */
void request_remove(struct jitd_session *session, const struct request *request);

/* Runs the callback with errors; the request is no longer in the table. */
void request_fail(struct jitd_session *session, const struct request *request, const struct jitd_errors *errors);

/* Removes all requests, then completes each with the errors, in the order in which they were sent. */
void request_fail_all(struct jitd_session *session, const struct jitd_errors *errors);

#endif
