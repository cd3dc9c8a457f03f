/*
 * Frames on a stream socket, for both ends: an incremental reader and a bounded output queue. Nothing here blocks and
 * nothing here waits: the owner polls `connection_fd` for `connection_events` and calls read and flush.
 *
 * Reading: connection_read gives one whole frame at a time. Small frames are cut out of a shared read buffer; a large
 * one is received straight into memory of its own. A frame owns its message bytes, its attachment and its descriptors
 * and is counted, so that many units can keep the attachment alive without copying it.
 *
 * Writing: connection_write packs header and message into the queue and copies the attachment behind it (the controller
 * may then reuse its buffer); descriptors are duplicated. connection_flush sends as much as the socket takes.
 *
 * One thread. The connection owns its socket.
 */
#ifndef PROTO_CONNECTION_H
#define PROTO_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/frame.h"
#include "proto/limits.h"

struct connection;
struct ProtobufCMessage;

struct frame {
    struct frame_header header;
    uint32_t references;              /* frame_retain, frame_release; the last one frees */
    const uint8_t *message;           /* header.message_bytes; 16-byte aligned */
    const uint8_t *attachment;        /* header.attachment_bytes; 16-byte aligned, so that ELF can be read in place */
    int fds[LIMIT_FRAME_DESCRIPTORS]; /* header.descriptors of them, owned; take one by storing -1 in its place */
};

struct frame *frame_retain(struct frame *frame);
void frame_release(struct frame *frame); /* NULL is allowed */

/* Bytes of memory that the frame takes: header, message, attachment. */
size_t frame_memory(const struct frame *frame);

/* Takes the socket over, also on failure, and makes it nonblocking. */
int connection_open(int socket, struct connection **out, struct error *error);
void connection_close(struct connection *connection); /* NULL is allowed */

int connection_fd(const struct connection *connection);

/* From now on a frame whose message and attachment have more than `bytes` together is refused (LIMIT). */
void connection_limit(struct connection *connection, size_t bytes);

/* POLLIN, and POLLOUT while output is queued. */
short connection_events(const struct connection *connection);

/* Next whole frame, at most one read from the socket a call unless a large frame is being filled.
   Returns 0 with *out set (the caller owns one reference), or with *out NULL when there is none yet (wait for POLLIN);
   DISCONNECTED at end of file between frames, PROTOCOL when it comes within one or the frame is malformed or brings
   other descriptors than it says, LIMIT, NO_MEMORY, SYSTEM. After an error the connection can only be closed. */
int connection_read(struct connection *connection, struct frame **out, struct error *error);

/* Whether connection_read can give another frame, or an error, without the socket becoming readable first. */
bool connection_has_frame(const struct connection *connection);

struct connection_range {
    const void *bytes;
    size_t length;
};

/* Queues one frame. `message` is a generated message of the type's descriptor (proto/message.h). The attachment is the
   concatenation of `ranges`, each one padded to a multiple of 16 bytes with zeros so that each starts aligned: range i
   begins at the sum of the padded lengths before it. fds are duplicated. Fails with LIMIT when the frame is over its
   cap; the queue itself grows: the caller stops taking work while connection_queued is over LIMIT_OUTPUT_BYTES. */
int connection_write(struct connection *connection, uint16_t type, uint64_t request,
                     const struct ProtobufCMessage *message, const struct connection_range *ranges, size_t range_count,
                     const int *fds, size_t fd_count, struct error *error);

/* Sends what the socket takes. 0 also when some is left (see connection_events); DISCONNECTED, SYSTEM. */
int connection_flush(struct connection *connection, struct error *error);

size_t connection_queued(const struct connection *connection);

#endif
