/*
 * One-shot runs (jitd_run): a unit, a call, and gone.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/gate.h"
#include "tests/integration/harness.h"
#include "tests/integration/holdings.h"
#include "tests/lib/many_units.h"

Test(run, gives_the_value_and_leaves_nothing)
{
    static const char source[] = "static long data = 5; static long zero; extern long base(long);\n"
                                 "__attribute__((constructor)) static void set(void) { zero += 2; }\n"
                                 "long once(long x) { return base(x) + data++ + zero++; }\n";
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c(source, HARNESS_FLAGS);
    struct harness_call call;
    harness_link_c(harness, "base.o", "long base(long x) { return x * 10; }");
    harness_wait(harness, harness_run_begin(harness, "once.o", &object, "once", 3, &call));
    struct holdings before = holdings_of(harness);
    for (int i = 0; i < 300; i++) {
        harness_wait(harness, harness_run_begin(harness, "once.o", &object, "once", i, &call));
        cr_assert(call.returned && call.value == i * 10 + 7, "%lld, %s", (long long)call.value, call.text);
    }
    holdings_expect_same(harness, &before);
    cr_expect_eq(before.units, 1);
    cr_expect_eq(harness->told, 1, "an event tells of a unit that nobody knows");
    cr_expect_eq(harness_call(harness, "once", 0).code, JITD_ERROR_NOT_FOUND);
    object_free(&object);
    harness_close(harness);
}

Test(run, answers_with_the_error_of_whichever_step_failed)
{
    static const struct {
        const char *source, *function;
        int code;
    } cases[] = {
        {"long gone(long); long f(long x) { return gone(x); }", "f", JITD_ERROR_SYMBOL_MISSING},
        {"long f(long x) { return 1; }", "g", JITD_ERROR_NOT_CALLABLE},
        {"long f = 1;", "f", JITD_ERROR_NOT_CALLABLE},
        {"long f(long x) { return 1; } long base(long x) { return 2; }", "f", JITD_ERROR_SYMBOL_DUPLICATE},
        {"__attribute__((constructor)) static void die(void) { *(volatile int *)8 = 1; } long f(long x) { return 1; }",
         "f", JITD_ERROR_INITIALISER_FAILED},
    };
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "base.o", "long base(long x) { return 1; }");
    struct holdings before = holdings_of(harness);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct harness_call call = harness_run(harness, cases[i].source, cases[i].function, 0);
        cr_expect_eq(call.code, cases[i].code, "case %zu: %d, %s", i, call.code, call.text);
    }
    holdings_expect_same(harness, &before);
    cr_expect_eq(harness_value(harness, "base", 0), 1);
    harness_close(harness);
}

Test(run, that_crashes_is_answered_with_the_report_and_leaves_nothing)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct harness_call call =
        harness_run(harness, "long data = 1; long f(long x) { return *(volatile long *)x; }", "f", 8);
    cr_assert(call.ended, "%s", call.text);
    cr_expect_eq(call.end.signal, SIGSEGV);
    cr_expect_str_eq(call.end.frames[0].unit, "run.o");
    cr_expect_str_eq(call.end.frames[0].function, "f");
    call = harness_run(harness, "long data = 1; long f(long x) { return data + x; }", "f", 8);
    cr_expect(call.returned && call.value == 9, "%s", call.text);
    holdings_expect_same(harness, &before);
    harness_close(harness);
}

Test(run, runs_finalisers_of_its_unit)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call =
        harness_run(harness,
                    "#include <unistd.h>\n__attribute__((destructor)) static void end(void) { write(1, \"end\", 3); }\n"
                    "long f(long x) { write(1, \"call \", 5); return x; }\n",
                    "f", 4);
    cr_expect(call.returned && call.value == 4);
    harness_await_output(harness, "call end");
    harness_close(harness);
}

Test(run, whose_unit_goes_with_what_it_uses_is_over_with_its_call)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    struct object_bytes object = compile_c("long busy(long); long run(long x) { return busy(x) + 1; }", HARNESS_FLAGS);
    gate_link(harness);
    gate_link_busy(harness);
    jitd_request request = harness_run_begin(harness, "run.o", &object, "run", 0, &call);
    harness_await_output(harness, "inside");
    cr_expect_eq(harness_try_removing(harness, "busy.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_try_removing(harness, "busy.o", true).count, 1, "the run's own unit does not count");
    gate_open(harness);
    harness_wait(harness, request);
    cr_expect(call.returned && call.value == 43, "%s", call.text);
    object_free(&object);
    harness_close(harness);
}

/* Ten that overlap, so they share no global name. They are answered in the order in which their units become ready,
   which the runner's two threads decide: each has to be waited for before its name is used again, not only the last. */
