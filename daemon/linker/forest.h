/*
 * A forest whose trees are linked and cut while they are asked for their roots: link-cut trees (D. D. Sleator and
 * R. E. Tarjan, "A data structure for dynamic trees", 1983, in the form with splay trees, 1985). Every operation costs
 * O(log n) amortised, however deep the trees are.
 *
 * Nodes lie in their owners' structures. A node without edges may be freed.
 */
#ifndef LINKER_FOREST_H
#define LINKER_FOREST_H

/* Zero-initialised is a tree of one node. */
struct forest_node {
    struct forest_node *up; /* in the splay tree of its path; from the root of one, the node that the path hangs from */
    struct forest_node *above, *below; /* the path's nodes nearer to the tree's root, and farther from it */
};

/* Hangs the tree of which `root` is the root under a node of another tree. */
void forest_link(struct forest_node *root, struct forest_node *under);

/* Makes the node the root of its own tree; one that is a root already is left alone. */
void forest_cut(struct forest_node *node);

struct forest_node *forest_root(struct forest_node *node);

#endif
