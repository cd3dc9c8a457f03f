/*
 * One session from the controller's socket to the last reaped child. A session is freed when no child, no handle and
 * nobody's callback is left (session_settle).
 */
#include "daemon/supervisor/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/supervisor/child.h"
#include "daemon/supervisor/control.h"
#include "daemon/supervisor/farewell.h"
#include "daemon/supervisor/limits.h"
#include "proto/channel.h"
#include "proto/message.h"

#define LOG_TAG "session"

struct session {
    struct session_set *set;         /* borrowed */
    struct session *previous, *next; /* links of set->first */
    uint64_t number;
    uint64_t opened;   /* on the loop's clock, in ms */
    struct ucred peer; /* the controller; all 0 where the kernel does not know */
    struct child linker;
    struct child template;
    uv_poll_t control_poll;
    uv_poll_t hang_up_poll;
    uv_timer_t timer;               /* what comes next: enum patience */
    int control;                    /* owned; our end */
    int controller;                 /* owned; the linker's socket, which is never read from here */
    int shared[FD_INHERITED_END];   /* owned; what both children inherit, by its number there; the lifecycle socket
                                       is the template's end. All closed once the template has been started. */
    struct control_request request; /* the streams are owned until the template has been started */
    bool linker_is_open, template_is_open; /* a callback is to come... */
    unsigned open_handles;                 /* ...and so many, of what uv_close was or will be called for */
    bool control_is_open, hang_up_is_open, timer_is_open;
    bool told_to_end;
    bool asked;      /* CONTROL_START has come */
    bool has_runner; /* CONTROL_STARTED has been said */
    bool failed;     /* by the linker's fault: it could not run, crashed, or broke the rules */
};

/* ---- what the children share ---- */

/* Sparse: a zone is as large as it may be asked for, since the linker maps it before it has heard what is asked for. */
static const struct {
    int number;
    const char *name;
    uint64_t bytes; /* 0: a zone's */
    enum zone zone;
} memories[] = {
    {FD_CHANNEL, "jitd-channel", sizeof(struct channel), 0},
    {FD_SYMBOLS, "jitd-symbols", LIMIT_PROCESS_SYMBOL_BYTES, 0},
    {FD_ZONE_X, "jitd-zone-x", 0, ZONE_X},
    {FD_ZONE_S, "jitd-zone-s", 0, ZONE_S},
    {FD_ZONE_R, "jitd-zone-r", 0, ZONE_R},
    {FD_ZONE_D, "jitd-zone-d", 0, ZONE_D},
};

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        descriptor_close(&fds[i]);
}

static int create_shared(struct session *session, struct error *error)
{
    uint64_t most = session->set->configuration->arena_bytes;
    for (size_t i = 0; i < ARRAY_LENGTH(memories); i++) {
        uint64_t bytes = memories[i].bytes ? memories[i].bytes : zones_most(memories[i].zone, most);
        if (descriptor_create_memfd(memories[i].name, bytes, &session->shared[memories[i].number], error))
            return error->code;
    }
    session->shared[FD_WAKE] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return session->shared[FD_WAKE] < 0 ? error_system(error, "create an eventfd") : 0;
}

static int create_pair(int *ours, int *theirs, struct error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_system(error, "create a socket pair");
    *ours = ends[0];
    *theirs = ends[1];
    return 0;
}

/* ---- the end ---- */

static void session_settle(struct session *session)
{
    if (session->linker_is_open || session->template_is_open || session->open_handles > 0)
        return;
    struct session_set *set = session->set;
    bool failed = session->failed;
    if (session->next)
        session->next->previous = session->previous;
    *(session->previous ? &session->previous->next : &set->first) = session->next;
    set->count--;
    free(session);
    set->ended(set, failed);
}

static void handle_closed(uv_handle_t *handle)
{
    struct session *session = handle->data;
    session->open_handles--;
    session_settle(session);
}

/* *is_open says whether uv_close has yet to be called. */
static void close_handle(bool *is_open, uv_handle_t *handle)
{
    if (*is_open)
        uv_close(handle, handle_closed);
    *is_open = false;
}

