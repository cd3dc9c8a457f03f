/*
 * The waiters of the channel (proto/channel.h), of which a thread takes one for each function that it waits for.
 */
#ifndef RUNNER_WAITERS_H
#define RUNNER_WAITERS_H

#include "proto/channel.h"

/* The number of a waiter that is the calling thread's until it releases it. Sleeps while all are taken.
   Async-signal-safe, as is its counterpart. */
uint32_t waiters_take(struct channel *channel);
void waiters_release(struct channel *channel, uint32_t number);

#endif
