/*
 * Which of jitctl's environment variables the program gets.
 *
 * A program in a sandbox is not handed what happens to lie about (tokens, agent sockets): by default it gets the names
 * that describe the user's terminal and language, and what was asked for on the command line.
 */
#ifndef JITCTL_ENVIRONMENT_H
#define JITCTL_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a variable is passed without being asked for. */
bool environment_is_common(const char *assignment);

/* Builds "NAME=value" strings, NULL-terminated, from `source` (as environ) and `requests`: "NAME" copies one variable,
   and nothing where it is not set; "NAME=VALUE" sets it. A later request takes the place of what stands before under
   the same name. `all` passes everything in `source`. The array is the caller's to free, the strings are borrowed. */
const char **environment_build(char *const *source, const char *const *requests, size_t request_count, bool all);

#endif
