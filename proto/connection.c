/*
 * Frames on a stream socket.
 *
 * Input: one recvmsg fills a shared buffer with as many frames as have come; each is cut out into one block that holds
 * struct frame, message and attachment. A frame that is large and not all there yet gets its block at once, and its
 * rest is received straight into it, never a byte beyond it.
 *
 * Descriptors: the kernel ends a read behind the piece of data that carried some (unix(7)), but puts plain data of
 * earlier frames in front of it. Hence they are queued as they come and handed to frames in order, each taking as many
 * as its header says. They ride on a frame's first byte, so they are here before its header is complete: a frame that
 * finds too few is refused before memory is taken for it, and so is whoever leaves some over. A legal peer never has
 * more under way than those of the frame at the front and of one behind it, which caps the queue.
 *
 * Output: a list of segments; frames are appended to the last one while it has room. A frame with descriptors begins a
 * segment, since they are sent with a segment's first byte.
 */
#include "proto/connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "proto/message.h"

#define PART_ALIGNMENT   16 /* of message and attachment, in a frame's block and on the wire */
#define INPUT_BYTES      KIB(256)
#define LARGE_BYTES      KIB(64) /* from here on a frame that is not all there gets its block at once */
#define SEGMENT_BYTES    KIB(64)
#define DESCRIPTORS_HELD (2 * LIMIT_FRAME_DESCRIPTORS)

struct segment {
    struct segment *next; /* owned */
    size_t capacity;
    size_t start, end;                /* what is queued, in bytes */
    int fds[LIMIT_FRAME_DESCRIPTORS]; /* fd_count of them, owned; they go with the byte at start */
    size_t fd_count;
    uint8_t bytes[];
};

struct connection {
    int socket; /* owned */
    int broken; /* the code that ended reading, or 0 */
    size_t body_limit;

    struct frame *filling; /* owned; a large frame of which `filled` bytes have come, or NULL */
    size_t filled;
    int fds[DESCRIPTORS_HELD]; /* fd_count of them, owned; received and not yet handed to a frame */
    size_t fd_count;
    size_t input_start, input_end;

    struct segment *first; /* owned, with all behind it */
    struct segment *last;  /* borrowed from that list */
    struct segment *spare; /* owned; an empty one of SEGMENT_BYTES, or NULL */
    size_t queued;

    uint8_t input[INPUT_BYTES];
};

static size_t body_bytes(const struct frame_header *header)
{
    return (size_t)header->message_bytes + header->attachment_bytes;
}

static void close_descriptors(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        descriptor_close(&fds[i]);
}

/* ---- frames ---- */

static size_t attachment_offset(const struct frame_header *header)
{
    return align_up(sizeof(struct frame), PART_ALIGNMENT) + align_up(header->message_bytes, PART_ALIGNMENT);
}

/* Not a byte of it is touched: one that is announced and never sent costs address space only. */
static struct frame *frame_new(const struct frame_header *header)
{
    size_t message_at = align_up(sizeof(struct frame), PART_ALIGNMENT);
    size_t attachment_at = attachment_offset(header);
    struct frame *frame = malloc(attachment_at + header->attachment_bytes);
    if (!frame)
        return NULL;
    frame->header = *header;
    frame->references = 1;
    frame->message = (uint8_t *)frame + message_at;
    frame->attachment = (uint8_t *)frame + attachment_at;
    for (size_t i = 0; i < header->descriptors; i++)
        frame->fds[i] = -1;
    return frame;
}

struct frame *frame_retain(struct frame *frame)
{
    frame->references++;
    return frame;
}

void frame_release(struct frame *frame)
{
    if (!frame || --frame->references)
        return;
    close_descriptors(frame->fds, frame->header.descriptors);
    free(frame);
}

size_t frame_memory(const struct frame *frame)
{
    return attachment_offset(&frame->header) + frame->header.attachment_bytes;
}

/* Where byte `filled` of the body goes; *room is what follows contiguously. */
static uint8_t *frame_place(struct frame *frame, size_t filled, size_t *room)
{
    size_t message_bytes = frame->header.message_bytes;
    bool in_message = filled < message_bytes;
    *room = in_message ? message_bytes - filled : body_bytes(&frame->header) - filled;
    const uint8_t *place = in_message ? frame->message + filled : frame->attachment + (filled - message_bytes);
    return (uint8_t *)(uintptr_t)place;
}

