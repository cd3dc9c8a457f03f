/*
 * Calls by way of libffi. Arguments need no conversion: a little-endian 64-bit word begins with its 32-bit value.
 */
#include "daemon/runner/call.h"

#include <ffi.h>
#include <string.h>

#include "common/bytes.h"
#include "common/error.h"
#include "proto/message.h"

static ffi_type *const call_types[] = {
    [JITD__PROTO__VALUE_TYPE__VOID] = &ffi_type_void,      [JITD__PROTO__VALUE_TYPE__INT32] = &ffi_type_sint32,
    [JITD__PROTO__VALUE_TYPE__UINT32] = &ffi_type_uint32,  [JITD__PROTO__VALUE_TYPE__INT64] = &ffi_type_sint64,
    [JITD__PROTO__VALUE_TYPE__UINT64] = &ffi_type_uint64,  [JITD__PROTO__VALUE_TYPE__FLOAT32] = &ffi_type_float,
    [JITD__PROTO__VALUE_TYPE__FLOAT64] = &ffi_type_double, [JITD__PROTO__VALUE_TYPE__POINTER] = &ffi_type_pointer,
};

int call_invoke(uint64_t address, uint64_t result_type, uint64_t count, const struct channel_call *call,
                uint64_t *result)
{
    uint64_t values[LIMIT_CALL_ARGUMENTS];
    void *pointers[LIMIT_CALL_ARGUMENTS];
    ffi_type *types[LIMIT_CALL_ARGUMENTS];
    if (result_type >= ARRAY_LENGTH(call_types) || count > LIMIT_CALL_ARGUMENTS)
        return ERROR_INVALID;
    for (size_t i = 0; i < count; i++) {
        uint32_t type = call->types[i];
        if (type == JITD__PROTO__VALUE_TYPE__VOID || type >= ARRAY_LENGTH(call_types))
            return ERROR_INVALID;
        types[i] = call_types[type];
        values[i] = call->values[i];
        pointers[i] = &values[i];
    }

    ffi_cif interface;
    ffi_arg bits = 0; /* libffi widens small integers to it */
    if (ffi_prep_cif(&interface, FFI_DEFAULT_ABI, (unsigned)count, call_types[result_type], types) != FFI_OK)
        return ERROR_INVALID;
    ffi_call(&interface, FFI_FN((uintptr_t)address), &bits, pointers);
    *result = result_type == JITD__PROTO__VALUE_TYPE__VOID ? 0 : bits;
    return 0;
}