static void close_control(struct session *session)
{
    close_handle(&session->control_is_open, (uv_handle_t *)&session->control_poll);
    descriptor_close(&session->control);
}

/* What only a session that still goes on needs. */
static void release(struct session *session)
{
    close_all(session->shared, ARRAY_LENGTH(session->shared));
    control_close(&session->request);
    close_control(session);
    close_handle(&session->hang_up_is_open, (uv_handle_t *)&session->hang_up_poll);
    close_handle(&session->timer_is_open, (uv_handle_t *)&session->timer);
    descriptor_close(&session->controller);
}

/* ---- patience ---- */

#define FAREWELL_MS 1000 /* for a linker that was told to end */
#define HANG_UP_MS  5000 /* for one whose controller has gone */
#define LOOK_MS     1000 /* between looks at a controller that has said its last word and may still listen */

static void patience_over(uv_timer_t *timer)
{
    struct session *session = timer->data;
    if (!session->told_to_end)
        log_warn("a linker has not ended %d ms after its controller; it is killed", HANG_UP_MS);
    child_kill(&session->linker);
    child_kill(&session->template);
}

/* The linker says why. One that does not end by itself then is killed. */
static void tell_to_end(struct session *session, enum control_end why, int os)
{
    bool told = !session->told_to_end && session->control >= 0 && control_end(session->control, why, os);
    session->told_to_end = true;
    if (told && uv_timer_start(&session->timer, patience_over, FAREWELL_MS, 0) == 0)
        return;
    child_kill(&session->linker);
    child_kill(&session->template);
}

static void login_over(uv_timer_t *timer)
{
    struct session *session = timer->data;
    log_info("a controller has not said Hello");
    tell_to_end(session, CONTROL_END_LOGIN, (int)session->set->configuration->login_seconds);
}

static bool has_hung_up(int socket)
{
    struct pollfd polled = {.fd = socket, .events = 0};
    return poll(&polled, 1, 0) > 0 && (polled.revents & (POLLHUP | POLLERR)) != 0;
}

/* A controller that will send nothing more may still read answers, for as long as it likes. */
static void look_at_controller(uv_timer_t *timer)
{
    struct session *session = timer->data;
    if (session->told_to_end)
        return;
    if (has_hung_up(session->controller))
        uv_timer_start(timer, patience_over, HANG_UP_MS, 0);
    else
        uv_timer_start(timer, look_at_controller, LOOK_MS, 0);
}

static void hang_up_ready(uv_poll_t *poll, int status, int events)
{
    struct session *session = poll->data;
    (void)status, (void)events;
    close_handle(&session->hang_up_is_open, (uv_handle_t *)poll);
    if (!session->told_to_end)
        look_at_controller(&session->timer);
}

static struct session *session_of_linker(struct child *child)
{
    return (struct session *)((char *)child - offsetof(struct session, linker));
}

static struct session *session_of_template(struct child *child)
{
    return (struct session *)((char *)child - offsetof(struct session, template));
}

/* For a linker that cannot: to the log, too. */
static void say_goodbye(const struct session *session, enum error_code code, const char *format, int number)
{
    struct error error;
    error_set(&error, code, format, number, strsignal(number));
    log_error("%s", error.text);
    farewell_send(session->controller, &error);
}

static void linker_ended(struct child *child)
{
    struct session *session = session_of_linker(child);
    bool crashed = child_was_signalled(child) && !child->was_killed;
    session->failed |= crashed || (!child_was_signalled(child) && child->status.si_status != 0);
    if (crashed)
        say_goodbye(session, ERROR_DISCONNECTED, "the session's linker was killed by signal %d (%s)",
                    child->status.si_status);
    else
        log_info("a linker ended: %s %d", child_was_signalled(child) ? "signal" : "status", child->status.si_status);
    child_kill(&session->template);
    release(session);
    session->linker_is_open = false;
    session_settle(session);
}

/* ---- the template ---- */