static void frame_copy_in(struct frame *frame, const uint8_t *bytes, size_t length)
{
    for (size_t filled = 0; filled < length;) {
        size_t room;
        uint8_t *place = frame_place(frame, filled, &room);
        size_t piece = min_u64(room, length - filled);
        memcpy(place, bytes + filled, piece);
        filled += piece;
    }
}

/* ---- opening and closing ---- */

int connection_open(int socket, struct connection **out, struct error *error)
{
    *out = NULL;
    int code = descriptor_set_nonblocking(socket, true, error);
    struct connection *connection = code ? NULL : malloc(sizeof *connection);
    if (!connection) {
        descriptor_close(&socket);
        return code ? code : error_set(error, ERROR_NO_MEMORY, "no memory for a connection");
    }
    memset(connection, 0, offsetof(struct connection, input));
    connection->socket = socket;
    connection->body_limit = SIZE_MAX;
    *out = connection;
    return 0;
}

static void segment_free(struct segment *segment)
{
    if (segment)
        close_descriptors(segment->fds, segment->fd_count);
    free(segment);
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    while (connection->first) {
        struct segment *next = connection->first->next;
        segment_free(connection->first);
        connection->first = next;
    }
    segment_free(connection->spare);
    frame_release(connection->filling);
    close_descriptors(connection->fds, connection->fd_count);
    descriptor_close(&connection->socket);
    free(connection);
}

int connection_fd(const struct connection *connection)
{
    return connection->socket;
}

void connection_limit(struct connection *connection, size_t bytes)
{
    connection->body_limit = bytes;
}

short connection_events(const struct connection *connection)
{
    return connection->queued ? POLLIN | POLLOUT : POLLIN;
}

/* ---- reading ---- */

static size_t input_held(const struct connection *connection)
{
    return connection->input_end - connection->input_start;
}

static int end_of_stream(const struct connection *connection, struct error *error)
{
    if (connection->filling || input_held(connection))
        return error_set(error, ERROR_PROTOCOL, "the connection ended within a frame");
    return error_set(error, ERROR_DISCONNECTED, "the other side has closed the connection");
}

static int receive_failed(struct error *error)
{
    if (errno == ECONNRESET)
        return error_set(error, ERROR_DISCONNECTED, "the other side has reset the connection");
    return error_system(error, "recvmsg from the other side");
}

/* One read. *received is 0 where there is nothing yet. */
static int receive(struct connection *connection, uint8_t *bytes, size_t length, size_t *received, struct error *error)
{
    size_t room = DESCRIPTORS_HELD - connection->fd_count, brought;
    *received = 0;
    ssize_t got =
        descriptor_receive(connection->socket, bytes, length, connection->fds + connection->fd_count, room, &brought);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : receive_failed(error);
    connection->fd_count += min_u64(brought, room);
    if (brought > room)
        return error_set(error, ERROR_PROTOCOL, "more descriptors have come than %d, or than this process may have",
                         DESCRIPTORS_HELD);
    if (got == 0)
        return end_of_stream(connection, error);
    *received = (size_t)got;
    return 0;
}

static int refill(struct connection *connection, struct error *error)
{
    size_t held = input_held(connection), received;
    if (connection->input_start)
        memmove(connection->input, connection->input + connection->input_start, held);
    connection->input_start = 0;
    connection->input_end = held;
    int code = receive(connection, connection->input + held, INPUT_BYTES - held, &received, error);
    connection->input_end += received;
    return code;
}

/* Hands a complete frame its descriptors and gives it out. */
static int finish_frame(struct connection *connection, struct frame *frame, struct frame **out, struct error *error)
{
    size_t count = frame->header.descriptors;
    memcpy(frame->fds, connection->fds, count * sizeof(int));
    connection->fd_count -= count;
    memmove(connection->fds, connection->fds + count, connection->fd_count * sizeof(int));
    if (connection->fd_count && !input_held(connection)) {
        frame_release(frame);
        return error_set(error, ERROR_PROTOCOL, "%zu descriptors more have come than the frame says",
                         connection->fd_count);
    }
    message_trace("<-", frame->header.type, frame->header.request, frame->header.message_bytes,
                  frame->header.attachment_bytes, count);
    *out = frame;
    return 0;
}

