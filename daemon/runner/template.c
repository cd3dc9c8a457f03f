/*
 * The template process: maps, checks and warms everything once, so that a respawn is one fork.
 *
 * It never runs submitted code, which is why its word on how a life ended counts as the kernel's. Where the session has
 * a pid namespace it is its init: whatever the program leaves behind is killed and reaped here, between two lives.
 *
 * The one thing it waits for is a child's end or the linker's: SIGCHLD is let in only during ppoll, so neither is
 * missed.
 */
#include "daemon/runner/template.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "daemon/runner/live.h"
#include "daemon/runner/process_symbols.h"
#include "daemon/runner/runner.h"
#include "daemon/runner/stage.h"
#include "daemon/runner/threads.h"
#include "daemon/runner/unwind.h"
#include "daemon/sandbox/landlock.h"
#include "proto/message.h"

#define EARLY_ENDS_ALLOWED 5

/* The program shares its terminal and process group with the template, which must survive what ends the program. */
static const int template_ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};

/* What profile `default` may read, besides its working directory: what libc and an ordinary program open. */
static const char *const readable_paths[] = {
    "/usr/share/zoneinfo", "/usr/lib/locale", "/etc/localtime", "/etc/ld.so.cache",        "/lib", "/usr/lib",
    "/dev/null",           "/dev/zero",       "/dev/urandom",   "/sys/devices/system/cpu",
};
static const char *const writable_paths[] = {"/dev/null"};

static void template_child_ended(int number)
{
    (void)number; /* only to interrupt ppoll */
}

static int template_signals(struct error *error)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    bool failed = sigprocmask(SIG_SETMASK, &mask, NULL) != 0;
    failed |= sigaction(SIGCHLD, &(struct sigaction){.sa_handler = template_child_ended}, NULL) != 0;
    for (size_t i = 0; i < ARRAY_LENGTH(template_ignored); i++)
        failed |= signal(template_ignored[i], SIG_IGN) == SIG_ERR;
    return failed ? stage_failed(error, "set signal dispositions") : 0;
}

