/*
 * Events: news that no request asked for, decoded and handed to the session's listener in their order.
 */
#ifndef CLIENT_EVENT_H
#define CLIENT_EVENT_H

#include "client/session.h"
#include "common/error.h"
#include "proto/frame.h"
#include "proto/message.h"

/* `message` is one of direction EVENT. An error ends the session: PROTOCOL, NO_MEMORY. Callbacks run inside. */
int event_deliver(struct jitd_session *session, const struct frame_header *header, const ProtobufCMessage *message,
                  struct error *error);

#endif
