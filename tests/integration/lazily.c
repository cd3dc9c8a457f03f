#include "tests/integration/lazily.h"

#include <signal.h>
#include <string.h>

const struct jitd_manifest lazily_caller_manifest = {DEFINITIONS(OFFER("caller")), USES(LAZY_USE("twice"))};

struct harness *lazily_open(const struct jitd_options *options)
{
    struct harness *harness = harness_open(options);
    harness_link_named(harness, "caller.c", CALLER_SOURCE, &lazily_caller_manifest);
    return harness;
}

int64_t lazily_value_with(struct harness *harness, const char *function, int64_t argument, const char *symbol,
                          const char *source)
{
    struct harness_call call;
    int asked = harness->asked;
    jitd_request request = harness_call_begin(harness, function, argument, &call);
    harness_expect_question(harness, asked + 1, symbol);
    harness_submit_named(harness, symbol, source, NULL);
    harness_wait(harness, request);
    cr_assert(call.returned, "%s: signal %d, %s", function, call.end.signal, call.end.lazy_error.text);
    return call.value;
}

void lazily_expect_refused(const struct harness_call *call, const char *symbol, int code, const char *text)
{
    cr_assert(call->ended, "it returned %lld", (long long)call->value);
    cr_expect_eq(call->end.signal, SIGABRT, "signal %d", call->end.signal);
    cr_expect_str_eq(call->end.lazy_symbol, symbol);
    cr_expect_eq(call->end.lazy_error.code, code, "%s", call->end.lazy_error.text);
    cr_expect(strstr(call->end.lazy_error.text, text), "'%s' does not say '%s'", call->end.lazy_error.text, text);
}
