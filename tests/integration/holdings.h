/*
 * What a session holds, as jitd_inspect says it: so that a test can see that nothing is left of what went.
 */
#ifndef TESTS_INTEGRATION_HOLDINGS_H
#define TESTS_INTEGRATION_HOLDINGS_H

#include "tests/integration/harness.h"

struct holdings {
    uint64_t used[8]; /* bytes of each of the arena's zones */
    size_t zones;
    uint64_t units;
};

struct holdings holdings_of(struct harness *harness);

/* Of the zones alone: a unit that has failed is still counted. */
bool holdings_are_same(const struct holdings *before, const struct holdings *after);

/* The session holds as much as before: in its zones, and with units too. Says of each zone that differs what it held.
 */
void holdings_expect_same_room(struct harness *harness, const struct holdings *before);
void holdings_expect_same(struct harness *harness, const struct holdings *before);

#endif
