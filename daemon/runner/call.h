/*
 * Calls of functions whose signature is known only now.
 */
#ifndef RUNNER_CALL_H
#define RUNNER_CALL_H

#include <stdint.h>

#include "proto/channel.h"

/* Calls the function at `address` with the first `count` arguments of `call`, by the platform's C calling convention.
   Types are enum ValueType. *result gets the bits of what it returns: integers of 32 bits are extended to 64 by their
   sign, a float lies in the low half, nothing is 0. Returns 0, or INVALID for what is no type or count. */
int call_invoke(uint64_t address, uint64_t result_type, uint64_t count, const struct channel_call *call,
                uint64_t *result);

#endif
