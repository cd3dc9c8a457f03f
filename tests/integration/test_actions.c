/*
 * Actions: their order beside data, initialisers and finalisers, what they are handed, and what is left when one fails.
 *
 * The program says what it does in single letters: actions their argument, which is lower case when a unit is published
 * and upper case when that is undone, initialisers digits, finalisers the same digits.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "tests/integration/harness.h"
#include "tests/integration/holdings.h"
#include "tests/integration/manifest.h"

TestSuite(actions, .timeout = 60);

#define PUBLISH(name, letter) .publish = (name), .publish_argument = (letter), .publish_bytes = 1
#define REMOVE(name, letter)  .remove = (name), .remove_argument = (letter), .remove_bytes = 1
#define NOTE(letter, capital)                                                                                          \
    {                                                                                                                  \
        PUBLISH("note", letter), REMOVE("note", capital)                                                               \
    }
#define REFUSE(letter, capital)                                                                                        \
    {                                                                                                                  \
        PUBLISH("refuse", letter), REMOVE("note", capital)                                                             \
    }

static const char runtime_source[] =
    "#include <unistd.h>\n#include <stdlib.h>\n"
    "int note(const void *argument, size_t bytes) { return write(1, argument, bytes) != (ssize_t)bytes; }\n"
    "int refuse(const void *argument, size_t bytes) { note(argument, bytes); return -7; }\n"
    "int crash_action(const void *argument, size_t bytes) { note(argument, bytes); return *(volatile int *)8; }\n"
    "long table[4];\n"
    "long crash(long x) { return *(volatile long *)8; }\n"
    "long leave(long x) { exit((int)x); }\n"
    "long stay(long x) { return x; }\n";

static struct harness *open_with_runtime(void)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "runtime.o", runtime_source);
    return harness;
}

/* A unit that notes `digit` when it is initialised and finalised, with a name of its own for others; its manifest is
   borrowed until the batch is submitted. */
static void add_noting(struct harness *harness, const char *name, char digit, const struct jitd_manifest *manifest)
{
    char source[512];
    snprintf(source, sizeof source,
             "#include <unistd.h>\n"
             "__attribute__((constructor)) static void begin(void) { write(1, \"%c\", 1); }\n"
             "__attribute__((destructor)) static void end(void) { write(1, \"%c\", 1); }\n"
             "long name_%c(long x) { return x; }\n",
             digit, digit, digit);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name, .manifest = manifest}, source);
}

static const struct harness_error *expect_failed(const struct harness *harness, const char *name, int code)
{
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_expect_eq(unit->state, JITD_UNIT_FAILED, "%s is in state %d", name, (int)unit->state);
    cr_expect_eq(unit->error.code, code, "%s: %s", name, unit->error.text);
    return &unit->error;
}

static void remove_units(struct harness *harness, const char *first, const char *second)
{
    const uint64_t units[] = {harness_unit(harness, first)->id, harness_unit(harness, second)->id};
    struct harness_removal removal = harness_remove(harness, &(struct jitd_removal){.units = units, .unit_count = 2});
    cr_expect(removal.error.code == 0 && removal.count == 2, "%s", removal.error.text);
}

/* ---- order ---- */

Test(actions, of_a_component_are_made_in_the_order_of_its_units_before_any_initialiser)
{
    const struct jitd_manifest first = {ACTIONS(NOTE("a", "A"), NOTE("b", "B"))};
    const struct jitd_manifest second = {ACTIONS(NOTE("c", "C"))};
    const struct jitd_manifest third = {ACTIONS({PUBLISH("note", "d")}, {REMOVE("note", "E")})};
    struct harness *harness = open_with_runtime();
    add_noting(harness, "first.o", '1', &first);
    harness_add_named(harness, "second", NULL, &second);
    add_noting(harness, "third.o", '3', &third);
    harness_link_batch(harness, JITD_BATCH_ATOMIC);
    harness_expect_output(harness, "abcd13");
    remove_units(harness, "first.o", "third.o");
    harness_expect_output(harness, "abcd1331EBA");
    harness_remove_unit(harness, "second");
    harness_expect_output(harness, "abcd1331EBAC");
    harness_close(harness);
}

