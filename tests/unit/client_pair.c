#include "tests/unit/client_pair.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void hear_errors(struct heard *heard, const struct jitd_errors *errors)
{
    heard->order++;
    if (!errors)
        return;
    heard->code = errors->list[0].code;
    heard->error_count = errors->count;
    heard->reference_count = errors->list[0].reference_count;
    snprintf(heard->text, sizeof heard->text, "%s", errors->list[0].text);
    snprintf(heard->symbol, sizeof heard->symbol, "%s", errors->list[0].symbol);
}

void hear_submit(struct jitd_session *session, const uint64_t *units, size_t count, const struct jitd_errors *errors,
                 void *data)
{
    struct heard *heard = data;
    heard->submitted++;
    hear_errors(heard, errors);
    heard->unit_count = count;
    for (size_t i = 0; i < count && i < 4; i++)
        heard->units[i] = units[i];
}

void hear_lookup(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                 const struct jitd_errors *errors, void *data)
{
    struct heard *heard = data;
    heard->looked_up++;
    hear_errors(heard, errors);
    if (count)
        heard->address = addresses[0].address;
}

void hear_call(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
               const struct jitd_errors *errors, void *data)
{
    struct heard *heard = data;
    heard->called++;
    cr_expect_eq((result != NULL) + (end != NULL) + (errors != NULL), 1, "exactly one of the three");
    hear_errors(heard, errors);
    if (result)
        heard->value = *result;
    if (end)
        heard->signal = end->signal;
}

void hear_inspect(struct jitd_session *session, const struct jitd_inspection *inspection,
                  const struct jitd_errors *errors, void *data)
{
    struct heard *heard = data;
    heard->inspected++;
    hear_errors(heard, errors);
    if (inspection)
        heard->unit_count = inspection->unit_count;
}

static void hear_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct heard *heard = data;
    heard->unit_events++;
    heard->last_state = event->state;
    if (event->state == JITD_UNIT_FAILED)
        hear_errors(heard, &event->errors);
}

static void hear_runner_ended(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    struct heard *heard = data;
    heard->runner_ended++;
    heard->signal = end->signal;
}

static void hear_disconnected(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    struct heard *heard = data;
    heard->disconnected++;
    heard->disconnected_after = heard->order;
    snprintf(heard->text, sizeof heard->text, "%s", why->text);
    heard->code = why->code;
}

const struct jitd_listener pair_listener = {
    .unit = hear_unit, .runner_ended = hear_runner_ended, .disconnected = hear_disconnected};

struct pair *pair_open(const struct jitd_options *options)
{
    struct pair *pair = calloc(1, sizeof *pair);
    int sockets[2];
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    cr_assert_eq(connection_open(sockets[1], &pair->far, NULL), 0);
    cr_assert_eq(jitd_attach(sockets[0], options, &pair_listener, &pair->heard, &pair->session), 0);
    return pair;
}

void pair_close(struct pair *pair)
{
    jitd_close(pair->session);
    connection_close(pair->far);
    free(pair);
}

struct frame *pair_receive(struct pair *pair, uint16_t type)
{
    jitd_flush(pair->session);
    struct frame *frame = NULL;
    struct error error = {0};
    while (!frame) {
        struct pollfd polled = {.fd = connection_fd(pair->far), .events = POLLIN};
        cr_assert(connection_has_frame(pair->far) || poll(&polled, 1, 2000) == 1, "no request has come");
        cr_assert_eq(connection_read(pair->far, &frame, &error), 0, "%s", error.text);
        jitd_flush(pair->session);
    }
    cr_assert_eq(frame->header.type, type);
    return frame;
}

void *pair_decode(struct pair *pair, uint16_t type, struct pool *pool, struct frame **out)
{
    *out = pair_receive(pair, type);
    ProtobufCMessage *message;
    struct error error;
    cr_assert_eq(message_decode(pool, type, (*out)->message, (*out)->header.message_bytes, &message, &error), 0);
    return message;
}

uint64_t pair_skip(struct pair *pair, uint16_t type)
{
    struct frame *frame = pair_receive(pair, type);
    uint64_t number = frame->header.request;
    frame_release(frame);
    return number;
}

void pair_send(struct pair *pair, uint16_t type, uint64_t request, const void *message)
{
    struct error error;
    cr_assert_eq(connection_write(pair->far, type, request, message, NULL, 0, NULL, 0, &error), 0);
    cr_assert_eq(connection_flush(pair->far, &error), 0);
}

ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
}
