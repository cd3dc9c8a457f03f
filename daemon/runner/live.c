/*
 * Turns the forked process into the program's: the layers close, its turn comes, what was the template's goes, then the
 * epoch, which the linker gives when there is something to do. Nothing of the program's has run until then, the
 * constructors of its libraries included: they come next, in ld.so, and then main (main.c).
 *
 * Order matters. The filter goes on before the agent thread exists, so that the thread inherits it, and before the
 * epoch, so that no submitted code ever runs without it.
 *
 * Everything up to the turn may happen while the former life still runs hostile code (lives.c), which can write the
 * channel and wake, or move, any sleeper there. So a standby neither reads the channel nor sleeps on it: it waits at
 * the gate, which only the template can open, and like the template it ignores what ends the program.
 */
#include "daemon/runner/live.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/delay.h"
#include "daemon/runner/alternates.h"
#include "daemon/runner/crash_handler.h"
#include "daemon/runner/exits.h"
#include "daemon/runner/futex.h"
#include "daemon/runner/lazy.h"
#include "daemon/runner/requests.h"
#include "daemon/runner/stage.h"
#include "daemon/runner/template.h"
#include "daemon/runner/threads.h"
#include "daemon/runner/unwind.h"
#include "daemon/sandbox/filter.h"
#include "proto/message.h"

#define EXIT_SETUP_FAILED 125
#define MEMORY_ATTEMPTS   200
#define MEMORY_PAUSE_NS   10000000

/* The death signal is sent when the template ends, but not if it ended before. */
static int live_tie_to_template(const struct runner *runner, struct error *error)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return stage_failed(error, "tie the runner to its template");
    if (getppid() != runner->template_process)
        _exit(EXIT_SETUP_FAILED);
    return 0;
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
    if (filter_install(roles[runner->startup.profile], error) == 0)
        return 0;
    return stage_failed(error, "load the filter (jitd --disable-layer seccomp: without)");
}

/* What costs the life nothing while it waits for its turn, and would cost it time later. */
static void live_warm(void)
{
    alternate_warm();
    unwind_warm();
}

static const struct runner *live_runner;
static _Atomic uint32_t live_begun; /* futex of the agent thread */

/* The template has reaped the predecessor before it opens the gate, and cleared what that left in channel.epoch. */
static void live_wait_for_turn(const struct runner *runner, uint32_t epoch)
{
    _Atomic uint32_t *turn = &runner->gate->turn;
    if (atomic_load_explicit(turn, memory_order_acquire) != epoch)
        live_warm();
    for (uint32_t now; (now = atomic_load_explicit(turn, memory_order_acquire)) != epoch;) {
        DELAY();
        futex_wait(turn, now);
    }
}

/* As much as the former life's units need. That life's own memory has only just been given back: what cannot be had at
   once may come within a moment. */
static void live_let_write(const struct runner *runner)
{
    static const enum zone zones[] = {ZONE_D, ZONE_Z};
    static const char text[] =
        "jitd: the program cannot begin again: there is no memory for its units' data (RLIMIT_DATA, "
        "vm.overcommit_memory)\n";
    unsigned attempts = MEMORY_ATTEMPTS;
    for (size_t i = 0; i < ARRAY_LENGTH(zones); i++)
        while (arena_let_write(&runner->arena, zones[i], atomic_load(&runner->channel->writable[i])) != 0) {
            if (attempts-- == 0) {
                ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
                (void)written;
                _exit(EXIT_SETUP_FAILED);
            }
            nanosleep(&(struct timespec){.tv_nsec = MEMORY_PAUSE_NS}, NULL);
        }
}

static void live_wait_for_epoch(const struct runner *runner, uint32_t epoch)
{
    _Atomic uint32_t *word = &runner->channel->epoch;
    for (uint32_t now; (now = atomic_load_explicit(word, memory_order_acquire)) != epoch;) {
        DELAY();
        futex_wait(word, now);
    }
    live_let_write(runner);
}

static void *live_serve_agent(void *argument)
{
    const struct runner *runner = argument;
    while (atomic_load(&live_begun) == 0)
        futex_wait(&live_begun, 0);
    requests_serve(runner, &runner->channel->agent);
}

/* Signals to the process are the program's: the agent takes none but its own crashes. */
static int live_start_agent(const struct runner *runner, struct error *error)
{
    sigset_t blocked, before;
    sigfillset(&blocked);
    crash_handler_leave_unblocked(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    errno = threads_create_agent(live_serve_agent, (void *)(uintptr_t)runner);
    int code = errno == 0 ? 0 : stage_failed(error, "start the agent thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static int live_prepare(const struct runner *runner, struct error *error)
{
    int code = live_tie_to_template(runner, error);
    close(FD_LIFECYCLE);
    code = code != 0 ? code : crash_handler_install(error);
    code = code != 0 ? code : live_filter(runner, error);
    code = code != 0 ? code : live_start_agent(runner, error);
    return code;
}

static _Noreturn void live_give_up(struct runner_setup *setup, const struct error *error)
{
    setup->os = error->os;
    stage_copy(setup->stage, sizeof setup->stage, error->text);
    _exit(EXIT_SETUP_FAILED);
}

/* The last that is done while nothing hostile is in the process. */
static void live_take_over(const struct runner *runner)
{
    if (munmap(runner->gate, sizeof *runner->gate) != 0)
        _exit(EXIT_SETUP_FAILED);
    template_restore_signals();
    crash_handler_report_to(&runner->channel->crash);
    lazy_begin();
    threads_count_in(&runner->channel->threads);
}

static void live_main_thread_exited(void *argument)
{
    (void)argument;
    threads_exit_after_others();
}

_Noreturn void live_run(const struct runner *runner, uint32_t epoch)
{
    struct error error = {0};
    struct runner_setup *setup = runner_setup(runner, epoch);
    if (live_prepare(runner, &error) != 0)
        live_give_up(setup, &error);
    atomic_store(&setup->done, 1);
    live_wait_for_turn(runner, epoch);
    live_take_over(runner);
    live_wait_for_epoch(runner, epoch);
    startup_put(&runner->startup);
    live_runner = runner;
    longjmp(*runner->life_begins, 1);
}

/* Exit handlers are registered behind libc's own for the libraries' finalisers, which therefore run after the
 * program's.
 */
_Noreturn void live_serve(void)
{
    struct error error;
    if (exits_open(&error) != 0)
        _exit(EXIT_SETUP_FAILED);
    atomic_store(&live_runner->channel->begun, 1);
    atomic_store(&live_begun, 1);
    futex_wake(&live_begun);
    pthread_cleanup_push(live_main_thread_exited, NULL);
    requests_serve(live_runner, &live_runner->channel->main);
    pthread_cleanup_pop(0);
}