Test(actions, of_units_that_need_each_other_are_made_in_the_order_of_submission)
{
    static const char *const names[] = {"one", "two", "three", "four"}, *const letters[] = {"a", "b", "c", "d"};
    static const size_t needs[] = {2, 3, 1, 0};
    struct harness *harness = open_with_runtime();
    for (size_t i = 0; i < 4; i++) {
        const struct jitd_manifest manifest = {ABSOLUTES({.name = names[i]}), USES({.global = names[needs[i]]}),
                                               ACTIONS({PUBLISH("note", letters[i])})};
        harness_submit_named(harness, names[i], NULL, &manifest);
    }
    harness_settle(harness);
    harness_expect_output(harness, "abcd");
    harness_close(harness);
}

Test(actions, of_what_a_unit_needs_come_first_and_are_undone_last)
{
    const struct jitd_manifest base = {DEFINITIONS({.local = "name_1"}), ACTIONS(NOTE("a", "A"))};
    const struct jitd_manifest user = {USES({.global = "name_1"}), ACTIONS(NOTE("b", "B"))};
    struct harness *harness = open_with_runtime();
    add_noting(harness, "user.o", '2', &user);
    add_noting(harness, "base.o", '1', &base);
    harness_link_batch(harness, 0);
    harness_expect_output(harness, "a1b2");
    cr_expect_eq(harness_try_removing(harness, "base.o", true).count, 2);
    harness_expect_output(harness, "a1b221BA");
    harness_close(harness);
}

Test(actions, are_undone_after_the_finalisers_at_the_end_of_a_program)
{
    const struct jitd_manifest first = {ACTIONS(NOTE("a", "A"), NOTE("b", "B"))};
    const struct jitd_manifest second = {ACTIONS(NOTE("c", "C"))};
    struct harness *harness = open_with_runtime();
    add_noting(harness, "first.o", '1', &first);
    harness_link_batch(harness, 0);
    add_noting(harness, "second.o", '2', &second);
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_call(harness, "leave", 5).end.exit_status, 5);
    harness_value(harness, "stay", 0);
    harness_expect_output(harness, "ab1c221CBAab1c2");
    harness_close(harness);
}

Test(actions, of_a_unit_that_is_run_once_are_made_and_undone_around_the_call)
{
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "once"}), ACTIONS(NOTE("a", "A"))};
    struct harness *harness = open_with_runtime();
    struct object_bytes object =
        compile_c("#include <unistd.h>\nlong once(void) { write(1, \"-\", 1); return 42; }", HARNESS_FLAGS);
    const struct jitd_unit_input unit = {
        .name = "once.o", .object = object.bytes, .bytes = object.length, .manifest = &manifest};
    jitd_request request;
    cr_assert_eq(jitd_run(harness->session, &unit, "once", JITD_INT64, NULL, 0, NULL, NULL, &request), 0);
    harness_wait(harness, request);
    harness_await_output(harness, "a-A");
    object_free(&object);
    harness_close(harness);
}

/* ---- what they are handed ---- */

