/*
 * What the linker has the runner do when that does not come back: deadlines, and whose fault the end of a life is.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

TestSuite(lives, .timeout = 60);

#define SHORT 60 /* ms */

static const char good_source[] = "long good(long x) { return x + 1; }\n";

#define NEVER_RETURNS "{ write(1, \"inside\\n\", 7); for (;;) pause(); }\n"

static const char stuck_source[] =
    "#include <unistd.h>\n"
    "__attribute__((constructor)) static void stay(void) " NEVER_RETURNS "long stuck(long x) { return x; }\n";

/* One unit in a batch with a short deadline. */
static void submit_short(struct harness *harness, const char *name, const char *source)
{
    harness->deadline_ms = SHORT;
    harness_add_c(harness, name, source);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness->deadline_ms = 0;
}

static void expect_late(struct harness *harness, const char *name, const char *words)
{
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_expect_eq(unit->state, JITD_UNIT_FAILED);
    cr_expect_eq(unit->error.code, JITD_ERROR_TIMEOUT, "%s", unit->error.text);
    cr_expect_str_eq(unit->error.unit, name);
    cr_expect(strstr(unit->error.text, words), "'%s' in: %s", words, unit->error.text);
}

Test(lives, end_where_an_initialiser_does_not_return_by_its_deadline_and_the_next_is_without_it)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "good.o", good_source);
    harness_add_c(harness, "user.o", "long stuck(long); long user(long x) { return stuck(x); }\n");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    submit_short(harness, "stuck.o", stuck_source);
    harness_settle(harness);
    expect_late(harness, "stuck.o", "stuck.o: was not initialised within 60 ms: its initialiser had not returned");
    const struct harness_unit *user = harness_unit(harness, "user.o");
    cr_expect_eq(user->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect_str_eq(user->error.causes[user->error.cause_count - 1], "stuck.o:");
    cr_expect_eq(harness->runner_ends, 1);
    cr_expect_eq(harness->last_end.signal, SIGKILL);
    cr_expect_str_eq(harness->last_end.initialiser_of, "stuck.o");
    cr_expect_eq(harness->last_end.deadline_ms, SHORT);
    cr_expect_eq(harness_value(harness, "good", 1), 2);
    harness_link_c(harness, "stuck.o", "long stuck(long x) { return 2 * x; }");
    cr_expect_eq(harness_value(harness, "stuck", 4), 8, "the name is free");
    cr_expect_eq(harness->runner_ends, 1, "no further life was needed");
    harness_close(harness);
}

Test(lives, end_where_an_action_does_not_return_by_its_deadline)
{
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "stay"}), ACTIONS({.publish = "stay"})};
    struct harness *harness = harness_open_with_output(NULL);
    harness->deadline_ms = SHORT;
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "acting.o", .manifest = &manifest},
                     "#include <unistd.h>\nint stay(const void *argument, unsigned long bytes) " NEVER_RETURNS);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_settle(harness);
    expect_late(harness, "acting.o", "one of its actions had not returned");
    cr_expect_str_eq(harness->last_end.action_of, "acting.o");
    cr_expect_eq(harness->last_end.deadline_ms, SHORT);
    harness_close(harness);
}

/* The unit whose initialiser runs has no deadline; that of the other one fails both. */
Test(lives, end_for_a_component_of_which_one_unit_has_a_deadline)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_c(harness, "stuck.o",
                  "#include <unistd.h>\nextern long other; long *stuck_needs = &other; long stuck_data;\n"
                  "__attribute__((constructor)) static void stay(void) " NEVER_RETURNS);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    submit_short(harness, "other.o", "extern long stuck_data; long other; long *other_needs = &stuck_data;\n");
    harness_settle(harness);
    expect_late(harness, "stuck.o", "its initialiser had not returned");
    const struct harness_unit *other = harness_unit(harness, "other.o");
    cr_expect_eq(other->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect_str_eq(other->error.causes[other->error.cause_count - 1], "stuck.o:");
    harness_close(harness);
}

