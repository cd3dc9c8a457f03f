/*
 * Replies (reply.h): a table says which message answers which kind of request; Failed answers every kind.
 *
 * Each deliver function checks and converts everything first and only then removes the request and calls back, so that
 * a reply refused half way leaves its request to be completed when the session ends.
 */
#include "client/reply.h"

#include <inttypes.h>

#include "client/convert.h"
#include "common/bytes.h"

typedef int reply_function(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                           struct error *error);

static int reply_mismatch(const struct request *request, const char *what, struct error *error)
{
    return error_set(error, ERROR_PROTOCOL, "the daemon's reply to request %" PRIu64 " %s", request->id, what);
}

static int reply_welcome(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                         struct error *error)
{
    struct converter converter = {.pool = &session->welcome_pool};
    struct jitd_welcome *welcome = convert_array(&converter, 1, sizeof *welcome);
    if (welcome)
        convert_welcome(&converter, (const Jitd__Proto__Welcome *)message, welcome);
    int code = convert_result(&converter, error);
    if (code != 0)
        return code;
    session->welcome = welcome;
    request_remove(session, request);
    return 0;
}

static int reply_submitted(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                           struct error *error)
{
    const Jitd__Proto__Submitted *submitted = (const Jitd__Proto__Submitted *)message;
    if (submitted->n_units != request->count)
        return reply_mismatch(request, "does not name as many units as were submitted", error);
    for (size_t i = 0; i < submitted->n_units; i++) {
        if (submitted->units[i] == UINT64_MAX)
            return reply_mismatch(request, "names a unit that cannot be", error);
        if (!table_insert(&session->pending, submitted->units[i] + 1))
            return error_set(error, ERROR_NO_MEMORY, "out of memory for the list of units");
    }
    request_remove(session, request);
    if (request->callback.submit)
        request->callback.submit(session, submitted->units, submitted->n_units, NULL, request->data);
    return 0;
}

static int reply_addresses(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                           struct error *error)
{
    const Jitd__Proto__Addresses *addresses = (const Jitd__Proto__Addresses *)message;
    if (addresses->n_addresses != request->count)
        return reply_mismatch(request, "does not give as many addresses as names were asked for", error);
    struct converter converter = {.pool = &session->shown};
    struct jitd_address *shown = convert_array(&converter, addresses->n_addresses, sizeof *shown);
    for (size_t i = 0; shown && i < addresses->n_addresses; i++)
        shown[i] =
            (struct jitd_address){.address = addresses->addresses[i]->address, .ready = addresses->addresses[i]->ready};
    int code = convert_result(&converter, error);
    if (code != 0)
        return code;
    request_remove(session, request);
    if (request->callback.lookup)
        request->callback.lookup(session, shown, addresses->n_addresses, NULL, request->data);
    return 0;
}

static int reply_returned(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                          struct error *error)
{
    const Jitd__Proto__Returned *returned = (const Jitd__Proto__Returned *)message;
    if (request->main)
        return reply_mismatch(request, "says that main returned, which ends the runner", error);
    struct jitd_value value = convert_value(returned->result);
    if (value.type != request->result)
        return reply_mismatch(request, "has a result of another type than was asked for", error);
    request_remove(session, request);
    if (request->callback.call)
        request->callback.call(session, &value, NULL, NULL, request->data);
    return 0;
}

static int reply_ended(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                       struct error *error)
{
    struct converter converter = {.pool = &session->shown};
    struct jitd_end end;
    convert_end(&converter, (const Jitd__Proto__Ended *)message, &end);
    int code = convert_result(&converter, error);
    if (code != 0)
        return code;
    request_remove(session, request);
    if (request->callback.call)
        request->callback.call(session, NULL, &end, NULL, request->data);
    return 0;
}

