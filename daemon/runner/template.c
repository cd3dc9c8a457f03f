/*
 * The template process: maps, checks and warms everything once, so that a further life is one fork.
 *
 * It never runs submitted code, which is why its word on how a life ended counts as the kernel's. What it does once all
 * is prepared stands in lives.c.
 */
#include "daemon/runner/template.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "daemon/runner/lazy.h"
#include "daemon/runner/lifecycle.h"
#include "daemon/runner/lives.h"
#include "daemon/runner/process_symbols.h"
#include "daemon/runner/runner.h"
#include "daemon/runner/stage.h"
#include "daemon/runner/threads.h"
#include "daemon/runner/unwind.h"
#include "daemon/sandbox/landlock.h"
#include "proto/message.h"

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
    (void)number; /* only to interrupt the wait in lives.c */
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
    void *gate = mmap(NULL, sizeof(struct runner_gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (channel == MAP_FAILED || gate == MAP_FAILED)
        return stage_failed(error, "map the channel");
    runner->channel = channel;
    runner->gate = gate;
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
static int template_prepare(struct runner *runner, const struct template_orders *orders, struct lifecycle *ready,
                            struct error *error)
{
    int code = arena_map(&runner->arena, orders->least_zeros, error);
    code = code != 0 ? code : template_map_channel(runner, error);
    code = code != 0 ? code : startup_read(&runner->startup, &runner->channel->startup, error);
    code = code != 0 ? code : process_symbols_write(FD_SYMBOLS, &ready->symbol_bytes, error);
    code = code != 0 ? code : threads_open(error);
    code = code != 0 ? code : template_signals(error);
    code = code != 0 ? code : template_change_directory(&runner->startup, error);
    if (code != 0)
        return code;
    unwind_open(&runner->arena);
    ready->lazy_entry = lazy_open(runner);
    code = template_landlock(runner, error);
    if (code != 0)
        return code;
    if (!runner_layer_disabled(runner, JITD__PROTO__LAYER__LAYER_SECCOMP))
        runner->layers |= 1u << JITD__PROTO__LAYER__LAYER_SECCOMP;
    for (int fd = FD_CHANNEL; fd < FD_INHERITED_END; fd++)
        close(fd);
    return 0;
}

static bool template_send_ready(const struct runner *runner, struct lifecycle *ready)
{
    ready->kind = LIFECYCLE_TEMPLATE_READY;
    ready->layers = runner->layers;
    ready->arena_base = runner->arena.base;
    ready->zero_bytes = runner->arena.sizes.bytes[ZONE_Z];
    ready->span_low = runner->arena.span_low;
    ready->span_high = runner->arena.span_high;
    return lifecycle_send(ready);
}

/* Exits by _exit: whatever handlers the session's libraries registered are the program's, not the template's. */
static _Noreturn void template_become(struct runner *runner, const struct template_orders *orders)
{
    struct lifecycle ready = {0};
    struct error error = {0};
    if (template_prepare(runner, orders, &ready, &error) != 0) {
        lifecycle_report_failure(error.text, error.os);
        _exit(1);
    }
    if (template_send_ready(runner, &ready))
        lives_run(runner);
    _exit(0);
}

void template_run(const struct template_orders *orders)
{
    /* Static: the live runner's copy is in use as long as its threads. */
    static struct runner runner;
    jmp_buf life_begins;
    runner = (struct runner){.disabled = orders->disabled,
                             .layers = orders->layers,
                             .arena.sizes = orders->zones,
                             .startup.place = orders->place,
                             .template_process = getpid(),
                             .life_begins = &life_begins};
    if (setjmp(life_begins) == 0)
        template_become(&runner, orders);
}
