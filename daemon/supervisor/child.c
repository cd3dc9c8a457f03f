/*
 * Starting and reaping children. Between clone and execve the child is a copy of the supervisor and makes system calls
 * only; what fails there travels as {stage, errno} through a close-on-exec pipe, whose end of file means success.
 *
 * A child's number stays its own until it is reaped, which happens here alone: so it may be waited for and killed by
 * that number, and its pidfd is for the loop to poll.
 */
#include "daemon/supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"

enum stage {
    STAGE_SIGNALS,
    STAGE_NAMESPACE,
    STAGE_PARENT,
    STAGE_DESCRIPTORS,
    STAGE_INHERITED,
    STAGE_LIMITS,
    STAGE_PRIVILEGES,
    STAGE_EXECUTE
};

static const char *const stage_names[] = {
    [STAGE_SIGNALS] = "reset signals",
    [STAGE_NAMESPACE] = "enter the user namespace",
    [STAGE_PARENT] = "follow the supervisor's death",
    [STAGE_DESCRIPTORS] = "arrange descriptors",
    [STAGE_INHERITED] = "close what was inherited, by close_range or what /proc/self/fd lists",
    [STAGE_LIMITS] = "set limits",
    [STAGE_PRIVILEGES] = "set no_new_privs",
    [STAGE_EXECUTE] = "execute",
};

struct report {
    int32_t stage;
    int32_t os;
};

/* One could be made, but not entered, as where a security module takes the rights in it away. */
static bool namespaces_forgone;

/* ---- in the child: system calls only ---- */

/* The supervisor's own changes are undone; what it inherited as ignored (nohup) stays so for the program. */
static int reset_signals(const struct child_plan *plan)
{
    static const int changed[] = {SIGPIPE, SIGCHLD, SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
        signal(changed[i], SIG_DFL);
    if (plan->ignores_interrupts) {
        signal(SIGINT, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
    }
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int write_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, length);
    descriptor_close(&fd);
    return written == (ssize_t)length ? 0 : -1;
}

struct identity_maps {
    char user[64];
    char group[64];
};

/* user_namespaces(7): the group map may be written only after setgroups has been given up. */
static int enter_user_namespace(const struct identity_maps *maps)
{
    if (write_file("/proc/self/setgroups", "deny", 4) < 0)
        return -1;
    if (write_file("/proc/self/uid_map", maps->user, strlen(maps->user)) < 0)
        return -1;
    return write_file("/proc/self/gid_map", maps->group, strlen(maps->group));
}

/* The supervisor may have died before the request for a signal at its death; then nobody reads the pipe. (getppid is
   no help: it is 0 in a new pid namespace either way.) */
static int follow_parent(int pipe)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -1;
    struct pollfd reader = {.fd = pipe, .events = 0};
    if (poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR) != 0)
        _exit(127);
    return 0;
}

/* Sources are first moved above all targets, so that no dup2 overwrites one that is still needed. */
static int arrange_descriptors(const struct child_plan *plan)
{
    int sources[FD_INHERITED_END];
    for (int i = 0; i < FD_INHERITED_END; i++) {
        int from = plan->descriptors[i];
        if (from < 0 && i <= STDERR_FILENO)
            from = descriptor_open_null();
        sources[i] = from < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, FD_INHERITED_END);
        if (sources[i] < 0 && (plan->descriptors[i] >= 0 || i <= STDERR_FILENO))
            return -1;
    }
    for (int i = 0; i < FD_INHERITED_END; i++) {
        if (sources[i] < 0)
            close(i);
        else if (dup2(sources[i], i) < 0)
            return -1;
    }
    return 0;
}

static int set_limits(const struct child_plan *plan)
{
    for (size_t i = 0; i < plan->limit_count; i++) {
        const struct child_limit *limit = &plan->limits[i];
        struct rlimit own;
        if (getrlimit(limit->resource, &own) < 0)
            return -1;
        struct rlimit cut = {.rlim_cur = min_u64(limit->value.rlim_cur, own.rlim_max),
                             .rlim_max = min_u64(limit->value.rlim_max, own.rlim_max)};
        if (setrlimit(limit->resource, &cut) < 0)
            return -1;
    }
    return 0;
}

_Noreturn static void fail(int pipe, enum stage stage)
{
    struct report report = {stage, errno};
    ssize_t ignored = write(pipe, &report, sizeof report);
    (void)ignored;
    _exit(127);
}

_Noreturn static void become(const struct child_plan *plan, enum child_namespace namespace,
                             const struct identity_maps *maps, int pipe)
{
    int low = pipe;
    pipe = fcntl(low, F_DUPFD_CLOEXEC, FD_INHERITED_END);
    if (pipe < 0)
        fail(low, STAGE_DESCRIPTORS);
    close(low);
    if (reset_signals(plan) < 0)
        fail(pipe, STAGE_SIGNALS);
    if (namespace == NAMESPACE_USER_PID && enter_user_namespace(maps) < 0)
        fail(pipe, STAGE_NAMESPACE);
    if (follow_parent(pipe) < 0)
        fail(pipe, STAGE_PARENT);
    if (arrange_descriptors(plan) < 0)
        fail(pipe, STAGE_DESCRIPTORS);
    if (descriptor_close_from_on_exec(FD_INHERITED_END) < 0)
        fail(pipe, STAGE_INHERITED);
    if (set_limits(plan) < 0)
        fail(pipe, STAGE_LIMITS);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(pipe, STAGE_PRIVILEGES);
    execve(plan->path, plan->arguments,
           namespace == NAMESPACE_NONE ? plan->environment : plan->environment_in_namespace);
    fail(pipe, STAGE_EXECUTE);
}

/* ---- in the supervisor ---- */