Test(actions, get_their_arguments_byte_by_byte_at_multiples_of_sixteen)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4096, LIMIT_ACTION_BYTES};
    static unsigned char bytes[LIMIT_ACTION_BYTES];
    struct jitd_manifest_action actions[sizeof sizes / sizeof sizes[0]] = {{0}};
    const struct jitd_manifest manifest = {.actions = actions, .action_count = sizeof sizes / sizeof sizes[0]};
    struct harness *harness = harness_open(NULL);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t i = 0; i < manifest.action_count; i++)
        actions[i] = (struct jitd_manifest_action){.publish = "check",
                                                   .publish_argument = bytes,
                                                   .publish_bytes = sizes[i],
                                                   .remove = "check",
                                                   .remove_argument = bytes + sizeof bytes - sizes[i],
                                                   .remove_bytes = sizes[i]};
    harness_link_c(harness, "check.o",
                   "#include <stddef.h>\nlong sizes; long checked(long x) { return sizes; }\n"
                   "int check(const unsigned char *argument, size_t bytes) {\n"
                   "    static size_t begin; static long calls;\n"
                   "    begin = calls++ < 7 ? 0 : (1 << 20) - bytes;\n"
                   "    if (bytes == 0) return argument != 0;\n"
                   "    for (size_t i = 0; i < bytes; i++)\n"
                   "        if (argument[i] != (unsigned char)((begin + i) * 7 + (begin + i) / 256)) return 2;\n"
                   "    sizes += bytes; return (size_t)argument % 16 != 0; }\n");
    harness_add_named(harness, "unit", NULL, &manifest);
    harness_link_batch(harness, 0);
    harness_expect_state(harness, "unit", JITD_UNIT_READY);
    int64_t sum = 1 + 15 + 16 + 17 + 4096 + (int64_t)LIMIT_ACTION_BYTES;
    cr_expect_eq(harness_value(harness, "checked", 0), sum);
    harness_remove_unit(harness, "unit");
    cr_expect_eq(harness_value(harness, "checked", 0), 2 * sum);
    harness_close(harness);
}

/* ---- where their functions are found ---- */

Test(actions, may_be_functions_of_their_own_unit_by_their_global_names)
{
    const struct jitd_manifest manifest = {
        DEFINITIONS({.local = "own", .global = "mine", .flags = JITD_DEFINITION_HIDDEN}),
        ACTIONS({PUBLISH("mine", "a"), REMOVE("mine", "A")})};
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "own.o", .manifest = &manifest},
                     "#include <unistd.h>\nint own(const void *p, size_t n) { return write(1, p, n) != 1; }\n");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    harness_remove_unit(harness, "own.o");
    harness_expect_output(harness, "aA");
    harness_close(harness);
}

Test(actions, may_be_functions_of_the_runners_libraries)
{
    const struct jitd_manifest manifest = {ACTIONS({.publish = "putenv",
                                                    .publish_argument = "COLOUR=green",
                                                    .publish_bytes = sizeof "COLOUR=green",
                                                    .remove = "unsetenv",
                                                    .remove_argument = "COLOUR",
                                                    .remove_bytes = sizeof "COLOUR"})};
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "look.o",
                   "#include <stdlib.h>\n#include <string.h>\n"
                   "long is_green(long x) { char *c = getenv(\"COLOUR\"); return c && !strcmp(c, \"green\"); }\n"
                   "long crash(long x) { return *(volatile long *)8; }\n");
    harness_add_named(harness, "colour", NULL, &manifest);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "is_green", 0), 1);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "is_green", 0), 1, "in the next life, too");
    harness_remove_unit(harness, "colour");
    cr_expect_eq(harness_value(harness, "is_green", 0), 0);
    harness_close(harness);
}

Test(actions, wait_for_their_functions_and_keep_them)
{
    const struct jitd_manifest manifest = {ACTIONS(NOTE("a", "A"))};
    struct harness *harness = harness_open_with_output(NULL);
    harness_submit_named(harness, "unit", NULL, &manifest);
    harness_expect_state(harness, "unit", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "runtime.o", runtime_source);
    harness_settle(harness);
    harness_expect_state(harness, "unit", JITD_UNIT_READY);
    harness_expect_output(harness, "a");
    struct harness_removal removal = harness_try_removing(harness, "runtime.o", false);
    cr_expect_eq(removal.error.code, JITD_ERROR_DEPENDENTS, "%s", removal.error.text);
    cr_expect_str_eq(removal.error.symbol, "note");
    cr_expect_eq(harness_try_removing(harness, "runtime.o", true).count, 2);
    harness_expect_output(harness, "aA");
    harness_close(harness);
}

