/*
 * Starting and reaping a daemon (spawn.h). posix_spawn, since the program that we are part of may have threads and
 * gigabytes of memory that fork would have to copy tables for.
 */
#include "client/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/deadline.h"
#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/own_path.h"

#define SPAWN_CHILD_SOCKET 3
#define SPAWN_GRACE_MS     2000
#define SPAWN_END_MS       200 /* a daemon that has closed the connection ends at once */
#define SPAWN_LOOK_MS      5   /* between two looks at a child without a pidfd */

/* Where `make install` puts it. */
#ifndef JITD_DEFAULT_DAEMON
#define JITD_DEFAULT_DAEMON "/usr/local/bin/jitd"
#endif

/* The one in the directory of our own program, where a frontend brings jitd along, or in the `bin` next to that, as
   from libexec or from the examples of a build tree. A program with more rights than its user does not look about
   there. */
static bool spawn_find_neighbour(char path[static PATH_MAX])
{
    static const char *const names[] = {"jitd", "../bin/jitd"};
    if (getauxval(AT_SECURE) || !own_path(path, false))
        return false;
    char *file = strrchr(path, '/');
    bool found = false;
    for (size_t i = 0; i < ARRAY_LENGTH(names) && file && !found; i++) {
        size_t bytes = strlen(names[i]) + 1;
        if (file + 1 + bytes > path + PATH_MAX)
            continue;
        memcpy(file + 1, names[i], bytes);
        found = access(path, X_OK) == 0;
    }
    return found;
}

static const char *spawn_path(const struct jitd_options *options, char neighbour[static PATH_MAX])
{
    if (options->daemon)
        return options->daemon;
    const char *named = secure_getenv("JITD");
    if (named && *named)
        return named;
    if (spawn_find_neighbour(neighbour))
        return neighbour;
    return access(JITD_DEFAULT_DAEMON, X_OK) == 0 ? JITD_DEFAULT_DAEMON : "jitd";
}

/* {path, "--fd", "3", further arguments, NULL}; freed by the caller. NULL when out of memory. */
static const char **spawn_arguments(const char *path, const char *const *further)
{
    size_t count = 0;
    while (further && further[count])
        count++;
    const char **arguments = calloc(count + 4, sizeof *arguments);
    if (!arguments)
        return NULL;
    arguments[0] = path;
    arguments[1] = "--fd";
    arguments[2] = "3";
    for (size_t i = 0; i < count; i++)
        arguments[3 + i] = further[i];
    return arguments;
}

/* The order matters where the program runs with descriptors 0 to 2 closed and the socket has one of these numbers: it
   is copied away first. `null` is above all numbers that are used here. A dup2 onto itself clears close-on-exec here
   (posix_spawn_file_actions_adddup2(3)). */
static int spawn_actions(posix_spawn_file_actions_t *actions, int socket, int null)
{
    int code = posix_spawn_file_actions_adddup2(actions, socket, SPAWN_CHILD_SOCKET);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, null, STDIN_FILENO);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, null, STDOUT_FILENO);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(actions, SPAWN_CHILD_SOCKET + 1);
    return code;
}

static int spawn_attributes(posix_spawnattr_t *attributes, bool foreground)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setpgroup(attributes, 0);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (foreground ? 0 : POSIX_SPAWN_SETPGROUP);
    if (code == 0)
        code = posix_spawnattr_setflags(attributes, (short)flags);
    return code;
}

/* 0 or an errno. */
static int spawn_process(const char *path, const char **arguments, int socket, int null, bool foreground, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code != 0)
        goto out_actions;
    code = spawn_actions(&actions, socket, null);
    if (code == 0)
        code = spawn_attributes(&attributes, foreground);
    if (code == 0)
        code = posix_spawnp(pid, path, &actions, &attributes, (char *const *)arguments, environ);
    posix_spawnattr_destroy(&attributes);
out_actions:
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* What the daemon has as standard input and output: its own number is above those that spawn_actions gives away. */
static int spawn_open_null(struct error *error)
{
    int low = descriptor_open_null();
    int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, SPAWN_CHILD_SOCKET + 1);
    if (fd < 0)
        error_system(error, "cannot open /dev/null for the daemon, nor anything in its place");
    descriptor_close(&low);
    return fd;
}

/* How posix_spawn closes what the daemon must not inherit. */
static bool spawn_can_close(void)
{
    return syscall(SYS_close_range, ~0u, ~0u, 0) == 0 || access("/proc/self/fd", R_OK) == 0;
}