/* By clone(2), whose flags a filter can see: filters of containers answer ENOSYS to clone3 (moby,
   seccomp/default.json), and nothing here needs it. The pidfd comes where CLONE_PARENT_SETTID would store. */
static long clone_process(uint64_t flags, int *pidfd)
{
    return syscall(SYS_clone, CLONE_PIDFD | flags | SIGCHLD, NULL, pidfd, NULL, 0);
}

/* As fork, with the strongest namespace that the kernel grants. */
static long clone_with_namespace(struct child *child, bool wanted)
{
    static const uint64_t flags[] = {
        [NAMESPACE_NONE] = 0, [NAMESPACE_PID] = CLONE_NEWPID, [NAMESPACE_USER_PID] = CLONE_NEWUSER | CLONE_NEWPID};
    static const enum child_namespace order[] = {NAMESPACE_PID, NAMESPACE_USER_PID};
    for (size_t i = 0; wanted && !namespaces_forgone && i < ARRAY_LENGTH(order); i++) {
        child->namespace = order[i];
        long pid = clone_process(flags[order[i]], &child->pidfd);
        if (pid >= 0)
            return pid;
    }
    child->namespace = NAMESPACE_NONE;
    return clone_process(0, &child->pidfd);
}

static void fill_maps(struct identity_maps *maps)
{
    snprintf(maps->user, sizeof maps->user, "%u %u 1", geteuid(), geteuid());
    snprintf(maps->group, sizeof maps->group, "%u %u 1", getegid(), getegid());
}

/* With all signals blocked until the child has reset its handlers: one that ran there would write to the loop's pipe,
   which both processes share. */
static int clone_and_become(struct child *child, const struct child_plan *plan, int pipe, struct error *error)
{
    struct identity_maps maps;
    fill_maps(&maps);
    sigset_t all, former;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &former);
    long pid = clone_with_namespace(child, plan->pid_namespace);
    if (pid == 0)
        become(plan, child->namespace, &maps, pipe);
    int code = pid < 0 ? error_system(error, "create a process for %s", plan->path) : 0;
    child->pid = (pid_t)pid;
    sigprocmask(SIG_SETMASK, &former, NULL);
    return code;
}

static void handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    if (--child->open_handles == 0)
        child->ended(child);
}

/* Only a whole report is one; a child that dies before execve without a word is told of by its end. */
static void read_exec_pipe(struct child *child)
{
    struct report report;
    ssize_t length = read(child->exec_pipe, &report, sizeof report);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    uv_close((uv_handle_t *)&child->exec_poll, handle_closed);
    descriptor_close(&child->exec_pipe);
    if (length != sizeof report) {
        child->started(child, NULL);
        return;
    }
    struct error error;
    child->try_again = report.stage == STAGE_NAMESPACE;
    namespaces_forgone |= child->try_again;
    errno = report.os;
    error_system(&error, "%s", stage_names[report.stage]);
    child->started(child, &error);
}

static void exec_pipe_ready(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    read_exec_pipe(poll->data);
}

static void pidfd_ready(uv_poll_t *poll, int status, int events)
{
    struct child *child = poll->data;
    (void)status, (void)events;
    child->status = (siginfo_t){0};
    int answer = waitid(P_PID, (id_t)child->pid, &child->status, WEXITED | WNOHANG);
    if (answer == 0 && child->status.si_pid == 0)
        return;
    uv_close((uv_handle_t *)&child->exit_poll, handle_closed);
    descriptor_close(&child->pidfd);
    if (child->exec_pipe >= 0)
        read_exec_pipe(child);
}

static int watch(struct child *child, uv_loop_t *loop, uv_poll_t *poll, int fd, uv_poll_cb ready)
{
    int status = uv_poll_init(loop, poll, fd);
    if (status < 0)
        return status;
    poll->data = child;
    child->open_handles++;
    return uv_poll_start(poll, UV_READABLE | UV_DISCONNECT, ready);
}

/* A child that cannot be watched: killed and reaped on the spot, before anybody has been told of it. */
static int give_up(struct child *child, struct error *error)
{
    child_kill(child);
    waitid(P_PID, (id_t)child->pid, &child->status, WEXITED);
    descriptor_close(&child->pidfd);
    descriptor_close(&child->exec_pipe);
    return error_set(error, ERROR_SYSTEM, "a new process cannot be watched");
}

void child_prepare(struct child *child)
{
    child->pidfd = child->exec_pipe = -1;
    child->open_handles = 0;
    child->pid = 0;
    child->namespace = NAMESPACE_NONE;
    child->try_again = child->was_killed = false;
}

int child_start(struct child *child, uv_loop_t *loop, const struct child_plan *plan, struct error *error)
{
    int ends[2];
    child_prepare(child);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_system(error, "create a pipe");
    int code = clone_and_become(child, plan, ends[1], error);
    descriptor_close(&ends[1]);
    if (code != 0) {
        descriptor_close(&ends[0]);
        return code;
    }
    child->exec_pipe = ends[0];
    if (watch(child, loop, &child->exit_poll, child->pidfd, pidfd_ready) < 0)
        return give_up(child, error);
    if (watch(child, loop, &child->exec_poll, child->exec_pipe, exec_pipe_ready) < 0) {
        descriptor_close(&child->exec_pipe);
        child_kill(child); /* its end will be told of */
    }
    return 0;
}

bool child_is_running(const struct child *child)
{
    return child->pidfd >= 0;
}

bool child_was_signalled(const struct child *child)
{
    return child->status.si_code == CLD_KILLED || child->status.si_code == CLD_DUMPED;
}

void child_kill(struct child *child)
{
    child->was_killed = true;
    if (child->pidfd >= 0)
        kill(child->pid, SIGKILL);
}