/* Takes the next frame out of the buffer if all of it is there, or moves a large one's beginning into its own block. */
static int cut_frame(struct connection *connection, struct frame **out, struct error *error)
{
    size_t held = input_held(connection);
    if (held < FRAME_BYTES)
        return 0;
    const uint8_t *at = connection->input + connection->input_start;
    struct frame_header header;
    int code = frame_decode(at, &header, error);
    if (code)
        return code;
    if (header.descriptors > connection->fd_count)
        return error_set(error, ERROR_PROTOCOL, "a frame says %u descriptors, %zu have come", header.descriptors,
                         connection->fd_count);
    size_t body = body_bytes(&header), here = min_u64(body, held - FRAME_BYTES);
    if (body > connection->body_limit)
        return error_set(error, ERROR_LIMIT, "a frame of %zu bytes; here they have at most %zu", body,
                         connection->body_limit);
    if (here < body && body < LARGE_BYTES)
        return 0;
    struct frame *frame = frame_new(&header);
    if (!frame)
        return error_set(error, ERROR_NO_MEMORY, "no memory for a frame of %zu bytes", body);
    frame_copy_in(frame, at + FRAME_BYTES, here);
    connection->input_start += FRAME_BYTES + here;
    if (here == body)
        return finish_frame(connection, frame, out, error);
    connection->filling = frame;
    connection->filled = here;
    return 0;
}

static int fill_large(struct connection *connection, struct frame **out, struct error *error)
{
    struct frame *frame = connection->filling;
    while (connection->filled < body_bytes(&frame->header)) {
        size_t room, received;
        uint8_t *place = frame_place(frame, connection->filled, &room);
        int code = receive(connection, place, room, &received, error);
        if (code || !received)
            return code;
        connection->filled += received;
    }
    connection->filling = NULL;
    return finish_frame(connection, frame, out, error);
}

static int next_frame(struct connection *connection, struct frame **out, struct error *error)
{
    int code = 0;
    if (!connection->filling)
        code = cut_frame(connection, out, error);
    if (code || *out)
        return code;
    if (!connection->filling) {
        code = refill(connection, error);
        if (!code)
            code = cut_frame(connection, out, error);
    }
    if (code || *out || !connection->filling)
        return code;
    return fill_large(connection, out, error);
}

int connection_read(struct connection *connection, struct frame **out, struct error *error)
{
    *out = NULL;
    if (connection->broken)
        return error_set(error, connection->broken, "the connection has failed before");
    connection->broken = next_frame(connection, out, error);
    return connection->broken;
}

bool connection_has_frame(const struct connection *connection)
{
    struct frame_header header;
    if (connection->filling || input_held(connection) < FRAME_BYTES)
        return false;
    if (frame_decode(connection->input + connection->input_start, &header, NULL))
        return true; /* connection_read has an error to give */
    size_t body = body_bytes(&header);
    return body > connection->body_limit || body <= input_held(connection) - FRAME_BYTES;
}

/* ---- writing ---- */

static int measure_attachment(const struct connection_range *ranges, size_t count, size_t *bytes, struct error *error)
{
    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].length > LIMIT_ATTACHMENT_BYTES - *bytes)
            return error_set(error, ERROR_LIMIT, "an attachment may have at most %llu bytes", LIMIT_ATTACHMENT_BYTES);
        *bytes += align_up(ranges[i].length, PART_ALIGNMENT);
    }
    return 0;
}

static int measure(struct frame_header *header, const ProtobufCMessage *message, const struct connection_range *ranges,
                   size_t range_count, size_t fd_count, struct error *error)
{
    size_t message_bytes = protobuf_c_message_get_packed_size(message), attachment_bytes;
    if (message_bytes > LIMIT_MESSAGE_BYTES)
        return error_set(error, ERROR_LIMIT, "a message of %zu bytes, at most %llu can be sent", message_bytes,
                         LIMIT_MESSAGE_BYTES);
    if (fd_count > LIMIT_FRAME_DESCRIPTORS)
        return error_set(error, ERROR_LIMIT, "%zu descriptors, at most %d can be sent with a message", fd_count,
                         LIMIT_FRAME_DESCRIPTORS);
    int code = measure_attachment(ranges, range_count, &attachment_bytes, error);
    header->message_bytes = (uint32_t)message_bytes;
    header->attachment_bytes = (uint32_t)attachment_bytes;
    header->descriptors = (uint32_t)fd_count;
    return code;
}

