/*
 * The inspection socket: first the fixed structs with the supervisor, read to the byte, then frames with a linker.
 */
#include "client/jitctl/observation.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/jitctl/complain.h"
#include "common/descriptor.h"

/* ---- the supervisor ---- */

static int observation_connect(const char *path, int *socket_out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s" INSPECT_SUFFIX, path);
    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        return complain("%s: a socket's path is not that long", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return complain("cannot make a socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int status = complain("cannot connect to %s: %s%s", address.sun_path, strerror(errno),
                              errno == ENOENT ? "; is there a daemon with --listen?" : "");
        descriptor_close(&fd);
        return status;
    }
    *socket_out = fd;
    return 0;
}

static int observation_receive(int socket, void *out, size_t bytes)
{
    ssize_t got;
    do
        got = recv(socket, out, bytes, MSG_WAITALL);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)bytes)
        return 0;
    if (got < 0 && errno != ECONNRESET) /* that is hanging up with our request unread */
        return complain("the daemon cannot be read from: %s", strerror(errno));
    return complain("the daemon has hung up: it is ending, is not of this user, or has too many inspectors");
}

static int observation_request(int socket, enum inspect_kind kind, uint64_t session, struct inspect_answer *answer)
{
    const struct inspect_request request = {.magic = INSPECT_MAGIC, .kind = kind, .session = session};
    /* Where that fails the daemon has hung up, which reading tells better. */
    descriptor_send(socket, &request, sizeof request, NULL, 0);
    int status = observation_receive(socket, answer, sizeof *answer);
    if (status)
        return status;
    if (answer->magic != INSPECT_MAGIC || answer->status == INSPECT_MALFORMED)
        return complain("the daemon is of another version");
    if (answer->status == INSPECT_NO_SESSION)
        return complain("there is no session %" PRIu64, session);
    if (answer->status == INSPECT_TOO_EARLY)
        return complain("session %" PRIu64 " is still starting and holds nothing", session);
    return 0;
}

static int observation_by_number(const void *left, const void *right)
{
    const struct inspect_session *a = left, *b = right;
    return (a->session > b->session) - (a->session < b->session);
}

static int observation_receive_list(int socket, struct inspect_session *sessions, size_t *count)
{
    struct inspect_answer answer;
    int status = observation_request(socket, INSPECT_LIST, 0, &answer);
    if (status)
        return status;
    if (answer.count > LIMIT_SESSIONS)
        return complain("the daemon is of another version");
    *count = answer.count;
    if (answer.count)
        status = observation_receive(socket, sessions, answer.count * sizeof *sessions);
    if (!status)
        qsort(sessions, answer.count, sizeof *sessions, observation_by_number);
    return status;
}

int observation_list(const char *path, struct inspect_session sessions[LIMIT_SESSIONS], size_t *count)
{
    int socket;
    int status = observation_connect(path, &socket);
    if (status)
        return status;
    status = observation_receive_list(socket, sessions, count);
    descriptor_close(&socket);
    return status;
}

/* ---- a linker ---- */

int observation_open(struct observation *observation, const char *path, uint64_t session)
{
    *observation = (struct observation){.session = session};
    pool_init(&observation->pool, LIMIT_DECODE_BYTES);
    int socket;
    int status = observation_connect(path, &socket);
    if (status)
        return status;
    struct inspect_answer answer;
    struct error error;
    status = observation_request(socket, INSPECT_ATTACH, session, &answer);
    if (status) {
        descriptor_close(&socket);
        return status;
    }
    return connection_open(socket, &observation->connection, &error) ? complain("%s", error.text) : 0;
}

void observation_close(struct observation *observation)
{
    connection_close(observation->connection);
    pool_fini(&observation->pool);
}

static int observation_broken(const struct observation *observation, const struct error *error)
{
    if (error->code == ERROR_DISCONNECTED)
        return complain("session %" PRIu64 " has ended, or takes no observer now", observation->session);
    return complain("session %" PRIu64 ": %s", observation->session, error->text);
}

static int observation_read(struct observation *observation, struct frame **out, struct error *error)
{
    struct connection *connection = observation->connection;
    int code = connection_flush(connection, error);
    /* A linker that has hung up has said why. */
    if (code == ERROR_DISCONNECTED)
        code = 0;
    *out = NULL;
    while (!code && !*out) {
        code = connection_read(connection, out, error);
        struct pollfd polled = {.fd = connection_fd(connection), .events = connection_events(connection)};
        if (!code && !*out && poll(&polled, 1, -1) > 0 && (polled.revents & POLLOUT))
            code = connection_flush(connection, error);
    }
    return code;
}

static int observation_decode(struct observation *observation, const struct frame *frame,
                              const Jitd__Proto__Inspection **out, struct error *error)
{
    const struct frame_header *header = &frame->header;
    ProtobufCMessage *message;
    pool_reset(&observation->pool);
    if (header->type != MESSAGE_INSPECTION && header->type != MESSAGE_FAILED)
        return error_set(error, ERROR_PROTOCOL, "a message of type %u does not answer the question", header->type);
    int code = message_decode(&observation->pool, header->type, frame->message, header->message_bytes, &message, error);
    if (code)
        return code;
    if (header->type == MESSAGE_INSPECTION) {
        *out = (const Jitd__Proto__Inspection *)message;
        return 0;
    }
    const Jitd__Proto__Failed *failed = (const Jitd__Proto__Failed *)message;
    if (failed->n_errors == 0)
        return error_set(error, ERROR_PROTOCOL, "a failure without an error");
    const ProtobufCBinaryData *text = &failed->errors[0]->text;
    return error_set(error, ERROR_PROTOCOL, "%.*s", (int)text->len, (const char *)text->data);
}

int observation_ask(struct observation *observation, const Jitd__Proto__Inspect *request,
                    const Jitd__Proto__Inspection **out)
{
    struct frame *frame = NULL;
    struct error error;
    int code = connection_write(observation->connection, MESSAGE_INSPECT, 1, &request->base, NULL, 0, NULL, 0, &error);
    if (!code)
        code = observation_read(observation, &frame, &error);
    if (!code)
        code = observation_decode(observation, frame, out, &error);
    frame_release(frame);
    return code ? observation_broken(observation, &error) : 0;
}
