/*
 * The one message that the supervisor writes, by hand: it has no protobuf, since it reads none.
 */
#include "daemon/supervisor/farewell.h"

#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "proto/frame.h"
#include "proto/message.h"

/* Protocol Buffers, "Message Structure": a field's number and its kind (0 a varint, 2 bytes with their length). */
#define FIELD_CODE (1 << 3 | 0)
#define FIELD_TEXT (2 << 3 | 2)

static size_t put_varint(uint8_t *out, uint32_t value)
{
    size_t length = 0;
    for (; value >= 0x80; value >>= 7)
        out[length++] = (uint8_t)(value | 0x80);
    out[length++] = (uint8_t)value;
    return length;
}

void farewell_send(int controller, const struct error *why)
{
    uint8_t frame[FRAME_BYTES + sizeof why->text + 16];
    uint8_t *message = frame + FRAME_BYTES;
    size_t text = strlen(why->text), length = 0;
    message[length++] = FIELD_CODE;
    length += put_varint(message + length, (uint32_t)why->code);
    message[length++] = FIELD_TEXT;
    length += put_varint(message + length, (uint32_t)text);
    memcpy(message + length, why->text, text);
    length += text;
    frame_encode(&(struct frame_header){.type = MESSAGE_GOODBYE, .message_bytes = (uint32_t)length}, frame);
    send(controller, frame, FRAME_BYTES + length, MSG_DONTWAIT | MSG_NOSIGNAL);
}
