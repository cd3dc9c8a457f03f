/*
 * Set-up failures of the template travel as a stage and an errno (proto/control.h), so the text of such an error names
 * the stage alone: the linker adds errno's words.
 */
#ifndef RUNNER_STAGE_H
#define RUNNER_STAGE_H

#include <errno.h>
#include <string.h>

#include "common/error.h"

/* For a system call that has just failed at `stage`: takes errno, returns ERROR_SYSTEM. */
static inline int stage_failed(struct error *error, const char *stage)
{
    int os = errno;
    error_set(error, ERROR_SYSTEM, "%s", stage);
    error->os = os;
    return ERROR_SYSTEM;
}

/* Copies a stage's text, cut to what the message has room for. */
static inline void stage_copy(char *out, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);
    memcpy(out, text, length);
    out[length] = '\0';
}

#endif