Test(actions, find_a_function_that_comes_in_another_library)
{
    const struct jitd_manifest manifest = {ACTIONS(
        {.publish = "note", .publish_argument = "a", .publish_bytes = 1, .flags = JITD_USE_LIBRARY, .library = 1})};
    const struct jitd_manifest searching = {ACTIONS(NOTE("b", "B"))};
    struct harness *harness = open_with_runtime();
    cr_assert_eq(jitd_define_library(harness->session, &(struct jitd_library){.number = 2}, NULL, NULL, NULL), 0);
    cr_assert_eq(jitd_define_library(harness->session,
                                     &(struct jitd_library){
                                         .number = 1, .search = &(struct jitd_search){.library = 2}, .search_count = 1},
                                     NULL, NULL, NULL),
                 0);
    harness_add_named(harness, "exact", NULL, &manifest);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "searching", .manifest = &searching, .library = 1},
                     NULL);
    harness_accept(harness, 0);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "other.o", .library = 2},
                     "#include <unistd.h>\n"
                     "int note(const void *p, size_t n) { write(1, \"2\", 1); write(1, p, n); return 0; }\n");
    harness_accept(harness, 0);
    harness_await_output(harness, "2b");
    harness_expect_state(harness, "exact", JITD_UNIT_RESOLVED);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "one.o", .library = 1},
                     "#include <unistd.h>\n"
                     "int note(const void *p, size_t n) { write(1, \"1\", 1); write(1, p, n); return 0; }\n");
    harness_link_batch(harness, 0);
    harness_expect_output(harness, "2b1a");
    harness_close(harness);
}

Test(actions, without_their_function_are_missing_names_of_a_closed_batch)
{
    const struct jitd_manifest manifest = {ACTIONS({.remove = "nowhere"})};
    struct harness *harness = open_with_runtime();
    struct holdings before = holdings_of(harness);
    harness_add_named(harness, "unit", NULL, &manifest);
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(harness->errors[0].symbol, "nowhere");
    holdings_expect_same_room(harness, &before);
    harness_close(harness);
}

Test(actions, can_be_neither_data_nor_functions_of_another_convention)
{
    const struct jitd_manifest strange = {DEFINITIONS({.local = "strange", .convention = 3})};
    static const struct {
        const char *function;
        int code;
    } cases[] = {{"table", JITD_ERROR_NOT_CALLABLE}, {"strange", JITD_ERROR_CONVENTION}};
    struct harness *harness = open_with_runtime();
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "strange.o", .manifest = &strange},
                     "int strange(void) { return 0; }\n");
    harness_link_batch(harness, 0);
    struct holdings before = holdings_of(harness);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct jitd_manifest manifest = {ACTIONS(NOTE("a", "A"), {.publish = cases[i].function})};
        harness_add_named(harness, "unit", NULL, &manifest);
        harness_link_batch(harness, 0);
        const struct harness_error *error = expect_failed(harness, "unit", cases[i].code);
        cr_expect_str_eq(error->symbol, cases[i].function);
        holdings_expect_same_room(harness, &before);
    }
    harness_expect_output(harness, "");
    harness_close(harness);
}

/* ---- failure ---- */

/* Three units of an atomic batch, of which the second has a third action that is `third`. */
static void submit_three(struct harness *harness, struct jitd_manifest_action third)
{
    const struct jitd_manifest manifests[] = {
        {ACTIONS(NOTE("a", "A"))},
        {ACTIONS(NOTE("b", "B"), NOTE("c", "C"), third, NOTE("e", "E"))},
        {DEFINITIONS({.local = "name_3"}), ACTIONS(NOTE("f", "F"))},
    };
    add_noting(harness, "one.o", '1', &manifests[0]);
    add_noting(harness, "two.o", '2', &manifests[1]);
    add_noting(harness, "three.o", '3', &manifests[2]);
    harness_link_batch(harness, JITD_BATCH_ATOMIC);
}

