#include "daemon/linker/graph.h"

#include <stddef.h>

#include "daemon/linker/unit.h"

struct unit *graph_root(struct unit *unit)
{
    while (unit->node.parent != unit) {
        unit->node.parent = unit->node.parent->node.parent;
        unit = unit->node.parent;
    }
    return unit;
}

const struct symbol *graph_awaited(struct unit *unit, struct unit **needed_by)
{
    struct unit *root = graph_root(unit);

    while (root->node.watching)
        root = graph_root(root->node.watching);
    *needed_by = root->node.scan_first ? root->node.scan_first : root;
    return root->node.watching_symbol;
}

struct unit *graph_next_member(const struct unit *unit)
{
    return unit->node.member_next;
}

static void enqueue(struct graph *graph, struct unit *root)
{
    root->node.phase = GRAPH_RUNNABLE;
    root->node.queue_next = NULL;
    if (graph->queue_last)
        graph->queue_last->node.queue_next = root;
    else
        graph->queue_first = root;
    graph->queue_last = root;
}

struct unit *graph_take(struct graph *graph)
{
    struct unit *root = graph->queue_first;

    if (!root)
        return NULL;
    graph->queue_first = root->node.queue_next;
    if (!graph->queue_first)
        graph->queue_last = NULL;
    return root;
}

static void append_watchers(struct unit *root, struct unit *first, struct unit *last)
{
    if (!first)
        return;
    if (root->node.watcher_last)
        root->node.watcher_last->node.watcher_next = first;
    else
        root->node.watcher_first = first;
    root->node.watcher_last = last;
}

static void watch(struct unit *root, struct unit *target)
{
    root->node.phase = GRAPH_BLOCKED;
    root->node.watching = target;
    root->node.watcher_next = NULL;
    append_watchers(target, root, root);
}

/* Makes `other` part of `root`: members, needs not looked at yet, and watchers change hands. */
static void absorb(struct unit *root, struct unit *other)
{
    other->node.parent = root;
    root->node.member_last->node.member_next = other;
    root->node.member_last = other->node.member_last;
    if (other->node.scan_first) {
        if (root->node.scan_last)
            root->node.scan_last->node.scan_next = other->node.scan_first;
        else
            root->node.scan_first = other->node.scan_first;
        root->node.scan_last = other->node.scan_last;
    }
    append_watchers(root, other->node.watcher_first, other->node.watcher_last);
    other->node.watching = NULL;
}

/* Whether watches lead from `from` back to `root`: only then does each of them need all the others. */
static bool leads_to(struct unit *from, const struct unit *root)
{
    if (!root->node.watcher_first)
        return false; /* nobody waits for it: no chain can come back */
    for (struct unit *at = from; at->node.phase == GRAPH_BLOCKED && at->node.watching;) {
        at = graph_root(at->node.watching);
        if (at == root)
            return true;
    }
    return false;
}

static void contract(struct unit *root, struct unit *from)
{
    for (struct unit *at = from, *next; at != root; at = next) {
        next = graph_root(at->node.watching);
        absorb(root, at);
    }
}

/* The component's next unmet need: a symbol, or a unit (its root); both NULL when there is none. */
static void next_need(struct unit *root, struct unit **unit, struct symbol **symbol)
{
    *unit = NULL;
    *symbol = NULL;
    while (root->node.scan_first) {
        struct unit *member = root->node.scan_first;

        for (; member->node.next_use < member->use_count; member->node.next_use++) {
            struct symbol *needed = member->uses[member->node.next_use].symbol;

            if (needed->binding == SYMBOL_UNBOUND && !member->uses[member->node.next_use].weak) {
                *symbol = needed;
                return;
            }
            if (needed->binding != SYMBOL_UNIT || needed->definer->state == UNIT_READY)
                continue;
            struct unit *target = graph_root(needed->definer);
            if (target == root)
                continue;
            *unit = target;
            return;
        }
        root->node.scan_first = member->node.scan_next;
        if (!root->node.scan_first)
            root->node.scan_last = NULL;
        member->node.scan_next = NULL;
    }
}

/* Goes on from the component's last unmet need until the next one blocks it, or none is left. */
static void advance(struct graph *graph, struct unit *root)
{
    root->node.watching = NULL;
    root->node.watching_symbol = NULL;
    for (;;) {
        struct unit *unit;
        struct symbol *symbol;

        next_need(root, &unit, &symbol);
        if (symbol) {
            root->node.phase = GRAPH_BLOCKED;
            root->node.watching_symbol = symbol;
            return;
        }
        if (!unit) {
            enqueue(graph, root);
            return;
        }
        if (!leads_to(unit, root)) {
            watch(root, unit);
            return;
        }
        contract(root, unit);
    }
}

void graph_add(struct unit *unit)
{
    unit->node = (struct graph_node){.parent = unit, .member_last = unit, .scan_first = unit, .scan_last = unit};
}

void graph_join(struct unit *root, struct unit *unit)
{
    absorb(root, unit);
}

void graph_start(struct graph *graph, struct unit *unit)
{
    if (graph_root(unit) == unit)
        advance(graph, unit);
}

void graph_symbol_bound(struct graph *graph, struct symbol *symbol)
{
    for (struct use *use = symbol->uses; use; use = use->next) {
        struct unit *root = graph_root(use->unit);

        if (root->node.phase == GRAPH_BLOCKED && root->node.watching_symbol == symbol)
            advance(graph, root);
    }
}

void graph_done(struct graph *graph, struct unit *root)
{
    struct unit *watcher = root->node.watcher_first;

    root->node.phase = GRAPH_DONE;
    root->node.watching = NULL;
    root->node.watching_symbol = NULL;
    root->node.watcher_first = root->node.watcher_last = NULL;
    while (watcher) {
        struct unit *next = watcher->node.watcher_next, *waiting = graph_root(watcher);

        /* The watcher may have been absorbed since by a component that waits for something else. */
        if (waiting->node.phase == GRAPH_BLOCKED && waiting->node.watching &&
            graph_root(waiting->node.watching) == root)
            advance(graph, waiting);
        watcher = next;
    }
}