Test(lives, go_on_where_what_is_late_has_not_begun)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_c(harness, "slow.o",
                  "#include <signal.h>\n#include <unistd.h>\nstatic volatile sig_atomic_t told;\n"
                  "static void tell(int number) { told = 1; }\n"
                  "__attribute__((constructor)) static void wait_for_signal(void) {\n"
                  "    signal(SIGUSR1, tell); write(1, \"inside\\n\", 7); while (!told) usleep(1000); }\n"
                  "long slow(long x) { return x + told; }\n");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_await_output(harness, "inside");
    submit_short(harness, "late.o",
                 "long ran; __attribute__((constructor)) static void run(void) { ran = 1; } long late(long x) "
                 "{ return ran; }\n");
    harness_dispatch_until(harness, &harness->told, 1);
    expect_late(harness, "late.o", "60 ms: the initialiser of slow.o had not returned");
    cr_expect_eq(harness->runner_ends, 0);
    kill(harness_process(harness, HARNESS_RUNNER), SIGUSR1);
    harness_settle(harness);
    cr_expect_eq(harness_value(harness, "slow", 1), 2);
    harness_link_c(harness, "late.o", "long late(long x) { return x; }");
    cr_expect_eq(harness_value(harness, "late", 7), 7);
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

/* With a call behind the initialiser the agent does what comes after it. */
Test(lives, go_on_where_another_thread_can_take_what_was_kept_behind_an_initialiser)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    harness_link_c(harness, "good.o", good_source);
    harness_add_c(harness, "stuck.o", stuck_source);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_await_output(harness, "inside");
    int told = harness->told;
    harness->deadline_ms = HARNESS_PATIENCE;
    harness_add_c(harness, "kept.o", "long ran; __attribute__((constructor)) static void run(void) { ran = 1; }");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_call_begin(harness, "good", 1, &call);
    harness_dispatch_until(harness, &harness->told, told + 1);
    cr_expect_eq(harness_unit(harness, "kept.o")->state, JITD_UNIT_READY);
    cr_expect_not(call.completed);
    harness_close(harness);
}

Test(lives, that_end_before_a_call_has_begun_leave_it_to_the_next)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    harness_link_c(harness, "good.o", good_source);
    submit_short(harness, "stuck.o", stuck_source);
    jitd_request request = harness_call_begin(harness, "good", 1, &call);
    harness_wait(harness, request);
    cr_expect(call.returned && call.value == 2, "%s, signal %d", call.text, call.end.signal);
    harness_settle(harness);
    cr_expect_eq(harness->runner_ends, 1);
    harness_close(harness);
}

Test(lives, that_end_for_a_deadline_tell_the_call_under_way_why)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    harness_link_c(harness, "endless.o", "#include <unistd.h>\nlong endless(long x) " NEVER_RETURNS);
    jitd_request request = harness_call_begin(harness, "endless", 1, &call);
    harness_await_output(harness, "inside");
    submit_short(harness, "stuck.o", stuck_source);
    harness_wait(harness, request);
    cr_expect(call.ended && call.end.signal == SIGKILL && call.end.deadline_ms == SHORT);
    cr_expect_str_eq(call.end.initialiser_of, "stuck.o");
    harness_settle(harness);
    expect_late(harness, "stuck.o", "its initialiser");
    harness_close(harness);
}

/* ---- calls with a deadline ---- */

static const char calls_source[] =
    "#include <unistd.h>\n"
    "long endless(long x) " NEVER_RETURNS "long slow(long x) { write(1, \"slow\\n\", 5); usleep(300000); return x; }\n"
    "long good(long x) { return x + 1; }\n";

Test(lives, end_where_a_call_does_not_return_by_its_deadline)
{
    struct harness *harness = harness_open(NULL);
    struct harness_call late, next;
    harness_link_c(harness, "calls.o", calls_source);
    jitd_set_call_deadline(harness->session, SHORT);
    jitd_request first = harness_call_begin(harness, "endless", 1, &late);
    jitd_set_call_deadline(harness->session, 0);
    jitd_request second = harness_call_begin(harness, "good", 1, &next);
    harness_wait(harness, first);
    cr_expect(late.ended && late.end.signal == SIGKILL, "%s", late.text);
    cr_expect_eq(late.end.deadline_ms, SHORT);
    cr_expect_str_eq(late.end.initialiser_of, "");
    harness_wait(harness, second);
    cr_expect(next.returned && next.value == 2, "%s, signal %d", next.text, next.end.signal);
    cr_expect_eq(harness->runner_ends, 1);
    harness_close(harness);
}

