/*
 * What waits and how it ends: lookups, chains of failures, batches that stand or fall together, cancelling.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/integration/requests.h"

static const char local_names[] = "extern long g_0(long); long f_0(long x) { return g_0(x) + 1; }\n";

/* ---- waiting lookups ---- */

static const char *const both_names[2] = {"here", "later"};

Test(lookup, is_answered_when_all_of_its_names_are_ready)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    harness_link_c(harness, "here.o", "long here(long x) { return x; }");
    jitd_request request = requests_look_up_ready(harness, both_names, 300, &answer);
    harness_submit_named(harness, "later.o", "extern long last(long); long later(long x) { return last(x); }", NULL);
    cr_expect_eq(answer.completed, 0, "'later' has an address and is not ready");
    harness_link_c(harness, "last.o", "long last(long x) { return x; }");
    harness_wait(harness, request);
    cr_assert_eq(answer.error.code, 0, "%s", answer.error.text);
    cr_expect(answer.addresses[0].ready && answer.addresses[1].ready);
    cr_expect_eq(answer.addresses[1].address, harness_address(harness, "later"));
    request = requests_look_up_ready(harness, both_names, 0, &answer);
    harness_wait(harness, request);
    cr_expect(answer.error.code == 0 && answer.addresses[1].ready, "what is ready is answered at once");
    /* The first lookup's deadline passes, and there is nothing left that it could hit. */
    request = requests_look_up_ready(harness, (const char *const[]){"here", "never"}, 400, &answer);
    harness_wait(harness, request);
    cr_expect_eq(answer.error.code, JITD_ERROR_TIMEOUT);
    cr_expect_eq(harness_value(harness, "later", 4), 4);
    harness_close(harness);
}

Test(lookup, is_given_up_at_its_deadline)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    harness_wait(harness, requests_look_up_ready(harness, both_names, 30, &answer));
    cr_expect_eq(answer.error.code, JITD_ERROR_TIMEOUT, "%s", answer.error.text);
    cr_expect(strstr(answer.error.text, "'here'") || strstr(answer.error.text, "'later'"), "%s", answer.error.text);
    harness_link_c(harness, "here.o", "long here(long x) { return x; }");
    harness_close(harness);
}

Test(lookup, can_be_cancelled_as_long_as_it_waits)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    jitd_request request = requests_look_up_ready(harness, both_names, 0, &answer);
    cr_expect_eq(requests_cancel(harness, request), 1);
    cr_expect_eq(answer.completed, 1, "its own answer comes first");
    cr_expect_eq(answer.error.code, JITD_ERROR_CANCELLED);
    cr_expect_eq(requests_cancel(harness, request), 0, "it waits no more");
    cr_expect_eq(requests_cancel(harness, 123456), 0);
    harness_close(harness);
}

static const char far_source[] = "__asm__(\".globl far_away\\nfar_away = 0x123456789abc\\n\");\n";
static const char near_source[] = "\t.globl a\n\t.type a, @function\na:\tmov far_away(%rip), %rax\n\tret\n"
                                  "\t.section .note.GNU-stack,\"\",@progbits\n";

/* A unit a.o that is taken, is linked when far.o comes, and cannot be. */
static void submit_doomed(struct harness *harness)
{
    harness_add_assembly(harness, "a.o", near_source);
    harness_accept(harness, 0);
}

static void submit_doom(struct harness *harness)
{
    harness_submit_named(harness, "far.o", far_source, NULL);
    harness_settle(harness);
}

Test(lookup, fails_with_what_it_waits_for)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    submit_doomed(harness);
    harness_submit_named(harness, "b.o", "extern long a(long); long b(long x) { return a(x); }", NULL);
    jitd_request request = requests_look_up_ready(harness, (const char *const[]){"b", "b"}, 0, &answer);
    submit_doom(harness);
    harness_wait(harness, request);
    cr_expect_eq(answer.error.code, JITD_ERROR_DEPENDENCY_FAILED, "%s", answer.error.text);
    cr_assert_eq(answer.error.cause_count, 3);
    cr_expect(strstr(answer.error.causes[0], ":b"), "%s", answer.error.causes[0]);
    cr_expect_str_eq(answer.error.causes[1], "b.o:a");
    cr_expect_str_eq(answer.error.causes[2], "a.o:");
    harness_close(harness);
}

