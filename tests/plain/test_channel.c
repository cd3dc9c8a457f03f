/*
 * Both ends of the channel in one process, so that ThreadSanitizer sees what passes between them: requests in both
 * queues and to threads that wait, initialisers that wait themselves, replies. What initialisers write is read on the
 * linker's side without any further lock, and the other way round.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "daemon/linker/runner.h"
#include "proto/control.h"
#include "tests/plain/serving.h"

#define CALLERS      (CHANNEL_NESTED + 8)
#define CALLS        40
#define NESTED_SLOT  2000u /* what initialisers call; a caller calls the slot of its own number, from 1 on */
#define ADDRESS_BASE 0x10000u
#define MAIN_ROW     0u /* in `counts`: of initialisers on the main thread; then callers; then the agent's */
#define AGENT_ROW    (CALLERS + 1u)

static unsigned counts[CALLERS + 2]; /* of initialisers; read on the linker's side when one has been answered */
static unsigned told[CALLERS + 1];   /* of calls; written before a thread is resumed, and read by that */
static _Thread_local unsigned row;   /* the thread's own */

static void count(void)
{
    counts[row]++;
}

static void count_on_agent(void)
{
    counts[AGENT_ROW]++;
}

static void call_another(void)
{
    cr_assert_eq(serving_call(NESTED_SLOT), ADDRESS_BASE + NESTED_SLOT);
}

static void *call_often(void *argument)
{
    row = (unsigned)(uintptr_t)argument;
    for (unsigned i = 1; i <= CALLS; i++) {
        cr_assert_eq(serving_call(row), ADDRESS_BASE + row);
        cr_assert_eq(told[row], i);
    }
    return NULL;
}

/* The linker's end. */
struct end {
    struct runner *runner;
    uint64_t plain_array, nesting_array, agent_array;
    uint32_t callers[CHANNEL_WAITERS]; /* who has that waiter */
    unsigned seen[CALLERS + 2];        /* what `counts` must be */
    unsigned calls;                    /* that have been resumed */
    unsigned outstanding;              /* of main's and the agent's requests */
};

static void ask(struct end *end, enum runner_queue queue, uint32_t kind, uint64_t array, uint64_t length)
{
    const struct task task = {.kind = kind, .a = array, .b = length};

    cr_assert_eq(runner_send(end->runner, queue, &task), 0);
}

/* While threads wait the other two have work as well. */
static void ask_others(struct end *end)
{
    ask(end, RUNNER_MAIN, CHANNEL_INITIALISE, end->plain_array, 1);
    ask(end, RUNNER_AGENT, CHANNEL_FINALISERS, end->agent_array, 1);
    ask(end, RUNNER_AGENT, CHANNEL_FINALISE, end->agent_array, 1);
    end->outstanding += 3;
}

/* The thread runs an initialiser first; every third time one that calls what is not there. */
static void on_notice(struct end *end, const struct channel_record *notice)
{
    uint32_t waiter = (uint32_t)notice->id;
    bool nests = end->calls % 3 == 0;

    if (notice->a == NESTED_SLOT) {
        cr_assert(waiter >= CHANNEL_NESTED && waiter < CHANNEL_WAITERS);
        runner_resume(end->runner, waiter, ADDRESS_BASE + NESTED_SLOT);
        return;
    }
    cr_assert(waiter < CHANNEL_NESTED && notice->a >= 1 && notice->a <= CALLERS);
    end->callers[waiter] = (uint32_t)notice->a;
    ask(end, RUNNER_WAITER + waiter, CHANNEL_INITIALISE, nests ? end->nesting_array : end->plain_array, 1u + nests);
    if (end->outstanding == 0)
        ask_others(end);
}

static void on_reply(struct end *end, const struct channel_record *reply)
{
    uint64_t queue = reply->id >> 32;
    uint32_t waiter = (uint32_t)queue - RUNNER_WAITER;
    unsigned counted = queue == RUNNER_MAIN ? MAIN_ROW : queue == RUNNER_AGENT ? AGENT_ROW : end->callers[waiter];

    cr_assert_eq(reply->status, 0);
    if (reply->kind != CHANNEL_FINALISERS)
        cr_assert_eq(counts[counted], ++end->seen[counted]);
    if (queue < RUNNER_WAITER) {
        end->outstanding--;
        return;
    }
    told[counted]++;
    end->calls++;
    runner_resume(end->runner, waiter, ADDRESS_BASE + counted);
}

/* Everything that has come. */
static void drain(struct end *end)
{
    struct channel_record reply;
    struct error error;
    struct task task;
    bool got = true;

    cr_assert_eq(runner_look(end->runner, &error), 0);
    while (got) {
        cr_assert_eq(runner_take_reply(end->runner, &task, &reply, &got, &error), 0);
        if (got && task.kind == CHANNEL_LAZY)
            on_notice(end, &reply);
        else if (got)
            on_reply(end, &reply);
    }
}

static void serve_until(struct end *end, unsigned calls)
{
    uint64_t number;
    struct pollfd wake = {.fd = FD_WAKE, .events = POLLIN};

    while (end->calls < calls || end->outstanding > 0) {
        cr_assert_eq(poll(&wake, 1, 20000), 1);
        cr_assert_eq(read(FD_WAKE, &number, sizeof number), (ssize_t)sizeof number);
        drain(end);
    }
}

/* One view of the memory: to the sanitizer two would be two memories. */
static struct channel *channel_of(struct runner *runner)
{
    return (struct channel *)(void *)((char *)runner_call(runner) - offsetof(struct channel, call));
}

Test(channel, orders_what_both_ends_do)
{
    static void (*const plain[])(void) = {count}, (*const nesting[])(void) = {call_another, count};
    static void (*const agent[])(void) = {count_on_agent};
    pthread_t callers[CALLERS];
    struct error error;
    struct end end = {.plain_array = serving_put_array(plain, 1),
                      .nesting_array = serving_put_array(nesting, 2),
                      .agent_array = serving_put_array(agent, 1)};
    int channel = -1;

    cr_assert_eq(descriptor_create_memfd("channel", sizeof(struct channel), &channel, &error), 0);
    cr_assert_eq(runner_open(channel, &end.runner, &error), 0);
    runner_begin(end.runner, 1);
    serving_begin(channel_of(end.runner));
    for (uintptr_t i = 1; i <= CALLERS; i++)
        cr_assert_eq(pthread_create(&callers[i - 1], NULL, call_often, (void *)i), 0);
    serve_until(&end, CALLERS * CALLS);
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    cr_expect_eq(end.seen[AGENT_ROW], end.seen[MAIN_ROW]);
}
