/*
 * Units on their way into a message: of Submit, or of Run.
 */
#ifndef CLIENT_SUBMIT_H
#define CLIENT_SUBMIT_H

#include "client/batch.h"
#include "client/manifest.h"
#include "client/session.h"

/* Zero-initialise it; free `units` when it has been sent. All of it lies in the one block that begins with them. */
struct submit_message {
    struct submit_unit *units;       /* owned */
    Jitd__Proto__Unit **pointers;    /* to each unit; they borrow from the batch */
    struct connection_range *ranges; /* one for each object that travels as bytes */
    size_t range_count;
    struct manifest_columns columns;
    Jitd__Proto__Entries *entries; /* of all units; NULL where there are none */
    char *manifests;               /* room for what manifest_pack makes */
    struct request_attachment attachment;
};

/* Fills the message and its attachment from a batch, which must outlive it. INVALID (no units), UNSUPPORTED (memfds
   over this socket), NO_MEMORY, DISCONNECTED; the session's error says which. */
int submit_pack(struct jitd_session *session, struct jitd_batch *batch, struct submit_message *message);

#endif
