/*
 * The runner's end of a channel, in threads of the test's own process: those that serve its two queues, and whichever
 * calls what is not there. The functions are the runner's; what they serve is the test's.
 */
#ifndef TESTS_PLAIN_SERVING_H
#define TESTS_PLAIN_SERVING_H

#include <stdint.h>

#include "proto/channel.h"

/* Begins to serve, for ever; `channel` is borrowed for as long. FD_WAKE of this process becomes the eventfd that wakes
   the linker's end. */
void serving_begin(struct channel *channel);

/* The calling thread calls through that slot. Returns where it goes on; 0: nowhere. */
uint64_t serving_call(uint64_t slot);

/* Arrays of at most 8 functions, which requests to the runner can name: where one lies in its addresses. */
uint64_t serving_put_array(void (*const *functions)(void), uint32_t count);

#endif
