#include <criterion/criterion.h>
#include <stdlib.h>

#include "daemon/linker/forest.h"

#define NODES 64

struct model {
    struct forest_node nodes[NODES];
    int under[NODES]; /* -1: a root */
};

static int model_root(const struct model *model, int node)
{
    while (model->under[node] >= 0)
        node = model->under[node];
    return node;
}

static void model_open(struct model *model)
{
    *model = (struct model){0};
    for (int i = 0; i < NODES; i++)
        model->under[i] = -1;
}

static void step(struct model *model, unsigned *state)
{
    int a = rand_r(state) % NODES, b = rand_r(state) % NODES;

    if (rand_r(state) % 3 == 0) {
        forest_cut(&model->nodes[a]);
        model->under[a] = -1;
    } else if (model->under[a] < 0 && model_root(model, b) != a) {
        forest_link(&model->nodes[a], &model->nodes[b]);
        model->under[a] = b;
    }
}

Test(forest, gives_the_root_that_following_every_edge_would_give)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct model model;
        unsigned state = seed;

        model_open(&model);
        for (int i = 0; i < 2000; i++) {
            step(&model, &state);
            int node = rand_r(&state) % NODES;
            cr_assert_eq(forest_root(&model.nodes[node]), &model.nodes[model_root(&model, node)], "seed %u, step %d",
                         seed, i);
        }
    }
}

Test(forest, a_node_that_was_cut_off_with_all_that_hung_from_it_is_known_to_no_other)
{
    struct model model;

    model_open(&model);
    for (int i = 1; i < NODES; i++)
        forest_link(&model.nodes[i], &model.nodes[i - 1]);
    cr_expect_eq(forest_root(&model.nodes[NODES - 1]), &model.nodes[0]);
    forest_cut(&model.nodes[31]);
    forest_cut(&model.nodes[30]);
    for (int i = 0; i < NODES; i++) {
        struct forest_node *gone = &model.nodes[30], *node = &model.nodes[i];
        cr_expect(i == 30 || (node->up != gone && node->above != gone && node->below != gone));
    }
    cr_expect_eq(forest_root(&model.nodes[NODES - 1]), &model.nodes[31]);
    cr_expect_eq(forest_root(&model.nodes[29]), &model.nodes[0]);
}

Test(forest, a_path_of_a_million_nodes_is_asked_without_recursion_and_soon_short, .timeout = 20)
{
    const size_t count = 1000000;
    struct forest_node *nodes = calloc(count, sizeof *nodes);

    for (size_t i = 1; i < count; i++)
        forest_link(&nodes[i - 1], &nodes[i]);
    for (size_t i = 0; i < count; i += 7)
        cr_assert_eq(forest_root(&nodes[i]), &nodes[count - 1]);
    free(nodes);
}
