#include "tests/integration/requests.h"

static void hear(struct answer *answer, const struct jitd_errors *errors)
{
    answer->completed++;
    harness_done(NULL, errors, &answer->error);
}

static void on_cancelled(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    hear(data, errors);
    ((struct answer *)data)->count = count;
}

static void on_addresses(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct answer *answer = data;
    hear(answer, errors);
    answer->count = count;
    for (size_t i = 0; i < count && i < 2; i++)
        answer->addresses[i] = addresses[i];
}

static void on_returned(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                        const struct jitd_errors *errors, void *data)
{
    struct answer *answer = data;
    hear(answer, errors);
    if (result)
        answer->value = result->integer;
}

int requests_define(struct harness *harness, const struct jitd_library *library)
{
    struct harness_error answer = {.code = HARNESS_UNANSWERED};
    jitd_request request;
    HARNESS_MUST(harness, jitd_define_library(harness->session, library, harness_done, &answer, &request));
    harness_wait(harness, request);
    cr_assert_neq(answer.code, HARNESS_UNANSWERED);
    return answer.code;
}

struct answer requests_call_in(struct harness *harness, uint32_t library, const char *name, int64_t argument)
{
    const struct jitd_value value = {.type = JITD_INT64, .integer = argument};
    struct answer answer = {0};
    jitd_request request;
    HARNESS_MUST(harness,
                 jitd_call_in(harness->session, library, name, JITD_INT64, &value, 1, on_returned, &answer, &request));
    harness_wait(harness, request);
    return answer;
}

void requests_expect_value(struct harness *harness, uint32_t library, const char *name, int64_t wanted)
{
    struct answer answer = requests_call_in(harness, library, name, 1);
    cr_expect(answer.error.code == 0 && answer.value == wanted, "%s(1) in library %u is %lld, not %lld: %s", name,
              library, (long long)answer.value, (long long)wanted, answer.error.text);
}

uint64_t requests_address_in(struct harness *harness, uint32_t library, const char *name)
{
    struct answer answer = {0};
    jitd_request request;
    HARNESS_MUST(harness, jitd_lookup_in(harness->session, library, &name, 1, on_addresses, &answer, &request));
    harness_wait(harness, request);
    cr_assert(answer.error.code == 0 && answer.count == 1, "%s", answer.error.text);
    return answer.addresses[0].address;
}

jitd_request requests_look_up_ready(struct harness *harness, const char *const names[2], uint32_t deadline_ms,
                                    struct answer *answer)
{
    jitd_request request;
    *answer = (struct answer){0};
    HARNESS_MUST(harness, jitd_lookup_ready(harness->session, JITD_LIBRARY_MAIN, names, 2, deadline_ms, on_addresses,
                                            answer, &request));
    return request;
}

void requests_link_beside(struct harness *harness, const char *unit, const char *source, const char *name)
{
    struct answer answer;
    harness_submit_named(harness, unit, source, NULL);
    harness_wait(harness, requests_look_up_ready(harness, (const char *const[]){name, name}, 0, &answer));
    cr_assert_eq(answer.error.code, 0, "%s", answer.error.text);
}

size_t requests_cancel_units(struct harness *harness, const uint64_t *units, size_t count)
{
    struct answer answer = {0};
    jitd_request request;
    HARNESS_MUST(harness, jitd_cancel_units(harness->session, units, count, on_cancelled, &answer, &request));
    harness_wait(harness, request);
    cr_assert_eq(answer.error.code, 0, "%s", answer.error.text);
    return answer.count;
}

size_t requests_cancel(struct harness *harness, jitd_request waiting)
{
    struct answer answer = {0};
    jitd_request request;
    HARNESS_MUST(harness, jitd_cancel(harness->session, waiting, on_cancelled, &answer, &request));
    harness_wait(harness, request);
    cr_assert_eq(answer.error.code, 0, "%s", answer.error.text);
    return answer.count;
}
