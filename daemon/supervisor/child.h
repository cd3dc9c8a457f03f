/*
 * A child process: started with exactly the descriptors, limits and environment of its plan, watched through a pidfd,
 * reaped here. Nothing of starting one blocks the loop: whether its program could be executed comes as a callback.
 *
 * A child does not outlive the supervisor (PR_SET_PDEATHSIG), never gains privileges, and stays in the supervisor's
 * process group, so that the terminal's signals reach a program that runs in the foreground as they would without jitd.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <uv.h>

#include "common/error.h"
#include "proto/control.h"

#define CHILD_LIMITS 8

struct child_limit {
    __rlimit_resource_t resource;
    struct rlimit value; /* cut to the hard limit that the supervisor has itself */
};

/* Which new pid namespace a child begins: none, one that takes privileges, or one inside a new user namespace that
   holds the same user and group, which most kernels allow to everybody. */
enum child_namespace { NAMESPACE_NONE, NAMESPACE_PID, NAMESPACE_USER_PID };

struct child_plan {
    const char *path;
    char *const *arguments;
    char *const *environment;
    char *const *environment_in_namespace; /* instead, where it begins a pid namespace */
    int descriptors[FD_INHERITED_END]; /* borrowed; the index is the number in the child. -1: closed, below 3 /dev/null
                                        */
    struct child_limit limits[CHILD_LIMITS];
    size_t limit_count;
    bool pid_namespace;      /* where possible */
    bool ignores_interrupts; /* SIGINT and SIGQUIT */
};

struct child {
    uv_poll_t exit_poll;
    uv_poll_t exec_poll;
    pid_t pid;     /* 0 where there never was a child */
    int pidfd;     /* owned; -1 once reaped, or where there is no child */
    int exec_pipe; /* owned; end of file: the program runs. A report: it does not. */
    unsigned open_handles;
    enum child_namespace namespace;
    bool try_again;   /* the namespace could be made, but not entered; the next child_start does without */
    bool was_killed;  /* by child_kill */
    siginfo_t status; /* of waitid, once reaped */

    /* The program runs (error is NULL), or could not be started; the child's end follows. */
    void (*started)(struct child *child, const struct error *error);
    /* Reaped, nothing of it is left; the struct may be freed. Called once for each child_start that succeeded. */
    void (*ended)(struct child *child);
};

/* To be called once before child_start, or for a child that never starts. */
void child_prepare(struct child *child);

/* The plan is not needed after return. Errors: SYSTEM; then no callback comes. */
int child_start(struct child *child, uv_loop_t *loop, const struct child_plan *plan, struct error *error);

bool child_is_running(const struct child *child);

/* Whether the kernel says that a signal ended it; after `ended`. */
bool child_was_signalled(const struct child *child);

/* SIGKILL; `ended` follows. Nothing where it is not running. */
void child_kill(struct child *child);

#endif
