/*
 * The three ways to a session: a daemon of our own, a listening one, a socket that the program already has. All end in
 * open_socket, which says Hello.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/hello.h"
#include "client/session.h"
#include "common/descriptor.h"
#include "common/log.h"

static const struct jitd_options open_defaults;

/* A library prints nothing unless it is asked to; once, for sessions may be opened by several threads. */
static void open_log(void)
{
    if (getenv("JITD_TRACE") || getenv("JITD_LOG"))
        log_open("client");
}

/* A new session for one of the functions below. */
static struct jitd_session *open_session(const struct jitd_listener *listener, void *data, struct jitd_session **out)
{
    static pthread_once_t log_opened = PTHREAD_ONCE_INIT;
    pthread_once(&log_opened, open_log);
    *out = client_session_new(listener, data);
    return *out;
}

/* The session is given back without a connection: ended before it began. */
static int open_failed(struct jitd_session *session, int code)
{
    connection_close(session->connection);
    session->connection = NULL;
    session->why = session->error;
    return client_session_result(session, code);
}

static int open_socket(struct jitd_session *session, int socket, const struct jitd_options *options)
{
    int code = connection_open(socket, &session->connection, &session->error);
    if (options->queue_bytes)
        session->queue_bytes = options->queue_bytes;
    session->interruptible = options->interruptible;
    if (code == 0)
        code = hello_send(session, options);
    if (code != 0)
        return open_failed(session, code);
    client_session_send(session);
    return 0;
}

int jitd_attach(int socket, const struct jitd_options *options, const struct jitd_listener *listener, void *data,
                struct jitd_session **out)
{
    struct jitd_session *session = open_session(listener, data, out);
    if (!session) {
        descriptor_close(&socket);
        return JITD_ERROR_NO_MEMORY;
    }
    return open_socket(session, socket, options ? options : &open_defaults);
}

static int open_connect(const char *path, int *socket_out, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(error, ERROR_INVALID, "the socket's path is longer than %zu bytes",
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_system(error, "cannot make a socket");
    int result;
    do
        result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    while (result < 0 && errno == EINTR);
    if (result < 0) {
        int code = error_system(error, "cannot connect to the daemon at '%s'", path);
        descriptor_close(&fd);
        return code;
    }
    *socket_out = fd;
    return 0;
}

int jitd_connect(const char *path, const struct jitd_options *options, const struct jitd_listener *listener, void *data,
                 struct jitd_session **out)
{
    struct jitd_session *session = open_session(listener, data, out);
    if (!session)
        return JITD_ERROR_NO_MEMORY;
    int fd = -1;
    int code = open_connect(path, &fd, &session->error);
    if (code != 0)
        return open_failed(session, code);
    return open_socket(session, fd, options ? options : &open_defaults);
}

int jitd_spawn(const struct jitd_options *options, const struct jitd_listener *listener, void *data,
               struct jitd_session **out)
{
    struct jitd_session *session = open_session(listener, data, out);
    if (!session)
        return JITD_ERROR_NO_MEMORY;
    if (!options)
        options = &open_defaults;
    int fd;
    int code = spawn_daemon(options, &session->daemon, &fd, &session->error);
    if (code != 0)
        return open_failed(session, code);
    return open_socket(session, fd, options);
}