/* Names hold no separator of LD_PRELOAD: configuration_parse has seen to it. */
static void join_libraries(char *out, size_t size, const struct control_start *start,
                           const struct configuration *configuration)
{
    size_t used = (size_t)snprintf(out, size, "LD_PRELOAD=");
    for (size_t i = 0; i < start->library_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ":" : "",
                                 configuration->libraries[start->libraries[i]]);
}

static uint32_t layers_on(const struct configuration *configuration, bool in_namespace)
{
    uint32_t layers = 1u << JITD__PROTO__LAYER__LAYER_NO_NEW_PRIVILEGES;
    if (!configuration_disables(configuration, JITD__PROTO__LAYER__LAYER_RLIMITS))
        layers |= 1u << JITD__PROTO__LAYER__LAYER_RLIMITS;
    if (in_namespace)
        layers |= 1u << JITD__PROTO__LAYER__LAYER_PID_NAMESPACE;
    return layers;
}

/* What execve gets for the template, where each life will put the program's strings (proto/control.h). One template is
   started at a time. */
struct template_strings {
    char *arguments[LIMIT_STARTUP_STRINGS + 2];
    char *environment[2][LIMIT_STARTUP_STRINGS + 3]; /* the second is for a pid namespace */
    char settings[2][(ZONE_COUNT + 3) * 24];
    char libraries[LIMIT_LIBRARIES * LIMIT_PATH_BYTES + sizeof "LD_PRELOAD="];
};

/* Has `list` end behind `count` strings, or behind those that are set. */
static void pad_strings(char **list, size_t set, size_t count)
{
    while (set < count)
        list[set++] = "";
    list[set] = NULL;
}

static void settings_write(char *out, size_t size, const struct control_start *start,
                           const struct configuration *configuration, uint32_t layers)
{
    size_t used = (size_t)snprintf(out, size, "JITD_RUNNER=%u %u", configuration->disabled, layers);
    for (size_t z = 0; z < ZONE_COUNT; z++)
        used += (size_t)snprintf(out + used, size - used, " %" PRIu64, start->zones.bytes[z]);
    snprintf(out + used, size - used, " %" PRIu64, start->least_zeros);
}

static void template_fill(struct template_strings *strings, const struct control_start *start,
                          const struct configuration *configuration)
{
    size_t set = start->library_count ? 2 : 1;
    join_libraries(strings->libraries, sizeof strings->libraries, start, configuration);
    strings->arguments[0] = "jitd-runner";
    pad_strings(strings->arguments, 1, start->argument_count);
    for (size_t i = 0; i < ARRAY_LENGTH(strings->settings); i++) {
        settings_write(strings->settings[i], sizeof strings->settings[i], start, configuration,
                       layers_on(configuration, i == 1));
        strings->environment[i][0] = strings->settings[i];
        strings->environment[i][1] = strings->libraries;
        pad_strings(strings->environment[i], set, start->environment_count);
    }
}

static int start_template(struct session *session, struct error *error)
{
    const struct configuration *configuration = session->set->configuration;
    const struct control_start *start = &session->request.start;
    static struct template_strings strings;
    template_fill(&strings, start, configuration);
    struct child_plan plan = {.path = configuration->runner,
                              .arguments = strings.arguments,
                              .environment = strings.environment[0],
                              .environment_in_namespace = strings.environment[1]};
    plan.pid_namespace = !configuration_disables(configuration, JITD__PROTO__LAYER__LAYER_PID_NAMESPACE);
    if (!configuration_disables(configuration, JITD__PROTO__LAYER__LAYER_RLIMITS))
        limits_of_runner(&plan, start, configuration);
    memcpy(plan.descriptors, session->shared, sizeof plan.descriptors);
    memcpy(plan.descriptors, session->request.streams, sizeof session->request.streams);
    int code = child_start(&session->template, session->set->loop, &plan, error);
    session->template_is_open = code == 0;
    return code;
}

