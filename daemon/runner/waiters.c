/*
 * Waiters are taken by an exchange and given back by a store: no lock, which a signal handler could find held by the
 * thread that it has interrupted.
 *
 * Each release wakes one sleeper. One that is woken and finds the waiter gone to somebody else sleeps again, and that
 * other one's release wakes the next.
 */
#include "daemon/runner/waiters.h"

#include <stdbool.h>

#include "daemon/runner/futex.h"

static bool waiters_try(struct channel *channel, uint32_t *number)
{
    for (uint32_t i = 0; i < CHANNEL_WAITERS; i++) {
        if (atomic_exchange_explicit(&channel->waiters[i].taken, 1, memory_order_acquire) != 0)
            continue;
        *number = i;
        return true;
    }
    return false;
}

uint32_t waiters_take(struct channel *channel)
{
    uint32_t number, released = atomic_load(&channel->waiters_released);
    while (!waiters_try(channel, &number)) {
        futex_wait(&channel->waiters_released, released);
        released = atomic_load(&channel->waiters_released);
    }
    return number;
}

void waiters_release(struct channel *channel, uint32_t number)
{
    atomic_store_explicit(&channel->waiters[number].taken, 0, memory_order_release);
    atomic_fetch_add(&channel->waiters_released, 1);
    futex_wake(&channel->waiters_released);
}
