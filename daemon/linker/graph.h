/*
 * Readiness: which units may be linked, found as units arrive one after another in any order.
 *
 * A unit may be linked when every unit that it uses, directly or not, is ready or belongs to its own strongly connected
 * component. No counters of things in flight, and nothing is ever searched as a whole: each blocked component watches
 * exactly one thing, its first unmet need, and looks for the next when that is met. A chain of watches that comes back
 * to its beginning is a cycle of needs and is contracted into one component (union-find; lists spliced in constant
 * time). Each use is looked at once, and each contraction removes a component, so n units with m uses cost
 * O((n + m) a(n)), but for walking chains of watches that turn out not to be cycles.
 *
 * One thread owns the graph. Order of what becomes runnable depends on the order of submission alone.
 */
#ifndef LINKER_GRAPH_H
#define LINKER_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

struct unit;
struct symbol;

enum graph_phase {
    GRAPH_BLOCKED,  /* watches a unit or a symbol */
    GRAPH_RUNNABLE, /* every need is met: in the graph's queue, or being linked and initialised */
    GRAPH_DONE      /* ready or failed */
};

/* Lists lead from a component's root; what a root alone has is marked. */
struct graph_node {
    struct unit *parent;      /* union-find; itself for a root */
    enum graph_phase phase;   /* root */
    struct unit *member_next; /* the component's units, from the root on */
    struct unit *member_last; /* root */
    struct unit *scan_first;  /* root: units with uses not looked at yet */
    struct unit *scan_last;   /* root */
    struct unit *scan_next;
    uint32_t next_use;              /* of this unit */
    struct unit *watching;          /* root: a unit of the component that this one waits for */
    struct symbol *watching_symbol; /* root: or the symbol that nobody offers */
    struct unit *watcher_first;     /* root: components that watch this one */
    struct unit *watcher_last;      /* root */
    struct unit *watcher_next;
    struct unit *queue_next; /* root: in the graph's queue */
    bool failing;            /* root: its units are being failed, all of them */
};

/* Zero-initialised is empty. */
struct graph {
    struct unit *queue_first, *queue_last; /* runnable components, oldest first */
};

/* Makes the unit known, so that others may come to watch it; every unit of a batch first. Its uses are known by now. */
void graph_add(struct unit *unit);

/* Makes two units one component though neither may need the other; both known, neither started. */
void graph_join(struct unit *root, struct unit *unit);

/* Looks for the unit's first unmet need; for one that was joined to another, nothing. All definitions of its batch are
   bound. Weak uses of symbols that nobody offers are passed over. */
void graph_start(struct graph *graph, struct unit *unit);

/* The symbol has just been bound: wakes those that watch it. */
void graph_symbol_bound(struct graph *graph, struct symbol *symbol);

/* The next component to link, by its root, or NULL. graph_next_member walks its units. */
struct unit *graph_take(struct graph *graph);
struct unit *graph_next_member(const struct unit *unit);

/* Every unit of the component has become ready, or has failed: wakes those that watch it. */
void graph_done(struct graph *graph, struct unit *root);

struct unit *graph_root(struct unit *unit);

/* The symbol at the end of the unit's chain of watches, that nobody offers, and the unit that needs it; NULL where the
   chain ends in a component that is being linked or initialised. */
const struct symbol *graph_awaited(struct unit *unit, struct unit **needed_by);

#endif
