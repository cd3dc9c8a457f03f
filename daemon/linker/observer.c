/*
 * Observers: connections that the supervisor hands over and on which Inspect alone is answered (proto/inspect.h).
 *
 * What one costs the session is bounded: requests are small, the next one is read when the reply before it has been
 * taken, and each turn of the loop serves one. Its memory is its own and is given back with the reply. Whatever an
 * observer does wrong ends the observer.
 */
#include <poll.h>
#include <stdlib.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/linker/session.h"

#define LOG_TAG "observer"

struct observer {
    struct observer *next;
    struct session *session; /* borrowed */
    uv_poll_t poll;
    struct connection *connection; /* owned; NULL once dropped */
};

/* ---- the end of one ---- */

static void observer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop(struct observer *observer)
{
    struct session *session = observer->session;
    struct observer **link = &session->observers;

    while (*link != observer)
        link = &(*link)->next;
    *link = observer->next;
    session->observer_count--;
    uv_close((uv_handle_t *)&observer->poll, observer_closed);
    connection_close(observer->connection);
}

void observer_close(struct session *session)
{
    while (session->observers) {
        struct observer *observer = session->observers;

        session->observers = observer->next;
        connection_close(observer->connection);
        free(observer);
    }
}

/* ---- requests ---- */

static int send_failed(struct connection *connection, uint64_t request, const struct error *why, struct pool *pool,
                       struct error *error)
{
    Jitd__Proto__Failed failed = JITD__PROTO__FAILED__INIT;
    struct report report = {0};

    report_add(&report, why);
    failed.errors = event_errors(pool, &report, &failed.n_errors);
    int code = connection_write(connection, MESSAGE_FAILED, request, &failed.base, NULL, 0, NULL, 0, error);
    report_fini(&report);
    return code;
}

static int inspect(struct observer *observer, const struct frame *frame, struct pool *pool,
                   Jitd__Proto__Inspection *reply, struct error *error)
{
    const struct frame_header *header = &frame->header;
    ProtobufCMessage *message;

    if (header->type != MESSAGE_INSPECT)
        return error_set(error, ERROR_UNSUPPORTED, "an observer may ask for an inspection, and for nothing else");
    int code = message_decode(pool, header->type, frame->message, header->message_bytes, &message, error);
    if (code)
        return code;
    const Jitd__Proto__Inspect *request = (const Jitd__Proto__Inspect *)message;
    if (request->digests)
        return error_set(error, ERROR_UNSUPPORTED, "digests cost the session too much time for an observer");
    return inspect_answer(observer->session, request, pool, LIMIT_OBSERVER_REPLY_BYTES, reply, error);
}

/* Queues the one reply. Non-zero where that cannot be done. */
static int answer(struct observer *observer, const struct frame *frame, struct error *error)
{
    Jitd__Proto__Inspection reply = JITD__PROTO__INSPECTION__INIT;
    struct pool pool;
    struct error why;

    pool_init(&pool, LIMIT_OBSERVER_HEAP_BYTES);
    uint64_t request = frame->header.request;
    int code =
        inspect(observer, frame, &pool, &reply, &why)
            ? send_failed(observer->connection, request, &why, &pool, error)
            : connection_write(observer->connection, MESSAGE_INSPECTION, request, &reply.base, NULL, 0, NULL, 0, error);
    pool_fini(&pool);
    return code;
}

/* ---- the loop ---- */

/* Whether its next request is wanted: one at a time, and none before there is anything to see. */
static bool takes_request(const struct observer *observer)
{
    return observer->session->state == SESSION_OPEN && connection_queued(observer->connection) == 0;
}

static int serve(struct observer *observer, struct error *error)
{
    struct frame *frame = NULL;
    int code = connection_flush(observer->connection, error);

    if (!code && takes_request(observer))
        code = connection_read(observer->connection, &frame, error);
    if (!code && frame)
        code = answer(observer, frame, error);
    frame_release(frame);
    return code ? code : connection_flush(observer->connection, error);
}

static void on_observer(uv_poll_t *poll, int status, int events);

/* A request that lies in the connection's buffer does not make the socket readable: writability stands in for it. */
static void arm(struct observer *observer)
{
    const struct connection *connection = observer->connection;
    int events = UV_DISCONNECT;

    if (connection_queued(connection) > 0 || (takes_request(observer) && connection_has_frame(connection)))
        events |= UV_WRITABLE;
    else if (takes_request(observer))
        events |= UV_READABLE;
    uv_poll_start(&observer->poll, events, on_observer);
}

static void on_observer(uv_poll_t *poll, int status, int events)
{
    struct observer *observer = poll->data;
    struct error error = {0};

    /* Hanging up is noticed while it is read from when it has been read to its end. */
    bool gone = status < 0 || ((events & UV_DISCONNECT) && !takes_request(observer));
    if (gone || serve(observer, &error) != 0) {
        log_info("an observer goes: %s", gone ? "it has hung up" : error.text);
        drop(observer);
        return;
    }
    arm(observer);
}

void observer_begin(struct session *session)
{
    for (struct observer *observer = session->observers; observer; observer = observer->next)
        arm(observer);
}

/* ---- the beginning ---- */

static void turn_away(int socket)
{
    struct connection *connection;
    struct error why, error;
    struct pool pool;

    if (connection_open(socket, &connection, &error) != 0)
        return;
    pool_init(&pool, LIMIT_OBSERVER_HEAP_BYTES);
    error_set(&why, ERROR_LIMIT, "the session has %d observers already", LIMIT_OBSERVERS);
    if (send_failed(connection, 0, &why, &pool, &error) == 0)
        connection_flush(connection, &error);
    pool_fini(&pool);
    connection_close(connection);
}

void observer_open(struct session *session, int socket)
{
    struct observer *observer = NULL;
    struct error error;

    if (session->observer_count == LIMIT_OBSERVERS) {
        turn_away(socket);
        return;
    }
    observer = calloc(1, sizeof *observer);
    if (!observer || connection_open(socket, &observer->connection, &error) != 0) {
        if (!observer)
            descriptor_close(&socket);
        free(observer);
        return;
    }
    connection_limit(observer->connection, LIMIT_OBSERVER_REQUEST_BYTES);
    observer->session = session;
    observer->poll.data = observer;
    if (uv_poll_init(&session->loop, &observer->poll, socket) != 0) {
        connection_close(observer->connection);
        free(observer);
        return;
    }
    observer->next = session->observers;
    session->observers = observer;
    session->observer_count++;
    arm(observer);
}
