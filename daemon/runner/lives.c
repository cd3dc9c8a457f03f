/*
 * Forks the live runners, waits for each one's end and tells the linker of it.
 *
 * While a life runs, the process of the next one stands by: forked, confined, and asleep at the gate (runner.h).
 *
 * Invariant: the gate opens for epoch n + 1 only when the process of epoch n has been reaped and channel.epoch cleared
 * of what it may have left there, so nothing that hostile code writes can begin its successor. (The linker's own store
 * of n may still come after the clearing: n is not n + 1.)
 *
 * Where the program may fork there is no standby: what it leaves behind is killed and reaped between two lives, and
 * kill(2) has no way to spare one process. Elsewhere the filter keeps the program to one process, so nothing is left.
 *
 * What is waited for is a child's end, the linker's, or its word that the life is to end: SIGCHLD is let in only during
 * ppoll, so none is missed.
 */
#include "daemon/runner/lives.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/delay.h"
#include "daemon/runner/futex.h"
#include "daemon/runner/lifecycle.h"
#include "daemon/runner/live.h"
#include "proto/message.h"

#define EARLY_ENDS_ALLOWED 5

/* How long nothing must happen before a standby is forked: whoever has just been told that a life begins needs the
   processors more. */
#define STANDBY_DELAY_NS 1000000

struct lives {
    const struct runner *runner;
    uint32_t epoch;
    pid_t live;          /* the process of `epoch` */
    pid_t standby;       /* that of the next epoch; 0: none */
    bool standby_wanted; /* one is to be forked after the delay */
    unsigned early;      /* lives in a row that ended before they could begin */
};

static const struct timespec standby_delay = {.tv_nsec = STANDBY_DELAY_NS};

static bool lives_have_standby(const struct runner *runner)
{
    return runner->startup.profile != JITD__PROTO__PROFILE__TRUSTED &&
           (runner->layers & 1u << JITD__PROTO__LAYER__LAYER_SECCOMP) != 0;
}

static pid_t lives_fork(const struct runner *runner, uint32_t epoch)
{
    *runner_setup(runner, epoch) = (struct runner_setup){0};
    pid_t pid = fork();
    if (pid == 0)
        live_run(runner, epoch);
    return pid;
}

/* One that cannot be had now is not asked for again in this life: at its turn it must be forked, or the template fails.
 */
static void lives_fork_standby(struct lives *lives)
{
    pid_t pid = lives_fork(lives->runner, lives->epoch + 1);
    lives->standby = pid > 0 ? pid : 0;
    lives->standby_wanted = false;
}

/* One whose set-up failed would only fail again; that shows at its turn. */
static void lives_standby_ended(struct lives *lives)
{
    lives->standby = 0;
    lives->standby_wanted = atomic_load(&runner_setup(lives->runner, lives->epoch + 1)->done) != 0;
}

/* Reaps whatever has ended; true with its status once the live runner is among that. */
static bool lives_reap(struct lives *lives, int *status)
{
    bool found = false;
    int ended;
    for (pid_t pid; (pid = waitpid(-1, &ended, WNOHANG)) > 0;) {
        if (pid == lives->standby)
            lives_standby_ended(lives);
        if (pid != lives->live)
            continue;
        *status = ended;
        found = true;
    }
    return found;
}

/* A word about a life that is over comes too late to matter. False where the linker has gone. */
static bool lives_listen(const struct lives *lives)
{
    struct lifecycle message;
    if (!lifecycle_receive(&message))
        return false;
    if (message.kind == LIFECYCLE_END_RUNNER && message.epoch == lives->epoch)
        kill(lives->live, SIGKILL);
    return true;
}

/* False where the linker went first. The process of the life has not been reaped, so its number is still its own. */
static bool lives_wait(struct lives *lives, int *status)
{
    struct pollfd linker = {.fd = FD_LIFECYCLE, .events = POLLIN};
    sigset_t none;
    sigemptyset(&none);
    while (!lives_reap(lives, status)) {
        int ready = ppoll(&linker, 1, lives->standby_wanted ? &standby_delay : NULL, &none);
        if (ready > 0 && !lives_listen(lives))
            return false;
        if (ready == 0)
            lives_fork_standby(lives);
    }
    return true;
}

/* Children that the program left must not outlive it into the next epoch. As init of a pid namespace kill(2) reaches
   all of that namespace and nothing else. */
static void lives_clear_namespace(const struct runner *runner)
{
    if (runner->template_process != 1 || (runner->layers & 1u << JITD__PROTO__LAYER__LAYER_PID_NAMESPACE) == 0)
        return;
    if (kill(-1, SIGKILL) == 0)
        while (waitpid(-1, NULL, 0) > 0)
            continue;
}

/* False when too many ended before they could begin. */
static bool lives_count_early_end(struct lives *lives)
{
    struct runner_setup *setup = runner_setup(lives->runner, lives->epoch);
    lives->early = atomic_load(&setup->done) != 0 ? 0 : lives->early + 1;
    if (lives->early < EARLY_ENDS_ALLOWED)
        return true;
    setup->stage[sizeof setup->stage - 1] = '\0';
    lifecycle_report_failure(setup->stage[0] != '\0' ? setup->stage : "the runner ends before it begins", setup->os);
    return false;
}

static void lives_open_gate(const struct lives *lives)
{
    DELAY();
    atomic_store(&lives->runner->gate->turn, lives->epoch);
    futex_wake(&lives->runner->gate->turn);
}

/* The standby's turn, or that of a process forked for it. */
static bool lives_begin(struct lives *lives)
{
    lives->epoch++;
    lives->live = lives->standby != 0 ? lives->standby : lives_fork(lives->runner, lives->epoch);
    lives->standby = 0;
    if (lives->live < 0) {
        lifecycle_report_failure("fork the runner", errno);
        return false;
    }
    lives->standby_wanted = lives_have_standby(lives->runner);
    /* Before the linker is told, which will store there. */
    atomic_store(&lives->runner->channel->epoch, 0);
    DELAY();
    bool sent = lifecycle_send(&(struct lifecycle){.kind = LIFECYCLE_RUNNER_STARTED, .epoch = lives->epoch});
    lives_open_gate(lives);
    return sent;
}

/* False when it was the last life. */
static bool lives_end(struct lives *lives, int status)
{
    struct lifecycle ended = {.kind = LIFECYCLE_RUNNER_ENDED, .epoch = lives->epoch, .value = status};
    if (!lives_have_standby(lives->runner))
        lives_clear_namespace(lives->runner);
    return lifecycle_send(&ended) && lives_count_early_end(lives);
}

void lives_run(const struct runner *runner)
{
    struct lives lives = {.runner = runner};
    int status = 0;
    while (lives_begin(&lives) && lives_wait(&lives, &status) && lives_end(&lives, status))
        continue;
}
