/*
 * Nothing is left to be done for the session where these are called, so waiting a moment holds nobody up.
 */
#include "daemon/linker/farewell.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#include "common/descriptor.h"
#include "proto/message.h"

#define FLUSH_MS    200
#define TEMPLATE_MS 300

void farewell_say(struct connection *connection, const struct error *why)
{
    Jitd__Proto__Goodbye goodbye = JITD__PROTO__GOODBYE__INIT;
    struct error error;

    goodbye.code = (uint32_t)why->code;
    goodbye.text = (ProtobufCBinaryData){strlen(why->text), (uint8_t *)(uintptr_t)why->text};
    connection_write(connection, MESSAGE_GOODBYE, 0, &goodbye.base, NULL, 0, NULL, 0, &error);
}

void farewell_flush(struct connection *connection)
{
    struct pollfd polled = {.fd = connection_fd(connection), .events = POLLOUT};
    struct error error;
    int code = connection_flush(connection, &error);

    while (!code && connection_queued(connection) && poll(&polled, 1, FLUSH_MS) > 0)
        code = connection_flush(connection, &error);
}

static const char *signal_text(int number)
{
    const char *text = sigdescr_np(number);

    return text ? text : "unknown";
}

int farewell_describe(const struct control_answer *end, struct error *out)
{
    switch (end->error) {
    case CONTROL_END_SIGNAL:
        return error_set(out, ERROR_DISCONNECTED, "the daemon is ending on signal %d (%s)", end->os,
                         signal_text(end->os));
    case CONTROL_END_LOGIN:
        return error_set(out, ERROR_TIMEOUT, "no Hello has come within %d seconds (jitd --login-seconds)", end->os);
    case CONTROL_END_TEMPLATE_KILLED:
        return error_set(out, ERROR_RUNNER_ENDED, "the runner's template was killed by signal %d (%s)", end->os,
                         signal_text(end->os));
    case CONTROL_END_TEMPLATE_EXITED:
        return error_set(out, ERROR_RUNNER_ENDED, "the runner's template exited with status %d", end->os);
    default:
        return error_set(out, ERROR_DISCONNECTED, "the daemon has ended the session");
    }
}

void farewell_to_template(int control, struct error *out)
{
    struct pollfd polled = {.fd = control, .events = POLLIN};
    struct control_answer answer;
    size_t descriptors = 0;
    int brought = -1;

    error_set(out, ERROR_RUNNER_ENDED, "the runner's template has gone");
    while (poll(&polled, 1, TEMPLATE_MS) > 0) {
        if (descriptor_receive(control, &answer, sizeof answer, &brought, 1, &descriptors) != sizeof answer)
            return;
        descriptor_close(&brought); /* an observer's, who sees the end too */
        if (answer.kind == CONTROL_END) {
            farewell_describe(&answer, out);
            return;
        }
    }
}
