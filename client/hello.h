/*
 * The first request of a session: what jitd_options say, as a Hello.
 */
#ifndef CLIENT_HELLO_H
#define CLIENT_HELLO_H

#include "client/jitd.h"

/* Queues it; its number becomes session->hello. Errors in session->error: LIMIT, INVALID, NO_MEMORY, DISCONNECTED. */
int hello_send(struct jitd_session *session, const struct jitd_options *options);

#endif