static void run_ten(struct harness *harness, const struct object_bytes objects[10], int first)
{
    struct harness_call calls[10];
    jitd_request requests[10];
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "run_%d", i);
        requests[i] = harness_run_begin(harness, name, &objects[i], name, first + i, &calls[i]);
    }
    for (int i = 0; i < 10; i++) {
        harness_wait(harness, requests[i]);
        cr_expect(calls[i].returned && calls[i].value == first + i + 3, "run %d: %s", first + i, calls[i].text);
    }
}

Test(run, of_distinct_names_can_be_sent_without_waiting)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct object_bytes objects[10];
    for (int i = 0; i < 10; i++) {
        char flags[64];
        snprintf(flags, sizeof flags, "%s -DNAME=run_%d", HARNESS_FLAGS, i);
        objects[i] = compile_c("static volatile long data = 3; long NAME(long x) { return x + data; }", flags);
    }
    for (int first = 0; first < 100; first += 10)
        run_ten(harness, objects, first);
    holdings_expect_same(harness, &before);
    for (int i = 0; i < 10; i++)
        object_free(&objects[i]);
    harness_close(harness);
}

Test(run, is_refused_where_a_thousand_wait_already)
{
    enum { MOST = 1024 };
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct harness_call *calls = calloc(MOST + 1, sizeof *calls);
    struct unit_pattern pattern = unit_pattern_function(1);
    jitd_request last = 0;
    harness_add_c(harness, "waits.o",
                  "unsigned never(unsigned); unsigned unit_900000(unsigned x) { return never(x); }");
    harness_accept(harness, 0);
    for (unsigned i = 0; i <= MOST; i++) {
        char name[UNIT_NAME_BYTES];
        struct object_bytes object = unit_pattern_make(&pattern, (const unsigned[]){i, 900000});
        last = harness_run_begin(harness, "run.o", &object, unit_name(i, name), 1, &calls[i]);
        object_free(&object);
    }
    harness_wait(harness, last);
    cr_expect_eq(calls[MOST].code, JITD_ERROR_LIMIT, "%s", calls[MOST].text);
    cr_expect(!calls[MOST - 1].completed, "%s", calls[MOST - 1].text);
    cr_expect_eq(harness_try_removing(harness, "waits.o", true).count, 1);
    for (unsigned i = 0; i < MOST; i++)
        cr_expect(calls[i].code == JITD_ERROR_DEPENDENCY_FAILED, "run %u: %s", i, calls[i].text);
    holdings_expect_same(harness, &before);
    unit_pattern_free(&pattern);
    free(calls);
    harness_close(harness);
}

static void on_run(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                   const struct jitd_errors *errors, void *data)
{
    cr_assert(result, "%s", errors ? errors->list[0].text : "the runner ended");
    *(int64_t *)data = result->integer;
}

Test(run, of_a_unit_with_a_manifest_calls_it_by_its_global_name)
{
    static const struct jitd_manifest_definition definition = {.local = "f", .global = "run:7"};
    static const struct jitd_manifest_use use = {.local = "g", .global = "base"};
    static const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = 1};
    const struct jitd_value argument = {.type = JITD_INT64, .integer = 4};
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c("long g(long); long f(long x) { return g(x) + 1; }", HARNESS_FLAGS);
    const struct jitd_unit_input unit = {
        .name = "run.o", .object = object.bytes, .bytes = object.length, .manifest = &manifest};
    jitd_request request;
    int64_t value = 0;
    harness_link_c(harness, "base.o", "long base(long x) { return x * 10; }");
    cr_assert_eq(jitd_run(harness->session, &unit, "run:7", JITD_INT64, &argument, 1, on_run, &value, &request), 0);
    harness_wait(harness, request);
    cr_expect_eq(value, 41);
    object_free(&object);
    harness_close(harness);
}

/* ---- runs whose units others have come to use ---- */

static const char run_source[] =
    "long busy(long); long value(void) { return 7; } long run(long x) { return busy(x) + 1; }";

struct used_run {
    struct harness *harness;
    struct holdings before; /* with what it uses, without its own unit */
    struct harness_call call;
    jitd_request request;
};

/* The call of run.o is under way. */
static void used_run_open(struct used_run *run)
{
    struct object_bytes object = compile_c(run_source, HARNESS_FLAGS);
    run->harness = harness_open_with_output(NULL);
    gate_link(run->harness);
    gate_link_busy(run->harness);
    run->before = holdings_of(run->harness);
    run->request = harness_run_begin(run->harness, "run.o", &object, "run", 0, &run->call);
    harness_await_output(run->harness, "inside");
    object_free(&object);
}

