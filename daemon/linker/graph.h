/*
 * Readiness: which units may be linked, found as units arrive one after another in any order.
 *
 * A unit may be linked when every unit that it uses, directly or not, is ready or belongs to its own strongly connected
 * component. No counters of things in flight, and nothing is ever searched as a whole: each blocked component watches
 * exactly one thing, its first unmet need, and looks for the next when that is met. So watches form a forest. A watch
 * that would lead back to the component it comes from closes a cycle of needs, which is contracted into one component
 * (union-find; lists spliced in constant time).
 *
 * Whether a watch would close a cycle is asked of link-cut trees (forest.h). Each use is looked at a bounded number of
 * times and adds or removes at most one edge, and each contraction removes a component: n units with m uses cost
 * O((n + m) log n) in all, in whatever order they arrive.
 *
 * One thread owns the graph. Order of what becomes runnable depends on the order of submission alone.
 */
#ifndef LINKER_GRAPH_H
#define LINKER_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/linker/forest.h"

struct symbol;
struct unit;
struct units;
struct use;

enum graph_phase {
    GRAPH_BLOCKED,  /* watches a unit or a symbol */
    GRAPH_RUNNABLE, /* every need is met: in the graph's queue, or being linked and initialised */
    GRAPH_DONE      /* ready or failed */
};

/* Part of a unit until it is ready or failed. What the root of a component alone has is marked. What is looked at of
   units here and there in memory lies in the first of three lines of the cache, what walks of their lists need in the
   second. */
struct graph_node {
    struct graph_node *parent;        /* union-find; itself for a root */
    struct forest_node tree;          /* under what a root watches, or under the root that absorbed it */
    struct graph_node *watching;      /* root: a unit of the component that this one waits for */
    struct symbol *watching_symbol;   /* root: or the symbol that nobody offers */
    struct graph_node *watcher_first; /* root: components that watch this one */
    uint32_t member_count;            /* root */
    uint8_t phase;                    /* root: enum graph_phase */
    bool failing;                     /* root: its units are being failed, all of them */

    struct unit *unit __attribute__((aligned(64)));
    const struct use *uses; /* of this unit, borrowed */
    uint32_t use_count;
    uint32_t next_use;
    struct graph_node *scan_next;
    struct graph_node *scan_first;  /* root: units with uses not looked at yet */
    struct graph_node *scan_last;   /* root */
    struct graph_node *member_next; /* the component's units, from the root on */
    struct graph_node *member_last; /* root */

    uint64_t first_id, last_id;      /* root: of the component's units */
    struct graph_node *watcher_last; /* root */
    struct graph_node *watcher_next; /* in the list of the one that is watched */
    struct graph_node *watcher_previous;
    struct graph_node *queue_next; /* root: in the graph's queue */
};

/* Zero-initialised but for `units` is empty. */
struct graph {
    const struct units *units;                   /* borrowed; all that are in the graph are among them */
    struct graph_node *queue_first, *queue_last; /* runnable components, oldest first */
};

/* Makes the unit known, so that others may come to watch it; every unit of a batch first. Its uses are known by now. */
void graph_add(struct unit *unit);

/* What the graph is about to look at when the unit starts and its symbols are bound lies anywhere in memory: asks for
   it, so that all of a batch is waited for together. The first for every unit, then the second, which needs what the
   first has fetched. They change nothing. */
void graph_fetch(const struct unit *unit);
void graph_fetch_roots(const struct unit *unit);

/* Makes two units one component though neither may need the other; both known, neither started. */
void graph_join(struct unit *root, struct unit *unit);

/* Looks for the unit's first unmet need; for one that was joined to another, nothing. All definitions of its batch are
   bound. */
void graph_start(struct graph *graph, struct unit *unit);

/* The symbol has just been bound: wakes those that watch it. */
void graph_symbol_bound(struct graph *graph, struct symbol *symbol);

/* One of the unit's uses is met by another symbol than the one that it waited for: goes on where it watched that. */
void graph_use_moved(struct graph *graph, struct unit *unit, const struct symbol *waited_for);

/* The next component to link, by its root, or NULL. graph_next_member walks its units: behind the root, from now on, in
   the order of submission. */
struct unit *graph_take(struct graph *graph);
struct unit *graph_next_member(const struct unit *unit);

/* The units of the component, all ready or all failed, are out of the graph. Of components that fail together every one
   is taken out before any is told of. */
void graph_leave(struct unit *root);

/* Wakes those that watched a component which has left; its nodes may be freed afterwards. */
void graph_wake_watchers(struct graph *graph, struct unit *root);

/* Of a unit that is neither ready nor failed. */
struct unit *graph_root(struct unit *unit);

/* The unit, by the root of its component, that the unit's component watches now; NULL where it watches none. */
const struct unit *graph_watched(const struct unit *unit);

/* The symbol at the end of the unit's chain of watches, that nobody offers, and the unit that needs it; NULL where the
   chain ends in a component that is being linked or initialised. */
const struct symbol *graph_awaited(struct unit *unit, struct unit **needed_by);

#endif
