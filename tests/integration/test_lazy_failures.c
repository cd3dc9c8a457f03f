/*
 * Functions that are called and do not come, or come wrongly: refused, failed, too late, ending in an exception or a
 * crash.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/lazily.h"
#include "tests/integration/peer.h"

/* ---- refusals, failures and deadlines ---- */

Test(lazy, a_refused_question_ends_the_life_with_the_reason_and_the_next_one_goes_on)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_refuse(harness, harness_expect_question(harness, 1, "twice")->ask, "not in this program");
    harness_wait(harness, request);
    lazily_expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "not in this program");
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9, "the next life asks again");
    cr_expect_eq(harness->asked, 2);
    harness_close(harness);
}

Test(lazy, a_question_that_is_not_open_cannot_be_refused)
{
    struct harness *harness = lazily_open(NULL);
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    const uint64_t asks[] = {0, harness->questions[0].ask, 99};
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        jitd_request request;
        struct harness_error answer = {.code = HARNESS_UNANSWERED};
        cr_assert_eq(jitd_refuse(harness->session, asks[i], NULL, harness_done, &answer, &request), 0);
        harness_wait(harness, request);
        cr_expect_eq(answer.code, JITD_ERROR_NOT_FOUND, "question %zu", i);
    }
    cr_expect_eq(harness_value(harness, "caller", 4), 9);
    harness_close(harness);
}

Test(lazy, a_program_that_nobody_answers_ends_at_the_deadline)
{
    struct harness *harness = lazily_open(&(struct jitd_options){.lazy_deadline_ms = 50});
    struct harness_call call = harness_call(harness, "caller", 4);
    lazily_expect_refused(&call, "twice", JITD_ERROR_TIMEOUT, "within 50 ms");
    cr_expect_eq(harness->runner_ends, 1);
    harness_link_c(harness, "twice.c", TWICE_SOURCE);
    cr_expect_eq(harness_value(harness, "caller", 4), 9, "the session goes on in the next life");
    harness_close(harness);
}

Test(lazy, a_unit_that_never_becomes_ready_does_not_hold_its_caller_past_the_deadline)
{
    struct harness *harness = lazily_open(&(struct jitd_options){.lazy_deadline_ms = 50});
    harness_submit_named(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }",
                         NULL);
    struct harness_call call = harness_call(harness, "caller", 4);
    lazily_expect_refused(&call, "twice", JITD_ERROR_TIMEOUT, "did not become ready");
    cr_expect_eq(harness->asked, 0);
    harness_link_c(harness, "add.c", "long add(long a, long b) { return a + b; }");
    cr_expect_eq(harness_value(harness, "caller", 4), 9);
    harness_close(harness);
}

Test(lazy, a_program_without_a_listener_waits_for_nobody)
{
    struct peer peer = peer_open();
    struct jitd_session *session;
    int socket = dup(peer.socket);
    struct harness harness = {.output = -1, .daemon = peer.daemon};
    cr_assert_eq(jitd_attach(socket, NULL, NULL, NULL, &session), 0);
    harness.session = session;
    harness_add_unit(&harness, &(struct jitd_unit_input){.name = "caller.c", .manifest = &lazily_caller_manifest},
                     CALLER_SOURCE);
    harness_link_batch(&harness, 0);
    struct harness_call call = harness_call(&harness, "caller", 4);
    lazily_expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "the program does not listen for it");
    jitd_close(session);
    free(harness.units);
    peer_close(&peer);
}

Test(lazy, a_submission_that_is_refused_leaves_the_question_open)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_add_c(harness, "wrong.c", "long nowhere(long n);\nlong twice(long n) { return nowhere(n); }");
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect(!call.completed);
    harness_submit_named(harness, "twice.c", TWICE_SOURCE, NULL);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

Test(lazy, an_initialiser_that_crashes_ends_the_life_with_a_report)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "broken.c",
                         "__attribute__((constructor)) static void begin(void) { *(volatile int *)16 = 0; }\n"
                         "long twice(long n) { return 2 * n; }",
                         NULL);
    harness_wait(harness, request);
    cr_assert(call.ended);
    cr_expect_eq(call.end.signal, SIGSEGV);
    cr_expect_str_eq(call.end.initialiser_of, "broken.c");
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "broken.c")->state, JITD_UNIT_FAILED);
    cr_expect_eq(harness_unit(harness, "broken.c")->error.code, JITD_ERROR_INITIALISER_FAILED);
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    harness_close(harness);
}