/* ENOENT may be about another file than the daemon's, which execve(2) and posix_spawn do not tell. */
static int spawn_failed(const char *path, int number, struct error *error)
{
    const char *missing = NULL;
    if (number == ENOENT && access(path, F_OK) == 0)
        missing = spawn_can_close() ? "the dynamic linker or interpreter that it names is not there"
                                    : "close_range and /proc/self/fd, by which descriptors are closed, are not there";
    if (missing)
        return error_set(error, ERROR_SYSTEM, "cannot start the daemon '%s': %s", path, missing);
    errno = number;
    return error_system(error, "cannot start the daemon '%s' (set JITD to its path)", path);
}

static int spawn_connected(const char *path, const char **arguments, int socket, bool foreground, pid_t *pid,
                           struct error *error)
{
    int null = spawn_open_null(error);
    if (null < 0)
        return ERROR_SYSTEM;
    int number = spawn_process(path, arguments, socket, null, foreground, pid);
    descriptor_close(&null);
    return number == 0 ? 0 : spawn_failed(path, number, error);
}

int spawn_daemon(const struct jitd_options *options, struct spawned *out, int *socket_out, struct error *error)
{
    *out = SPAWNED_NONE;
    *socket_out = -1;
    char neighbour[PATH_MAX];
    const char *path = spawn_path(options, neighbour);
    const char **arguments = spawn_arguments(path, options->daemon_arguments);
    if (!arguments)
        return error_set(error, ERROR_NO_MEMORY, "out of memory for the daemon's arguments");
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        free(arguments);
        return error_system(error, "cannot make a socket pair for the daemon");
    }
    pid_t pid;
    int code = spawn_connected(path, arguments, pair[1], options->foreground, &pid, error);
    descriptor_close(&pair[1]);
    free(arguments);
    if (code != 0) {
        descriptor_close(&pair[0]);
        return code;
    }
    out->pid = pid;
    out->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    *socket_out = pair[0];
    return 0;
}

/* Asks wait(2) of the child, with further options. False where it has not ended, or is no child of ours any more; then
   info->si_pid is 0. */
static bool spawn_wait(const struct spawned *spawned, int options, siginfo_t *info)
{
    idtype_t type = spawned->pidfd >= 0 ? (idtype_t)P_PIDFD : P_PID;
    id_t id = spawned->pidfd >= 0 ? (id_t)spawned->pidfd : (id_t)spawned->pid;
    int result;
    do {
        *info = (siginfo_t){0};
        result = waitid(type, id, info, WEXITED | options);
    } while (result < 0 && errno == EINTR);
    return result == 0 && info->si_pid != 0;
}

/* Whether the child has ended, or somebody else has reaped it, within so many milliseconds. */
static bool spawn_ends_within(const struct spawned *spawned, int milliseconds)
{
    struct deadline deadline = deadline_after(milliseconds);
    if (spawned->pidfd >= 0)
        return deadline_poll(spawned->pidfd, POLLIN, deadline, false) > 0;
    siginfo_t info;
    while (!spawn_wait(spawned, WNOHANG | WNOWAIT, &info)) {
        if (errno == ECHILD)
            return true;
        if (deadline_left(deadline) == 0)
            return false;
        poll(NULL, 0, SPAWN_LOOK_MS);
    }
    return true;
}

bool spawn_describe_end(const struct spawned *spawned, char *text, size_t bytes)
{
    siginfo_t info;
    if (spawned->pid == 0)
        return false;
    if (!spawn_ends_within(spawned, SPAWN_END_MS) || !spawn_wait(spawned, WNOHANG | WNOWAIT, &info))
        snprintf(text, bytes, "the daemon has closed the connection");
    else if (info.si_code == CLD_EXITED)
        snprintf(text, bytes, "the daemon exited with status %d", info.si_status);
    else
        snprintf(text, bytes, "the daemon was killed by signal %d (%s)", info.si_status,
                 sigdescr_np(info.si_status) ? sigdescr_np(info.si_status) : "unknown");
    return true;
}

static void spawn_kill(const struct spawned *spawned)
{
    if (spawned->pidfd < 0 ||
        (syscall(SYS_pidfd_send_signal, spawned->pidfd, SIGKILL, NULL, 0) != 0 && errno == ENOSYS))
        kill(spawned->pid, SIGKILL);
}

void spawn_reap(struct spawned *spawned)
{
    if (spawned->pid == 0)
        return;
    if (!spawn_ends_within(spawned, SPAWN_GRACE_MS))
        spawn_kill(spawned);
    siginfo_t info;
    spawn_wait(spawned, 0, &info);
    descriptor_close(&spawned->pidfd);
    spawned->pid = 0;
}
