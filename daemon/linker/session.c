#include "daemon/linker/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/linker/farewell.h"

#define LOG_TAG "session"

/* Frames handled before the runner's replies get their turn. */
#define FRAMES_PER_TURN 64

#define EVENTS_BUDGET MIB(64)
#define ENCODE_BUDGET MIB(256)

static void rearm(struct session *session);

void session_end(struct session *session, const struct error *error)
{
    if (session->state == SESSION_ENDING)
        return;
    if (error) {
        log_warn("session ends: %s", error->text);
        session->status = 1;
        farewell_say(session->connection, error);
    }
    session->state = SESSION_ENDING;
    uv_stop(&session->loop);
}

void session_send(struct session *session, enum message_type type, uint64_t request, const ProtobufCMessage *message)
{
    struct error error;

    if (session->state == SESSION_ENDING)
        return;
    if (connection_write(session->connection, (uint16_t)type, request, message, NULL, 0, NULL, 0, &error) != 0)
        session_end(session, &error);
}

void session_fail_report(struct session *session, uint64_t request, const struct report *report)
{
    Jitd__Proto__Failed failed = JITD__PROTO__FAILED__INIT;

    pool_reset(&session->encode);
    failed.errors = event_errors(&session->encode, report, &failed.n_errors);
    failed.errors_omitted = report->omitted + (uint32_t)(report->count - failed.n_errors);
    session_send(session, MESSAGE_FAILED, request, &failed.base);
}

void session_fail(struct session *session, uint64_t request, const struct error *error)
{
    struct report report = {0};

    report_add(&report, error);
    session_fail_report(session, request, &report);
    report_fini(&report);
}

bool session_is_read(const struct session *session)
{
    return connection_queued(session->connection) < LIMIT_OUTPUT_BYTES;
}

static bool takes_requests(const struct session *session)
{
    return (session->state == SESSION_NEW || session->state == SESSION_OPEN) && session_is_read(session);
}

/* Events follow the replies that made their units; then everything goes out in as few system calls as may be. */
void session_send_news(struct session *session)
{
    struct error error;

    if (session->state == SESSION_ENDING)
        return;
    materialize_resume(session);
    life_refuse(session);
    remove_turn_ended(session);
    event_flush(session);
    if (connection_flush(session->connection, &error) != 0) {
        session_end(session, error.code == ERROR_DISCONNECTED ? NULL : &error);
        return;
    }
    life_resume(session);
    rearm(session);
}

static void read_requests(struct session *session)
{
    for (int i = 0; i < FRAMES_PER_TURN && takes_requests(session); i++) {
        struct frame *frame = NULL;
        struct error error;
        int code = connection_read(session->connection, &frame, &error);

        if (code) {
            session_end(session, code == ERROR_DISCONNECTED ? NULL : &error);
            return;
        }
        if (!frame)
            return;
        request_handle(session, frame);
        frame_release(frame);
    }
}

static void on_controller(uv_poll_t *poll, int status, int events)
{
    struct session *session = poll->data;

    if (status < 0) {
        session_end(session, NULL);
        return;
    }
    if ((events & UV_DISCONNECT) && !takes_requests(session)) {
        session_end(session, NULL);
        return;
    }
    if (events & (UV_READABLE | UV_DISCONNECT))
        read_requests(session);
    session_send_news(session);
}

/* Idle time is used for what is waiting in our own buffer, then to touch memory ahead of need. */
static void on_idle(uv_idle_t *idle)
{
    struct session *session = idle->data;

    if (takes_requests(session) && connection_has_frame(session->connection)) {
        read_requests(session);
        session_send_news(session);
        return;
    }
    if (!arena_warm(session->arena))
        uv_idle_stop(idle);
}

static void rearm(struct session *session)
{
    short wanted = connection_events(session->connection);
    int events = (wanted & POLLOUT ? UV_WRITABLE : 0) | (takes_requests(session) ? UV_READABLE : 0);

    if (session->state == SESSION_ENDING)
        return;
    /* A controller that goes away while it is not being read from must be noticed all the same. */
    events |= UV_DISCONNECT;
    if (events != session->controller_events) {
        uv_poll_start(&session->controller_poll, events, on_controller);
        session->controller_events = (short)events;
    }
    uv_idle_start(&session->warm_idle, on_idle);
    trim_when_quiet(session);
}

/* One fixed-size packet from a daemon process; anything else ends the session. *brought, where one may come with it, is
   the descriptor or -1: it is missing where this process may have no more. */
static bool receive_packet(struct session *session, int fd, void *packet, size_t bytes, int *brought, const char *from)
{
    size_t descriptors = 0;
    struct error error;

    if (brought)
        *brought = -1;
    ssize_t got = descriptor_receive(fd, packet, bytes, brought, brought ? 1 : 0, &descriptors);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got == (ssize_t)bytes && (descriptors == 0 || brought))
        return true;
    if (got == 0 && fd == FD_LIFECYCLE)
        farewell_to_template(FD_CONTROL, &error);
    else
        error_set(&error, got == 0 ? ERROR_DISCONNECTED : ERROR_PROTOCOL,
                  got == 0 ? "the %s has gone" : "a malformed packet from the %s", from);
    session_end(session, &error);
    return false;
}

