/*
 * A message that the schema allows, changed in one place at random: a number to the edge of its type, a name to what no
 * name is, a list to none or very many. Which fields there are is read from the message's own descriptor, so that what
 * is added to the schema is covered too.
 */
#ifndef TESTS_INTEGRATION_MUTATE_H
#define TESTS_INTEGRATION_MUTATE_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "common/pool.h"

/* What the message comes to hold lies in the pool. `state` is of random_draw. Enumerations keep values that the schema
   has, since a message with others ends the session. */
void mutate(ProtobufCMessage *message, struct pool *pool, uint64_t *state);

#endif