/* ---- failing ---- */

Test(failure, tells_the_chain_of_its_causes)
{
    struct harness *harness = harness_open(NULL);
    submit_doomed(harness);
    harness_submit_named(harness, "b.o", "extern long a(long); long b(long x) { return a(x); }", NULL);
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "f_0", .global = "c"}),
                                           USES({.local = "g_0", .global = "b"})};
    harness_submit_named(harness, "c.o", local_names, &manifest);
    submit_doom(harness);
    const struct harness_error *first = &harness_unit(harness, "a.o")->error,
                               *last = &harness_unit(harness, "c.o")->error;
    cr_expect_eq(first->code, JITD_ERROR_RELOCATION_RANGE);
    cr_expect_eq(first->cause_count, 0);
    cr_expect_eq(last->code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_assert_eq(last->cause_count, 3);
    cr_expect_str_eq(last->causes[0], "c.o:b");
    cr_expect_str_eq(last->causes[1], "b.o:a");
    cr_expect_str_eq(last->causes[2], "a.o:");
    cr_expect_eq(last->causes_omitted, 0);
    harness_close(harness);
}

Test(failure, of_a_long_chain_keeps_both_ends_and_counts_the_rest)
{
    enum { UNITS = 40 };
    static char names[UNITS][16], sources[UNITS][128];
    struct harness *harness = harness_open(NULL);
    submit_doomed(harness);
    for (int i = 0; i < UNITS; i++) {
        char callee[16] = "a";
        if (i > 0)
            snprintf(callee, sizeof callee, "f%d", i - 1);
        snprintf(names[i], sizeof names[i], "%d.o", i);
        snprintf(sources[i], sizeof sources[i], "extern long %s(long); long f%d(long x) { return %s(x); }", callee, i,
                 callee);
        harness_add_c(harness, names[i], sources[i]);
    }
    harness_accept(harness, 0);
    submit_doom(harness);
    const struct harness_error *last = &harness_unit(harness, "39.o")->error;
    cr_assert_eq(last->cause_count, 16);
    cr_expect_str_eq(last->causes[0], "39.o:f38");
    cr_expect_str_eq(last->causes[14], "25.o:f24");
    cr_expect_str_eq(last->causes[15], "a.o:");
    cr_expect_eq(last->causes_omitted, 25, "24.o down to 0.o");
    harness_close(harness);
}

Test(atomic_batch, becomes_ready_as_a_whole)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "easy.o", "long easy(long x) { return x; }");
    harness_add_c(harness, "waits.o", "extern long late(long); long waits(long x) { return late(x); }");
    harness_accept(harness, JITD_BATCH_ATOMIC);
    requests_link_beside(harness, "other.o", "long other(long x) { return x; }", "other");
    harness_expect_state(harness, "easy.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "late.o", "long late(long x) { return x + 1; }");
    harness_settle(harness);
    harness_expect_state(harness, "easy.o", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "waits", 1), 2);
    harness_close(harness);
}

Test(atomic_batch, fails_as_a_whole)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "easy.o", "long easy(long x) { return x; }");
    harness_add_assembly(harness, "a.o", near_source);
    harness_accept(harness, JITD_BATCH_ATOMIC);
    submit_doom(harness);
    const struct harness_error *error = &harness_unit(harness, "easy.o")->error;
    harness_expect_state(harness, "easy.o", JITD_UNIT_FAILED);
    cr_expect_eq(error->code, JITD_ERROR_DEPENDENCY_FAILED, "%s", error->text);
    cr_assert_eq(error->cause_count, 2);
    cr_expect_str_eq(error->causes[0], "easy.o:", "no symbol joins them");
    cr_expect_str_eq(error->causes[1], "a.o:");
    cr_expect_eq(harness_address(harness, "easy"), 0);
    harness_close(harness);
}

