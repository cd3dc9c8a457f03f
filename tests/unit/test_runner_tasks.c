/*
 * The linker's end of the channel, with the test in the runner's place.
 */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "daemon/linker/runner.h"
#include "tests/lib/leaks.h"

struct far_end {
    struct runner *runner;
    struct channel *channel;
    uint32_t answered[RUNNER_QUEUES], replies;
};

static struct far_end far_end_open(void)
{
    struct far_end far = {0};
    struct error error;
    int fd = -1;

    cr_assert_eq(descriptor_create_memfd("channel", sizeof *far.channel, &fd, &error), 0, "%s", error.text);
    far.channel = mmap(NULL, sizeof *far.channel, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(far.channel, MAP_FAILED);
    cr_assert_eq(runner_open(fd, &far.runner, &error), 0, "%s", error.text);
    runner_begin(far.runner, 1);
    return far;
}

static void far_end_close(struct far_end *far)
{
    runner_close(far->runner);
    munmap(far->channel, sizeof *far->channel);
    expect_no_leaks();
}

static void ask(struct far_end *far, enum runner_queue queue)
{
    const struct task task = {.purpose = TASK_CALL, .kind = CHANNEL_CALL};

    cr_assert_eq(runner_send(far->runner, queue, &task), 0);
}

static void answer(struct far_end *far, enum runner_queue queue)
{
    struct channel_queue *replies = &far->channel->replies;
    struct channel_record reply;
    struct task task;
    struct error error;
    bool got;

    replies->records[far->replies % CHANNEL_QUEUE_RECORDS] =
        (struct channel_record){.kind = CHANNEL_CALL, .id = ((uint64_t)queue << 32) | far->answered[queue]++};
    replies->head = ++far->replies;
    cr_assert_eq(runner_look(far->runner, &error), 0, "%s", error.text);
    cr_assert_eq(runner_take_reply(far->runner, &task, &reply, &got, &error), 0, "%s", error.text);
    cr_assert(got);
}

Test(runner_tasks, a_moment_is_past_when_all_that_was_asked_before_it_has_been_answered)
{
    struct far_end far = far_end_open();
    struct runner_moment empty = runner_now(far.runner);

    cr_expect(runner_is_past(far.runner, &empty));
    ask(&far, RUNNER_MAIN);
    ask(&far, RUNNER_AGENT);
    struct runner_moment moment = runner_now(far.runner);
    cr_expect(runner_is_past(far.runner, &empty), "what is asked later does not matter");
    cr_expect_not(runner_is_past(far.runner, &moment));
    ask(&far, RUNNER_MAIN);
    answer(&far, RUNNER_MAIN);
    cr_expect_not(runner_is_past(far.runner, &moment), "the agent is busy");
    answer(&far, RUNNER_AGENT);
    cr_expect(runner_is_past(far.runner, &moment), "though the main thread is busy with a later task");
    far_end_close(&far);
}

Test(runner_tasks, no_moment_is_past_while_the_program_has_threads)
{
    struct far_end far = far_end_open();
    struct runner_moment moment = runner_now(far.runner);

    far.channel->threads = 1;
    cr_expect_not(runner_is_past(far.runner, &moment));
    far.channel->threads = 0;
    cr_expect(runner_is_past(far.runner, &moment));
    far_end_close(&far);
}

Test(runner_tasks, every_moment_of_a_life_is_past_when_it_is_over)
{
    struct far_end far = far_end_open();

    ask(&far, RUNNER_MAIN);
    ask(&far, RUNNER_MAIN);
    ask(&far, RUNNER_AGENT);
    far.channel->threads = 3;
    struct runner_moment moment = runner_now(far.runner);
    cr_expect_eq(runner_under_way(far.runner, RUNNER_AGENT)->kind, CHANNEL_CALL);
    runner_end(far.runner);
    cr_expect_null(runner_under_way(far.runner, RUNNER_AGENT));
    cr_expect(runner_is_past(far.runner, &moment));
    runner_begin(far.runner, 2);
    cr_expect(runner_is_past(far.runner, &moment), "in the next life, too");
    far_end_close(&far);
}

static bool take_notice(struct far_end *far)
{
    struct channel_record reply;
    struct task task;
    struct error error;
    bool got;

    cr_assert_eq(runner_take_reply(far->runner, &task, &reply, &got, &error), 0, "%s", error.text);
    return got;
}

Test(runner_tasks, replies_that_come_while_others_are_taken_wait_for_the_next_look)
{
    struct far_end far = far_end_open();
    struct error error;
    uint32_t taken = 0;

    for (uint32_t i = 0; i < CHANNEL_QUEUE_RECORDS; i++)
        far.channel->replies.records[i].kind = CHANNEL_LAZY;
    far.channel->replies.head = 3;
    cr_assert_eq(runner_look(far.runner, &error), 0);
    while (taken < 10 * CHANNEL_QUEUE_RECORDS && take_notice(&far)) {
        taken++;
        far.channel->replies.head++; /* as fast as they are taken */
    }
    cr_expect_eq(taken, 3);
    cr_assert_eq(runner_look(far.runner, &error), 0);
    while (take_notice(&far))
        taken++;
    cr_expect_eq(taken, 6);
    far.channel->replies.head += CHANNEL_QUEUE_RECORDS + 1;
    cr_expect_eq(runner_look(far.runner, &error), ERROR_RUNNER_PROTOCOL);
    far_end_close(&far);
}

/* ---- whose fault the end of a life is ---- */

static void say(struct far_end *far, uint32_t end, uint64_t request)
{
    far->channel->crash.request = request;
    far->channel->crash.end = end;
}

static void expect_culprit(const struct far_end *far, const struct task *wanted, bool wanted_told)
{
    bool told;

    cr_expect_eq(runner_culprit(far->runner, &told), wanted);
    cr_expect_eq(told, wanted_told);
}

Test(runner_tasks, the_culprit_is_the_task_that_the_runner_names)
{
    struct far_end far = far_end_open();

    ask(&far, RUNNER_MAIN);
    ask(&far, RUNNER_MAIN);
    ask(&far, RUNNER_AGENT);
    answer(&far, RUNNER_MAIN);
    say(&far, END_REQUEST, 1);
    expect_culprit(&far, runner_under_way(far.runner, RUNNER_MAIN), true);
    say(&far, END_REQUEST, (uint64_t)RUNNER_AGENT << 32);
    expect_culprit(&far, runner_under_way(far.runner, RUNNER_AGENT), true);
    say(&far, END_OTHER, 1);
    expect_culprit(&far, NULL, true);
    runner_end(far.runner);
    runner_begin(far.runner, 2);
    expect_culprit(&far, NULL, false);
    far_end_close(&far);
}

Test(runner_tasks, the_culprit_is_nobody_where_the_runner_names_what_is_not_under_way)
{
    static const uint64_t wrong[] = {0, 2, (uint64_t)RUNNER_AGENT << 32, (uint64_t)RUNNER_QUEUES << 32, UINT64_MAX};
    struct far_end far = far_end_open();

    ask(&far, RUNNER_MAIN);
    ask(&far, RUNNER_MAIN);
    answer(&far, RUNNER_MAIN);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        say(&far, END_REQUEST, wrong[i]);
        expect_culprit(&far, NULL, true);
    }
    far_end_close(&far);
}

Test(runner_tasks, the_culprit_is_the_innermost_task_where_the_runner_says_nothing)
{
    struct far_end far = far_end_open();

    expect_culprit(&far, NULL, false);
    ask(&far, RUNNER_AGENT);
    expect_culprit(&far, runner_under_way(far.runner, RUNNER_AGENT), false);
    ask(&far, RUNNER_MAIN);
    expect_culprit(&far, runner_under_way(far.runner, RUNNER_MAIN), false);
    ask(&far, RUNNER_WAITER + 3);
    expect_culprit(&far, runner_under_way(far.runner, RUNNER_WAITER + 3), false);
    say(&far, 77, 0);
    expect_culprit(&far, runner_under_way(far.runner, RUNNER_WAITER + 3), false);
    far_end_close(&far);
}
