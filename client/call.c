/*
 * Calls: of a function by name or address, and of main.
 */
#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

static const struct request_attachment call_no_attachment;

/* Fills the message's arguments from the program's; `values` and `pointers` have room for LIMIT_CALL_ARGUMENTS. */
static int call_arguments(const struct jitd_value *arguments, size_t count, Jitd__Proto__Value *values,
                          Jitd__Proto__Value **pointers, struct error *error)
{
    if (count > LIMIT_CALL_ARGUMENTS)
        return error_set(error, ERROR_LIMIT, "a call with %zu arguments: at most %d", count, LIMIT_CALL_ARGUMENTS);
    for (size_t i = 0; i < count; i++) {
        if (arguments[i].type <= JITD_VOID || arguments[i].type > JITD_POINTER)
            return error_set(error, ERROR_INVALID, "argument %zu of a call has no type that a value can have", i);
        values[i] = (Jitd__Proto__Value)JITD__PROTO__VALUE__INIT;
        values[i].type = (Jitd__Proto__ValueType)arguments[i].type;
        values[i].bits = convert_bits(&arguments[i]);
        pointers[i] = &values[i];
    }
    return 0;
}

/* `call` names the function already. */
static int call_send(struct jitd_session *session, Jitd__Proto__Call *call, const struct jitd_value *arguments,
                     size_t argument_count, const struct request *request, jitd_request *number)
{
    if (request->result < JITD_VOID || request->result > JITD_POINTER)
        return error_set(&session->error, ERROR_INVALID, "%d is not the type of a result", (int)request->result);
    Jitd__Proto__Value values[LIMIT_CALL_ARGUMENTS];
    Jitd__Proto__Value *pointers[LIMIT_CALL_ARGUMENTS];
    int code = call_arguments(arguments, argument_count, values, pointers, &session->error);
    if (code != 0)
        return code;
    call->n_arguments = argument_count;
    call->arguments = pointers;
    call->result = (Jitd__Proto__ValueType)request->result;
    return request_send(session, request, MESSAGE_CALL, &call->base, &call_no_attachment, number);
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
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = convert_borrow(symbol ? symbol : "main");
    call.main = true;
    struct request record = {
        .kind = REQUEST_CALL, .result = JITD_INT32, .main = true, .callback.call = callback, .data = data};
    return client_session_result(session, call_send(session, &call, NULL, 0, &record, request));
}
