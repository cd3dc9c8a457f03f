/*
 * A function that comes when it is called: its caller, the question that the call asks, and how it may end.
 */
#ifndef TESTS_INTEGRATION_LAZILY_H
#define TESTS_INTEGRATION_LAZILY_H

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

/* A definition for others, and a lazy use. */
#define OFFER(name)                                                                                                    \
    {                                                                                                                  \
        .local = (name)                                                                                                \
    }
#define LAZY_USE(name)                                                                                                 \
    {                                                                                                                  \
        .local = (name), .flags = JITD_USE_LAZY                                                                        \
    }
#define PLAIN_USE(name)                                                                                                \
    {                                                                                                                  \
        .local = (name)                                                                                                \
    }
#define TWICE_SOURCE  "long twice(long n) { return 2 * n; }"
#define CALLER_SOURCE "long twice(long n);\nlong caller(long n) { return twice(n) + 1; }"

/* CALLER_SOURCE's: `caller` for others, which uses `twice` lazily. */
extern const struct jitd_manifest lazily_caller_manifest;

/* With that unit as caller.c. */
struct harness *lazily_open(const struct jitd_options *options);

/* A call whose question is answered with the source, as a unit that is called like the symbol; it must return. */
int64_t lazily_value_with(struct harness *harness, const char *function, int64_t argument, const char *symbol,
                          const char *source);

/* The life has ended, waiting for the symbol. */
void lazily_expect_refused(const struct harness_call *call, const char *symbol, int code, const char *text);

#endif
