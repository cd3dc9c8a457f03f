#include "daemon/linker/graph.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "daemon/linker/unit.h"
#include "daemon/linker/units.h"

/* Of so many numbers one at least is a member's: then all are looked at. */
#define DENSE 4

static struct graph_node *find_root(struct graph_node *node)
{
    while (node->parent != node) {
        node->parent = node->parent->parent;
        node = node->parent;
    }
    return node;
}

struct unit *graph_root(struct unit *unit)
{
    return find_root(unit->node)->unit;
}

/* The root that stands at the root of a tree of the forest. */
static struct graph_node *find_last_watched(struct graph_node *node)
{
    struct forest_node *tree = forest_root(&node->tree);

    return (struct graph_node *)(void *)((char *)tree - offsetof(struct graph_node, tree));
}

const struct symbol *graph_awaited(struct unit *unit, struct unit **needed_by)
{
    struct graph_node *root = find_last_watched(unit->node);

    *needed_by = root->scan_first ? root->scan_first->unit : root->unit;
    return root->watching_symbol;
}

const struct unit *graph_watched(const struct unit *unit)
{
    const struct graph_node *root = find_root(unit->node);

    return root->watching ? find_root(root->watching)->unit : NULL;
}

struct unit *graph_next_member(const struct unit *unit)
{
    const struct graph_node *next = unit->node->member_next;

    if (!next)
        return NULL;
    if (next->member_next)
        __builtin_prefetch(&next->member_next->unit);
    return next->unit;
}

static void enqueue(struct graph *graph, struct graph_node *root)
{
    root->phase = GRAPH_RUNNABLE;
    root->queue_next = NULL;
    if (graph->queue_last)
        graph->queue_last->queue_next = root;
    else
        graph->queue_first = root;
    graph->queue_last = root;
}

/* Behind the root, the members in the order of submission: as they lie in memory, which a large component's walks would
   otherwise jump about in. The order in which they were found tells nothing. */
static void chain_members(struct graph_node *root, struct graph_node *const *members, uint32_t count)
{
    root->member_last = root;
    for (uint32_t i = 0; i < count; i++) {
        root->member_last->member_next = members[i];
        root->member_last = members[i];
    }
    root->member_last->member_next = NULL;
}

static int compare_units(const void *left, const void *right)
{
    const struct unit *a = (*(struct graph_node *const *)left)->unit, *b = (*(struct graph_node *const *)right)->unit;

    return a->id < b->id ? -1 : a->id > b->id;
}

static void sort_members(const struct graph_node *root, struct graph_node **members, uint32_t count)
{
    uint32_t i = 0;

    for (struct graph_node *member = root->member_next; member; member = member->member_next)
        members[i++] = member;
    qsort(members, count, sizeof(struct graph_node *), compare_units);
}

/* Where many of the units between the first and the last are members, looking at each of them in turn is faster than
   following the list, every step of which waits for memory. */
static void pick_members(const struct graph *graph, const struct graph_node *root, struct graph_node **members)
{
    uint32_t i = 0;

    for (uint64_t id = root->first_id; id <= root->last_id; id++) {
        const struct unit *unit = units_find(graph->units, id);

        if (unit && unit->node && unit->node != root && find_root(unit->node) == root)
            members[i++] = unit->node;
    }
}

/* Without memory for it the order stays. */
static void order_members(const struct graph *graph, struct graph_node *root)
{
    uint32_t count = root->member_count - 1;
    struct graph_node **members = count > 1 ? malloc(count * sizeof *members) : NULL;

    if (!members)
        return;
    if ((root->last_id - root->first_id) / DENSE < count)
        pick_members(graph, root, members);
    else
        sort_members(root, members, count);
    chain_members(root, members, count);
    free(members);
}

struct unit *graph_take(struct graph *graph)
{
    struct graph_node *root = graph->queue_first;

    if (!root)
        return NULL;
    graph->queue_first = root->queue_next;
    if (!graph->queue_first)
        graph->queue_last = NULL;
    order_members(graph, root);
    return root->unit;
}

static void append_watchers(struct graph_node *root, struct graph_node *first, struct graph_node *last)
{
    if (!first)
        return;
    first->watcher_previous = root->watcher_last;
    if (root->watcher_last)
        root->watcher_last->watcher_next = first;
    else
        root->watcher_first = first;
    root->watcher_last = last;
}

static void watch(struct graph_node *root, struct graph_node *target)
{
    root->phase = GRAPH_BLOCKED;
    root->watching = target;
    root->watcher_next = NULL;
    append_watchers(target, root, root);
    forest_link(&root->tree, &target->tree);
}

/* Whoever watches is in the list of the component that it watches, and in no other: what is freed is in none. */
static void stop_watching(struct graph_node *root)
{
    if (!root->watching)
        return;
    struct graph_node *target = find_root(root->watching), *previous = root->watcher_previous;
    struct graph_node *next = root->watcher_next;

    if (previous)
        previous->watcher_next = next;
    else
        target->watcher_first = next;
    if (next)
        next->watcher_previous = previous;
    else
        target->watcher_last = previous;
    root->watching = root->watcher_next = root->watcher_previous = NULL;
    forest_cut(&root->tree);
}

