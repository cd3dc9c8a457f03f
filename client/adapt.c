/*
 * Adapters between calling conventions.
 */
#include <string.h>

#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment adapt_no_attachment;

static int adapt_check(const char *symbol, uint64_t wanted, uint64_t given, struct error *error)
{
    size_t length = symbol ? strnlen(symbol, LIMIT_NAME_BYTES + 1) : 0;
    if (length == 0)
        return error_set(error, ERROR_INVALID, "an adapter without a symbol");
    if (length > LIMIT_NAME_BYTES)
        return error_set(error, ERROR_LIMIT, "an adapter's name is longer than %llu bytes", LIMIT_NAME_BYTES);
    if (wanted == given)
        return error_set(error, ERROR_INVALID, "an adapter from a convention to itself");
    return 0;
}

int jitd_adapt(struct jitd_session *session, uint32_t library, const char *symbol, uint64_t wanted, uint64_t given,
               jitd_done_callback *callback, void *data, jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_ADAPT, .callback.done = callback, .data = data};
    Jitd__Proto__Adapt message = JITD__PROTO__ADAPT__INIT;
    int code = adapt_check(symbol, wanted, given, &session->error);
    if (code == 0) {
        message.library = library;
        message.symbol = convert_borrow(symbol);
        message.wanted = wanted;
        message.given = given;
        code = request_send(session, &record, MESSAGE_ADAPT, &message.base, &adapt_no_attachment, request);
    }
    return client_session_result(session, code);
}