/* The answer to CONTROL_START; what only the template needed is given up. */
static void session_answer(struct session *session, const struct error *refused)
{
    if (refused)
        log_error("a template could not be started: %s", refused->text);
    close_all(session->shared, ARRAY_LENGTH(session->shared));
    control_close(&session->request);
    if (session->control < 0)
        return;
    struct error error;
    uint32_t layers = layers_on(session->set->configuration, session->template.namespace != NAMESPACE_NONE);
    if (control_answer(session->control, refused, layers, &error) != 0)
        child_kill(&session->linker);
    session->has_runner = !refused;
}

/* execve(2) says ENOENT, too, of a file that is there and names a dynamic linker that is not. */
static const char *why_not_started(const char *program, const struct error *failure)
{
    if (failure->os == ENOENT && access(program, F_OK) == 0)
        return "the dynamic linker or interpreter that it names is not there";
    return failure->text;
}

static void template_started(struct child *child, const struct error *failure)
{
    struct session *session = session_of_template(child);
    if (child->try_again)
        return; /* once this attempt has been reaped: template_ended */
    struct error error;
    if (failure)
        error_set(&error, ERROR_SETUP, "%s: %s", session->set->configuration->runner,
                  why_not_started(session->set->configuration->runner, failure));
    if (failure)
        error.os = failure->os;
    session_answer(session, failure ? &error : NULL);
}

static void session_start(struct session *session)
{
    struct error error;
    int code = control_check(&session->request.start, session->set->configuration, &error);
    if (code == 0)
        code = control_check_seals(&session->shared[FD_ZONE_X], &error);
    if (code == 0)
        code = start_template(session, &error);
    if (code != 0)
        session_answer(session, &error);
}

static void template_ended(struct child *child)
{
    struct session *session = session_of_template(child);
    session->template_is_open = false;
    if (child->try_again && child_is_running(&session->linker)) {
        log_info("a user namespace cannot be entered; going on without");
        session_start(session);
        return;
    }
    bool killed = child_was_signalled(child);
    log_info("a template ended: %s %d", killed ? "signal" : "status", child->status.si_status);
    if (!child->was_killed && session->control >= 0)
        control_end(session->control, killed ? CONTROL_END_TEMPLATE_KILLED : CONTROL_END_TEMPLATE_EXITED,
                    child->status.si_status);
    session_settle(session);
}

/* ---- the linker ---- */

static void session_refuse_linker(struct session *session, const struct error *why)
{
    log_error("a linker broke the rules and is killed: %s", why->text);
    farewell_send(session->controller, why);
    session->failed = true;
    child_kill(&session->linker);
}

static void control_ready(uv_poll_t *poll, int status, int events)
{
    struct session *session = poll->data;
    (void)status, (void)events;
    struct control_request request;
    struct error error;
    switch (control_receive(session->control, &request, &error)) {
    case CONTROL_WAIT:
        return;
    case CONTROL_GONE:
        close_control(session);
        return;
    case CONTROL_BROKEN:
        session_refuse_linker(session, &error);
        close_control(session);
        return;
    case CONTROL_RECEIVED:
        break;
    }
    if (session->asked) {
        control_close(&request);
        error_set(&error, ERROR_PROTOCOL, "it asked for a second template");
        session_refuse_linker(session, &error);
        close_control(session);
        return;
    }
    session->asked = true;
    if (!session->told_to_end && session->hang_up_is_open)
        uv_timer_stop(&session->timer); /* it was for Hello */
    session->request = request;
    session_start(session);
}

static void linker_started(struct child *child, const struct error *failure)
{
    struct session *session = session_of_linker(child);
    struct error error;
    if (!failure)
        return;
    session->failed = true;
    error_set(&error, ERROR_SETUP, "%s could not be started: %s", session->set->configuration->linker,
              why_not_started(session->set->configuration->linker, failure));
    log_error("%s", error.text);
    farewell_send(session->controller, &error);
}

/* What the daemon was told about logging; nothing else of its environment is the linker's business. */
static void copy_environment(char **out)
{
    static const char *const names[] = {
        "JITD_LOG",     "JITD_TRACE",
#ifdef JITD_DELAYS
        "JITD_DELAYS",
#endif
#ifdef JITD_SANITIZED
        "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
#endif
    };
    for (char **entry = environ; *entry; entry++)
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
            if (strncmp(*entry, names[i], strlen(names[i])) == 0 && (*entry)[strlen(names[i])] == '=')
                *out++ = *entry;
    *out = NULL;
}

