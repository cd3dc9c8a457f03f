/*
 * Code that writes to the channel what the runner never would (tests/objects/forgeries.c): the linker believes none of
 * it. Either it makes no difference to anybody else, or the session ends and the log says which rule was broken.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

TestSuite(forgery, .timeout = 60);

#define FLAGS HARNESS_FLAGS " -I."

/* What the daemon says goes to a log that the test reads; the test's own failures are told otherwise. */
static int begin_log(void)
{
    int log = memfd_create("log", MFD_CLOEXEC);
    cr_assert(log >= 0 && dup2(log, STDERR_FILENO) == STDERR_FILENO);
    return log;
}

static void expect_logged(int log, const char *words, const char *after)
{
    static char text[1 << 16];
    ssize_t length = pread(log, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    cr_expect(strstr(text, words), "%s: '%s' is not in the log: %s", after, words, text);
    cr_expect_not(strstr(text, "Sanitizer"), "%s: %s", after, text);
    cr_expect_not(strstr(text, "a linker was killed"), "%s: %s", after, text);
    cr_assert_eq(ftruncate(log, 0), 0);
    lseek(log, 0, SEEK_SET);
    close(log);
}

static struct harness *open_with_forgeries(const struct object_bytes *forgeries)
{
    const struct jitd_manifest caller = {DEFINITIONS({.local = "caller", .flags = JITD_DEFINITION_REDIRECTABLE}),
                                         USES({.local = "late", .flags = JITD_USE_LAZY})};
    struct harness *harness = harness_open(&(struct jitd_options){.lazy_deadline_ms = 2000});
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "caller.o", .manifest = &caller},
                     "long late(long n);\nlong caller(long n) { return late(n); }\n");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_link(harness, "forgeries.o", forgeries);
    harness_link_c(harness, "good.o", "long good(long x) { return x + 1; }\n");
    return harness;
}

/* In the runner, where every life has it. */
static int64_t channel_address(const struct harness *harness)
{
    char path[64], line[1024];
    int64_t address = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)harness_process(harness, HARNESS_RUNNER));
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s cannot be read", path);
    while (!address && fgets(line, sizeof line, file))
        if (strstr(line, "jitd-channel"))
            sscanf(line, "%" SCNx64 "-", &address);
    fclose(file);
    cr_assert(address, "the runner has no channel");
    return address;
}

/* ---- what ends the session ---- */

Test(forgery, of_replies_and_waiters_that_cannot_be_ends_the_session_with_the_reason)
{
    static const struct {
        const char *function, *words;
    } rows[] = {
        {"forge_more_replies_than_the_ring_holds", "the runner claims 257 replies in a ring of 256"},
        {"forge_fewer_replies_than_were_taken", "the runner claims 4294967295 replies in a ring of 256"},
        {"forge_reply_of_no_queue", "the runner answers request 18446744073709551615 of kind 5"},
        {"forge_reply_of_an_idle_queue", "the runner answers request 4294967296 of kind 5"},
        {"forge_reply_of_an_idle_waiter", "the runner answers request 8589934592 of kind 2"},
        {"forge_reply_of_another_kind", "of kind 9, which was not asked"},
        {"forge_reply_of_no_kind", "of kind 4294967295, which was not asked"},
        {"forge_reply_to_its_own_call", "of kind 5, which was not asked"},
        {"forge_waiter_that_is_none", "the runner claims that thread 65 waits, which cannot be"},
        {"forge_waiter_beyond_32_bits", "the runner claims that thread 4294967296 waits, which cannot be"},
        {"forge_waiter_twice", "the runner claims that thread 5 waits, which cannot be"},
    };
    struct object_bytes forgeries = compile_c("#include \"tests/objects/forgeries.c\"\n", FLAGS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int log = begin_log();
        struct harness *harness = open_with_forgeries(&forgeries);
        struct harness_call call;
        harness_call_begin(harness, rows[i].function, channel_address(harness), &call);
        harness_await_disconnection(harness);
        harness_close(harness);
        expect_logged(log, rows[i].words, rows[i].function);
    }
    object_free(&forgeries);
}

/* Nothing is waited for that the end of the session might overtake. */
static void submit_and_forge(struct harness *harness, const struct jitd_unit_input *unit)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    cr_assert_eq(jitd_batch_add_unit(batch, unit), 0);
    cr_assert_eq(jitd_submit(harness->session, batch, NULL, NULL, NULL), 0);
}

static void remove_and_forge(struct harness *harness, const struct jitd_unit_input *unit)
{
    static struct harness_removal removal;
    harness_add_unit(harness, unit, NULL);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_settle(harness);
    const uint64_t id = harness_unit(harness, unit->name)->id;
    harness_remove_begin(harness, &(struct jitd_removal){.units = &id, .unit_count = 1}, &removal);
}

static void forge_by_action(const struct object_bytes *forgeries, bool publishing)
{
    struct harness *harness = open_with_forgeries(forgeries);
    const int64_t channel = channel_address(harness);
    const struct jitd_manifest_action action =
        publishing ? (struct jitd_manifest_action){.publish = "forge_failed_publication",
                                                   .publish_argument = &channel,
                                                   .publish_bytes = sizeof channel}
                   : (struct jitd_manifest_action){
                         .remove = "forge_failed_removal", .remove_argument = &channel, .remove_bytes = sizeof channel};
    const struct jitd_manifest manifest = {.actions = &action, .action_count = 1};
    const struct jitd_unit_input unit = {.name = "acting", .manifest = &manifest};
    if (publishing)
        submit_and_forge(harness, &unit);
    else
        remove_and_forge(harness, &unit);
    harness_await_disconnection(harness);
    harness_close(harness);
}

