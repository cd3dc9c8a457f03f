#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/linker/unit.h"
#include "daemon/linker/units.h"

/* A graph of bare units: unit i defines symbol i and uses the symbols of its edges. Units become ready the moment they
   are runnable, so that after each arrival exactly those must be ready whose every need, however far, has arrived. */
#define UNITS 120

struct model {
    int count;
    bool edge[UNITS][UNITS];
    bool arrived[UNITS];
    struct unit units[UNITS];
    struct pending pendings[UNITS];
    struct graph_node nodes[UNITS];
    struct symbol symbols[UNITS];
    struct use uses[UNITS][UNITS];
    struct graph graph;
    struct units table;
    uint64_t ready_events;
};

static struct model *model_new(int count)
{
    struct model *model = calloc(1, sizeof *model);

    model->count = count;
    model->graph.units = &model->table;
    cr_assert_eq(units_reserve(&model->table, UNITS), 0);
    return model;
}

static void model_free(struct model *model)
{
    units_close(&model->table);
    free(model);
}

static void work(struct model *model)
{
    for (struct unit *root = graph_take(&model->graph); root; root = graph_take(&model->graph)) {
        const struct unit *before = NULL;

        for (struct unit *unit = root; unit; unit = graph_next_member(unit)) {
            cr_assert(!before || before == root || before->id < unit->id, "%llu comes before %llu",
                      (unsigned long long)before->id, (unsigned long long)unit->id);
            before = unit;
            cr_assert_eq(unit->state, UNIT_RESOLVED, "unit %d became ready twice", (int)(unit - model->units));
            unit->state = UNIT_READY;
            model->symbols[unit - model->units].node = NULL;
            model->ready_events++;
            for (uint32_t i = 0; i < unit->pending->use_count; i++)
                symbol_remove_use(&unit->pending->uses[i]);
        }
        graph_leave(root);
        graph_wake_watchers(&model->graph, root);
    }
}

static void arrive(struct model *model, int i)
{
    struct unit *unit = &model->units[i];

    units_add(&model->table, unit);
    unit->pending = &model->pendings[i];
    unit->node = &model->nodes[i];
    unit->pending->uses = model->uses[i];
    for (int to = 0; to < model->count; to++) {
        if (!model->edge[i][to])
            continue;
        unit->pending->uses[unit->pending->use_count] = (struct use){.symbol = &model->symbols[to], .unit = unit};
        symbol_add_use(&model->symbols[to], &unit->pending->uses[unit->pending->use_count++]);
    }
    unit->state = UNIT_RESOLVED;
    model->arrived[i] = true;
    graph_add(unit);
    model->symbols[i].binding = SYMBOL_UNIT;
    model->symbols[i].definer = unit;
    model->symbols[i].node = unit->node;
    graph_symbol_bound(&model->graph, &model->symbols[i]);
    graph_start(&model->graph, unit);
    work(model);
}

static bool reaches_only_arrived(const struct model *model, int from, bool *seen)
{
    if (!model->arrived[from])
        return false;
    seen[from] = true;
    for (int to = 0; to < model->count; to++)
        if (model->edge[from][to] && !seen[to] && !reaches_only_arrived(model, to, seen))
            return false;
    return true;
}

static void expect_as_defined(const struct model *model, unsigned seed)
{
    for (int i = 0; i < model->count; i++) {
        bool seen[UNITS] = {false};
        bool expected = reaches_only_arrived(model, i, seen);

        cr_assert_eq(model->units[i].state == UNIT_READY, expected, "seed %u: unit %d is %sready", seed, i,
                     expected ? "not " : "");
    }
}

static void shuffle(int *order, int count, unsigned *seed)
{
    for (int i = 0; i < count; i++)
        order[i] = i;
    for (int i = count - 1; i > 0; i--) {
        int j = rand_r(seed) % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

Test(graph, makes_ready_exactly_what_has_all_it_needs_after_each_arrival_in_random_graphs, .timeout = 50)
{
    for (unsigned seed = 1; seed <= 150; seed++) {
        unsigned state = seed;
        int order[UNITS], density = 1 + rand_r(&state) % 5;
        struct model *model = model_new(10 + rand_r(&state) % 50);

        for (int i = 0; i < model->count * density / 2; i++)
            model->edge[rand_r(&state) % model->count][rand_r(&state) % model->count] = true;
        shuffle(order, model->count, &state);
        for (int i = 0; i < model->count; i++) {
            arrive(model, order[i]);
            expect_as_defined(model, seed);
        }
        cr_assert_eq(model->ready_events, (uint64_t)model->count, "seed %u: not all became ready", seed);
        model_free(model);
    }
}

Test(graph, contracts_one_big_cycle_whichever_way_it_arrives)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        struct model *model = model_new(UNITS);

        for (int i = 0; i < UNITS; i++)
            model->edge[i][(i + 1) % UNITS] = true;
        for (int i = 0; i < UNITS; i++) {
            cr_assert_eq(model->ready_events, 0);
            arrive(model, backwards ? UNITS - 1 - i : i);
        }
        cr_assert_eq(model->ready_events, UNITS);
        model_free(model);
    }
}

/* Gone while it waited, as by a deadline: whom it watched must not find it there. */
static void fail(struct model *model, int i)
{
    struct unit *unit = &model->units[i];

    unit->state = UNIT_FAILED;
    for (uint32_t u = 0; u < unit->pending->use_count; u++)
        symbol_remove_use(&unit->pending->uses[u]);
    graph_leave(unit);
    graph_wake_watchers(&model->graph, unit);
    memset(unit->pending, 0xa5, sizeof *unit->pending);
    memset(unit->node, 0xa5, sizeof *unit->node);
    unit->node = NULL;
}

Test(graph, forgets_those_of_a_component_s_watchers_that_fail)
{
    enum { WATCHED, MISSING, FIRST_WATCHER, COUNT = FIRST_WATCHER + 3 };
    for (int failing = 1; failing < 1 << 3; failing++) {
        struct model *model = model_new(COUNT);

        model->edge[WATCHED][MISSING] = true;
        for (int i = FIRST_WATCHER; i < COUNT; i++)
            model->edge[i][WATCHED] = true;
        arrive(model, WATCHED);
        for (int i = FIRST_WATCHER; i < COUNT; i++)
            arrive(model, i);
        for (int i = FIRST_WATCHER; i < COUNT; i++)
            if (failing & 1 << (i - FIRST_WATCHER))
                fail(model, i);
        arrive(model, MISSING);
        cr_assert_eq(model->ready_events, (uint64_t)(COUNT - __builtin_popcount((unsigned)failing)));
        model_free(model);
    }
}