#define LINKER_ENVIRONMENT 8 /* more than copy_environment knows names */

static int start_linker(struct session *session, int controller, int control, int lifecycle, struct error *error)
{
    const struct configuration *configuration = session->set->configuration;
    char disabled[16], waiting[24], threads[16], arena[24];
    snprintf(disabled, sizeof disabled, "%u", configuration->disabled);
    snprintf(waiting, sizeof waiting, "%" PRIu64, configuration->waiting_bytes);
    snprintf(threads, sizeof threads, "%u", configuration->link_threads);
    snprintf(arena, sizeof arena, "%" PRIu64, configuration->arena_bytes);
    char *arguments[LIMIT_ALLOWED_LIBRARIES + 6] = {"jitd-linker", disabled, waiting, threads, arena};
    for (size_t i = 0; i < configuration->library_count; i++)
        arguments[5 + i] = (char *)configuration->libraries[i];
    char *environment[LINKER_ENVIRONMENT];
    copy_environment(environment);

    struct child_plan plan = {.path = configuration->linker,
                              .arguments = arguments,
                              .environment = environment,
                              .environment_in_namespace = environment,
                              .ignores_interrupts = true};
    memcpy(plan.descriptors, session->shared, sizeof plan.descriptors);
    plan.descriptors[STDERR_FILENO] = STDERR_FILENO;
    plan.descriptors[FD_CONTROLLER] = controller;
    plan.descriptors[FD_CONTROL] = control;
    plan.descriptors[FD_LIFECYCLE] = lifecycle;
    if (!configuration_disables(configuration, JITD__PROTO__LAYER__LAYER_RLIMITS))
        limits_of_linker(&plan, configuration);
    int code = child_start(&session->linker, session->set->loop, &plan, error);
    session->linker_is_open = code == 0;
    return code;
}

/* ---- the beginning ---- */

static struct session *session_new(struct session_set *set)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->set = set;
    session->number = ++set->last_number;
    session->opened = uv_now(set->loop);
    session->control = session->controller = -1;
    for (size_t i = 0; i < ARRAY_LENGTH(session->shared); i++)
        session->shared[i] = -1;
    for (size_t i = 0; i < ARRAY_LENGTH(session->request.streams); i++)
        session->request.streams[i] = -1;
    child_prepare(&session->linker);
    child_prepare(&session->template);
    session->linker.started = linker_started;
    session->linker.ended = linker_ended;
    session->template.started = template_started;
    session->template.ended = template_ended;
    return session;
}

static int open_handles(struct session *session)
{
    uv_loop_t *loop = session->set->loop;
    session->control_poll.data = session->hang_up_poll.data = session->timer.data = session;
    session->control_is_open = uv_poll_init(loop, &session->control_poll, session->control) == 0;
    session->hang_up_is_open = uv_poll_init(loop, &session->hang_up_poll, session->controller) == 0;
    session->timer_is_open = uv_timer_init(loop, &session->timer) == 0;
    session->open_handles = (unsigned)session->control_is_open + session->hang_up_is_open + session->timer_is_open;
    return session->open_handles == 3 ? 0 : UV_ENOMEM;
}

static int watch_control(struct session *session, struct error *error)
{
    int status = open_handles(session);
    if (status == 0)
        status = uv_poll_start(&session->control_poll, UV_READABLE | UV_DISCONNECT, control_ready);
    if (status < 0)
        return error_set(error, ERROR_SYSTEM, "watch a control socket: %s", uv_strerror(status));
    return 0;
}

/* What ends a session whose linker does not: a Hello that does not come, a controller that goes. */
static int watch_controller(struct session *session, struct error *error)
{
    unsigned seconds = session->set->configuration->login_seconds;
    int status = uv_poll_start(&session->hang_up_poll, UV_DISCONNECT, hang_up_ready);
    if (status == 0 && seconds != 0)
        status = uv_timer_start(&session->timer, login_over, seconds * 1000ull, 0);
    return status < 0 ? error_set(error, ERROR_SYSTEM, "watch a controller: %s", uv_strerror(status)) : 0;
}

