/*
 * Units that use each other, as a graph of numbers: made at random, submitted to a crowd, and what their functions
 * return.
 */
#ifndef TESTS_INTEGRATION_GRAPH_H
#define TESTS_INTEGRATION_GRAPH_H

#include "tests/integration/crowd.h"
#include "tests/lib/many_units.h"

/* Unit i uses callees[i][0 .. callee_count[i]). */
struct graph {
    size_t count;
    unsigned (*callees)[UNIT_CALLEES]; /* owned */
    size_t *callee_count;              /* owned */
    unsigned *component;               /* owned; units of one cycle have one number */
    unsigned *order;                   /* owned; of submission */
    struct unit_pattern patterns[UNIT_CALLEES + 1];
};

struct graph graph_new(size_t count);
void graph_free(struct graph *graph);

/* Each callee once: an object names a symbol once. */
void graph_add_use(struct graph *graph, size_t user, size_t used);

/* Units first .. first + length - 1 use each the next, and the last the first. */
void graph_add_cycle(struct graph *graph, size_t first, size_t length);

struct object_bytes graph_object(const struct graph *graph, unsigned unit);

/* Queues units order[from .. from + count) as one open batch. */
jitd_request graph_submit(struct crowd *crowd, const struct graph *graph, size_t from, size_t count);

/* What each unit returns at that depth; to be freed. */
unsigned *graph_values(const struct graph *graph, unsigned depth);

/* ---- chance ---- */

unsigned graph_seed(void); /* differs from run to run; TEST_SEED sets it */

/* A number below `end`. */
size_t graph_chance(unsigned *state, size_t end);
void graph_shuffle(unsigned *numbers, size_t count, unsigned *state);

/* With cycles short and long, in any order of submission. */
struct graph graph_random(size_t count, unsigned *state);

#endif