Test(forgery, of_actions_that_failed_and_are_not_there_ends_the_session_with_the_reason)
{
    struct object_bytes forgeries = compile_c("#include \"tests/objects/forgeries.c\"\n", FLAGS);
    for (int publishing = 0; publishing < 2; publishing++) {
        int log = begin_log();
        forge_by_action(&forgeries, publishing);
        expect_logged(log, "the runner says that action 2 of acting failed, of 1", "an action");
    }
    object_free(&forgeries);
}

/* ---- what makes no difference ---- */

Test(forgery, of_other_words_harms_its_own_life_alone)
{
    static const char *const functions[] = {"forge_slots_that_are_none", "forge_want_of_waiters", "forge_threads",
                                            "forge_crash_record"};
    struct object_bytes forgeries = compile_c("#include \"tests/objects/forgeries.c\"\n", FLAGS);
    struct harness *harness = open_with_forgeries(&forgeries);
    int64_t channel = channel_address(harness);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        struct harness_call call = harness_call(harness, functions[i], channel);
        cr_expect(call.returned || call.ended, "%s: %s", functions[i], call.text);
        cr_expect_eq(harness_value(harness, "good", 41), 42, "%s", functions[i]);
    }
    struct harness_call call = harness_call(harness, "forge_crash_record", channel);
    cr_expect(call.ended && call.end.signal == SIGKILL && call.end.record);
    cr_expect_eq(call.end.frame_count, 128);
    harness_close(harness);
    object_free(&forgeries);
}

/* ---- what keeps the linker busy ---- */

Test(forgery, of_replies_without_end_does_not_keep_the_linker_from_its_controller)
{
    struct object_bytes forgeries = compile_c("#include \"tests/objects/forgeries.c\"\n", FLAGS);
    struct harness *harness = open_with_forgeries(&forgeries);
    struct harness_call call;
    harness_call_begin(harness, "forge_replies_without_end", channel_address(harness), &call);
    harness_dispatch_for(harness, 50);
    for (int i = 0; i < 20; i++) {
        cr_expect_neq(harness_address(harness, "good"), 0);
        harness_dispatch_for(harness, 10);
    }
    cr_expect_not(call.completed);
    harness_close(harness);
    object_free(&forgeries);
}

/* ---- at random ---- */

/* What a controller may do, whether the session goes on or not. */
static void do_something(struct harness *harness, unsigned step, const struct object_bytes *late)
{
    static const char *const caller = "caller", *const good = "good", *const none = "";
    const struct jitd_removal removal = {.tags = (const uint64_t[]){7}, .tag_count = 1, .cascade = step % 8 < 4};
    const struct jitd_unit_input unit = {.name = "late.o", .object = late->bytes, .bytes = late->length, .tag = 7};
    struct jitd_batch *batch;
    switch (step % 4) {
    case 0:
        batch = jitd_batch_new(0);
        if (jitd_batch_add_unit(batch, &unit) == 0)
            jitd_submit(harness->session, batch, NULL, NULL, NULL);
        break;
    case 1:
        jitd_redirect(harness->session, JITD_LIBRARY_MAIN, &caller, step % 8 == 1 ? &good : &none, 1, NULL, NULL, NULL);
        break;
    case 2:
        jitd_remove(harness->session, &removal, NULL, NULL, NULL);
        break;
    default:
        for (int i = 0; i < harness->asked; i++)
            jitd_refuse(harness->session, harness->questions[i].ask, "no", NULL, NULL, NULL);
        harness->asked = 0;
    }
}

static void expect_no_crash_after(const char *function, const struct object_bytes *forgeries, int seed)
{
    struct object_bytes late = compile_c("long late(long n) { return n; }\n", HARNESS_FLAGS);
    struct harness_call calls[2];
    char name[64];
    int log = begin_log();
    struct harness *harness = open_with_forgeries(forgeries);
    harness_call_begin(harness, function, channel_address(harness) + seed % 4096, &calls[0]);
    harness_call_begin(harness, "caller", 1, &calls[1]);
    for (unsigned step = 0; step < 40 && !harness->disconnected; step++) {
        struct pollfd polled = {.fd = jitd_fd(harness->session), .events = jitd_events(harness->session)};
        do_something(harness, step * (unsigned)seed, &late);
        poll(&polled, 1, 5);
        jitd_dispatch(harness->session);
    }
    snprintf(name, sizeof name, "%s, seed %d", function, seed);
    harness_close(harness);
    expect_logged(log, "", name);
    object_free(&late);
}

/* Whatever comes of it, no process crashes but the program's, and none is left. FORGERIES=N tries N seeds. */
Test(forgery, of_every_word_at_random_crashes_nobody_else, .timeout = 3600)
{
    struct object_bytes forgeries = compile_c("#include \"tests/objects/forgeries.c\"\n", FLAGS);
    const char *rounds = getenv("FORGERIES");
    for (int seed = 1; seed <= (rounds ? atoi(rounds) : 6); seed++) {
        expect_no_crash_after("forge_noise", &forgeries, seed);
        expect_no_crash_after("forge_notices", &forgeries, seed);
    }
    object_free(&forgeries);
}
