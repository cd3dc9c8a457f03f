/*
 * The waiters of the channel (proto/channel.h), of which a thread takes one for each function that it waits for.
 */
#ifndef RUNNER_WAITERS_H
#define RUNNER_WAITERS_H

#include <stdbool.h>

#include "proto/channel.h"

/* The number of a waiter that is the calling thread's until it releases it; of the nested ones, where it calls from
   within what the linker has asked of it. Sleeps while all are taken; CHANNEL_WAITERS where that is so for longer than
   `patience_ms`. Async-signal-safe, as is its counterpart. */
uint32_t waiters_take(struct channel *channel, bool nested, uint32_t patience_ms);
void waiters_release(struct channel *channel, uint32_t number);

#endif