Test(lives, go_on_where_a_call_returns_by_its_deadline)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "calls.o", calls_source);
    jitd_set_call_deadline(harness->session, SHORT);
    cr_expect_eq(harness_value(harness, "good", 1), 2);
    jitd_set_call_deadline(harness->session, 0);
    cr_expect_eq(harness_value(harness, "slow", 1), 1, "the deadline of the call before ended this one");
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

Test(lives, go_on_where_a_call_has_not_begun_by_its_deadline)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call slow, late, patient;
    harness_link_c(harness, "calls.o", calls_source);
    jitd_request first = harness_call_begin(harness, "slow", 1, &slow);
    harness_await_output(harness, "slow");
    jitd_set_call_deadline(harness->session, SHORT);
    jitd_request second = harness_call_begin(harness, "good", 1, &late);
    jitd_set_call_deadline(harness->session, HARNESS_PATIENCE);
    jitd_request third = harness_call_begin(harness, "good", 2, &patient);
    harness_wait(harness, second);
    cr_expect_eq(late.code, JITD_ERROR_TIMEOUT, "%s", late.text);
    cr_expect(!slow.completed);
    harness_wait(harness, first);
    harness_wait(harness, third);
    cr_expect(slow.returned && slow.value == 1 && patient.returned && patient.value == 3);
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

/* What the initialiser does is not the call's: it is not ended for it. */
Test(lives, go_on_where_a_call_waits_for_an_initialiser_longer_than_it_may)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call late;
    harness_link_c(harness, "calls.o", calls_source);
    harness_add_c(harness, "slow.o",
                  "#include <unistd.h>\n__attribute__((constructor)) static void begin(void)\n"
                  "{ write(1, \"begun\", 5); usleep(300000); }\n");
    harness_accept(harness, 0);
    harness_await_output(harness, "begun");
    jitd_set_call_deadline(harness->session, SHORT);
    harness_wait(harness, harness_call_begin(harness, "good", 1, &late));
    cr_expect_eq(late.code, JITD_ERROR_TIMEOUT, "%s", late.text);
    jitd_set_call_deadline(harness->session, HARNESS_PATIENCE);
    cr_expect_eq(harness_value(harness, "good", 1), 2);
    cr_expect_eq(harness_unit(harness, "slow.o")->state, JITD_UNIT_READY);
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

/* The agent initialises meanwhile, or units would keep the call waiting for as long as they come. */
Test(lives, go_on_where_a_call_with_a_deadline_waits_and_others_are_initialised)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    harness_link_c(harness, "good.o", good_source);
    harness_add_c(harness, "stuck.o", stuck_source);
    harness_accept(harness, 0);
    harness_await_output(harness, "inside");
    jitd_set_call_deadline(harness->session, HARNESS_PATIENCE);
    harness_call_begin(harness, "good", 1, &call);
    harness_add_c(
        harness, "other.o",
        "#include <unistd.h>\n__attribute__((constructor)) static void begin(void) { write(1, \"other\", 5); }\n");
    harness_accept(harness, 0);
    harness_await_output(harness, "other");
    cr_expect(!call.completed);
    harness_close(harness);
}

Test(lives, go_on_where_the_unit_of_a_run_waits_longer_than_it_may)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c("long user(long); long f(long x) { return user(x); }", HARNESS_FLAGS);
    struct harness_call call;
    harness_add_c(harness, "user.o", "long late(long); long user(long x) { return late(x); }");
    harness_accept(harness, 0);
    jitd_set_call_deadline(harness->session, SHORT);
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, "f", 1, &call));
    cr_expect_eq(call.code, JITD_ERROR_TIMEOUT, "%s", call.text);
    cr_expect(strstr(call.text, "'late'"), "%s", call.text);
    harness_link_c(harness, "late.o", "long late(long x) { return x + 1; }");
    jitd_set_call_deadline(harness->session, HARNESS_PATIENCE);
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, "f", 1, &call));
    cr_expect(call.returned && call.value == 2, "%s", call.text);
    object_free(&object);
    harness_close(harness);
}

