/*
 * The public error codes. The assertions hold jitd.h's numbers to the one list of common/error_codes.h.
 */
#include "common/error.h"

#include <assert.h>

#include "client/jitd.h"

#define JITD_ERROR_OK            JITD_OK
#define SAME(name, number, text) static_assert(JITD_ERROR_##name == (number), "jitd.h: number of " #name);
ERROR_CODES(SAME)

const char *jitd_error_name(int code)
{
    return error_code_name(code);
}

const char *jitd_error_text(int code)
{
    return error_code_text(code);
}
