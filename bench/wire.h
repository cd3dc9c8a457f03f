/*
 * How many bytes the client and the daemon exchange, counted by a relay between the two: what the bare floors have to
 * carry to be comparable.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>

struct wire_bytes {
    size_t out; /* controller to daemon */
    size_t in;
};

struct wire {
    struct wire_bytes unit; /* one unit submitted, to ready */
    struct wire_bytes call; /* one call and its result */
    struct wire_bytes tree; /* the tree in one batch, to ready */
};

/* Through the daemon that listens at `path`. Prints the counts too, as keys wire.*. */
void wire_count(const char *path, size_t tree_units, struct wire *out);

#endif
