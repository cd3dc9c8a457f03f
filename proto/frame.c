/*
 * The frame's 32 bytes, field by field. Nothing that a peer wrote here is used before it has been compared with a cap.
 */
#include "proto/frame.h"

#include "common/bytes.h"
#include "proto/limits.h"

enum field_offset {
    AT_MAGIC = 0,
    AT_TYPE = 4,
    AT_FLAGS = 6,
    AT_REQUEST = 8,
    AT_MESSAGE_BYTES = 16,
    AT_ATTACHMENT_BYTES = 20,
    AT_DESCRIPTORS = 24,
    AT_ZERO = 28
};

void frame_encode(const struct frame_header *header, uint8_t out[FRAME_BYTES])
{
    store_le32(out + AT_MAGIC, FRAME_MAGIC | FRAME_VERSION);
    store_le16(out + AT_TYPE, header->type);
    store_le16(out + AT_FLAGS, header->flags);
    store_le64(out + AT_REQUEST, header->request);
    store_le32(out + AT_MESSAGE_BYTES, header->message_bytes);
    store_le32(out + AT_ATTACHMENT_BYTES, header->attachment_bytes);
    store_le32(out + AT_DESCRIPTORS, header->descriptors);
    store_le32(out + AT_ZERO, 0);
}

static int check_lengths(const struct frame_header *header, struct error *error)
{
    if (header->message_bytes > LIMIT_MESSAGE_BYTES)
        return error_set(error, ERROR_LIMIT, "frame of type %u: message of %u bytes, at most %llu are taken",
                         header->type, header->message_bytes, LIMIT_MESSAGE_BYTES);
    if (header->attachment_bytes > LIMIT_ATTACHMENT_BYTES)
        return error_set(error, ERROR_LIMIT, "frame of type %u: attachment of %u bytes, at most %llu are taken",
                         header->type, header->attachment_bytes, LIMIT_ATTACHMENT_BYTES);
    if (header->descriptors > LIMIT_FRAME_DESCRIPTORS)
        return error_set(error, ERROR_LIMIT, "frame of type %u: %u descriptors, at most %d are taken", header->type,
                         header->descriptors, LIMIT_FRAME_DESCRIPTORS);
    return 0;
}

int frame_decode(const uint8_t in[FRAME_BYTES], struct frame_header *out, struct error *error)
{
    uint32_t magic = load_le32(in + AT_MAGIC);
    if ((magic & 0xffffff00u) != FRAME_MAGIC)
        return error_set(error, ERROR_PROTOCOL, "not a frame of jitd: it begins with %08x", magic);
    if ((magic & 0xff) != FRAME_VERSION)
        return error_set(error, ERROR_VERSION, "the other side speaks protocol version %u, this side version %u",
                         magic & 0xff, FRAME_VERSION);
    *out = (struct frame_header){
        .type = load_le16(in + AT_TYPE),
        .flags = load_le16(in + AT_FLAGS),
        .request = load_le64(in + AT_REQUEST),
        .message_bytes = load_le32(in + AT_MESSAGE_BYTES),
        .attachment_bytes = load_le32(in + AT_ATTACHMENT_BYTES),
        .descriptors = load_le32(in + AT_DESCRIPTORS),
    };
    if (out->flags)
        return error_set(error, ERROR_PROTOCOL, "frame of type %u: flags %#x, none are known", out->type, out->flags);
    if (load_le32(in + AT_ZERO))
        return error_set(error, ERROR_PROTOCOL, "frame of type %u: the last four bytes are not zero", out->type);
    return check_lengths(out, error);
}