Test(actions, of_which_one_fails_are_undone_in_reverse_and_nothing_is_left_of_their_batch)
{
    const struct jitd_manifest user = {USES({.global = "name_3"})};
    struct harness *harness = open_with_runtime();
    struct holdings before = holdings_of(harness);
    harness_submit_named(harness, "user", NULL, &user);
    submit_three(harness, (struct jitd_manifest_action)REFUSE("d", "D"));
    harness_expect_output(harness, "abcdCBA");

    const struct harness_error *error = expect_failed(harness, "two.o", JITD_ERROR_ACTION_FAILED);
    cr_expect(strstr(error->text, "two.o: action 3, 'refuse', returned -7"), "%s", error->text);
    cr_expect_str_eq(error->unit, "two.o");
    cr_expect_str_eq(error->symbol, "refuse");
    error = expect_failed(harness, "user", JITD_ERROR_DEPENDENCY_FAILED);
    cr_assert_eq(error->cause_count, 3);
    cr_expect_str_eq(error->causes[0], "user:name_3");
    cr_expect_str_eq(error->causes[2], "two.o:");
    expect_failed(harness, "one.o", JITD_ERROR_DEPENDENCY_FAILED);
    holdings_expect_same_room(harness, &before);
    cr_expect_eq(harness->runner_ends, 0, "the life goes on");

    submit_three(harness, (struct jitd_manifest_action)NOTE("d", "D"));
    harness_expect_output(harness, "abcdCBAabcdef123");
    cr_expect_eq(harness_call(harness, "leave", 0).end.exit_status, 0);
    harness_value(harness, "stay", 0);
    harness_expect_output(harness, "abcdCBAabcdef123321FEDCBAabcdef123");
    harness_close(harness);
}

Test(actions, whose_undoing_fails_too_say_how_many_did)
{
    const struct jitd_manifest manifest = {
        ACTIONS({PUBLISH("note", "a"), REMOVE("refuse", "A")}, NOTE("b", "B"), REFUSE("c", "C"))};
    struct harness *harness = open_with_runtime();
    harness_add_named(harness, "unit", NULL, &manifest);
    harness_link_batch(harness, 0);
    const struct harness_error *error = expect_failed(harness, "unit", JITD_ERROR_ACTION_FAILED);
    cr_expect(strstr(error->text, "returned -7; other than 0 from 1 removal actions then"), "%s", error->text);
    harness_expect_output(harness, "abcBA");
    harness_close(harness);
}

/* What it registers for its own object must not be called when its code has gone. */
static const char registering_source[] =
    "#include <unistd.h>\nextern void *__dso_handle;\n"
    "extern int __cxa_atexit(void (*)(void *), void *, void *);\n"
    "static void end(void *unused) { write(1, \"h\", 1); }\n"
    "int registering(const void *p, size_t n) { return __cxa_atexit(end, 0, &__dso_handle); }\n";

Test(actions, of_which_one_fails_leave_no_exit_handler)
{
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "registering"}),
                                           ACTIONS({.publish = "registering"}, NOTE("a", "A"), REFUSE("b", "B"))};
    struct harness *harness = open_with_runtime();
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "registering.o", .manifest = &manifest},
                     registering_source);
    harness_link_batch(harness, 0);
    expect_failed(harness, "registering.o", JITD_ERROR_ACTION_FAILED);
    harness_expect_output(harness, "abAh");
    cr_expect_eq(harness_call(harness, "leave", 4).end.exit_status, 4);
    harness_expect_output(harness, "abAh");
    harness_close(harness);
}

Test(actions, that_fail_leave_memory_in_which_a_thread_still_is)
{
    const struct jitd_manifest manifest = {DEFINITIONS({.local = "begin"}), USES({.local = "flag"}),
                                           ACTIONS({.publish = "begin"}, REFUSE("b", "B"))};
    struct harness *harness = open_with_runtime();
    harness_link_c(harness, "flag.o", "volatile int flag; long raise_flag(long x) { return flag = (int)x; }\n");
    struct holdings before = holdings_of(harness), after;
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "thread.o", .manifest = &manifest},
                     "#include <pthread.h>\n#include <unistd.h>\nextern volatile int flag;\n"
                     "static void *run(void *p) { while (!flag) usleep(1000); write(1, \"t\", 1); return 0; }\n"
                     "int begin(const void *p, size_t n) { pthread_t thread;\n"
                     "    return pthread_create(&thread, 0, run, 0) || pthread_detach(thread); }\n");
    harness_link_batch(harness, 0);
    expect_failed(harness, "thread.o", JITD_ERROR_ACTION_FAILED);
    after = holdings_of(harness);
    cr_expect(!holdings_are_same(&before, &after), "the thread's code is not used again yet");
    harness_value(harness, "raise_flag", 1);
    harness_await_output(harness, "bt");
    for (int waited = 0; after = holdings_of(harness), !holdings_are_same(&before, &after); waited += 10) {
        cr_assert(waited < HARNESS_PATIENCE, "memory does not come back");
        harness_dispatch_for(harness, 10);
    }
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