Test(lazy, a_unit_that_is_cancelled_ends_the_thread_that_waits_for_it)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }",
                         NULL);
    const uint64_t unit = harness_unit(harness, "twice.c")->id;
    cr_assert_eq(jitd_cancel_units(harness->session, &unit, 1, NULL, NULL, NULL), 0);
    harness_wait(harness, request);
    lazily_expect_refused(&call, "twice", JITD_ERROR_CANCELLED, "");
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    harness_close(harness);
}

Test(lazy, another_calling_convention_is_refused_when_it_is_called)
{
    struct harness *harness = harness_open(NULL);
    struct harness_call call;
    harness_link_named(harness, "caller.c", CALLER_SOURCE,
                       &(struct jitd_manifest){DEFINITIONS(OFFER("caller")),
                                               USES({.local = "twice", .flags = JITD_USE_LAZY, .convention = 7})});
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    cr_expect_eq(harness_expect_question(harness, 1, "twice")->convention, 7);
    harness_submit_named(harness, "twice.c", TWICE_SOURCE, NULL);
    harness_wait(harness, request);
    lazily_expect_refused(&call, "twice", JITD_ERROR_CONVENTION, "convention 7");
    harness_close(harness);
}

Test(lazy, a_controller_that_dies_while_a_thread_waits_leaves_no_process)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_close(harness); /* asserts it */
}

/* ---- exceptions and reports ---- */

Test(lazy, an_exception_passes_through_a_first_call)
{
    static const char source[] = "extern \"C\" long thrower(long n);\nextern \"C\" long attempt(long n) {\n"
                                 "    try { return thrower(n); } catch (long x) { return -x; } }";
    struct harness *harness = harness_open_with_libstdcxx();
    struct object_bytes caller = compile_cxx(source, HARNESS_FLAGS);
    struct object_bytes thrower =
        compile_cxx("extern \"C\" long thrower(long n) { if (n) throw n; return 1; }", HARNESS_FLAGS);
    const struct jitd_manifest manifest = {DEFINITIONS(OFFER("attempt")), USES(LAZY_USE("thrower"))};
    harness_add_object(harness, &(struct jitd_unit_input){.name = "caller.cc", .manifest = &manifest}, &caller);
    harness_accept(harness, 0);
    harness_expect_ready(harness, "caller.cc");
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "attempt", 5, &call);
    harness_expect_question(harness, 1, "thrower");
    harness_add(harness, "thrower.cc", &thrower);
    harness_accept(harness, 0);
    harness_wait(harness, request);
    cr_assert(call.returned);
    cr_expect_eq(call.value, -5);
    cr_expect_eq(harness_value(harness, "attempt", 0), 1);
    cr_expect_eq(harness_value(harness, "attempt", 6), -6);
    object_free(&caller);
    object_free(&thrower);
    harness_close(harness);
}

static bool has_frame(const struct harness_end *end, const char *function)
{
    for (size_t i = 0; i < end->frame_count; i++)
        if (strcmp(end->frames[i].function, function) == 0)
            return true;
    return false;
}

Test(lazy, a_crash_in_a_first_call_shows_the_caller)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "twice.c", "long twice(long n) { *(volatile int *)16 = 0; return n; }", NULL);
    harness_wait(harness, request);
    cr_assert(call.ended);
    cr_expect_eq(call.end.signal, SIGSEGV);
    cr_expect_str_eq(call.end.frames[0].function, "twice");
    cr_expect_str_eq(call.end.frames[1].function, "caller");
    cr_expect_str_empty(call.end.lazy_symbol);
    cr_expect_eq(call.end.lazy_error.code, 0);
    harness_close(harness);
}

Test(lazy, a_refusal_shows_who_called)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_refuse(harness, harness_expect_question(harness, 1, "twice")->ask, NULL);
    harness_wait(harness, request);
    lazily_expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "");
    cr_expect(has_frame(&call.end, "caller"));
    harness_close(harness);
}
