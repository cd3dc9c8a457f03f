/*
 * More threads than there are waiters, each of which must be alone with the one that it has taken.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "daemon/runner/waiters.h"

#define THREADS     (CHANNEL_WAITERS + 16)
#define ROUNDS      200
#define PATIENCE_MS 20000

static struct channel channel;
static unsigned taken_times[CHANNEL_WAITERS]; /* of each waiter: its holder's alone, so no atomic */

static void *take_and_release(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t number = waiters_take(&channel, argument != NULL, PATIENCE_MS);
        taken_times[number]++;
        waiters_release(&channel, number);
    }
    return argument;
}

Test(waiters, belong_to_one_thread_at_a_time)
{
    pthread_t threads[THREADS];
    unsigned sum = 0;
    memset(taken_times, 0, sizeof taken_times);
    for (uint32_t i = 0; i < THREADS; i++)
        cr_assert(pthread_create(&threads[i], NULL, take_and_release, i % 2 ? &channel : NULL) == 0);
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < CHANNEL_WAITERS; i++) {
        sum += taken_times[i];
        cr_expect(channel.waiters[i].taken == 0);
    }
    cr_expect(sum == THREADS * ROUNDS, "%u", sum);
}

/* All are taken: every release must wake a sleeper, or this does not end. */
Test(waiters, go_to_threads_that_sleep_for_one)
{
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < CHANNEL_WAITERS; i++)
        waiters_take(&channel, i >= CHANNEL_NESTED, PATIENCE_MS);
    for (uint32_t i = 0; i < THREADS; i++)
        cr_assert(pthread_create(&threads[i], NULL, take_and_release, NULL) == 0);
    waiters_release(&channel, 7);
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < CHANNEL_WAITERS; i++) {
        cr_expect(channel.waiters[i].taken == (i == 7 ? 0 : 1));
        channel.waiters[i].taken = 0;
    }
}

Test(waiters, of_initialisers_are_left_when_other_threads_have_taken_all)
{
    for (uint32_t i = 0; i < CHANNEL_NESTED; i++)
        cr_expect_eq(waiters_take(&channel, false, 0), i);
    cr_expect_eq(waiters_take(&channel, false, 0), CHANNEL_WAITERS);
    cr_expect_eq(waiters_take(&channel, true, 0), CHANNEL_NESTED);
    for (uint32_t i = 0; i <= CHANNEL_NESTED; i++)
        waiters_release(&channel, i);
}

Test(waiters, are_waited_for_no_longer_than_that)
{
    struct timespec before, after;
    for (uint32_t i = 0; i < CHANNEL_NESTED; i++)
        waiters_take(&channel, false, 0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    cr_expect_eq(waiters_take(&channel, false, 30), CHANNEL_WAITERS);
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_expect((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 29);
    for (uint32_t i = 0; i < CHANNEL_NESTED; i++)
        waiters_release(&channel, i);
}
