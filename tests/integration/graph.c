#include "tests/integration/graph.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct graph graph_new(size_t count)
{
    struct graph graph = {.count = count};
    graph.callees = calloc(count, sizeof *graph.callees);
    graph.callee_count = calloc(count, sizeof *graph.callee_count);
    graph.component = calloc(count, sizeof *graph.component);
    graph.order = calloc(count, sizeof *graph.order);
    cr_assert(graph.callees && graph.callee_count && graph.component && graph.order);
    for (size_t i = 0; i < count; i++)
        graph.component[i] = graph.order[i] = (unsigned)i;
    for (size_t i = 0; i <= UNIT_CALLEES; i++)
        graph.patterns[i] = unit_pattern_function(i);
    return graph;
}

void graph_free(struct graph *graph)
{
    free(graph->callees);
    free(graph->callee_count);
    free(graph->component);
    free(graph->order);
    for (size_t i = 0; i <= UNIT_CALLEES; i++)
        unit_pattern_free(&graph->patterns[i]);
}

void graph_add_use(struct graph *graph, size_t user, size_t used)
{
    size_t *count = &graph->callee_count[user];
    for (size_t i = 0; i < *count; i++)
        if (graph->callees[user][i] == used)
            return;
    if (*count < UNIT_CALLEES)
        graph->callees[user][(*count)++] = (unsigned)used;
}

struct object_bytes graph_object(const struct graph *graph, unsigned unit)
{
    unsigned numbers[UNIT_CALLEES + 1] = {unit};
    memcpy(numbers + 1, graph->callees[unit], sizeof graph->callees[unit]);
    return unit_pattern_make(&graph->patterns[graph->callee_count[unit]], numbers);
}

jitd_request graph_submit(struct crowd *crowd, const struct graph *graph, size_t from, size_t count)
{
    struct object_bytes *objects = calloc(count, sizeof *objects);
    cr_assert(objects);
    for (size_t i = 0; i < count; i++)
        objects[i] = graph_object(graph, graph->order[from + i]);
    jitd_request request = crowd_submit(crowd, 0, objects, graph->order + from, count, NULL);
    free(objects);
    return request;
}

unsigned *graph_values(const struct graph *graph, unsigned depth)
{
    unsigned *values = calloc(graph->count, sizeof *values), *below = calloc(graph->count, sizeof *below);
    cr_assert(values && below);
    for (unsigned level = 0; level <= depth; level++) {
        for (size_t i = 0; i < graph->count; i++) {
            unsigned callees[UNIT_CALLEES] = {0};
            for (size_t c = 0; c < graph->callee_count[i]; c++)
                callees[c] = below[graph->callees[i][c]];
            values[i] = unit_model(callees, level == 0 ? 0 : graph->callee_count[i]);
        }
        memcpy(below, values, graph->count * sizeof *below);
    }
    free(below);
    return values;
}

/* ---- chance ---- */

unsigned graph_seed(void)
{
    const char *given = getenv("TEST_SEED");
    return given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ (unsigned)getpid() << 16;
}

size_t graph_chance(unsigned *state, size_t end)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % end;
}

void graph_shuffle(unsigned *numbers, size_t count, unsigned *state)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = graph_chance(state, i);
        unsigned number = numbers[i - 1];
        numbers[i - 1] = numbers[other];
        numbers[other] = number;
    }
}

/* All other uses lead to higher numbers, so that these and no others are one strongly connected component. */
void graph_add_cycle(struct graph *graph, size_t first, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        graph_add_use(graph, first + i, first + (i + 1) % length);
        graph->component[first + i] = (unsigned)first;
    }
}

#define LONG_CYCLE 1000

struct graph graph_random(size_t count, unsigned *state)
{
    struct graph graph = graph_new(count);
    graph_add_cycle(&graph, count / 2, LONG_CYCLE);
    for (size_t i = 0; i + 64 < count; i += 64)
        if (i + 64 <= count / 2 || i >= count / 2 + LONG_CYCLE)
            graph_add_cycle(&graph, i, 2 + graph_chance(state, 30));
    for (size_t i = 0; i + 1 < count; i++) {
        for (size_t uses = graph_chance(state, UNIT_CALLEES + 1); uses > 0; uses--) {
            size_t reach = graph_chance(state, 4) == 0 ? count - 1 - i : count - 1 - i < 20 ? count - 1 - i : 20;
            graph_add_use(&graph, i, i + 1 + graph_chance(state, reach));
        }
    }
    graph_shuffle(graph.order, count, state);
    return graph;
}