static void used_run_return(struct used_run *run)
{
    gate_open(run->harness);
    harness_wait(run->harness, run->request);
    cr_expect(run->call.returned && run->call.value == 43, "%s", run->call.text);
    harness_remove_unit(run->harness, "opener.o");
}

/* Nothing is left, and the names may be defined again at once. */
static void used_run_close(struct used_run *run)
{
    holdings_expect_same(run->harness, &run->before);
    harness_link_c(run->harness, "value.o", "long value(void) { return 8; }");
    harness_close(run->harness);
}

static const char user_source[] = "long value(void); long user(long x) { return value() + x; }";

Test(run, whose_unit_is_used_by_others_stays_until_the_last_of_them_goes)
{
    struct used_run run;
    used_run_open(&run);
    harness_link_c(run.harness, "user.o", user_source);
    harness_link_c(run.harness, "second.o", "long value(void); long second(long x) { return value() - x; }");
    used_run_return(&run);
    cr_expect_eq(harness_value(run.harness, "user", 1), 8);
    harness_remove_unit(run.harness, "user.o");
    cr_expect_eq(harness_value(run.harness, "second", 1), 6);
    harness_remove_unit(run.harness, "second.o");
    used_run_close(&run);
}

Test(run, whose_unit_stays_goes_in_the_place_of_the_removal_in_the_stream)
{
    struct used_run run;
    struct harness_removal removal = {0};
    used_run_open(&run);
    harness_link_c(run.harness, "user.o", user_source);
    used_run_return(&run);
    uint64_t unit = harness_unit(run.harness, "user.o")->id;
    jitd_request request =
        harness_remove_begin(run.harness, &(struct jitd_removal){.units = &unit, .unit_count = 1}, &removal);
    harness_link_c(run.harness, "value.o", "long value(void) { return 8; }");
    harness_wait(run.harness, request);
    cr_expect_eq(removal.count, 1, "the run's own unit does not count");
    harness_remove_unit(run.harness, "value.o");
    used_run_close(&run);
}

Test(run, whose_unit_stays_lets_go_of_what_it_uses_with_its_last_user)
{
    struct used_run run;
    used_run_open(&run);
    harness_link_c(run.harness, "user.o", user_source);
    used_run_return(&run);
    cr_expect_eq(harness_try_removing(run.harness, "busy.o", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_value(run.harness, "user", 1), 8, "a removal that was refused took it along");
    const uint64_t units[] = {harness_unit(run.harness, "busy.o")->id, harness_unit(run.harness, "user.o")->id};
    struct harness_removal removal =
        harness_remove(run.harness, &(struct jitd_removal){.units = units, .unit_count = 2});
    cr_expect(removal.error.code == 0 && removal.count == 2, "%s", removal.error.text);
    harness_close(run.harness);
}

Test(run, whose_unit_stays_goes_when_its_last_user_fails)
{
    struct used_run run;
    used_run_open(&run);
    harness_link_c(run.harness, "crash.o", "long crash(long x) { return *(volatile long *)8; }");
    harness_link_c(run.harness, "user.o",
                   "#include <stdlib.h>\n#include <unistd.h>\nlong value(void);\n"
                   "__attribute__((constructor)) static void begin(void)\n"
                   "{ if (lseek(1, 0, SEEK_CUR) > 7) abort(); else write(1, \"x\", 1); }\n"
                   "long user(long x) { return value() + x; }");
    used_run_return(&run);
    cr_expect(harness_call(run.harness, "crash", 0).ended);
    cr_expect(harness_call(run.harness, "crash", 0).ended, "the life that follows two that fail");
    harness_dispatch_until(run.harness, &run.harness->runner_ends, 4);
    cr_expect_eq(harness_unit(run.harness, "user.o")->state, JITD_UNIT_FAILED);
    cr_expect_eq(harness_address(run.harness, "value"), 0);
    harness_remove_unit(run.harness, "crash.o");
    harness_remove_unit(run.harness, "user.o");
    used_run_close(&run);
}

/* Of a circle with a unit that nobody can name. */
Test(run, whose_unit_and_another_use_each_other_goes_with_that_one)
{
    struct harness *harness = harness_open(NULL);
    struct holdings before = holdings_of(harness);
    struct object_bytes object = compile_c(
        "long other(void); long once(void) { return 5; } long run(long x) { return other() + x; }", HARNESS_FLAGS);
    struct harness_call call;
    harness_add_c(harness, "other.o", "long once(void); long other(void) { return once(); }");
    harness_accept(harness, 0);
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, "run", 1, &call));
    cr_expect(call.returned && call.value == 6, "%s", call.text);
    cr_expect_neq(harness_address(harness, "once"), 0);
    harness_remove_unit(harness, "other.o");
    holdings_expect_same(harness, &before);
    object_free(&object);
    harness_close(harness);
}