Test(lives, end_where_a_run_does_not_return_by_its_deadline_and_nothing_of_it_is_left)
{
    struct harness *harness = harness_open(NULL);
    jitd_set_call_deadline(harness->session, SHORT);
    struct harness_call call = harness_run(harness, "long f(long x) { for (volatile long i = 0;; i++) ; }", "f", 1);
    cr_expect(call.ended && call.end.deadline_ms == SHORT, "%s", call.text);
    call = harness_run(harness, "long f(long x) { return x + 1; }", "f", 1);
    cr_expect(call.returned && call.value == 2, "%s", call.text);
    harness_close(harness);
}

/* ---- when the next one begins ---- */

static const char noting_source[] =
    "#include <unistd.h>\n"
    "__attribute__((constructor)) static void begin(void) { write(1, \"i\", 1); }\n"
    "__attribute__((destructor)) static void end(void) { write(1, \"d\", 1); }\n"
    "long noting(long x) { return x; }\nlong crash(long x) { return *(volatile long *)8; }\n";

/* What it says is that of the life that has ended: 'i'. */
static struct harness *open_with_ended_life(void)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "good.o", good_source);
    harness_link_c(harness, "noting.o", noting_source);
    cr_assert(harness_call(harness, "crash", 0).ended);
    harness_expect_output(harness, "i");
    return harness;
}

/* The runner answers a call of its own: what it was asked before that, it has done. */
static void expect_begun(struct harness *harness, const char *output)
{
    cr_expect_eq(harness_value(harness, "good", 1), 2);
    harness_expect_output(harness, output);
    harness_close(harness);
}

Test(lives, begin_with_a_call)
{
    struct harness *harness = open_with_ended_life();
    usleep(20000);
    harness_expect_output(harness, "i");
    expect_begun(harness, "ii");
}

Test(lives, begin_with_a_unit_that_needs_the_runner_and_with_no_other)
{
    struct harness *harness = open_with_ended_life();
    harness_link_c(harness, "plain.o", "long plain(long x) { return x; }\n");
    harness_address(harness, "plain");
    usleep(20000);
    harness_expect_output(harness, "i");
    harness_link_c(harness, "data.o", "long data = 3; long get(long x) { return data; }\n");
    harness_expect_output(harness, "ii");
    expect_begun(harness, "ii");
}

Test(lives, that_have_not_begun_finalise_nothing_and_know_nothing_of_what_was_removed)
{
    struct harness *harness = open_with_ended_life();
    harness_remove_unit(harness, "noting.o");
    usleep(20000);
    harness_expect_output(harness, "i");
    expect_begun(harness, "i");
}

Test(lives, that_follow_each_other_begin_once_for_each_call)
{
    struct harness *harness = open_with_ended_life();
    for (int i = 0; i < 3; i++)
        cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness->runner_ends, 4);
    usleep(20000);
    harness_expect_output(harness, "iiii");
    harness_close(harness);
}

/* ---- a session that is one program ---- */

static const struct jitd_options one_life = {.one_life = true};

Test(lives, are_one_where_the_session_is_one_program)
{
    struct harness *harness = harness_open_with_output(&one_life);
    struct harness_call pending;
    harness_link_c(harness, "noting.o", noting_source);
    harness_link_c(harness, "leaving.o", "#include <stdlib.h>\nlong leave(long x) { exit((int)x); }\n");
    harness_call_begin(harness, "leave", 3, &pending);
    struct harness_call after = harness_call(harness, "noting", 1);
    cr_expect(pending.ended && pending.end.exited && pending.end.exit_status == 3);
    cr_expect_eq(after.code, JITD_ERROR_RUNNER_ENDED, "%s", after.text);
    cr_expect_eq(harness_call(harness, "noting", 1).code, JITD_ERROR_RUNNER_ENDED);
    harness_add_c(harness, "data.o", "long data = 3; long *get(void) { return &data; }\n");
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_unit(harness, "data.o")->error.code, JITD_ERROR_RUNNER_ENDED);
    harness_link_c(harness, "plain.o", "long plain(long x) { return x; }\n");
    cr_expect_eq(harness->runner_ends, 1);
    harness_expect_output(harness, "id");
    harness_close(harness);
}