static void link_session(struct session *session)
{
    struct session_set *set = session->set;
    session->next = set->first;
    if (set->first)
        set->first->previous = session;
    set->first = session;
    set->count++;
}

/* The last thing that can fail is what is hardest to take back. */
static int session_begin(struct session *session, int controller, struct error *error)
{
    int control = -1, lifecycle = -1;
    int code = create_shared(session, error);
    if (code == 0)
        code = create_pair(&session->control, &control, error);
    if (code == 0)
        code = create_pair(&session->shared[FD_LIFECYCLE], &lifecycle, error);
    if (code == 0)
        code = start_linker(session, controller, control, lifecycle, error);
    descriptor_close(&control);
    descriptor_close(&lifecycle);
    return code;
}

int session_open(struct session_set *set, int controller, struct error *error)
{
    struct session *session = NULL;
    int code = 0;
    if (set->count >= set->configuration->maximum_sessions)
        code = error_set(error, ERROR_LIMIT,
                         "there are %zu sessions already, as many as this daemon serves (jitd --max-sessions)",
                         set->count);
    else if (!(session = session_new(set)))
        code = error_set(error, ERROR_NO_MEMORY, "no memory for a session");
    else
        code = session_begin(session, controller, error);
    if (code == 0)
        getsockopt(controller, SOL_SOCKET, SO_PEERCRED, &session->peer, &(socklen_t){sizeof(struct ucred)});
    if (code != 0) {
        farewell_send(controller, error);
        descriptor_close(&controller);
        if (session) {
            close_all(session->shared, ARRAY_LENGTH(session->shared));
            descriptor_close(&session->control);
        }
        free(session);
        return code;
    }
    session->controller = controller;
    link_session(session);
    /* A linker that cannot be heard is no use; its end ends the session. */
    if (watch_control(session, error) != 0 || watch_controller(session, error) != 0)
        session_refuse_linker(session, error);
    return 0;
}

void session_end_all(struct session_set *set, int number)
{
    for (struct session *session = set->first; session; session = session->next)
        tell_to_end(session, CONTROL_END_SIGNAL, number);
}

/* ---- looking in ---- */

static enum inspect_state session_state(const struct session *session)
{
    if (!child_is_running(&session->linker) || session->linker.was_killed || session->control < 0)
        return INSPECT_ENDING;
    return session->has_runner ? INSPECT_OPEN : INSPECT_STARTING;
}

size_t session_list(const struct session_set *set, struct inspect_session *out, size_t room)
{
    size_t count = 0;
    for (const struct session *session = set->first; session && count < room; session = session->next)
        out[count++] = (struct inspect_session){.session = session->number,
                                                .age_ms = uv_now(set->loop) - session->opened,
                                                .linker = session->linker.pid,
                                                .controller = session->peer.pid,
                                                .user = session->peer.uid,
                                                .state = session_state(session)};
    return count;
}

static const struct session *session_find(const struct session_set *set, uint64_t number)
{
    const struct session *session = set->first;
    while (session && session->number != number)
        session = session->next;
    return session;
}

/* Before CONTROL_STARTED nothing else may fill the control socket. */
enum inspect_status session_check(const struct session_set *set, uint64_t number)
{
    const struct session *session = session_find(set, number);
    if (!session || session_state(session) == INSPECT_ENDING)
        return INSPECT_NO_SESSION;
    return session->has_runner ? INSPECT_OK : INSPECT_TOO_EARLY;
}

void session_observe(const struct session_set *set, uint64_t number, int observer)
{
    const struct control_answer packet = {.kind = CONTROL_INSPECT};
    const struct session *session = session_find(set, number);
    if (descriptor_send(session->control, &packet, sizeof packet, &observer, 1) != sizeof packet)
        log_info("session %" PRIu64 " takes no observer: %s", number, strerror(errno));
}
