/*
 * Initialisers and finalisers: their order, their failures, and that every life of the runner begins with them.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"

TestSuite(initialisers, .timeout = 60);

/* Each digit of `seen` is an initialiser; a life in which one ran twice would show more digits. */
static const char ordered_source[] = "long seen;\n"
                                     "static void note(long digit) { seen = seen * 10 + digit; }\n"
                                     "__attribute__((constructor)) static void plain(void) { note(3); }\n"
                                     "__attribute__((constructor(102))) static void second(void) { note(2); }\n"
                                     "__attribute__((constructor(101))) static void first(void) { note(1); }\n"
                                     "__attribute__((constructor)) static void plain_too(void) { note(4); }\n"
                                     "long seen_so_far(long x) { return seen; }\n"
                                     "long crash(long x) { return *(volatile long *)8; }\n";

Test(initialisers, run_once_by_priority_and_again_in_each_life)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "ordered.o", ordered_source);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 1234);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 1234);
    harness_close(harness);
}

static const char late_source[] = "long seen;\n"
                                  "__attribute__((constructor(101))) static void a(void) { seen = seen * 10 + 1; }\n"
                                  "__attribute__((constructor(103))) static void c(void) { seen = seen * 10 + 3; }\n"
                                  "long seen_so_far(long x) { return seen + needed(); }\n"
                                  "long crash(long x) { return *(volatile long *)8; }\n";
static const char early_source[] = "extern long seen; long needed(void) { return 0; }\n"
                                   "__attribute__((constructor(102))) static void b(void) { seen = seen * 10 + 2; }\n";

Test(initialisers, of_one_component_are_ordered_by_priority_across_its_units)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "late.o", late_source);
    harness_add_c(harness, "early.o", early_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123, "the second life has another order than the first");
    harness_close(harness);
}

/* A unit that notes NUMBER in the log, with a PRIORITY where one is given, and needs another one. */
static void add_noting(struct harness *harness, const char *name, const char *flags)
{
    struct object_bytes object = compile_c("#ifndef PRIORITY\n#define PRIORITY\n#endif\n"
                                           "extern long seen; extern void *other;\n"
                                           "void *ITSELF = &other;\n"
                                           "__attribute__((constructor PRIORITY)) static void note(void)\n"
                                           "{ seen = seen * 10 + NUMBER; }\n",
                                           flags);
    harness_add(harness, name, &object);
    object_free(&object);
}

static const char log_source[] = "long seen; long seen_so_far(long x) { return seen; }\n"
                                 "long crash(long x) { return *(volatile long *)8; }\n";

Test(initialisers, of_one_component_and_priority_run_in_the_order_of_submission)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "log.o", log_source);
    add_noting(harness, "one.o", "-O1 -fPIC -DITSELF=one -Dother=two -DNUMBER=1");
    add_noting(harness, "two.o", "-O1 -fPIC -DITSELF=two -Dother=three -DNUMBER=2");
    add_noting(harness, "three.o", "-O1 -fPIC -DITSELF=three -Dother=one -DNUMBER=3");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    harness_close(harness);
}

Test(initialisers, of_one_batch_run_by_priority_whoever_needs_whom)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "log.o", log_source);
    add_noting(harness, "one.o", "-O1 -fPIC -DITSELF=one -Dother=one '-DPRIORITY=(103)' -DNUMBER=3");
    add_noting(harness, "two.o", "-O1 -fPIC -DITSELF=two -Dother=two '-DPRIORITY=(101)' -DNUMBER=1");
    add_noting(harness, "three.o", "-O1 -fPIC -DITSELF=three -Dother=one '-DPRIORITY=(102)' -DNUMBER=2");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    harness_close(harness);
}

Test(initialisers, of_what_a_unit_uses_run_before_its_own_in_each_life)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "user.o",
                  "extern long table(void); long found = -1;\n"
                  "__attribute__((constructor)) static void look(void) { found = table(); }\n"
                  "long what_was_found(long x) { return found; }\n"
                  "long crash(long x) { return *(volatile long *)8; }\n");
    harness_accept(harness, 0);
    harness_link_c(harness, "table.o",
                   "static long value; long table(void) { return value; }\n"
                   "__attribute__((constructor)) static void fill(void) { value = 42; }\n");
    cr_assert_eq(harness_unit(harness, "user.o")->state, JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "what_was_found", 0), 42);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "what_was_found", 0), 42, "units are initialised in the order of submission");
    harness_close(harness);
}

Test(initialisers, see_arguments_and_environment)
{
    const struct jitd_options options = {.arguments = (const char *const[]){"program", "one", NULL},
                                         .environment = (const char *const[]){"COLOUR=blue", NULL}};
    struct harness *harness = harness_open(&options);
    harness_link_c(
        harness, "arguments.o",
        "#include <stdlib.h>\n#include <string.h>\nlong right;\n"
        "__attribute__((constructor)) static void look(int argc, char **argv, char **envp) {\n"
        "    right = argc == 2 && !strcmp(argv[1], \"one\") && !argv[2] && !strcmp(envp[0], \"COLOUR=blue\")\n"
        "        && !strcmp(getenv(\"COLOUR\"), \"blue\"); }\n"
        "long was_right(long x) { return right; }\n");
    cr_expect_eq(harness_value(harness, "was_right", 0), 1);
    harness_close(harness);
}

/* ---- failures ---- */

