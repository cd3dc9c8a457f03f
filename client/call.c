/*
 * Calls: of a function by name or address, of main, and of a unit that is gone afterwards.
 */
#include <stdlib.h>

#include "client/convert.h"
#include "client/session.h"
#include "client/submit.h"
#include "proto/limits.h"

static const struct request_attachment call_no_attachment;

struct call_values {
    Jitd__Proto__Value values[LIMIT_CALL_ARGUMENTS];
    Jitd__Proto__Value *pointers[LIMIT_CALL_ARGUMENTS];
};

/* Fills the message's signature from the program's; its arguments lie in `out`. */
static int call_fill(Jitd__Proto__Call *call, uint32_t deadline_ms, enum jitd_type result,
                     const struct jitd_value *arguments, size_t count, struct call_values *out, struct error *error)
{
    if (result < JITD_VOID || result > JITD_POINTER)
        return error_set(error, ERROR_INVALID, "%d is not the type of a result", (int)result);
    if (count > LIMIT_CALL_ARGUMENTS)
        return error_set(error, ERROR_LIMIT, "a call with %zu arguments: at most %d", count, LIMIT_CALL_ARGUMENTS);
    for (size_t i = 0; i < count; i++) {
        if (arguments[i].type <= JITD_VOID || arguments[i].type > JITD_POINTER)
            return error_set(error, ERROR_INVALID, "argument %zu of a call has no type that a value can have", i);
        out->values[i] = (Jitd__Proto__Value)JITD__PROTO__VALUE__INIT;
        out->values[i].type = (Jitd__Proto__ValueType)arguments[i].type;
        out->values[i].bits = convert_bits(&arguments[i]);
        out->pointers[i] = &out->values[i];
    }
    call->deadline_ms = deadline_ms;
    call->n_arguments = count;
    call->arguments = out->pointers;
    call->result = (Jitd__Proto__ValueType)result;
    return 0;
}

/* `call` names the function already. */
static int call_send(struct jitd_session *session, Jitd__Proto__Call *call, const struct jitd_value *arguments,
                     size_t argument_count, const struct request *request, jitd_request *number)
{
    struct call_values values;
    int code = call_fill(call, session->call_deadline_ms, request->result, arguments, argument_count, &values,
                         &session->error);
    if (code != 0)
        return code;
    return request_send(session, request, MESSAGE_CALL, &call->base, &call_no_attachment, number);
}

void jitd_set_call_deadline(struct jitd_session *session, uint32_t milliseconds)
{
    session->call_deadline_ms = milliseconds;
}

int jitd_call(struct jitd_session *session, const char *symbol, enum jitd_type result,
              const struct jitd_value *arguments, size_t argument_count, jitd_call_callback *callback, void *data,
              jitd_request *request)
{
    return jitd_call_in(session, JITD_LIBRARY_MAIN, symbol, result, arguments, argument_count, callback, data, request);
}

int jitd_call_in(struct jitd_session *session, uint32_t library, const char *symbol, enum jitd_type result,
                 const struct jitd_value *arguments, size_t argument_count, jitd_call_callback *callback, void *data,
                 jitd_request *request)
{
    request_clear(request);
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = convert_borrow(symbol);
    call.library = library;
    struct request record = {.kind = REQUEST_CALL, .result = result, .callback.call = callback, .data = data};
    return client_session_result(session, call_send(session, &call, arguments, argument_count, &record, request));
}

int jitd_call_address(struct jitd_session *session, uint64_t address, enum jitd_type result,
                      const struct jitd_value *arguments, size_t argument_count, jitd_call_callback *callback,
                      void *data, jitd_request *request)
{
    request_clear(request);
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_ADDRESS;
    call.address = address;
    struct request record = {.kind = REQUEST_CALL, .result = result, .callback.call = callback, .data = data};
    return client_session_result(session, call_send(session, &call, arguments, argument_count, &record, request));
}

int jitd_call_main(struct jitd_session *session, const char *symbol, jitd_call_callback *callback, void *data,
                   jitd_request *request)
{
    request_clear(request);
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = convert_borrow(symbol ? symbol : "main");
    call.main = true;
    struct request record = {
        .kind = REQUEST_CALL, .result = JITD_INT32, .main = true, .callback.call = callback, .data = data};
    return client_session_result(session, call_send(session, &call, NULL, 0, &record, request));
}

/* Consumes the batch, which has the unit. */
static int call_send_run(struct jitd_session *session, struct jitd_batch *batch, Jitd__Proto__Call *call,
                         const struct request *request, jitd_request *number)
{
    struct submit_message message = {0};
    int code = submit_pack(session, batch, &message);
    if (code == 0) {
        Jitd__Proto__Run run = JITD__PROTO__RUN__INIT;
        run.unit = message.pointers[0];
        run.call = call;
        run.entries = message.entries;
        code = request_send(session, request, MESSAGE_RUN, &run.base, &message.attachment, number);
    }
    free(message.units);
    return code;
}

static int call_run(struct jitd_session *session, const struct jitd_unit_input *unit, Jitd__Proto__Call *call,
                    const struct request *request, jitd_request *number)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    if (!batch)
        return error_set(&session->error, ERROR_NO_MEMORY, "out of memory for a run");
    int code = jitd_batch_add_unit(batch, unit);
    if (code != 0)
        error_set(&session->error, (enum error_code)code, "the unit of a run: %s", jitd_error_text(code));
    else
        code = call_send_run(session, batch, call, request, number);
    jitd_batch_free(batch);
    return code;
}

int jitd_run(struct jitd_session *session, const struct jitd_unit_input *unit, const char *symbol,
             enum jitd_type result, const struct jitd_value *arguments, size_t argument_count,
             jitd_call_callback *callback, void *data, jitd_request *request)
{
    request_clear(request);
    struct request record = {.kind = REQUEST_CALL, .result = result, .callback.call = callback, .data = data};
    struct call_values values;
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = convert_borrow(symbol);
    int code = call_fill(&call, session->call_deadline_ms, result, arguments, argument_count, &values, &session->error);
    return client_session_result(session, code ? code : call_run(session, unit, &call, &record, request));
}
