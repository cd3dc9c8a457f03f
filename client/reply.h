/*
 * Replies: the one final answer to each request.
 */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include "client/session.h"
#include "common/error.h"
#include "proto/frame.h"
#include "proto/message.h"

/* `message` is one of direction REPLY. Completes the request, whose callback runs inside. An error ends the session,
   and then the request is still outstanding: PROTOCOL where the reply does not fit a request, NO_MEMORY; where Hello
   was refused, the daemon's own error. */
int reply_deliver(struct jitd_session *session, const struct frame_header *header, const ProtobufCMessage *message,
                  struct error *error);

#endif
