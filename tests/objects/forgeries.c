/*
 * Submitted by tests/integration/test_forgery.c: writes to the channel what the runner never would.
 *
 * Each forgery takes the channel's address. What it puts into the ring of replies stands behind what the runner has
 * put there, and before the reply to the call that the forgery is made in.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "proto/channel.h"
#include "proto/control.h"

#define CHANNEL ((struct channel *)channel)

static void wake(void)
{
    static const uint64_t one = 1;
    write(FD_WAKE, &one, sizeof one);
}

static long put(long channel, struct channel_record record)
{
    struct channel_queue *replies = &CHANNEL->replies;
    uint32_t head = replies->head;
    replies->records[head % CHANNEL_QUEUE_RECORDS] = record;
    replies->head = head + 1;
    wake();
    return 1;
}

/* What was asked of the main thread last: this call. */
static uint64_t own_request(long channel)
{
    return CHANNEL->main.head - 1;
}

/* ---- replies ---- */

long forge_more_replies_than_the_ring_holds(long channel)
{
    CHANNEL->replies.head = CHANNEL->replies.tail + CHANNEL_QUEUE_RECORDS + 1;
    wake();
    pause();
}

long forge_fewer_replies_than_were_taken(long channel)
{
    CHANNEL->replies.head = CHANNEL->replies.tail - 1;
    wake();
    pause();
}

long forge_reply_of_no_queue(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_CALL, .id = UINT64_MAX});
}

long forge_reply_of_an_idle_queue(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_CALL, .id = (uint64_t)1 << 32});
}

long forge_reply_of_an_idle_waiter(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_INITIALISE, .id = (uint64_t)2 << 32});
}

long forge_reply_of_another_kind(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_ACTIONS, .id = own_request(channel), .a = 1});
}

long forge_reply_of_no_kind(long channel)
{
    return put(channel, (struct channel_record){.kind = UINT32_MAX, .id = own_request(channel)});
}

/* The true one, which comes behind it, answers nothing any more. */
long forge_reply_to_its_own_call(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_CALL, .id = own_request(channel), .a = 4711});
}

/* ---- actions, whose argument is the channel's address ---- */

/* Of one action. */
static int forge_failure(const void *argument, uint32_t kind)
{
    long channel = *(const long *)argument;
    put(channel, (struct channel_record){.kind = kind, .id = own_request(channel), .a = 2, .b = 1});
    pause();
}

int forge_failed_publication(const void *argument, unsigned long bytes)
{
    return forge_failure(argument, CHANNEL_ACTIONS);
}

int forge_failed_removal(const void *argument, unsigned long bytes)
{
    return forge_failure(argument, CHANNEL_UNDO_ACTIONS);
}

/* ---- threads that wait ---- */

long forge_waiter_that_is_none(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_LAZY, .id = CHANNEL_WAITERS + 1});
}

long forge_waiter_beyond_32_bits(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_LAZY, .id = (uint64_t)1 << 32});
}

/* The slots of zone S begin with that of the landing, 0; the first unit's trampoline has one of the next. */
long forge_waiter_twice(long channel)
{
    for (uint64_t slot = 0; slot < 64; slot++)
        put(channel, (struct channel_record){.kind = CHANNEL_LAZY, .id = 5, .a = slot});
    return 1;
}

long forge_slots_that_are_none(long channel)
{
    static const uint64_t slots[] = {0, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 63, ((uint64_t)1 << 32) + 8};
    for (uint64_t i = 0; i < sizeof slots / sizeof slots[0]; i++)
        put(channel, (struct channel_record){.kind = CHANNEL_LAZY, .id = 7 + i, .a = slots[i]});
    return 1;
}

long forge_want_of_waiters(long channel)
{
    return put(channel, (struct channel_record){.kind = CHANNEL_LAZY, .id = CHANNEL_WAITERS, .a = UINT64_MAX});
}

/* ---- other words ---- */

long forge_threads(long channel)
{
    CHANNEL->threads = UINT32_MAX;
    return 1;
}

long forge_words_of_the_linker(long channel)
{
    CHANNEL->epoch = 4711;
    CHANNEL->replies.tail = 4711;
    CHANNEL->main.tail = 4711;
    for (uint32_t i = 0; i < CHANNEL_WAITERS; i++)
        CHANNEL->waiters[i].head = CHANNEL->waiters[i].taken = 4711;
    memset(&CHANNEL->call, 0xff, sizeof CHANNEL->call);
    memset(&CHANNEL->startup, 0xff, sizeof CHANNEL->startup);
    return 1;
}

long forge_crash_record(long channel)
{
    memset(&CHANNEL->crash, 0xff, sizeof CHANNEL->crash);
    signal(SIGABRT, SIG_DFL);
    kill(getpid(), SIGKILL);
    pause();
}

/* ---- without end ---- */

static long endless_channel;

static void *endless(void *unused)
{
    struct channel_queue *replies = &((struct channel *)endless_channel)->replies;
    for (;;)
        replies->head = replies->tail + CHANNEL_QUEUE_RECORDS;
}

/* Whatever the linker takes, there is more: one of several threads is always there to see to it. */
long forge_replies_without_end(long channel)
{
    struct channel_queue *replies = &CHANNEL->replies;
    pthread_t thread;
    for (uint32_t i = 0; i < CHANNEL_QUEUE_RECORDS; i++)
        replies->records[i] = (struct channel_record){.kind = CHANNEL_LAZY, .id = CHANNEL_WAITERS};
    endless_channel = channel;
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, 0, endless, 0);
    for (;; usleep(1000))
        wake();
}

static long noise_channel;

static uint32_t noise_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void *noise(void *seed)
{
    volatile uint32_t *words = (volatile uint32_t *)noise_channel;
    uint64_t state = (uint64_t)seed;
    for (;;) {
        uint32_t word = noise_next(&state);
        words[noise_next(&state) % (sizeof(struct channel) / 4)] = word % 4 ? word % 80 : word;
        if (word % 64 == 0)
            wake();
    }
}

static long begin(void *(*thread)(void *), long channel)
{
    pthread_t id;
    noise_channel = channel & -4096;
    return pthread_create(&id, 0, thread, (void *)(channel & 4095));
}

/* Every word of it, at random, from then on; the argument is the channel's address, with a seed in its lowest bits. */
long forge_noise(long channel)
{
    return begin(noise, channel);
}

/* Threads that are none say that they wait for what some slot leads to, each by the rules, so that the session goes on;
   and whatever the linker reads beside its rings changes all the time. */
static void *notices(void *seed)
{
    struct channel *channel = (struct channel *)noise_channel;
    uint32_t heads[CHANNEL_WAITERS];
    uint64_t state = (uint64_t)seed, waiting = 0;
    for (;; usleep(100)) {
        uint32_t id = noise_next(&state) % (CHANNEL_WAITERS + 1);
        channel->threads = noise_next(&state) % 3;
        memset(&channel->crash, (int)noise_next(&state), sizeof channel->crash);
        if (id < CHANNEL_WAITERS && (waiting & 1ull << id) && channel->waiters[id].head == heads[id])
            continue;
        if (id < CHANNEL_WAITERS) {
            heads[id] = channel->waiters[id].head;
            waiting |= 1ull << id;
        }
        put(noise_channel,
            (struct channel_record){.kind = CHANNEL_LAZY, .id = id, .a = noise_next(&state) % 32, .b = state});
    }
}

long forge_notices(long channel)
{
    return begin(notices, channel);
}
