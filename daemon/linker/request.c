/*
 * The controller's requests after Hello: decoded, and handed to whoever carries them out and answers them exactly once.
 */
#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/session.h"

#define LOG_TAG "request"

static void handle_submit(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    submit_request(session, frame, (const Jitd__Proto__Submit *)message);
}

static void handle_run(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    run_once_request(session, frame, (const Jitd__Proto__Run *)message);
}

static void handle_refuse(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    refuse_request(session, frame->header.request, (const Jitd__Proto__Refuse *)message);
}

static void handle_redirect(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    redirect_request(session, frame->header.request, (const Jitd__Proto__Redirect *)message);
}

static void handle_adapt(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    adapt_request(session, frame->header.request, (const Jitd__Proto__Adapt *)message);
}

static void handle_remove(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    remove_request(session, frame->header.request, (const Jitd__Proto__Remove *)message);
}

static void handle_lookup(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    lookup_request(session, frame->header.request, (const Jitd__Proto__Lookup *)message);
}

static void handle_call(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    call_request(session, frame->header.request, (const Jitd__Proto__Call *)message);
}

static void handle_inspect(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    inspect_request(session, frame->header.request, (const Jitd__Proto__Inspect *)message);
}

static void handle_define_library(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    define_library_request(session, frame->header.request, (const Jitd__Proto__DefineLibrary *)message);
}

static void handle_cancel(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    cancel_request(session, frame->header.request, (const Jitd__Proto__Cancel *)message);
}

/* ---- all of them ---- */

static const struct {
    uint16_t type;
    bool brings_descriptors;
    void (*handle)(struct session *session, struct frame *frame, const ProtobufCMessage *message);
} handlers[] = {
    {MESSAGE_SUBMIT, true, handle_submit},
    {MESSAGE_LOOKUP, false, handle_lookup},
    {MESSAGE_CALL, false, handle_call},
    {MESSAGE_INSPECT, false, handle_inspect},
    {MESSAGE_DEFINE_LIBRARY, false, handle_define_library},
    {MESSAGE_CANCEL, false, handle_cancel},
    {MESSAGE_REMOVE, false, handle_remove},
    {MESSAGE_RUN, true, handle_run},
    {MESSAGE_REFUSE, false, handle_refuse},
    {MESSAGE_REDIRECT, false, handle_redirect},
    {MESSAGE_ADAPT, false, handle_adapt},
};

static void handle_open(struct session *session, struct frame *frame, const ProtobufCMessage *message)
{
    struct error error;

    for (size_t i = 0; i < ARRAY_LENGTH(handlers); i++) {
        if (handlers[i].type != frame->header.type)
            continue;
        if (frame->header.descriptors == 0 || handlers[i].brings_descriptors) {
            handlers[i].handle(session, frame, message);
            return;
        }
        break;
    }
    error_set(&error, ERROR_PROTOCOL, "%s is not expected here, or not with %u descriptors",
              message_kind(frame->header.type)->name, frame->header.descriptors);
    session_fail(session, frame->header.request, &error);
}

/* A message of a type that we do not know is answered; one that does not decode ends the session, since the two sides
   then disagree about more than this message. */
void request_handle(struct session *session, struct frame *frame)
{
    const struct message_kind *kind = message_kind(frame->header.type);
    ProtobufCMessage *message;
    struct error error;

    if (!kind || kind->direction != MESSAGE_REQUEST || frame->header.request == 0) {
        error_set(&error, kind ? ERROR_PROTOCOL : ERROR_UNSUPPORTED,
                  "message type %u is not a request that this daemon knows, or its request id is 0",
                  frame->header.type);
        session_fail(session, frame->header.request, &error);
        return;
    }
    pool_reset(&session->decode);
    int code = message_decode(&session->decode, frame->header.type, frame->message, frame->header.message_bytes,
                              &message, &error);
    if (code) {
        error_prefix(&error, "%s", kind->name);
        session_fail(session, frame->header.request, &error);
        if (code == ERROR_PROTOCOL)
            session_end(session, &error);
        return;
    }
    if (session->state == SESSION_NEW && kind->type == MESSAGE_HELLO) {
        hello_request(session, frame, (const Jitd__Proto__Hello *)message);
        return;
    }
    if (session->state == SESSION_OPEN) {
        handle_open(session, frame, message);
        return;
    }
    error_set(&error, ERROR_PROTOCOL, "%s before Hello", kind->name);
    session_fail(session, frame->header.request, &error);
}
