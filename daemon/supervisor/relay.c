/*
 * Two threads of blocking copies, the only threads of the daemon. The loop could not do it: standard input may be a
 * regular file, which cannot be polled, or a terminal that others share, which must not be made nonblocking; and one
 * copy that waits must not hold up the other way. The threads touch their descriptors and nothing else.
 */
#include "daemon/supervisor/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/descriptor.h"

#define RELAY_BYTES 65536

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Until either side is at its end. */
static void copy(int from, int to)
{
    char bytes[RELAY_BYTES];
    for (;;) {
        ssize_t length = read(from, bytes, sizeof bytes);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0 || !write_all(to, bytes, (size_t)length))
            return;
    }
}

static void carry_inward(void *argument)
{
    struct relay *relay = argument;
    copy(STDIN_FILENO, relay->inward);
    shutdown(relay->inward, SHUT_WR);
    descriptor_close(&relay->inward);
}

/* Where standard output is gone nobody hears the session any more: it is told so. */
static void carry_outward(void *argument)
{
    struct relay *relay = argument;
    copy(relay->outward, STDOUT_FILENO);
    shutdown(relay->outward, SHUT_RDWR);
    descriptor_close(&relay->outward);
    uv_async_send(&relay->drained_async);
}

static void async_ready(uv_async_t *async)
{
    struct relay *relay = async->data;
    uv_close((uv_handle_t *)async, NULL);
    relay->drained(relay);
}

int relay_open(struct relay *relay, uv_loop_t *loop, int *controller, struct error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_system(error, "create a socket pair");
    relay->inward = ends[0];
    relay->outward = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
    *controller = ends[1];
    int status = relay->outward < 0 ? UV_EMFILE : uv_async_init(loop, &relay->drained_async, async_ready);
    relay->drained_async.data = relay;
    if (status == 0)
        uv_unref((uv_handle_t *)&relay->drained_async); /* a reader that never comes back must not hold the daemon */
    if (status == 0)
        status = uv_thread_create(&relay->inward_thread, carry_inward, relay);
    if (status == 0)
        status = uv_thread_create(&relay->outward_thread, carry_outward, relay);
    return status < 0 ? error_set(error, ERROR_SYSTEM, "start the relay: %s", uv_strerror(status)) : 0;
}
