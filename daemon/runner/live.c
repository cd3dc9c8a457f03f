/*
 * Turns the forked process into the program's: what the template kept to itself goes, the layers close, then the epoch.
 *
 * Order matters. The filter goes on before the agent thread exists, so that the thread inherits it, and before the
 * epoch, so that no submitted code ever runs without it.
 */
#include "daemon/runner/live.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/runner/crash_handler.h"
#include "daemon/runner/finalisers.h"
#include "daemon/runner/futex.h"
#include "daemon/runner/requests.h"
#include "daemon/runner/stage.h"
#include "daemon/runner/template.h"
#include "daemon/runner/threads.h"
#include "daemon/sandbox/filter.h"
#include "proto/message.h"

#define EXIT_SETUP_FAILED 125

/* The death signal is sent when the template ends, but not if it ended before. */
static int live_tie_to_template(const struct runner *runner, struct error *error)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return stage_failed(error, "tie the runner to its template");
    if (getppid() != runner->template_process)
        _exit(EXIT_SETUP_FAILED);
    return 0;
}

static void live_become_program(const struct runner *runner)
{
    close(FD_LIFECYCLE);
    environ = runner->startup.environment;
    if (runner->startup.argument_count > 0) {
        char *name = runner->startup.arguments[0], *slash = strrchr(name, '/');
        program_invocation_name = name;
        program_invocation_short_name = slash == NULL ? name : slash + 1;
    }
}

static int live_filter(const struct runner *runner, struct error *error)
{
    static const enum filter_role roles[] = {
        [JITD__PROTO__PROFILE__DEFAULT] = FILTER_RUNNER_DEFAULT,
        [JITD__PROTO__PROFILE__COMPUTE] = FILTER_RUNNER_COMPUTE,
        [JITD__PROTO__PROFILE__TRUSTED] = FILTER_RUNNER_TRUSTED,
    };
    if (runner_layer_disabled(runner, JITD__PROTO__LAYER__LAYER_SECCOMP))
        return 0;
    return filter_install(roles[runner->startup.profile], error);
}

struct agent {
    const struct runner *runner;
    uint32_t epoch;
};

/* Main thread and agent both wait, and the linker wakes one sleeper: whoever comes through wakes the other. */
static void live_wait_for_epoch(const struct runner *runner, uint32_t epoch)
{
    _Atomic uint32_t *word = &runner->channel->epoch;
    for (uint32_t now; (now = atomic_load_explicit(word, memory_order_acquire)) != epoch;)
        futex_wait(word, now);
    futex_wake(word);
}

static void *live_serve_agent(void *argument)
{
    struct agent *agent = argument;
    live_wait_for_epoch(agent->runner, agent->epoch);
    requests_serve(agent->runner, &agent->runner->channel->agent);
}

/* Signals to the process are the program's: the agent takes none but its own crashes. */
static int live_start_agent(const struct runner *runner, uint32_t epoch, struct error *error)
{
    static struct agent agent; /* the thread outlives this function */
    sigset_t blocked, before;
    agent = (struct agent){runner, epoch};
    sigfillset(&blocked);
    crash_handler_leave_unblocked(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    errno = threads_create_agent(live_serve_agent, &agent);
    int code = errno == 0 ? 0 : stage_failed(error, "start the agent thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static int live_prepare(const struct runner *runner, uint32_t epoch, struct error *error)
{
    int code = live_tie_to_template(runner, error);
    live_become_program(runner);
    template_restore_signals();
    code = code != 0 ? code : crash_handler_install(&runner->channel->crash, error);
    code = code != 0 ? code : finalisers_open(error);
    code = code != 0 ? code : live_filter(runner, error);
    code = code != 0 ? code : live_start_agent(runner, epoch, error);
    return code;
}

static _Noreturn void live_give_up(const struct runner *runner, const struct error *error)
{
    runner->progress->os = error->os;
    stage_copy(runner->progress->stage, sizeof runner->progress->stage, error->text);
    _exit(EXIT_SETUP_FAILED);
}

static void live_main_thread_exited(void *argument)
{
    (void)argument;
    threads_exit_after_others();
}

_Noreturn void live_run(const struct runner *runner, uint32_t epoch)
{
    struct error error = {0};
    if (live_prepare(runner, epoch, &error) != 0)
        live_give_up(runner, &error);
    atomic_store(&runner->progress->waiting, 1);
    live_wait_for_epoch(runner, epoch);
    pthread_cleanup_push(live_main_thread_exited, NULL);
    requests_serve(runner, &runner->channel->main);
    pthread_cleanup_pop(0);
}