Test(cancelling, units_takes_their_dependents_with_them_and_leaves_what_is_ready)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "ready.o", "long ready(long x) { return x; }");
    harness_submit_named(harness, "waits.o", "extern long gone(long); long waits(long x) { return gone(x); }", NULL);
    harness_submit_named(harness, "above.o", "extern long waits(long); long above(long x) { return waits(x); }", NULL);
    const uint64_t units[] = {harness_unit(harness, "ready.o")->id, harness_unit(harness, "waits.o")->id, 4000000};
    cr_expect_eq(requests_cancel_units(harness, units, 3), 1);
    const struct harness_error *above = &harness_unit(harness, "above.o")->error;
    cr_expect_eq(harness_unit(harness, "waits.o")->error.code, JITD_ERROR_CANCELLED, "told before the answer");
    cr_expect_eq(above->code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_assert_eq(above->cause_count, 2);
    cr_expect_str_eq(above->causes[0], "above.o:waits");
    cr_expect_str_eq(above->causes[1], "waits.o:");
    cr_expect_eq(requests_cancel_units(harness, units, 3), 0);
    cr_expect_eq(harness_value(harness, "ready", 1), 1);
    harness_submit_named(harness, "waits.o", "long waits(long x) { return x + 8; }", NULL);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "waits", 1), 9, "the name is free again");
    harness_close(harness);
}

Test(cancelling, leaves_nothing_with_those_that_the_unit_waited_for)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "middle.o", "extern long last(long); long middle(long x) { return last(x); }");
    harness_accept(harness, 0);
    harness_add_c(harness, "above.o", "extern long middle(long); long above(long x) { return middle(x); }");
    harness_accept(harness, 0);
    cr_expect_eq(requests_cancel_units(harness, &harness_unit(harness, "above.o")->id, 1), 1);
    harness_add_c(harness, "idle.o", "extern long never(long); long idle(long x) { return never(x); }");
    harness_accept(harness, 0); /* uses the memory again that the cancelled one has had */
    requests_link_beside(harness, "last.o", "long last(long x) { return x; }", "middle");
    harness_expect_state(harness, "middle.o", JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "middle", 3), 3);
    harness_close(harness);
}

Test(cancelling, a_call_that_has_not_begun_leaves_the_one_that_runs)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call running, waiting;
    harness_link_c(harness, "f.o",
                   "#include <unistd.h>\nlong slow(long x) { write(1, \"on\", 2); usleep(300000); return x; }\n"
                   "long f(long x) { return x; }\n");
    jitd_request first = harness_call_begin(harness, "slow", 1, &running);
    jitd_request second = harness_call_begin(harness, "f", 2, &waiting);
    harness_await_output(harness, "on");
    cr_expect_eq(requests_cancel(harness, first), 0, "it has begun");
    cr_expect_eq(requests_cancel(harness, second), 1);
    cr_expect(waiting.completed && waiting.code == JITD_ERROR_CANCELLED);
    harness_wait(harness, first);
    cr_expect(running.returned && running.value == 1);
    cr_expect_eq(harness_value(harness, "f", 3), 3);
    harness_close(harness);
}

Test(cancelling, a_run_whose_unit_waits_leaves_nothing_of_it)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c("long user(long); long f(long x) { return user(x); }", HARNESS_FLAGS);
    struct harness_call call;
    harness_add_c(harness, "user.o", "long late(long); long user(long x) { return late(x); }");
    harness_accept(harness, 0);
    jitd_request run = harness_run_begin(harness, "run.o", &object, "f", 1, &call);
    cr_expect_eq(requests_cancel(harness, run), 1);
    cr_expect(call.completed && call.code == JITD_ERROR_CANCELLED, "%s", call.text);
    cr_expect_eq(requests_cancel(harness, run), 0, "it waits no more");
    harness_link_c(harness, "late.o", "long late(long x) { return x + 1; }");
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, "f", 1, &call));
    cr_expect(call.returned && call.value == 2, "%s", call.text);
    object_free(&object);
    harness_close(harness);
}
