/*
 * A session's life: frames in, callbacks, frames out, and the end (session.h).
 *
 * The surprising part is how a session ends. A daemon that refuses a session says why and closes; by then our own
 * sending fails with EPIPE. So a failure to send ends nothing: jitd_dispatch first reads what is left, and the session
 * ends when there is no more, or when reading fails.
 */
#include "client/session.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#include "client/convert.h"
#include "client/event.h"
#include "client/reply.h"
#include "proto/limits.h"
#include "proto/message.h"

/* Frames handled in one dispatch, so that a busy daemon cannot keep the program's other work waiting. */
#define SESSION_FRAMES_PER_DISPATCH 64

struct jitd_session *client_session_new(const struct jitd_listener *listener, void *data)
{
    struct jitd_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    if (listener)
        session->listener = *listener;
    session->data = data;
    session->daemon = SPAWNED_NONE;
    session->queue_bytes = LIMIT_QUEUED_BYTES;
    requests_init(&session->requests);
    table_init(&session->pending, sizeof(struct pending_unit));
    pool_init(&session->welcome_pool, LIMIT_DECODE_BYTES);
    pool_init(&session->decoded, LIMIT_DECODE_BYTES);
    pool_init(&session->shown, LIMIT_DECODE_BYTES);
    convert_error(&session->error, &session->last);
    return session;
}

void jitd_close(struct jitd_session *session)
{
    if (!session)
        return;
    assert(!session->dispatching && "jitd_close called from a callback");
    connection_close(session->connection);
    spawn_reap(&session->daemon);
    requests_fini(&session->requests);
    table_fini(&session->pending);
    pool_fini(&session->welcome_pool);
    pool_fini(&session->decoded);
    pool_fini(&session->shown);
    free(session);
}

int client_session_result(struct jitd_session *session, int code)
{
    if (code != 0)
        convert_error(&session->error, &session->last);
    return code;
}

int client_session_refuse(struct jitd_session *session)
{
    return error_set(&session->error, ERROR_DISCONNECTED, "the session has ended: %s", session->why.text);
}

const struct jitd_error *jitd_last_error(const struct jitd_session *session)
{
    return &session->last;
}

const struct jitd_welcome *jitd_welcome(const struct jitd_session *session)
{
    return session->welcome;
}

int jitd_fd(const struct jitd_session *session)
{
    return session->connection ? connection_fd(session->connection) : -1;
}

short jitd_events(const struct jitd_session *session)
{
    if (!session->connection)
        return 0;
    if (session->send_error.code != 0)
        return POLLIN | POLLOUT; /* whichever comes: the next dispatch has an end to tell */
    return connection_events(session->connection);
}

size_t jitd_queued(const struct jitd_session *session)
{
    return session->connection ? connection_queued(session->connection) : 0;
}

void client_session_send(struct jitd_session *session)
{
    if (session->send_error.code == 0)
        connection_flush(session->connection, &session->send_error);
}

int jitd_flush(struct jitd_session *session)
{
    if (!session->connection)
        return client_session_result(session, client_session_refuse(session));
    client_session_send(session);
    return 0;
}

/* The socket came to its end and nobody said why. */
static bool is_silent_end(const struct error *why)
{
    return why->code == ERROR_DISCONNECTED || why->code == ERROR_SYSTEM;
}

/* Completes what is outstanding and tells the listener. The socket is closed last: an event loop must be able to drop
   its watch of the descriptor before the number can be another file's. */
static void session_end(struct jitd_session *session, const struct error *why)
{
    struct connection *connection = session->connection;
    char daemon[128];
    session->connection = NULL;
    session->why = *why;
    if (session->goodbye.code != 0)
        session->why = session->goodbye;
    else if (is_silent_end(why) && spawn_describe_end(&session->daemon, daemon, sizeof daemon))
        error_prefix(&session->why, "%s", daemon);
    table_fini(&session->pending);
    client_session_refuse(session);

    struct error gone = session->error; /* callbacks may fail further calls, which changes session->error */
    struct jitd_error shown;
    convert_error(&gone, &shown);
    struct jitd_errors errors = {.list = &shown, .count = 1};
    request_fail_all(session, &errors);

    if (session->listener.disconnected) {
        convert_error(&session->why, &shown);
        session->listener.disconnected(session, &shown, session->data);
    }
    connection_close(connection);
}

static int session_handle(struct jitd_session *session, const struct frame *frame, struct error *error)
{
    const struct frame_header *header = &frame->header;
    const struct message_kind *kind = message_kind(header->type);
    if (!kind || kind->direction == MESSAGE_REQUEST)
        return error_set(error, ERROR_PROTOCOL, "the daemon sent a message of type %u, which is no reply or event",
                         header->type);
    ProtobufCMessage *message;
    int code = message_decode(&session->decoded, header->type, frame->message, header->message_bytes, &message, error);
    if (code == 0 && kind->direction == MESSAGE_EVENT)
        code = event_deliver(session, header, message, error);
    else if (code == 0)
        code = reply_deliver(session, header, message, error);
    pool_reset(&session->decoded);
    pool_reset(&session->shown);
    return code;
}

/* Handles what has come. *drained says that nothing was left when it returned. */
static int session_receive(struct jitd_session *session, bool *drained, struct error *error)
{
    *drained = false;
    /* A frame that lies in the connection's buffer would not make the socket readable again: none is left there. */
    for (int i = 0; i < SESSION_FRAMES_PER_DISPATCH || connection_has_frame(session->connection); i++) {
        struct frame *frame;
        int code = connection_read(session->connection, &frame, error);
        if (code != 0)
            return code;
        if (!frame) {
            *drained = true;
            return 0;
        }
        code = session_handle(session, frame, error);
        frame_release(frame);
        if (code != 0)
            return code;
    }
    return 0;
}

static int session_dispatch(struct jitd_session *session, struct error *error)
{
    bool sending_failed = session->send_error.code != 0;
    bool drained;
    int code = session_receive(session, &drained, error);
    if (code == 0 && sending_failed && drained) {
        *error = session->send_error;
        code = error->code;
    }
    if (code == 0)
        client_session_send(session);
    return code;
}

int jitd_dispatch(struct jitd_session *session)
{
    if (session->dispatching)
        return client_session_result(
            session, error_set(&session->error, ERROR_INVALID, "a callback may not dispatch or wait on its session"));
    if (!session->connection)
        return client_session_result(session, client_session_refuse(session));
    struct error error;
    session->dispatching = true;
    int code = session_dispatch(session, &error);
    if (code != 0) {
        session_end(session, &error);
        session->error = session->why;
        code = session->why.code;
    }
    session->dispatching = false;
    return client_session_result(session, code);
}