Test(actions, that_fail_when_a_unit_is_removed_are_told_and_it_goes_all_the_same)
{
    const struct jitd_manifest manifest = {ACTIONS(NOTE("a", "A"), {PUBLISH("note", "b"), REMOVE("refuse", "B")},
                                                   {PUBLISH("note", "c"), REMOVE("refuse", "C")})};
    struct harness *harness = open_with_runtime();
    struct holdings before = holdings_of(harness);
    harness_add_named(harness, "unit", NULL, &manifest);
    harness_link_batch(harness, 0);
    struct harness_removal removal = harness_try_removing(harness, "unit", false);
    cr_expect_eq(removal.count, 1);
    cr_expect_eq(removal.error.code, JITD_ERROR_ACTION_FAILED);
    cr_expect(strstr(removal.error.text, "removal action 3, 'refuse', returned -7; other than 0 from 1 "), "%s",
              removal.error.text);
    cr_expect_str_eq(removal.error.unit, "unit");
    harness_expect_state(harness, "unit", JITD_UNIT_REMOVED);
    harness_expect_output(harness, "abcCBA");
    holdings_expect_same_room(harness, &before);
    harness_close(harness);
}

/* ---- crashes and lives ---- */

Test(actions, that_crash_twice_fail_their_unit_and_its_dependents)
{
    const struct jitd_manifest crashing = {DEFINITIONS({.local = "name_1"}),
                                           ACTIONS(NOTE("a", "A"), {PUBLISH("crash_action", "b")})};
    const struct jitd_manifest user = {USES({.global = "name_1"}), ACTIONS(NOTE("c", "C"))};
    struct harness *harness = open_with_runtime();
    struct holdings before = holdings_of(harness);
    harness_add_named(harness, "user", NULL, &user);
    add_noting(harness, "crashing.o", '1', &crashing);
    harness_link_batch(harness, 0);
    const struct harness_error *error = expect_failed(harness, "crashing.o", JITD_ERROR_ACTION_FAILED);
    cr_expect(strstr(error->text, "crashing.o: one of its actions was killed by signal 11"), "%s", error->text);
    expect_failed(harness, "user", JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect_eq(harness->runner_ends, 2);
    cr_expect_str_eq(harness->last_end.action_of, "crashing.o");
    cr_expect_str_eq(harness->last_end.initialiser_of, "");
    cr_expect_str_eq(harness->last_end.frames[0].function, "crash_action");
    cr_expect_eq(harness_value(harness, "stay", 7), 7);
    harness_expect_output(harness, "abab");
    holdings_expect_same_room(harness, &before);
    harness_close(harness);
}

Test(actions, that_crash_when_a_unit_is_removed_are_reported_and_it_goes_all_the_same)
{
    const struct jitd_manifest manifest = {
        ACTIONS(NOTE("a", "A"), {PUBLISH("note", "b"), REMOVE("crash_action", "B")})};
    struct harness *harness = open_with_runtime();
    add_noting(harness, "unit.o", '1', &manifest);
    harness_link_batch(harness, 0);
    harness_remove_unit(harness, "unit.o");
    harness_dispatch_until(harness, &harness->runner_ends, 1);
    cr_expect_eq(harness->last_end.signal, SIGSEGV);
    cr_expect_str_eq(harness->last_end.action_of, "unit.o");
    cr_expect_str_eq(harness->last_end.finaliser_of, "");
    harness_value(harness, "stay", 0);
    harness_expect_output(harness, "ab11B");
    harness_close(harness);
}

Test(actions, are_made_again_in_each_life_in_the_order_of_the_first)
{
    const struct jitd_manifest first = {ACTIONS(NOTE("a", "A"), NOTE("b", "B"))};
    const struct jitd_manifest second = {ACTIONS(NOTE("c", "C"))};
    struct harness *harness = open_with_runtime();
    add_noting(harness, "first.o", '1', &first);
    harness_link_batch(harness, 0);
    add_noting(harness, "second.o", '2', &second);
    harness_link_batch(harness, 0);
    add_noting(harness, "third.o", '3', &first);
    harness_link_batch(harness, 0);
    harness_expect_output(harness, "ab1c2ab3");
    harness_remove_unit(harness, "third.o");
    harness_expect_output(harness, "ab1c2ab33BA");
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_value(harness, "stay", 0);
    harness_expect_output(harness, "ab1c2ab33BAab1c2");
    harness_remove_unit(harness, "first.o");
    harness_expect_output(harness, "ab1c2ab33BAab1c21BA");
    harness_close(harness);
}

/* Fails when more than three bytes have been written. */
static const char relapsing_source[] =
    "#include <unistd.h>\n"
    "__attribute__((constructor)) static void begin(void) { __asm__ volatile(\"\"); }\n"
    "int relapsing(const void *p, size_t n) { write(1, p, n); return lseek(1, 0, SEEK_CUR) > 3 ? 9 : 0; }\n";

static void add_relapsing(struct harness *harness)
{
    static const struct jitd_manifest_definition definition = {.local = "relapsing"};
    static const struct jitd_manifest_action actions[] = {NOTE("-", "+"),
                                                          {PUBLISH("relapsing", "a"), REMOVE("note", "A")}};
    static const struct jitd_manifest relapsing = {
        .definitions = &definition, .definition_count = 1, .actions = actions, .action_count = 2};
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "relapsing.o", .manifest = &relapsing},
                     relapsing_source);
}

