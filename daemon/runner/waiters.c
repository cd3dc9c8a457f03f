/*
 * Waiters are taken by an exchange and given back by a store: no lock, which a signal handler could find held by the
 * thread that it has interrupted.
 *
 * Each release wakes one sleeper. One that is woken and finds the waiter gone to somebody else sleeps again, and that
 * other one's release wakes the next. Nobody sleeps for ever: whoever has the waiters may wait for the sleeper.
 */
#include "daemon/runner/waiters.h"

#include <time.h>

#include "common/delay.h"
#include "daemon/runner/futex.h"

static bool waiters_try(struct channel *channel, bool nested, uint32_t *number)
{
    const uint32_t end = nested ? CHANNEL_WAITERS : CHANNEL_NESTED;
    for (uint32_t i = nested ? CHANNEL_NESTED : 0; i < end; i++) {
        if (atomic_exchange_explicit(&channel->waiters[i].taken, 1, memory_order_acquire) != 0)
            continue;
        DELAY();
        *number = i;
        return true;
    }
    return false;
}

static struct timespec time_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

static struct timespec time_after(uint32_t milliseconds)
{
    struct timespec time = time_now();
    time.tv_sec += milliseconds / 1000;
    time.tv_nsec += milliseconds % 1000 * 1000000L;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    }
    return time;
}

static bool time_is_past(const struct timespec *time)
{
    const struct timespec now = time_now();
    return now.tv_sec != time->tv_sec ? now.tv_sec > time->tv_sec : now.tv_nsec >= time->tv_nsec;
}

static uint32_t waiters_sleep(struct channel *channel, bool nested, uint32_t patience_ms)
{
    _Atomic uint32_t *released = &channel->waiters_released[nested];
    const struct timespec deadline = time_after(patience_ms);
    for (;;) {
        uint32_t number, before = atomic_load(released);
        if (waiters_try(channel, nested, &number))
            return number;
        if (time_is_past(&deadline))
            return CHANNEL_WAITERS;
        DELAY();
        futex_wait_until(released, before, &deadline);
    }
}

uint32_t waiters_take(struct channel *channel, bool nested, uint32_t patience_ms)
{
    uint32_t number;
    return waiters_try(channel, nested, &number) ? number : waiters_sleep(channel, nested, patience_ms);
}

void waiters_release(struct channel *channel, uint32_t number)
{
    _Atomic uint32_t *released = &channel->waiters_released[number >= CHANNEL_NESTED];
    atomic_store_explicit(&channel->waiters[number].taken, 0, memory_order_release);
    DELAY();
    atomic_fetch_add(released, 1);
    futex_wake(released);
}
