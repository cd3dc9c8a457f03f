/*
 * A listening socket that outlives every session and every shortage. The lock file stays when the socket goes: removing
 * a locked file would let two daemons lock two files of one name. The socket gets its name when it listens: between
 * bind and listen it would refuse whoever finds it.
 */
#include "daemon/supervisor/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/supervisor/farewell.h"

#define LOG_TAG "listener"

#define SYSTEMD_PATH     "systemd:"
#define SYSTEMD_FD_FIRST 3      /* sd_listen_fds(3) */
#define FIRST_NAME       ".new" /* behind the path, until the socket listens */
#define ACCEPTS_A_TURN   16     /* so that a flood of them does not keep the loop from its sessions */

static bool is_own_user(int socket)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return false;
    if (peer.uid == geteuid())
        return true;
    log_warn("refused a connection of user %u", peer.uid);
    return false;
}

/* No descriptor is left: one connection is taken and closed, so that its controller hears of it and the loop is not
   woken for it for ever. */
static void turn_one_away(struct listener *listener)
{
    struct error error;
    error_set(&error, ERROR_LIMIT, "the daemon has no descriptor left for a connection: %s (ulimit -n)",
              strerror(errno));
    log_error("%s", error.text);
    descriptor_close(&listener->reserve);
    int socket = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (socket >= 0)
        farewell_send(socket, &error);
    descriptor_close(&socket);
    listener->reserve = descriptor_open_null();
}

static void listener_ready(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)status, (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int socket = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
            turn_one_away(listener);
            return;
        }
        if (socket < 0)
            return;
        if (is_own_user(socket))
            listener->accepted(listener, socket);
        else
            descriptor_close(&socket);
    }
}

static int take_systemd(struct listener *listener, struct error *error)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!pid || !count || atol(pid) != getpid() || strcmp(count, "1") != 0)
        return error_set(error, ERROR_INVALID, "systemd has passed no single socket (LISTEN_PID, LISTEN_FDS)");
    int type = 0, listening = 0;
    socklen_t length = sizeof type;
    bool fits = getsockopt(SYSTEMD_FD_FIRST, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM &&
                getsockopt(SYSTEMD_FD_FIRST, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
    if (!fits)
        return error_set(error, ERROR_INVALID, "what systemd has passed is no listening stream socket");
    listener->fd = SYSTEMD_FD_FIRST;
    return descriptor_set_close_on_exec(listener->fd, true, error);
}

static int make_directory(const char *path, struct error *error)
{
    char directory[sizeof(struct sockaddr_un)];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (!slash || slash == directory)
        return 0;
    *slash = '\0';
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return error_system(error, "make the directory '%s'", directory);
    return 0;
}

static int take_lock(struct listener *listener, const char *path, struct error *error)
{
    char name[sizeof(struct sockaddr_un) + sizeof ".lock"];
    snprintf(name, sizeof name, "%s.lock", path);
    listener->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (listener->lock < 0)
        return error_system(error, "open the lock file '%s'", name);
    if (flock(listener->lock, LOCK_EX | LOCK_NB) < 0)
        return error_system(error, "another daemon holds '%s'", name);
    return 0;
}

/* Under the lock a socket that is there can only have been left behind; anything else is not ours to replace. */
static int check_stale(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) < 0 || S_ISSOCK(status.st_mode))
        return 0;
    return error_set(error, ERROR_INVALID, "'%s' is there and is no socket", path);
}

static int bind_socket(struct listener *listener, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s" FIRST_NAME, path);
    if (check_stale(path, error) != 0 || check_stale(address.sun_path, error) != 0)
        return error->code;
    unlink(address.sun_path);
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return error_system(error, "create a socket");
    /* The mode must be right from the first moment; fchmod on the socket would not reach the file. */
    mode_t former = umask(0177);
    int bound = bind(listener->fd, (struct sockaddr *)&address, sizeof address);
    int os = errno;
    umask(former);
    errno = os;
    if (bound < 0)
        return error_system(error, "bind '%s'", address.sun_path);
    strcpy(listener->path, address.sun_path);
    if (listen(listener->fd, SOMAXCONN) < 0)
        return error_system(error, "listen on '%s'", path);
    if (rename(address.sun_path, path) < 0)
        return error_system(error, "call the socket '%s'", path);
    strcpy(listener->path, path);
    return 0;
}

static int check_length(size_t length, struct error *error)
{
    const size_t longest = sizeof(struct sockaddr_un) - offsetof(struct sockaddr_un, sun_path) - sizeof FIRST_NAME;
    return length > 0 && length <= longest
               ? 0
               : error_set(error, ERROR_LIMIT, "a socket's path has 1 to %zu bytes", longest);
}

static int open_own(struct listener *listener, const char *path, struct error *error)
{
    if (check_length(strlen(path), error) != 0)
        return error->code;
    if (make_directory(path, error) != 0 || take_lock(listener, path, error) != 0)
        return error->code;
    return bind_socket(listener, path, error);
}

static int watch(struct listener *listener, uv_loop_t *loop, struct error *error)
{
    listener->reserve = descriptor_open_null();
    int status = uv_poll_init(loop, &listener->poll, listener->fd);
    if (status == 0)
        status = uv_poll_start(&listener->poll, UV_READABLE, listener_ready);
    listener->poll.data = listener;
    return status < 0 ? error_set(error, ERROR_SYSTEM, "watch the socket: %s", uv_strerror(status)) : 0;
}

static void release(struct listener *listener)
{
    if (listener->path[0] != '\0')
        unlink(listener->path);
    listener->path[0] = '\0';
    descriptor_close(&listener->fd);
    descriptor_close(&listener->reserve);
    descriptor_close(&listener->lock);
}

int listener_open(struct listener *listener, uv_loop_t *loop, const char *path, struct error *error)
{
    listener->fd = listener->lock = listener->reserve = -1;
    listener->path[0] = '\0';
    int code = strcmp(path, SYSTEMD_PATH) == 0 ? take_systemd(listener, error) : open_own(listener, path, error);
    if (code == 0)
        code = watch(listener, loop, error);
    if (code != 0)
        release(listener);
    return code;
}

int listener_open_beside(struct listener *listener, uv_loop_t *loop, const struct listener *owner, const char *suffix,
                         struct error *error)
{
    char path[sizeof(struct sockaddr_un)];
    *listener = (struct listener){.fd = -1, .lock = -1, .reserve = -1, .accepted = listener->accepted};
    assert(owner->path[0] != '\0');
    int length = snprintf(path, sizeof path, "%s%s", owner->path, suffix);
    int code = check_length((size_t)length, error);
    if (code == 0)
        code = bind_socket(listener, path, error);
    if (code == 0)
        code = watch(listener, loop, error);
    if (code != 0)
        release(listener);
    return code;
}

void listener_close(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    uv_close((uv_handle_t *)&listener->poll, NULL);
    release(listener);
}