/* Makes `other`, which watches nothing, part of `root`: members, needs not looked at yet, and watchers change hands. */
static void absorb(struct graph_node *root, struct graph_node *other)
{
    other->parent = root;
    root->member_last->member_next = other;
    root->member_last = other->member_last;
    root->member_count += other->member_count;
    root->first_id = min_u64(root->first_id, other->first_id);
    root->last_id = max_u64(root->last_id, other->last_id);
    if (other->scan_first) {
        if (root->scan_last)
            root->scan_last->scan_next = other->scan_first;
        else
            root->scan_first = other->scan_first;
        root->scan_last = other->scan_last;
    }
    append_watchers(root, other->watcher_first, other->watcher_last);
    other->watcher_first = other->watcher_last = NULL;
    forest_link(&other->tree, &root->tree);
}

/* Whether watches lead from `from` to `root`, which watches nothing: only then does each of them need all the others.
   Where nobody waits for it, no chain can lead there. */
static bool leads_to(struct graph_node *from, const struct graph_node *root)
{
    return root->watcher_first && find_last_watched(from) == root;
}

static void contract(struct graph_node *root, struct graph_node *from)
{
    for (struct graph_node *at = from, *next; at != root; at = next) {
        next = find_root(at->watching);
        stop_watching(at);
        absorb(root, at);
    }
}

/* The component's next unmet need: a symbol, or a unit's component; both NULL when there is none. */
static void next_need(struct graph_node *root, struct graph_node **target, struct symbol **symbol)
{
    *target = NULL;
    *symbol = NULL;
    while (root->scan_first) {
        struct graph_node *member = root->scan_first;

        for (; member->next_use < member->use_count; member->next_use++) {
            struct symbol *needed = member->uses[member->next_use].symbol;

            if (needed->binding == SYMBOL_UNBOUND) {
                *symbol = needed;
                return;
            }
            if (!needed->node)
                continue;
            *target = find_root(needed->node);
            if (*target != root)
                return;
            *target = NULL;
        }
        root->scan_first = member->scan_next;
        if (!root->scan_first)
            root->scan_last = NULL;
        member->scan_next = NULL;
    }
}

/* Goes on from the component's last unmet need until the next one blocks it, or none is left. */
static void advance(struct graph *graph, struct graph_node *root)
{
    stop_watching(root);
    root->watching_symbol = NULL;
    for (;;) {
        struct graph_node *target;
        struct symbol *symbol;

        next_need(root, &target, &symbol);
        if (symbol) {
            root->phase = GRAPH_BLOCKED;
            root->watching_symbol = symbol;
            return;
        }
        if (!target) {
            enqueue(graph, root);
            return;
        }
        if (!leads_to(target, root)) {
            watch(root, target);
            return;
        }
        contract(root, target);
    }
}

void graph_add(struct unit *unit)
{
    struct graph_node *node = unit->node;

    *node = (struct graph_node){.unit = unit,
                                .first_id = unit->id,
                                .last_id = unit->id,
                                .uses = unit->pending->uses,
                                .use_count = unit->pending->use_count,
                                .parent = node,
                                .member_count = 1,
                                .member_last = node,
                                .scan_first = node,
                                .scan_last = node};
}

void graph_fetch(const struct unit *unit)
{
    const struct pending *pending = unit->pending;

    for (uint32_t i = 0; i < pending->use_count; i++)
        __builtin_prefetch(pending->uses[i].symbol->node);
    for (uint32_t i = 0; i < unit->definition_count; i++)
        for (const struct use *use = unit->definitions[i]->uses; use; use = use->next)
            __builtin_prefetch(&use->unit->node);
}

void graph_fetch_roots(const struct unit *unit)
{
    const struct pending *pending = unit->pending;

    for (uint32_t i = 0; i < pending->use_count; i++)
        if (pending->uses[i].symbol->node)
            __builtin_prefetch(pending->uses[i].symbol->node->parent);
    for (uint32_t i = 0; i < unit->definition_count; i++)
        for (const struct use *use = unit->definitions[i]->uses; use; use = use->next)
            __builtin_prefetch(use->unit->node);
}

void graph_join(struct unit *root, struct unit *unit)
{
    absorb(root->node, unit->node);
}

void graph_start(struct graph *graph, struct unit *unit)
{
    struct graph_node *node = unit->node;

    if (node->parent == node)
        advance(graph, node);
}

void graph_symbol_bound(struct graph *graph, struct symbol *symbol)
{
    for (struct use *use = symbol->uses; use; use = use->next) {
        struct graph_node *root = find_root(use->unit->node);

        if (root->phase == GRAPH_BLOCKED && root->watching_symbol == symbol)
            advance(graph, root);
    }
}

void graph_use_moved(struct graph *graph, struct unit *unit, const struct symbol *waited_for)
{
    struct graph_node *root = find_root(unit->node);

    /* Or it has gone on already, and watches who defines that symbol in place of the one that comes first. */
    if (root->phase == GRAPH_BLOCKED && (root->watching || root->watching_symbol == waited_for))
        advance(graph, root);
}

void graph_leave(struct unit *unit)
{
    struct graph_node *root = unit->node;

    stop_watching(root);
    root->phase = GRAPH_DONE;
    root->watching_symbol = NULL;
    for (struct graph_node *member = root; member; member = member->member_next)
        forest_cut(&member->tree);
}

void graph_wake_watchers(struct graph *graph, struct unit *unit)
{
    struct graph_node *root = unit->node;

    while (root->watcher_first)
        advance(graph, root->watcher_first);
}
