/*
 * Random operations. Each session has a character of its own: how many libraries and names there are, how often each
 * operation and each peculiarity comes, so that some sessions are full of what others hardly have.
 */
#ifndef TESTS_MODEL_GENERATE_H
#define TESTS_MODEL_GENERATE_H

#include "tests/model/operation.h"

/* Fills out[0] to out[count - 1], at most OPERATIONS_MOST; the same seed gives the same operations. */
void generate_session(uint64_t seed, struct operation *out, size_t count);

/* A number for the session of that index under that seed. */
uint64_t generate_seed(uint64_t seed, uint64_t index);

#endif
