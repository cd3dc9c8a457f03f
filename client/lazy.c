/*
 * What a program does about functions while they are called: refusing one that it was asked for, putting others in
 * their place. Names are borrowed while the message is packed.
 */
#include <stdlib.h>
#include <string.h>

#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment lazy_no_attachment;

int jitd_refuse(struct jitd_session *session, uint64_t ask, const char *text, jitd_done_callback *callback, void *data,
                jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_REFUSE, .callback.done = callback, .data = data};
    Jitd__Proto__Refuse message = JITD__PROTO__REFUSE__INIT;
    message.ask = ask;
    message.text = convert_borrow(text);
    if (message.text.len > LIMIT_NAME_BYTES)
        return client_session_result(session, error_set(&session->error, ERROR_LIMIT,
                                                        "a reason of %zu bytes; at most %llu are taken",
                                                        message.text.len, LIMIT_NAME_BYTES));
    int code = request_send(session, &record, MESSAGE_REFUSE, &message.base, &lazy_no_attachment, request);
    return client_session_result(session, code);
}

static int lazy_check_name(const char *name, size_t i, bool optional, struct error *error)
{
    size_t length = name ? strnlen(name, LIMIT_NAME_BYTES + 1) : 0;
    if (length == 0 && !optional)
        return error_set(error, ERROR_INVALID, "redirection %zu has no symbol", i);
    if (length > LIMIT_NAME_BYTES)
        return error_set(error, ERROR_LIMIT, "redirection %zu: a name longer than %llu bytes", i, LIMIT_NAME_BYTES);
    return 0;
}

static int lazy_check_redirections(const char *const *symbols, const char *const *targets, size_t count,
                                   struct error *error)
{
    int code = 0;
    if (count > LIMIT_REDIRECTS_PER_REQUEST)
        return error_set(error, ERROR_LIMIT, "%zu redirections; at most %d are taken", count,
                         LIMIT_REDIRECTS_PER_REQUEST);
    if (count != 0 && (!symbols || !targets))
        return error_set(error, ERROR_INVALID, "redirections without a list of symbols or of targets");
    for (size_t i = 0; i < count && code == 0; i++) {
        code = lazy_check_name(symbols[i], i, false, error);
        code = code ? code : lazy_check_name(targets[i], i, true, error);
    }
    return code;
}

static int lazy_redirect(struct jitd_session *session, Jitd__Proto__Redirect *message, const char *const *symbols,
                         const char *const *targets, size_t count, const struct request *record, jitd_request *number)
{
    int code = lazy_check_redirections(symbols, targets, count, &session->error);
    if (code != 0)
        return code;
    ProtobufCBinaryData *names = calloc(2 * count + 1, sizeof *names);
    if (!names)
        return error_set(&session->error, ERROR_NO_MEMORY, "out of memory for %zu redirections", count);
    message->n_symbols = message->n_targets = count;
    message->symbols = names;
    message->targets = names + count;
    for (size_t i = 0; i < count; i++) {
        message->symbols[i] = convert_borrow(symbols[i]);
        message->targets[i] = convert_borrow(targets[i]);
    }
    code = request_send(session, record, MESSAGE_REDIRECT, &message->base, &lazy_no_attachment, number);
    free(names);
    return code;
}

int jitd_redirect(struct jitd_session *session, uint32_t library, const char *const *symbols,
                  const char *const *targets, size_t count, jitd_done_callback *callback, void *data,
                  jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_REDIRECT, .callback.done = callback, .data = data};
    Jitd__Proto__Redirect message = JITD__PROTO__REDIRECT__INIT;
    message.library = library;
    int code = lazy_redirect(session, &message, symbols, targets, count, &record, request);
    return client_session_result(session, code);
}