static void end_as_told(struct session *session, const struct control_answer *end)
{
    struct error error;

    farewell_describe(end, &error);
    session_end(session, &error);
    session->status = end->error == CONTROL_END_SIGNAL ? 0 : 1;
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct session *session = poll->data;
    struct control_answer answer;
    int observer;

    (void)events;
    if (status < 0) {
        session_end(session, NULL);
        return;
    }
    if (!receive_packet(session, FD_CONTROL, &answer, sizeof answer, &observer, "supervisor"))
        return;
    if (answer.kind == CONTROL_INSPECT) {
        if (observer >= 0)
            observer_open(session, observer);
        return;
    }
    descriptor_close(&observer);
    if (answer.kind == CONTROL_END) {
        end_as_told(session, &answer);
        return;
    }
    hello_control_answer(session, &answer);
    session_send_news(session);
}

static void on_lifecycle(uv_poll_t *poll, int status, int events)
{
    struct session *session = poll->data;
    struct lifecycle message;

    (void)events;
    if (status < 0)
        session_end(session, NULL);
    else if (receive_packet(session, FD_LIFECYCLE, &message, sizeof message, NULL, "runner's template")) {
        log_trace(TRACE_CHANNEL, "<- lifecycle %u epoch %u value %d", message.kind, message.epoch, message.value);
        life_message(session, &message);
        session_send_news(session);
    }
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct session *session = poll->data;

    (void)status;
    (void)events;
    if (!descriptor_take_event(FD_WAKE))
        return;
    publish_drain(session);
    session_send_news(session);
}

static int start_poll(struct session *session, uv_poll_t *poll, int fd, uv_poll_cb callback, struct error *error)
{
    poll->data = session;
    int code = uv_poll_init(&session->loop, poll, fd);
    if (code == 0)
        code = uv_poll_start(poll, UV_READABLE, callback);
    if (code != 0)
        return error_set(error, ERROR_SYSTEM, "watching descriptor %d: %s", fd, uv_strerror(code));
    return 0;
}

int session_open(struct session *session, const struct session_configuration *configuration, struct error *error)
{
    *session = (struct session){.configuration = configuration, .state = SESSION_NEW};
    signal(SIGPIPE, SIG_IGN);
    pool_init(&session->decode, LIMIT_DECODE_BYTES);
    pool_init(&session->encode, ENCODE_BUDGET);
    pool_init(&session->events, EVENTS_BUDGET);
    const int zones[ZONE_COUNT] = {FD_ZONE_X, FD_ZONE_S, FD_ZONE_R, FD_ZONE_D, -1};
    int code = arena_open(zones, configuration->arena_bytes, arch_x86_64.trap, &session->arena, error);
    if (!code)
        code = workers_open(configuration->link_threads, &session->workers, error);
    if (!code)
        code = runner_open(FD_CHANNEL, &session->runner, error);
    if (!code)
        code = connection_open(FD_CONTROLLER, &session->connection, error);
    if (!code && uv_loop_init(&session->loop) != 0)
        code = error_set(error, ERROR_SYSTEM, "the event loop could not be made");
    if (!code)
        code = start_poll(session, &session->control_poll, FD_CONTROL, on_control, error);
    if (!code)
        code = start_poll(session, &session->lifecycle_poll, FD_LIFECYCLE, on_lifecycle, error);
    if (!code)
        code = start_poll(session, &session->wake_poll, FD_WAKE, on_wake, error);
    if (!code)
        code = start_poll(session, &session->controller_poll, FD_CONTROLLER, on_controller, error);
    if (code)
        return code;
    session->warm_idle.data = session;
    uv_idle_init(&session->loop, &session->warm_idle);
    session->deadline_timer.data = session;
    uv_timer_init(&session->loop, &session->deadline_timer);
    session->trim_timer.data = session;
    uv_timer_init(&session->loop, &session->trim_timer);
    session->lazy_timer.data = session;
    uv_timer_init(&session->loop, &session->lazy_timer);
    return 0;
}

int session_run(struct session *session)
{
    uv_run(&session->loop, UV_RUN_DEFAULT);
    farewell_flush(session->connection);
    return session->status;
}

/* The process ends next: handles and descriptors go with it. */
void session_close(struct session *session)
{
    observer_close(session);
    call_close(session);
    deadline_close(session);
    lookup_close(session);
    run_once_close(session);
    remove_close(session);
    publish_close(session);
    if (session->linker.arena)
        link_close(&session->linker);
    else
        arena_close(session->arena);
    workers_close(session->workers);
    runner_close(session->runner);
    connection_close(session->connection);
    pool_fini(&session->decode);
    pool_fini(&session->encode);
    pool_fini(&session->events);
}