Test(actions, that_fail_in_a_later_life_end_it_and_the_next_is_without_their_unit)
{
    const struct jitd_manifest user = {USES({.global = "relapsing"})};
    struct harness *harness = open_with_runtime();
    add_relapsing(harness);
    harness_link_batch(harness, 0);
    add_noting(harness, "user.o", '2', &user);
    harness_link_batch(harness, 0);
    harness_expect_output(harness, "-a2");
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "stay", 5), 5);
    cr_expect_eq(harness->runner_ends, 2);
    cr_expect_eq(harness->last_end.signal, SIGABRT);
    cr_expect_str_eq(harness->last_end.action_of, "relapsing.o");
    cr_expect_str_eq(harness->last_end.initialiser_of, "");
    const struct harness_error *error = expect_failed(harness, "relapsing.o", JITD_ERROR_ACTION_FAILED);
    cr_expect(strstr(error->text, "action 2, 'relapsing', returned 9"), "%s", error->text);
    expect_failed(harness, "user.o", JITD_ERROR_DEPENDENCY_FAILED);
    harness_expect_output(harness, "-a2-a");
    harness_link_c(harness, "again.o", relapsing_source);
    harness_close(harness);
}

Test(actions, that_fail_in_a_later_life_let_no_call_begin_in_it)
{
    const struct jitd_manifest manifest = {
        ACTIONS({.publish = "relapsing", .publish_argument = "abc", .publish_bytes = 3})};
    struct harness *harness = open_with_runtime();
    struct harness_call crash, stay;
    harness_link_c(harness, "relapsing.o", relapsing_source);
    harness_add_named(harness, "unit", NULL, &manifest);
    harness_link_batch(harness, 0);
    harness_call_begin(harness, "crash", 0, &crash);
    harness_wait(harness, harness_call_begin(harness, "stay", 5, &stay));
    cr_expect(stay.returned && stay.value == 5, "signal %d", stay.end.signal);
    cr_expect_eq(harness->runner_ends, 2);
    harness_close(harness);
}