static int reply_inspection(struct jitd_session *session, const struct request *request,
                            const ProtobufCMessage *message, struct error *error)
{
    struct converter converter = {.pool = &session->shown};
    struct jitd_inspection inspection;
    convert_inspection(&converter, (const Jitd__Proto__Inspection *)message, &inspection);
    int code = convert_result(&converter, error);
    if (code != 0)
        return code;
    request_remove(session, request);
    if (request->callback.inspect)
        request->callback.inspect(session, &inspection, NULL, request->data);
    return 0;
}

/* Of those that say no more than that it was done. */
static int reply_done(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                      struct error *error)
{
    (void)message;
    (void)error;
    request_remove(session, request);
    if (request->callback.done)
        request->callback.done(session, NULL, request->data);
    return 0;
}

static int reply_cancelled(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                           struct error *error)
{
    (void)error;
    request_remove(session, request);
    if (request->callback.cancel)
        request->callback.cancel(session, ((const Jitd__Proto__Cancelled *)message)->count, NULL, request->data);
    return 0;
}

static int reply_removed(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                         struct error *error)
{
    const Jitd__Proto__Removed *removed = (const Jitd__Proto__Removed *)message;
    struct converter converter = {.pool = &session->shown};
    struct jitd_errors errors = convert_errors(&converter, removed->errors, removed->n_errors, removed->errors_omitted);
    int code = convert_result(&converter, error);
    if (code != 0)
        return code;
    request_remove(session, request);
    if (request->callback.remove)
        request->callback.remove(session, removed->count, removed->n_errors ? &errors : NULL, request->data);
    return 0;
}

/* A session without its Hello is none: its refusal is the session's end. */
static int reply_failed(struct jitd_session *session, const struct request *request, const ProtobufCMessage *message,
                        struct error *error)
{
    const Jitd__Proto__Failed *failed = (const Jitd__Proto__Failed *)message;
    struct converter converter = {.pool = &session->shown};
    struct jitd_errors errors = convert_errors(&converter, failed->errors, failed->n_errors, failed->errors_omitted);
    int code = convert_result(&converter, error);
    if (code != 0)
        return code;
    if (request->kind == REQUEST_HELLO)
        return convert_keep(&errors.list[0], error);
    request_remove(session, request);
    request_fail(session, request, &errors);
    return 0;
}

static const struct reply_rule {
    uint16_t type;
    enum request_kind kind;
    reply_function *deliver;
} reply_rules[] = {
    {MESSAGE_WELCOME, REQUEST_HELLO, reply_welcome},
    {MESSAGE_SUBMITTED, REQUEST_SUBMIT, reply_submitted},
    {MESSAGE_ADDRESSES, REQUEST_LOOKUP, reply_addresses},
    {MESSAGE_RETURNED, REQUEST_CALL, reply_returned},
    {MESSAGE_ENDED, REQUEST_CALL, reply_ended},
    {MESSAGE_INSPECTION, REQUEST_INSPECT, reply_inspection},
    {MESSAGE_LIBRARY_DEFINED, REQUEST_DEFINE_LIBRARY, reply_done},
    {MESSAGE_CANCELLED, REQUEST_CANCEL, reply_cancelled},
    {MESSAGE_REMOVED, REQUEST_REMOVE, reply_removed},
    {MESSAGE_REFUSED, REQUEST_REFUSE, reply_done},
    {MESSAGE_REDIRECTED, REQUEST_REDIRECT, reply_done},
    {MESSAGE_ADAPTED, REQUEST_ADAPT, reply_done},
};

int reply_deliver(struct jitd_session *session, const struct frame_header *header, const ProtobufCMessage *message,
                  struct error *error)
{
    struct request request;
    if (!request_find(session, header->request, &request))
        return error_set(error, ERROR_PROTOCOL, "the daemon answered request %" PRIu64 ", which is not outstanding",
                         header->request);
    if (header->type == MESSAGE_FAILED)
        return reply_failed(session, &request, message, error);
    for (size_t i = 0; i < ARRAY_LENGTH(reply_rules); i++)
        if (reply_rules[i].type == header->type && reply_rules[i].kind == request.kind)
            return reply_rules[i].deliver(session, &request, message, error);
    return reply_mismatch(&request, "is of a type that does not answer it", error);
}
