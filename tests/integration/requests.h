/*
 * Requests about libraries, and those that wait: made, waited for where they do not, and their answers kept.
 */
#ifndef TESTS_INTEGRATION_REQUESTS_H
#define TESTS_INTEGRATION_REQUESTS_H

#include "tests/integration/harness.h"

struct answer {
    int completed;
    struct harness_error error; /* code 0: it was done */
    size_t count;               /* of Cancelled, or of addresses */
    struct jitd_address addresses[2];
    int64_t value;
};

/* ---- libraries ---- */

/* The error's code, or 0. */
int requests_define(struct harness *harness, const struct jitd_library *library);

/* A function of one 64-bit integer that returns one, looked for from `library` on; and that it gives `wanted` for 1. */
struct answer requests_call_in(struct harness *harness, uint32_t library, const char *name, int64_t argument);
void requests_expect_value(struct harness *harness, uint32_t library, const char *name, int64_t wanted);

/* 0 where the name is not known. */
uint64_t requests_address_in(struct harness *harness, uint32_t library, const char *name);

/* ---- waiting ---- */

/* Begun without waiting; `answer` must outlive it. */
jitd_request requests_look_up_ready(struct harness *harness, const char *const names[2], uint32_t deadline_ms,
                                    struct answer *answer);

/* As harness_link_c where other units wait on: is done when the name is ready. */
void requests_link_beside(struct harness *harness, const char *unit, const char *source, const char *name);

/* How many were cancelled. */
size_t requests_cancel_units(struct harness *harness, const uint64_t *units, size_t count);
size_t requests_cancel(struct harness *harness, jitd_request waiting);

#endif
