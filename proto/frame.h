/*
 * The frame: 32 bytes, little-endian, in front of every message on the controller's socket.
 *
 *      0  u32  magic and version   0x4a49_5400 | version: "\x01TIJ" in memory for version 1
 *      4  u16  type                enum message_type (proto/message.h)
 *      6  u16  flags               none yet: must be zero
 *      8  u64  request             chosen by the controller, echoed by its one final reply; 0 in events
 *     16  u32  message bytes       a protobuf message of that type
 *     20  u32  attachment bytes    raw bytes behind it, which the message refers to by range
 *     24  u32  descriptors         how many ride on the frame's first byte (SCM_RIGHTS)
 *     28  u32  zero
 *
 * This file knows bytes only: no socket, no memory. Reading and writing frames on a socket is proto/connection.h.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdint.h>

#include "common/error.h"

#define FRAME_BYTES   32
#define FRAME_VERSION 1
#define FRAME_MAGIC   0x4a495400u

struct frame_header {
    uint16_t type;
    uint16_t flags;
    uint64_t request;
    uint32_t message_bytes;
    uint32_t attachment_bytes;
    uint32_t descriptors;
};

void frame_encode(const struct frame_header *header, uint8_t out[FRAME_BYTES]);

/* Refuses a wrong magic (PROTOCOL), another version (VERSION, naming both), set flags or reserved bits (PROTOCOL) and
   lengths over proto/limits.h (LIMIT), before anybody allocates for them. */
int frame_decode(const uint8_t in[FRAME_BYTES], struct frame_header *out, struct error *error);

#endif
