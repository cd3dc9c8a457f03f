#include "tests/integration/peer.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the daemon says of hostile peers is not a test's output, but goes to the file PEER_LOG where that is set; of the
   test's own descriptors it gets none but the socket, and it does not outlive a test that fails. */
static pid_t start_daemon(int socket)
{
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char *log = getenv("PEER_LOG");
    dup2(open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    dup2(socket, 3);
    closefrom(4);
    execl(harness_daemon_path(), "jitd", "--fd", "3", NULL);
    _exit(127);
}

struct peer peer_open(void)
{
    int sockets[2];
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    fcntl(sockets[0], F_SETFD, FD_CLOEXEC);
    struct peer peer = {.daemon = start_daemon(sockets[1]), .socket = sockets[0]};
    close(sockets[1]);
    pool_init(&peer.pool, LIMIT_DECODE_BYTES);
    peer.pids[0] = peer.daemon;
    peer.pid_count = 1;
    return peer;
}

void peer_connect(struct peer *peer)
{
    struct error error;
    cr_assert(connection_open(peer->socket, &peer->connection, &error) == 0, "%s", error.text);
}

/* ---- frames ---- */

void peer_flush(struct peer *peer)
{
    struct error error;
    int code = 0;
    while (code == 0 && connection_queued(peer->connection) > 0) {
        poll(&(struct pollfd){.fd = connection_fd(peer->connection), .events = POLLOUT}, 1, HARNESS_PATIENCE);
        code = connection_flush(peer->connection, &error);
    }
    cr_assert(code == 0, "%s", error.text);
}

void peer_write(struct peer *peer, uint16_t type, uint64_t request, const ProtobufCMessage *message,
                const struct connection_range *ranges, size_t range_count, const int *fds, size_t fd_count)
{
    struct error error;
    int code = connection_write(peer->connection, type, request, message, ranges, range_count, fds, fd_count, &error);
    cr_assert(code == 0, "%s", error.text);
}

void peer_send(struct peer *peer, uint16_t type, uint64_t request, const ProtobufCMessage *message)
{
    peer_write(peer, type, request, message, NULL, 0, NULL, 0);
    peer_flush(peer);
}

ProtobufCMessage *peer_next(struct peer *peer)
{
    struct error error;
    frame_release(peer->frame);
    peer->frame = NULL;
    while (!peer->frame) {
        int code = connection_read(peer->connection, &peer->frame, &error);
        cr_assert(code == 0, "%s", error.text);
        struct pollfd polled = {.fd = connection_fd(peer->connection), .events = POLLIN};
        cr_assert(peer->frame || poll(&polled, 1, HARNESS_PATIENCE) == 1, "the daemon does not answer");
    }
    ProtobufCMessage *message = NULL;
    pool_reset(&peer->pool);
    int code = message_decode(&peer->pool, peer->frame->header.type, peer->frame->message,
                              peer->frame->header.message_bytes, &message, &error);
    cr_assert(code == 0, "%s", error.text);
    return message;
}

ProtobufCMessage *peer_read(struct peer *peer, uint16_t type, uint64_t request)
{
    ProtobufCMessage *message = peer_next(peer);
    cr_assert(peer->frame->header.type == type, "message type %u instead of %u", peer->frame->header.type, type);
    cr_assert(peer->frame->header.request == request, "an answer to request %lu instead of %lu",
              (unsigned long)peer->frame->header.request, (unsigned long)request);
    return message;
}

void peer_expect_failed(struct peer *peer, uint64_t request, uint32_t code)
{
    const Jitd__Proto__Failed *failed = (const Jitd__Proto__Failed *)peer_read(peer, MESSAGE_FAILED, request);
    cr_assert(failed->n_errors > 0);
    cr_expect(failed->errors[0]->code == code, "%s instead of %s: %.*s", error_code_name((int)failed->errors[0]->code),
              error_code_name((int)code), (int)failed->errors[0]->text.len, (char *)failed->errors[0]->text.data);
}

/* ---- sessions ---- */

void peer_welcomed(struct peer *peer)
{
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    peer_send(peer, MESSAGE_HELLO, 1, &hello.base);
    peer_read(peer, MESSAGE_WELCOME, 1);
    peer->pid_count = harness_processes(peer->daemon, peer->pids);
}

struct peer peer_open_welcomed(void)
{
    struct peer peer = peer_open();
    peer_connect(&peer);
    peer_welcomed(&peer);
    return peer;
}

void peer_expect_alive(struct peer *peer)
{
    const Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    peer_send(peer, MESSAGE_INSPECT, 1000000, &inspect.base);
    peer_read(peer, MESSAGE_INSPECTION, 1000000);
}

static void expect_no_process_is_left(struct peer *peer)
{
    int status = -1;
    cr_expect(waitpid(peer->daemon, &status, 0) == peer->daemon);
    cr_expect(WIFEXITED(status), "the daemon was killed by signal %d", WTERMSIG(status));
    harness_expect_gone(peer->pids, peer->pid_count);
    frame_release(peer->frame);
    pool_fini(&peer->pool);
}

void peer_close(struct peer *peer)
{
    if (peer->connection)
        connection_close(peer->connection);
    else
        close(peer->socket);
    expect_no_process_is_left(peer);
}

void peer_expect_hung_up(struct peer *peer, const char *after)
{
    int fd = peer->connection ? connection_fd(peer->connection) : peer->socket;
    char bytes[4096];
    ssize_t got = 1;
    while (got > 0) {
        cr_assert(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, HARNESS_PATIENCE) == 1,
                  "the session goes on after %s", after);
        got = recv(fd, bytes, sizeof bytes, 0);
    }
    peer_close(peer);
}
