/*
 * The table of outstanding requests (request.h).
 *
 * Numbers are counted up and never used again. The queue in front of the socket may grow up to the session's cap, since
 * nothing here waits, but it is handed to the kernel early, so that a controller that submits for a while before it
 * dispatches keeps the daemon busy meanwhile.
 */
#include "client/request.h"

#include <stdlib.h>

#include "client/session.h"

#define REQUEST_EARLY_FLUSH KIB(256)

void requests_init(struct requests *requests)
{
    *requests = (struct requests){0};
    table_init(&requests->table, sizeof(struct request));
}

void requests_fini(struct requests *requests)
{
    table_fini(&requests->table);
}

/* Refused is what comes past the cap, not what would cross it: a request of any size can be sent, one at a time. */
static int request_admit(struct jitd_session *session)
{
    if (connection_queued(session->connection) >= session->queue_bytes)
        client_session_send(session);
    size_t queued = connection_queued(session->connection);
    if (queued < session->queue_bytes)
        return 0;
    return error_set(&session->error, ERROR_LIMIT,
                     "%zu bytes of requests are queued and the daemon takes no more: dispatch until jitd_queued is "
                     "below %zu",
                     queued, session->queue_bytes);
}

int request_send(struct jitd_session *session, const struct request *request, uint16_t type,
                 const ProtobufCMessage *message, const struct request_attachment *attachment, jitd_request *number)
{
    if (!session->connection)
        return client_session_refuse(session);
    int code = request_admit(session);
    if (code != 0)
        return code;
    struct requests *requests = &session->requests;
    uint64_t id = requests->last + 1;
    /* Entered first, since what was written cannot be taken back. */
    struct request *record = table_insert(&requests->table, id);
    if (!record)
        return error_set(&session->error, ERROR_NO_MEMORY, "out of memory for a request");
    *record = *request;
    record->id = id;
    code = connection_write(session->connection, type, id, message, attachment->ranges, attachment->range_count,
                            attachment->fds, attachment->fd_count, &session->error);
    if (code != 0) {
        table_remove(&requests->table, id);
        return code;
    }
    requests->last = id;
    requests->submissions += request->kind == REQUEST_SUBMIT;
    if (number)
        *number = id;
    if (connection_queued(session->connection) > REQUEST_EARLY_FLUSH)
        client_session_send(session);
    return 0;
}

bool request_outstanding(const struct jitd_session *session, uint64_t id)
{
    return table_find(&session->requests.table, id) != NULL;
}

bool request_find(const struct jitd_session *session, uint64_t id, struct request *out)
{
    const struct request *record = table_find(&session->requests.table, id);
    if (record)
        *out = *record;
    return record != NULL;
}

void request_remove(struct jitd_session *session, const struct request *request)
{
    if (table_remove(&session->requests.table, request->id))
        session->requests.submissions -= request->kind == REQUEST_SUBMIT;
}

void request_fail(struct jitd_session *session, const struct request *request, const struct jitd_errors *errors)
{
    switch (request->kind) {
    case REQUEST_HELLO:
        break;
    case REQUEST_SUBMIT:
        if (request->callback.submit)
            request->callback.submit(session, NULL, 0, errors, request->data);
        break;
    case REQUEST_LOOKUP:
        if (request->callback.lookup)
            request->callback.lookup(session, NULL, 0, errors, request->data);
        break;
    case REQUEST_CALL:
        if (request->callback.call)
            request->callback.call(session, NULL, NULL, errors, request->data);
        break;
    case REQUEST_INSPECT:
        if (request->callback.inspect)
            request->callback.inspect(session, NULL, errors, request->data);
        break;
    case REQUEST_DEFINE_LIBRARY:
    case REQUEST_REFUSE:
    case REQUEST_REDIRECT:
    case REQUEST_ADAPT:
        if (request->callback.done)
            request->callback.done(session, errors, request->data);
        break;
    case REQUEST_CANCEL:
        if (request->callback.cancel)
            request->callback.cancel(session, 0, errors, request->data);
        break;
    case REQUEST_REMOVE:
        if (request->callback.remove)
            request->callback.remove(session, 0, errors, request->data);
        break;
    }
}

void request_fail_all(struct jitd_session *session, const struct jitd_errors *errors)
{
    size_t count;
    struct request *requests = table_drain(&session->requests.table, &count);
    session->requests.submissions = 0;
    for (size_t i = 0; i < count; i++)
        request_fail(session, &requests[i], errors);
    free(requests);
}
