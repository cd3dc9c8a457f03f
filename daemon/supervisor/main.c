/*
 * jitd, the supervisor: the command line, the loop, and which end of what ends the daemon.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/supervisor/configuration.h"
#include "daemon/supervisor/inspector.h"
#include "daemon/supervisor/listener.h"
#include "daemon/supervisor/relay.h"
#include "daemon/supervisor/session.h"

#define LOG_TAG "jitd"

static struct configuration configuration;
static uv_loop_t loop;
static struct session_set sessions;
static struct listener listener;
static struct inspector inspector;
static struct relay relay;
static uv_signal_t terminations[2];
static bool relay_is_open;
static bool session_failed;

/* The loop ends when nothing is left that can begin anything. */
static void stop_when_idle(void)
{
    if (sessions.count > 0 || relay_is_open)
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(terminations); i++)
        if (!uv_is_closing((uv_handle_t *)&terminations[i]))
            uv_close((uv_handle_t *)&terminations[i], NULL);
}

static void session_ended(struct session_set *set, bool failed)
{
    (void)set;
    session_failed |= failed;
    if (configuration.mode != MODE_LISTEN || listener.fd < 0)
        stop_when_idle();
}

static void relay_drained(struct relay *ended)
{
    (void)ended;
    relay_is_open = false;
    stop_when_idle();
}

static void terminate(uv_signal_t *handle, int number)
{
    (void)handle;
    log_info("ending on signal %d", number);
    relay_is_open = false;
    inspector_close(&inspector);
    listener_close(&listener);
    session_end_all(&sessions, number);
    stop_when_idle();
}

static void accepted(struct listener *at, int socket)
{
    struct error error;
    (void)at;
    if (session_open(&sessions, socket, &error) != 0)
        log_warn("refused a session: %s", error.text);
}

/* One session for one frontend: an interrupt from the terminal is meant for its program, which has it from the kernel,
   and the session's end follows from the frontend's. */
static int serve_one(int socket, struct error *error)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    return session_open(&sessions, socket, error);
}

static int serve_stdio(struct error *error)
{
    int controller;
    relay.drained = relay_drained;
    int code = relay_open(&relay, &loop, &controller, error);
    relay_is_open = code == 0;
    return code != 0 ? code : serve_one(controller, error);
}

static int watch_signals(struct error *error)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        int status = uv_signal_init(&loop, &terminations[i]);
        if (status == 0 && (numbers[i] != SIGINT || configuration.mode == MODE_LISTEN))
            status = uv_signal_start(&terminations[i], terminate, numbers[i]);
        if (status < 0)
            return error_set(error, ERROR_SYSTEM, "watch signal %d: %s", numbers[i], uv_strerror(status));
    }
    return 0;
}

/* Sessions are served whether one can look into them or not; a name beside systemd's socket is not ours to take. */
static int serve_listening(struct error *error)
{
    struct error unseen;
    listener.accepted = accepted;
    int code = listener_open(&listener, &loop, configuration.path, error);
    if (code != 0 || listener.path[0] == '\0')
        return code;
    if (inspector_open(&inspector, &sessions, &listener, &unseen) != 0)
        log_warn("sessions cannot be inspected: %s", unseen.text);
    return 0;
}

static int serve(struct error *error)
{
    listener.fd = inspector.listener.fd = -1;
    int status = uv_loop_init(&loop);
    if (status < 0)
        return error_set(error, ERROR_SYSTEM, "create the loop: %s", uv_strerror(status));
    sessions = (struct session_set){.loop = &loop, .configuration = &configuration, .ended = session_ended};
    if (watch_signals(error) != 0)
        return error->code;
    if (configuration.mode == MODE_STDIO)
        return serve_stdio(error);
    if (configuration.mode == MODE_LISTEN)
        return serve_listening(error);
    if (descriptor_set_close_on_exec(configuration.fd, true, error) != 0)
        return error_prefix(error, "--fd %d", configuration.fd);
    return serve_one(configuration.fd, error);
}

/* What a parent may have left to us; SIG_IGN for SIGCHLD would let the kernel reap what we wait for. */
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

/* Started without one of 0, 1, 2, a socket would take its number and be written to as a log. */
static void open_standard_streams(void)
{
    int fd;
    while ((fd = descriptor_open_null()) >= 0 && fd <= STDERR_FILENO)
        continue;
    descriptor_close(&fd);
}

/* Each session takes five descriptors here; the limit that a login gives is for programs that use select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int fail(const struct error *error)
{
    fprintf(stderr, "jitd: %s\n", error->text);
    return 125;
}

int main(int argc, char **argv)
{
    struct error error;
    open_standard_streams();
    log_open("jitd");
    if (configuration_parse(argc, argv, &configuration, &error) != 0)
        return fail(&error);
    if (configuration.mode == MODE_HELP) {
        fputs(configuration_help, stdout);
        return 0;
    }
    if (configuration.mode == MODE_VERSION) {
        puts("jitd " JITD_VERSION_TEXT);
        return 0;
    }
    reset_signals();
    raise_descriptor_limit();
    if (configuration.disabled != 0)
        log_warn("layers of confinement are disabled on the command line: 0x%x", configuration.disabled);
    if (serve(&error) != 0)
        return fail(&error);
    uv_run(&loop, UV_RUN_DEFAULT);
    inspector_close(&inspector);
    listener_close(&listener);
    return configuration.mode != MODE_LISTEN && session_failed ? 1 : 0;
}
