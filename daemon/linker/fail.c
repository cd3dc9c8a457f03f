/*
 * Failure: the unit and all that depend on it, each told through whom it was reached.
 */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/linker/dependents.h"
#include "daemon/linker/link.h"
#include "daemon/linker/redirect.h"
#include "daemon/linker/removal.h"
#include "daemon/linker/resolve.h"
#include "proto/limits.h"

/* Units still to be failed, each with the one that took it along. */
struct failing {
    struct unit *unit;
    size_t because;              /* its place in the list; its own for the first */
    uint32_t depth;              /* links to the first */
    const struct symbol *symbol; /* of `because`, that it needs; NULL: they are one component for another reason */
    uint32_t definition_count;   /* that have been withdrawn */
};

struct failing_list {
    struct failing *entries; /* owned */
    size_t count, capacity;
};

static void add_failing(struct failing_list *list, struct unit *unit, size_t because, const struct symbol *symbol)
{
    if (unit->state == UNIT_FAILED)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        struct failing *entries = realloc(list->entries, capacity * sizeof *entries);

        if (!entries)
            abort(); /* our own few bytes; going on would report units ready that are not */
        list->entries = entries;
        list->capacity = capacity;
    }
    uint32_t depth = list->count ? list->entries[because].depth + 1 : 0;
    unit->state = UNIT_FAILED;
    list->entries[list->count++] = (struct failing){unit, because, depth, symbol, unit->definition_count};
}

/* Those that wait for the unit are in its symbols' lists, or in its own component; those that were ready before are
   among `ready`. */
static void add_dependents(struct failing_list *list, size_t at, const struct dependents *ready)
{
    struct unit *failed = list->entries[at].unit;
    struct unit *root = failed->pending ? graph_root(failed) : NULL;

    for (uint32_t d = 0; d < failed->definition_count; d++)
        for (struct use *use = failed->definitions[d]->uses; use; use = use->next)
            add_failing(list, use->unit, at, use->symbol);
    if (root && !root->node->failing) {
        root->node->failing = true;
        for (struct unit *member = root; member; member = graph_next_member(member))
            add_failing(list, member, at, NULL);
    }
    size_t count;
    const struct dependent *users = dependents_of(ready, failed->id, &count);
    for (size_t i = 0; i < count; i++)
        add_failing(list, users[i].user, at, dependents_symbol(&users[i]));
}

/* All that fails, in the order in which it is reached. */
static void collect(struct linker *linker, struct failing_list *list, struct unit *unit)
{
    struct dependents ready = {0};

    if (unit->state == UNIT_READY && dependents_open(linker, &ready) != 0)
        abort(); /* as above */
    add_failing(list, unit, 0, NULL);
    for (size_t i = 0; i < list->count; i++)
        add_dependents(list, i, &ready);
    dependents_close(&ready);
}

/* Links of the chain that the text names, before it says how many more there are. */
#define CAUSES_IN_TEXT 4

/* "a.o: needs 'b' of b.o, which needs 'c' of c.o, which failed: " and the first failure's text. */
static void describe_chain(const struct failing_list *list, const struct failing *failing, const struct error *cause,
                           struct error *error)
{
    char text[400] = "";
    size_t used = 0, links = 0;

    for (const struct failing *at = failing; at != &list->entries[at->because] && links < CAUSES_IN_TEXT; links++) {
        const struct failing *next = &list->entries[at->because];
        const char *link = links ? ", which " : "";

        used += (size_t)(at->symbol ? snprintf(text + used, sizeof text - used, "%sneeds '%.60s' of %.60s", link,
                                               at->symbol->name, next->unit->name)
                                    : snprintf(text + used, sizeof text - used, "%sbelongs together with %.60s", link,
                                               next->unit->name));
        used = used < sizeof text ? used : sizeof text - 1;
        at = next;
    }
    bool whole = links < CAUSES_IN_TEXT;
    error_set(error, ERROR_DEPENDENCY_FAILED, "%.80s: %s, which %sfailed: %s", failing->unit->name, text,
              whole ? "" : "needs others that ", cause->text);
}

/* All of the chain as far as it is listed, and its end. */
static void add_causes(const struct failing_list *list, const struct failing *failing, struct report_entry *entry)
{
    const struct failing *at = failing;

    for (uint32_t i = 0; i + 1 < LIMIT_CAUSES_PER_ERROR && at != &list->entries[0]; i++) {
        report_add_cause(entry, at->unit->name, at->symbol ? at->symbol->name : "");
        at = &list->entries[at->because];
    }
    report_add_cause(entry, list->entries[0].unit->name, "");
    if (entry)
        entry->causes_omitted = at->depth;
}

static void report_failure(struct linker *linker, const struct failing_list *list, const struct failing *failing,
                           const struct error *cause)
{
    bool first = failing == &list->entries[0];
    struct report report = {0};
    struct error error = *cause;

    if (!first) {
        describe_chain(list, failing, cause, &error);
        error_set_symbol(&error, failing->symbol ? failing->symbol->name : NULL);
    }
    error_set_unit(&error, failing->unit->name);
    struct report_entry *entry = report_add(&report, &error);
    if (!first)
        add_causes(list, failing, entry);
    linker->hooks->unit_changed(linker->owner, failing->unit, &report);
    report_fini(&report);
}

/* A component fails as a whole, so that its root is in the list too. */
static void leave_graph(struct linker *linker, const struct failing_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct unit *unit = list->entries[i].unit;

        if (unit->pending && graph_root(unit) == unit)
            graph_leave(unit);
    }
    for (size_t i = 0; i < list->count; i++) {
        struct unit *unit = list->entries[i].unit;

        if (unit->pending && graph_root(unit) == unit)
            graph_wake_watchers(&linker->graph, unit);
    }
}

/* Threads may wait for what has failed: told once all of it is gone. */
static void tell_lazy(struct linker *linker, const struct failing_list *list, const struct error *error)
{
    for (size_t i = 0; i < list->count; i++)
        for (uint32_t d = 0; d < list->entries[i].definition_count; d++)
            lazy_withdrawn(linker, list->entries[i].unit->definitions[d], error);
}

static void give_memory_back(struct linker *linker, struct unit *unit)
{
    code_pages_remove(&linker->code, unit);
    if (unit->exposed)
        removal_set_memory_aside(linker, unit);
    else
        unit_release_memory(unit, linker->arena);
}

/* All that fails is known before anything is taken apart, so that nobody is woken by a unit that is about to fail. */
void link_fail(struct linker *linker, struct unit *unit, const struct error *error)
{
    struct failing_list list = {0};
    bool was_ready = unit->state == UNIT_READY;

    linker->departures++;
    collect(linker, &list, unit);
    for (size_t i = 0; i < list.count; i++)
        report_failure(linker, &list, &list.entries[i], error);
    for (size_t i = 0; i < list.count; i++)
        adapters_unregister(linker, list.entries[i].unit);
    if (was_ready)
        redirect_lead_back(linker);
    /* Backwards, so that bump pointers come back to where they were. */
    for (size_t i = list.count; i-- > 0;) {
        redirect_forget(list.entries[i].unit);
        adapters_forget(linker, list.entries[i].unit);
        lazy_unlink(linker, list.entries[i].unit);
        resolve_withdraw(list.entries[i].unit);
        give_memory_back(linker, list.entries[i].unit);
    }
    tell_lazy(linker, &list, error);
    leave_graph(linker, &list);
    for (size_t i = 0; i < list.count; i++)
        unit_finish(list.entries[i].unit);
    free(list.entries);
    link_run_queue(linker);
}