static struct segment *segment_new(struct connection *connection, size_t bytes)
{
    struct segment *segment = connection->spare;
    size_t capacity = max_u64(bytes, SEGMENT_BYTES);
    if (segment && segment->capacity >= bytes)
        connection->spare = NULL;
    else
        segment = malloc(sizeof *segment + capacity);
    if (segment)
        *segment = (struct segment){.capacity = capacity};
    return segment;
}

static int duplicate_descriptors(struct segment *segment, const int *fds, size_t count, struct error *error)
{
    for (; segment->fd_count < count; segment->fd_count++) {
        int copy = fcntl(fds[segment->fd_count], F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
            return error_system(error, "duplicating descriptor %d to send it", fds[segment->fd_count]);
        segment->fds[segment->fd_count] = copy;
    }
    return 0;
}

/* The segment that a frame of `bytes` goes to the end of. */
static int reserve(struct connection *connection, size_t bytes, const int *fds, size_t fd_count, struct segment **out,
                   struct error *error)
{
    struct segment *last = connection->last;
    *out = last;
    if (last && !fd_count && bytes <= last->capacity - last->end)
        return 0;
    struct segment *segment = segment_new(connection, bytes);
    if (!segment)
        return error_set(error, ERROR_NO_MEMORY, "no memory for a frame of %zu bytes", bytes);
    int code = duplicate_descriptors(segment, fds, fd_count, error);
    if (code) {
        segment_free(segment);
        return code;
    }
    if (last)
        last->next = segment;
    else
        connection->first = segment;
    connection->last = *out = segment;
    return 0;
}

static uint8_t *append_range(uint8_t *at, const struct connection_range *range)
{
    size_t padding = align_up(range->length, PART_ALIGNMENT) - range->length;
    if (range->length)
        memcpy(at, range->bytes, range->length);
    memset(at + range->length, 0, padding);
    return at + range->length + padding;
}

int connection_write(struct connection *connection, uint16_t type, uint64_t request,
                     const struct ProtobufCMessage *message, const struct connection_range *ranges, size_t range_count,
                     const int *fds, size_t fd_count, struct error *error)
{
    assert(message_kind(type) && message_kind(type)->descriptor == message->descriptor);
    struct frame_header header = {.type = type, .request = request};
    int code = measure(&header, message, ranges, range_count, fd_count, error);
    if (code)
        return code;
    size_t bytes = FRAME_BYTES + body_bytes(&header);
    struct segment *segment;
    code = reserve(connection, bytes, fds, fd_count, &segment, error);
    if (code)
        return code;
    uint8_t *at = segment->bytes + segment->end;
    frame_encode(&header, at);
    at += FRAME_BYTES;
    at += protobuf_c_message_pack(message, at);
    for (size_t i = 0; i < range_count; i++)
        at = append_range(at, &ranges[i]);
    assert(at == segment->bytes + segment->end + bytes);
    segment->end += bytes;
    connection->queued += bytes;
    message_trace("->", type, request, header.message_bytes, header.attachment_bytes, fd_count);
    return 0;
}

static void drop_first(struct connection *connection)
{
    struct segment *sent = connection->first;
    connection->first = sent->next;
    if (!connection->first)
        connection->last = NULL;
    if (connection->spare || sent->capacity != SEGMENT_BYTES)
        segment_free(sent);
    else
        connection->spare = sent;
}

int connection_flush(struct connection *connection, struct error *error)
{
    while (connection->first) {
        struct segment *segment = connection->first;
        ssize_t sent = descriptor_send(connection->socket, segment->bytes + segment->start,
                                       segment->end - segment->start, segment->fds, segment->fd_count);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return error_set(error, ERROR_DISCONNECTED, "the other side has closed the connection");
        if (sent < 0)
            return error_system(error, "sendmsg to the other side");
        close_descriptors(segment->fds, segment->fd_count);
        segment->fd_count = 0;
        segment->start += (size_t)sent;
        connection->queued -= (size_t)sent;
        if (segment->start == segment->end)
            drop_first(connection);
    }
    return 0;
}

size_t connection_queued(const struct connection *connection)
{
    return connection->queued;
}