void template_restore_signals(void)
{
    sigset_t mask;
    for (size_t i = 0; i < ARRAY_LENGTH(template_ignored); i++)
        signal(template_ignored[i], SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

static int template_map_channel(struct runner *runner, struct error *error)
{
    struct stat status;
    if (fstat(FD_CHANNEL, &status) != 0)
        return stage_failed(error, "map the channel");
    if (status.st_size < 0 || (uint64_t)status.st_size < sizeof(struct channel))
        return error_set(error, ERROR_SETUP, "the channel is too small");
    void *channel = mmap(NULL, sizeof(struct channel), PROT_READ | PROT_WRITE, MAP_SHARED, FD_CHANNEL, 0);
    void *progress =
        mmap(NULL, sizeof(struct runner_progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (channel == MAP_FAILED || progress == MAP_FAILED)
        return stage_failed(error, "map the channel");
    runner->channel = channel;
    runner->progress = progress;
    return 0;
}

static int template_change_directory(const struct startup *startup, struct error *error)
{
    if (startup->working_directory[0] != '\0' && chdir(startup->working_directory) != 0)
        return stage_failed(error, "change to the working directory");
    return 0;
}

static int template_landlock(struct runner *runner, struct error *error)
{
    const char *readable[ARRAY_LENGTH(readable_paths) + 1] = {"."};
    memcpy(readable + 1, readable_paths, sizeof readable_paths);
    uint32_t profile = runner->startup.profile;
    if (profile == JITD__PROTO__PROFILE__TRUSTED || runner_layer_disabled(runner, JITD__PROTO__LAYER__LAYER_LANDLOCK))
        return 0;
    bool files = profile == JITD__PROTO__PROFILE__DEFAULT;
    int code = landlock_restrict(readable, files ? ARRAY_LENGTH(readable) : 0, writable_paths,
                                 files ? ARRAY_LENGTH(writable_paths) : 0, error);
    if (code == ERROR_UNSUPPORTED)
        return 0;
    if (code == 0)
        runner->layers |= 1u << JITD__PROTO__LAYER__LAYER_LANDLOCK;
    return code;
}

/* The arena first: nothing else may take the place below the libraries. */
static int template_prepare(struct runner *runner, struct lifecycle *ready, struct error *error)
{
    int code = arena_map(&runner->arena, error);
    code = code != 0 ? code : template_map_channel(runner, error);
    code = code != 0 ? code : startup_read(&runner->startup, &runner->channel->startup, error);
    code = code != 0 ? code : process_symbols_write(FD_SYMBOLS, &ready->symbol_bytes, error);
    code = code != 0 ? code : threads_open(error);
    code = code != 0 ? code : template_signals(error);
    code = code != 0 ? code : template_change_directory(&runner->startup, error);
    if (code != 0)
        return code;
    unwind_open(runner->arena.base);
    code = template_landlock(runner, error);
    if (code != 0)
        return code;
    if (!runner_layer_disabled(runner, JITD__PROTO__LAYER__LAYER_SECCOMP))
        runner->layers |= 1u << JITD__PROTO__LAYER__LAYER_SECCOMP;
    close_range(FD_CHANNEL, FD_INHERITED_END - 1, 0);
    return 0;
}

/* False where the linker has gone. */
static bool template_send(const struct lifecycle *message)
{
    return descriptor_send(FD_LIFECYCLE, message, sizeof *message, NULL, 0) == (ssize_t)sizeof *message;
}

static void template_report_failure(const char *stage, int os)
{
    struct lifecycle failed = {.kind = LIFECYCLE_TEMPLATE_FAILED, .value = os};
    stage_copy(failed.stage, sizeof failed.stage, stage);
    template_send(&failed);
}

static bool template_send_ready(const struct runner *runner, struct lifecycle *ready)
{
    ready->kind = LIFECYCLE_TEMPLATE_READY;
    ready->layers = runner->layers;
    ready->arena_base = runner->arena.base;
    ready->span_low = runner->arena.span_low;
    ready->span_high = runner->arena.span_high;
    return template_send(ready);
}

/* Reaps whatever has ended; true with its status once `live` is among that. */
static bool template_reap(pid_t live, int *status)
{
    bool found = false;
    int ended;
    for (pid_t pid; (pid = waitpid(-1, &ended, WNOHANG)) > 0;) {
        if (pid != live)
            continue;
        *status = ended;
        found = true;
    }
    return found;
}

/* False where the linker went first. */
static bool template_wait(pid_t live, int *status)
{
    struct pollfd linker = {.fd = FD_LIFECYCLE};
    sigset_t none;
    sigemptyset(&none);
    while (!template_reap(live, status))
        if (ppoll(&linker, 1, NULL, &none) > 0)
            return false;
    return true;
}

/* Children that the program left must not outlive it into the next epoch. As init of a pid namespace kill(2) reaches
   all of that namespace and nothing else. */
static void template_clear_namespace(const struct runner *runner)
{
    if (runner->template_process != 1 || (runner->layers & 1u << JITD__PROTO__LAYER__LAYER_PID_NAMESPACE) == 0)
        return;
    if (kill(-1, SIGKILL) == 0)
        while (waitpid(-1, NULL, 0) > 0)
            continue;
}

/* Counts lives that ended before they could begin; false when there were too many. */
static bool template_count_early_end(const struct runner *runner, unsigned *early)
{
    struct runner_progress *progress = runner->progress;
    *early = atomic_load(&progress->waiting) != 0 ? 0 : *early + 1;
    if (*early < EARLY_ENDS_ALLOWED)
        return true;
    progress->stage[sizeof progress->stage - 1] = '\0';
    template_report_failure(progress->stage[0] != '\0' ? progress->stage : "the runner ends before it begins",
                            progress->os);
    return false;
}

/* One life. False when it was the last. */
static bool template_live_once(const struct runner *runner, uint32_t epoch, unsigned *early)
{
    int status = 0;
    atomic_store(&runner->progress->waiting, 0);
    pid_t live = fork();
    if (live == 0)
        live_run(runner, epoch);
    if (live < 0) {
        template_report_failure("fork the runner", errno);
        return false;
    }
    if (!template_send(&(struct lifecycle){.kind = LIFECYCLE_RUNNER_STARTED, .epoch = epoch}) ||
        !template_wait(live, &status))
        return false;
    template_clear_namespace(runner);
    return template_send(&(struct lifecycle){.kind = LIFECYCLE_RUNNER_ENDED, .epoch = epoch, .value = status}) &&
           template_count_early_end(runner, early);
}

int template_run(uint32_t disabled, uint32_t layers)
{
    /* Static: the live runner's copy is in use as long as its threads. */
    static struct runner runner;
    struct lifecycle ready = {0};
    struct error error = {0};
    runner = (struct runner){.disabled = disabled, .layers = layers, .template_process = getpid()};
    if (template_prepare(&runner, &ready, &error) != 0) {
        template_report_failure(error.text, error.os);
        return 1;
    }
    if (!template_send_ready(&runner, &ready))
        return 0;
    unsigned early = 0;
    for (uint32_t epoch = 1; template_live_once(&runner, epoch, &early); epoch++)
        continue;
    return 0;
}
