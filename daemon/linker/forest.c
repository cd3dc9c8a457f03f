/*
 * Each tree is cut into paths that lead towards its root; the nodes of one path lie in a splay tree, ordered by depth.
 * `expose` makes the path from a node to its tree's root one of these. Nothing recurses.
 */
#include "daemon/linker/forest.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_top(const struct forest_node *node)
{
    return !node->up || (node->up->above != node && node->up->below != node);
}

static void rotate(struct forest_node *node)
{
    struct forest_node *parent = node->up, *moved;
    bool parent_is_top = is_top(parent);

    if (parent->above == node) {
        moved = node->below;
        parent->above = moved;
        node->below = parent;
    } else {
        moved = node->above;
        parent->below = moved;
        node->above = parent;
    }
    if (moved)
        moved->up = parent;
    node->up = parent->up;
    parent->up = node;
    if (parent_is_top)
        return; /* what the path hangs from knows nothing of it */
    if (node->up->above == parent)
        node->up->above = node;
    else
        node->up->below = node;
}

static void splay(struct forest_node *node)
{
    while (!is_top(node)) {
        struct forest_node *parent = node->up;

        if (!is_top(parent))
            rotate((parent->up->above == parent) == (parent->above == node) ? parent : node);
        rotate(node);
    }
}

/* The node ends as the top of a path from itself to its tree's root, with nothing below. */
static void expose(struct forest_node *node)
{
    splay(node);
    node->below = NULL;
    while (node->up) {
        struct forest_node *path = node->up;

        splay(path);
        path->below = node;
        splay(node);
    }
}

void forest_link(struct forest_node *root, struct forest_node *under)
{
    expose(root);
    root->up = under;
}

void forest_cut(struct forest_node *node)
{
    expose(node);
    if (!node->above)
        return;
    node->above->up = NULL;
    node->above = NULL;
}

struct forest_node *forest_root(struct forest_node *node)
{
    expose(node);
    while (node->above)
        node = node->above;
    splay(node); /* pays for the walk */
    return node;
}