static const char good_source[] = "long good(long x) { return x + 1; }\n";

/* The dependents come first: units that need what has failed already would wait for another definition. */
static void expect_failure(const char *name, const char *source, const char *words)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "good.o", good_source);
    harness_add_c(harness, "user.o", "extern long failing(long); long user(long x) { return failing(x); }\n");
    harness_add_c(harness, "user_of_user.o", "extern long user(long); long outer(long x) { return user(x); }\n");
    harness_accept(harness, 0);
    harness_add_c(harness, name, source);
    harness_link_batch(harness, 0);

    const struct harness_unit *unit = harness_unit(harness, name);
    cr_expect_eq(unit->state, JITD_UNIT_FAILED);
    cr_expect_eq(unit->error.code, JITD_ERROR_INITIALISER_FAILED);
    cr_expect(strstr(unit->error.text, name) && strstr(unit->error.text, words), "%s", unit->error.text);
    const struct harness_unit *outer = harness_unit(harness, "user_of_user.o");
    cr_expect_eq(harness_unit(harness, "user.o")->state, JITD_UNIT_FAILED);
    cr_expect_eq(outer->state, JITD_UNIT_FAILED);
    cr_expect_eq(outer->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect(strstr(outer->error.text, words), "the cause is not named: %s", outer->error.text);
    cr_expect_eq(harness->runner_ends, 2, "it is given a second chance and no third");
    cr_expect_str_eq(harness->last_end.initialiser_of, name);

    cr_expect_eq(harness_value(harness, "good", 1), 2, "the session lives on");
    cr_expect_eq(harness_call(harness, "failing", 1).code, JITD_ERROR_NOT_FOUND);
    harness_link_c(harness, "another.o", "extern long good(long); long another(long x) { return good(x); }\n");
    cr_expect_eq(harness_value(harness, "another", 1), 2);
    harness_close(harness);
}

Test(initialisers, that_crash_twice_fail_their_unit_and_its_dependents)
{
    expect_failure("crashing.o",
                   "long failing(long x) { return x; }\n"
                   "__attribute__((constructor)) static void f(void) { *(volatile long *)8 = 1; }\n",
                   "signal 11");
}

Test(initialisers, that_exit_twice_fail_their_unit_and_its_dependents)
{
    expect_failure("leaving.o",
                   "#include <stdlib.h>\nlong failing(long x) { return x; }\n"
                   "__attribute__((constructor)) static void f(void) { exit(3); }\n",
                   "status 3");
}

Test(initialisers, of_an_unready_unit_that_fails_leave_its_names_free)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "first.o",
                  "long value(long x) { return 1; }\n"
                  "__attribute__((constructor)) static void f(void) { __builtin_trap(); }\n");
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_unit(harness, "first.o")->state, JITD_UNIT_FAILED);
    harness_link_c(harness, "second.o", "long value(long x) { return 2; }\n");
    cr_expect_eq(harness_value(harness, "value", 0), 2);
    harness_close(harness);
}

Test(initialisers, run_while_a_call_is_under_way)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    harness_link_c(
        harness, "waiting.o",
        "#include <unistd.h>\nvolatile long flag;\n"
        "long wait_for_flag(long x) { write(1, \"waiting\", 7); while (!flag) usleep(1000); return flag; }\n");
    jitd_request request = harness_call_begin(harness, "wait_for_flag", 0, &call);
    harness_await_output(harness, "waiting");
    harness_link_c(harness, "raising.o",
                   "extern volatile long flag;\n"
                   "__attribute__((constructor)) static void f(void) { flag = 5; }\n");
    harness_wait(harness, request);
    cr_expect(call.returned);
    cr_expect_eq(call.value, 5);
    harness_close(harness);
}

/* ---- the end of a program ---- */

static const char program_source[] =
    "#include <stdio.h>\n#include <stdlib.h>\n"
    "static void one(void) { puts(\"atexit 1\"); }\n"
    "static void two(void) { puts(\"atexit 2\"); }\n"
    "__attribute__((constructor)) static void begin(void) { puts(\"constructor\"); }\n"
    "__attribute__((destructor)) static void end(void) { puts(\"destructor\"); }\n"
    "__attribute__((destructor(101))) static void end_101(void) { puts(\"destructor 101\"); }\n"
    "__attribute__((destructor(102))) static void end_102(void) { puts(\"destructor 102\"); }\n"
    "int main(void) { atexit(one); atexit(two); puts(\"main\"); return 6; }\n";

/* libc_nonshared.a's, which ld adds without being asked. */
static const char atexit_source[] = "extern int __cxa_atexit(void (*)(void *), void *, void *);\n"
                                    "int atexit(void (*f)(void)) { return __cxa_atexit((void (*)(void *))f, 0, 0); }\n";

Test(initialisers, finalisers_and_exit_handlers_run_at_the_end_of_main_as_in_a_program)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_c(harness, "program.o", program_source);
    harness_add_c(harness, "atexit.o", atexit_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    struct harness_call call = harness_main(harness);
    cr_assert(call.ended, "%s", call.text);
    cr_expect(call.end.exited);
    cr_expect_eq(call.end.exit_status, 6);
    char *output = harness_output(harness);
    cr_expect_str_eq(output, "constructor\nmain\natexit 2\natexit 1\ndestructor\ndestructor 102\ndestructor 101\n");
    free(output);
    harness_close(harness);
}
