#include "tests/plain/serving.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/bytes.h"
#include "daemon/runner/requests.h"
#include "daemon/runner/waiters.h"

#define PATIENCE_MS 20000
#define ARRAY_MOST  8

static struct runner serving;
static void (*serving_arrays[16][ARRAY_MOST])(void); /* stands for zone R */
static uint32_t serving_array_count;

static void *serve_main(void *queue)
{
    requests_serve(&serving, queue);
}

void serving_begin(struct channel *channel)
{
    pthread_t thread;
    int wake = eventfd(0, 0);

    cr_assert(wake >= 0 && dup2(wake, FD_WAKE) == FD_WAKE);
    serving.channel = channel;
    serving.arena.sizes.bytes[ZONE_R] = sizeof serving_arrays;
    serving.arena.base = (uintptr_t)serving_arrays;
    cr_assert(pthread_create(&thread, NULL, serve_main, &channel->main) == 0);
    cr_assert(pthread_create(&thread, NULL, serve_main, &channel->agent) == 0);
}

uint64_t serving_call(uint64_t slot)
{
    uint32_t number = waiters_take(serving.channel, requests_are_performed(), PATIENCE_MS);

    cr_assert(number < CHANNEL_WAITERS);
    uint64_t address = requests_serve_waiter(&serving, number, slot);
    waiters_release(serving.channel, number);
    return address;
}

uint64_t serving_put_array(void (*const *functions)(void), uint32_t count)
{
    cr_assert(count <= ARRAY_MOST && serving_array_count < ARRAY_LENGTH(serving_arrays));
    memcpy(serving_arrays[serving_array_count], functions, count * sizeof *functions);
    return (uint64_t)(uintptr_t)serving_arrays[serving_array_count++];
}