Test(actions, that_fail_in_a_later_life_do_not_hold_up_a_removal)
{
    struct harness *harness = open_with_runtime();
    harness_link_c(harness, "slow.o",
                   "#include <unistd.h>\n__attribute__((constructor)) static void slow(void)\n"
                   "{ write(1, \"s\", 1); usleep(50000); }\n");
    add_relapsing(harness);
    harness_link_batch(harness, 0);
    struct harness_call crash, stay;
    harness_call_begin(harness, "crash", 0, &crash);
    jitd_request request = harness_call_begin(harness, "stay", 5, &stay);
    harness_dispatch_until(harness, &harness->runner_ends, 1);
    harness_await_output(harness, "s-as");
    cr_expect_eq(harness_try_removing(harness, "relapsing.o", false).count, 1);
    harness_dispatch_until(harness, &harness->runner_ends, 2);
    cr_expect_str_eq(harness->last_end.action_of, "relapsing.o");
    harness_wait(harness, request);
    cr_expect(stay.returned && stay.value == 5, "signal %d", stay.end.signal);
    harness_expect_output(harness, "s-as-as");
    harness_close(harness);
}

/* ---- functions that come when they are called ---- */

static void answer_question(struct harness *harness, const char *symbol)
{
    harness_dispatch_until(harness, &harness->asked, 1);
    cr_assert_str_eq(harness->questions[0].symbol, symbol);
}

Test(actions, may_wait_for_a_function_whose_unit_has_actions_too)
{
    const struct jitd_manifest waiting = {DEFINITIONS({.local = "wait_for_late"}),
                                          USES({.local = "late", .flags = JITD_USE_LAZY}),
                                          ACTIONS(NOTE("a", "A"), {.publish = "wait_for_late"}, REFUSE("d", "D"))};
    const struct jitd_manifest late = {DEFINITIONS({.local = "late"}), ACTIONS(NOTE("b", "B"))};
    struct harness *harness = open_with_runtime();
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "waiting.o", .manifest = &waiting},
                     "int late(void);\nint wait_for_late(const void *p, unsigned long n) { return late(); }\n"
                     "__attribute__((constructor)) static void never(void) { late(); __builtin_trap(); }\n");
    harness_accept(harness, 0);
    answer_question(harness, "late");
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "late.o", .manifest = &late},
                     "#include <unistd.h>\nint late(void) { write(1, \"c\", 1); return 0; }\n"
                     "__attribute__((constructor)) static void begin(void) { write(1, \"1\", 1); }\n");
    harness_link_batch(harness, 0);
    expect_failed(harness, "waiting.o", JITD_ERROR_ACTION_FAILED);
    harness_expect_state(harness, "late.o", JITD_UNIT_READY);
    harness_expect_output(harness, "ab1cdA");
    cr_expect_eq(harness->runner_ends, 0);
    harness_remove_unit(harness, "late.o");
    harness_expect_output(harness, "ab1cdAB");
    harness_close(harness);
}

Test(actions, that_fail_on_a_thread_that_waits_leave_it_waiting)
{
    const struct jitd_manifest calling = {DEFINITIONS({.local = "call_late"}),
                                          USES({.local = "late", .flags = JITD_USE_LAZY})};
    const struct jitd_manifest failing = {DEFINITIONS({.local = "name_1", .global = "late"}),
                                          ACTIONS(NOTE("a", "A"), REFUSE("b", "B"))};
    struct harness *harness = open_with_runtime();
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "calling.o", .manifest = &calling},
                     "long late(long);\nlong call_late(long x) { return late(x) + 1; }\n");
    harness_link_batch(harness, 0);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "call_late", 20, &call);
    answer_question(harness, "late");
    add_noting(harness, "failing.o", '1', &failing);
    harness_accept(harness, 0);
    harness_wait(harness, request);
    expect_failed(harness, "failing.o", JITD_ERROR_ACTION_FAILED);
    harness_expect_output(harness, "abA");
    cr_expect(call.ended);
    cr_expect_str_eq(call.end.lazy_symbol, "late");
    cr_expect_eq(call.end.lazy_error.code, JITD_ERROR_ACTION_FAILED, "%s", call.end.lazy_error.text);
    harness_close(harness);
}
