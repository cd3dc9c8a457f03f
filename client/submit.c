/*
 * A batch as a Submit: the objects' bytes become the frame's attachment, each at the offset that connection_write will
 * give it, and memfds ride along as descriptors.
 */
#include "client/submit.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "client/manifest.h"
#include "common/bytes.h"
#include "proto/limits.h"

#define SUBMIT_BATCH_FLAGS ((unsigned)(JITD_BATCH_CLOSED | JITD_BATCH_REPORT_ADDRESSES | JITD_BATCH_ATOMIC))

/* One unit's part of the message. */
struct submit_unit {
    Jitd__Proto__Unit unit;
    Jitd__Proto__Range range;
};

static int submit_allocate(struct submit_message *message, const struct jitd_batch *batch)
{
    struct manifest_measure measure = {.units = batch->count};
    for (size_t i = 0; i < batch->count; i++)
        if (batch->objects[i].manifest)
            manifest_measure(batch->objects[i].manifest, &measure);
    message->units =
        malloc(batch->count * (sizeof *message->units + sizeof(Jitd__Proto__Unit *) + sizeof *message->ranges) +
               manifest_room(&measure));
    if (!message->units)
        return -1;
    message->pointers = (Jitd__Proto__Unit **)(message->units + batch->count);
    message->ranges = (struct connection_range *)(message->pointers + batch->count);
    message->manifests = (char *)(message->ranges + batch->count);
    manifest_open_columns(&measure, &message->columns, &message->manifests);
    return 0;
}

/* The object, where there is one: a memfd, or `offset` bytes into the attachment. Returns where the next one begins. */
static uint64_t submit_object(const struct batch_object *object, struct submit_message *message,
                              struct submit_unit *out, uint64_t offset)
{
    if (object->descriptor >= 0) {
        out->unit.object_case = JITD__PROTO__UNIT__OBJECT_DESCRIPTOR;
        out->unit.descriptor = (uint32_t)object->descriptor;
        return offset;
    }
    if (!object->bytes)
        return offset;
    out->range = (Jitd__Proto__Range)JITD__PROTO__RANGE__INIT;
    out->range.offset = offset;
    out->range.bytes = object->length;
    out->unit.object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
    out->unit.range = &out->range;
    message->ranges[message->range_count++] =
        (struct connection_range){.bytes = object->bytes, .length = object->length};
    return offset + align_up(object->length, 16);
}

static void submit_fill(const struct jitd_batch *batch, struct submit_message *message)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_object *object = &batch->objects[i];
        struct submit_unit *out = &message->units[i];
        message->pointers[i] = &out->unit;
        out->unit = (Jitd__Proto__Unit)JITD__PROTO__UNIT__INIT;
        out->unit.name =
            (ProtobufCBinaryData){.len = object->name_length, .data = (uint8_t *)batch->names + object->name};
        out->unit.library = object->library;
        out->unit.tag = object->tag;
        if (object->manifest)
            manifest_pack(object->manifest, i, &message->columns, &out->unit, &message->manifests);
        offset = submit_object(object, message, out, offset);
    }
}

/* Only Unix sockets carry descriptors. */
static bool submit_carries_descriptors(const struct connection *connection)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return getsockopt(connection_fd(connection), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

int submit_pack(struct jitd_session *session, struct jitd_batch *batch, struct submit_message *message)
{
    if (!session->connection)
        return client_session_refuse(session);
    if (!batch)
        return error_set(&session->error, ERROR_INVALID, "the batch is NULL");
    if (batch->flags & ~SUBMIT_BATCH_FLAGS)
        return error_set(&session->error, ERROR_INVALID, "%#x are no flags of a batch",
                         batch->flags & ~SUBMIT_BATCH_FLAGS);
    if (batch->count == 0)
        return error_set(&session->error, ERROR_INVALID, "a batch without units");
    if (submit_carries_descriptors(session->connection))
        batch_share(batch);
    else if (batch->descriptor_count != 0)
        return error_set(&session->error, ERROR_UNSUPPORTED, "this session's socket does not carry memfds");
    if (submit_allocate(message, batch) != 0)
        return error_set(&session->error, ERROR_NO_MEMORY, "out of memory for a batch");
    submit_fill(batch, message);
    message->entries = message->columns.entries.n_name_bytes ? &message->columns.entries : NULL;
    message->attachment = (struct request_attachment){.ranges = message->ranges,
                                                      .range_count = message->range_count,
                                                      .fds = batch->descriptors,
                                                      .fd_count = batch->descriptor_count};
    return 0;
}

static int submit_batch(struct jitd_session *session, struct jitd_batch *batch, struct request *request,
                        jitd_request *number)
{
    struct submit_message message = {0};
    int code = submit_pack(session, batch, &message);
    if (code != 0)
        return code;
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    submit.n_units = batch->count;
    submit.units = message.pointers;
    submit.closed = (batch->flags & JITD_BATCH_CLOSED) != 0;
    submit.report_addresses = (batch->flags & JITD_BATCH_REPORT_ADDRESSES) != 0;
    submit.atomic = (batch->flags & JITD_BATCH_ATOMIC) != 0;
    submit.deadline_ms = batch->deadline_ms;
    submit.entries = message.entries;
    request->count = (uint32_t)batch->count;
    code = request_send(session, request, MESSAGE_SUBMIT, &submit.base, &message.attachment, number);
    free(message.units);
    return code;
}

int jitd_submit(struct jitd_session *session, struct jitd_batch *batch, jitd_submit_callback *callback, void *data,
                jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_SUBMIT, .callback.submit = callback, .data = data};
    int code = submit_batch(session, batch, &record, request);
    jitd_batch_free(batch);
    return client_session_result(session, code);
}