Test(lives, that_are_one_give_an_initialiser_no_second_chance)
{
    static const char *const ends[] = {"syscall(SYS_exit_group, 4)", "*(volatile long *)8 = 1", "raise(SIGKILL)"};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        struct harness *harness = harness_open_with_output(&one_life);
        char source[512];
        snprintf(source, sizeof source,
                 "#include <signal.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
                 "__attribute__((constructor)) static void begin(void) { write(1, \"i\", 1); %s; }\n",
                 ends[i]);
        harness_add_c(harness, "ending.o", source);
        harness_link_batch(harness, 0);
        cr_expect_eq(harness_unit(harness, "ending.o")->error.code, JITD_ERROR_RUNNER_ENDED);
        cr_expect_eq(harness->runner_ends, 1);
        usleep(20000);
        harness_expect_output(harness, "i");
        harness_close(harness);
    }
}

/* ---- whose fault ---- */

/* A thread that ends the program as soon as an initialiser, of another unit, is under way. */
static const char threads_source[] = "#include <pthread.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
                                     "volatile int inside; int started;\n"
                                     "static void *crash(void *argument)\n"
                                     "{ while (!inside) usleep(500); *(volatile long *)8 = 1; return 0; }\n"
                                     "static void *leave(void *argument)\n"
                                     "{ while (!inside) usleep(500); exit(3); }\n"
                                     "static void start(void *(*function)(void *))\n"
                                     "{ pthread_t thread; pthread_create(&thread, 0, function, 0); started = 1; }\n"
                                     "long crash_later(long x) { start(crash); return 0; }\n"
                                     "long leave_later(long x) { start(leave); return 0; }\n";

static const char waits_source[] = "#include <unistd.h>\nextern volatile int inside; extern int started;\n"
                                   "__attribute__((constructor)) static void stay(void)\n"
                                   "{ inside = 1; while (started) usleep(500); }\n"
                                   "long waited(long x) { return x + 1; }\n";

Test(lives, that_another_thread_ends_are_no_initialiser_s_fault)
{
    static const char *const ways[] = {"crash_later", "leave_later"};
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        struct harness *harness = harness_open(NULL);
        harness_link_c(harness, "threads.o", threads_source);
        cr_assert_eq(harness_value(harness, ways[i], 0), 0);
        harness_link_c(harness, "waits.o", waits_source);
        cr_expect_eq(harness->runner_ends, 1);
        cr_expect_str_eq(harness->last_end.initialiser_of, "", "%s", ways[i]);
        cr_expect_eq(harness_value(harness, "waited", 1), 2);
        harness_close(harness);
    }
}

Test(lives, that_a_thread_ends_in_each_of_them_give_an_innocent_unit_up_in_the_end)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "threads.o", threads_source);
    harness_link_c(harness, "starter.o",
                   "long crash_later(long);\n"
                   "__attribute__((constructor)) static void begin(void) { crash_later(0); }\n");
    harness_add_c(harness, "waits.o", waits_source);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_settle(harness);
    const struct harness_unit *unit = harness_unit(harness, "waits.o");
    cr_expect_eq(unit->error.code, JITD_ERROR_INITIALISER_FAILED, "%s", unit->error.text);
    cr_expect(strstr(unit->error.text, "other threads have ended the program 8 times in a row"), "%s",
              unit->error.text);
    cr_expect_str_eq(harness->last_end.initialiser_of, "");
    cr_expect_eq(harness->runner_ends, 8);
    cr_expect_eq(harness_unit(harness, "starter.o")->state, JITD_UNIT_READY);
    harness_close(harness);
}

/* The crash is the call's, and the other thread's initialiser not even suspected. */
Test(lives, that_a_call_ends_are_no_initialiser_s_fault)
{
    struct harness *harness = harness_open(NULL);
    struct harness_call call;
    harness_link_c(
        harness, "crashing.o",
        "#include <unistd.h>\nvolatile int inside; int started;\n"
        "long crash_inside(long x) { started = 1; while (!inside) usleep(500); return *(volatile long *)8; }");
    jitd_request request = harness_call_begin(harness, "crash_inside", 0, &call);
    harness_dispatch_for(harness, 20);
    harness_link_c(harness, "waits.o", waits_source);
    harness_wait(harness, request);
    cr_expect(call.ended && call.end.signal == SIGSEGV);
    cr_expect_str_eq(call.end.initialiser_of, "");
    cr_expect_eq(harness_value(harness, "waited", 1), 2);
    harness_close(harness);
}
