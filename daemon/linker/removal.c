#include "daemon/linker/removal.h"

#include <stdlib.h>

#include "common/delay.h"
#include "daemon/linker/dependents.h"
#include "daemon/linker/redirect.h"
#include "daemon/linker/resolve.h"

/* Memory of a removed unit, in which a thread may still be. */
struct limbo {
    struct limbo *next;
    struct arena_block block;
};

static int no_memory(struct report *report)
{
    struct error error;

    error_set(&error, ERROR_NO_MEMORY, "no memory for the list of units to be removed");
    report_add(report, &error);
    return ERROR_NO_MEMORY;
}

void removal_set_free(struct removal_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->units[i]->removing = false;
    free(set->units);
    *set = (struct removal_set){0};
}

int removal_set_add(struct removal_set *set, struct unit *unit)
{
    if (unit->removing)
        return 0;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? set->capacity * 2 : 16;
        struct unit **units = realloc(set->units, capacity * sizeof *units);

        if (!units)
            return ERROR_NO_MEMORY;
        set->units = units;
        set->capacity = capacity;
    }
    unit->removing = true;
    set->units[set->count++] = unit;
    return 0;
}

/* ---- who uses whom ---- */

static bool is_external(const struct unit *user, const struct symbol *symbol)
{
    return !user->removing && symbol->binding == SYMBOL_UNIT && symbol->definer->removing;
}

/* Adds to the counts what the unit uses, redirections included. */
static void count_uses(const struct unit *unit, uint32_t change)
{
    for (uint32_t n = 0; n < unit->need_count; n++)
        unit_needs(unit)[n]->users += change;
    for (uint32_t t = 0; t < unit->trampoline_count; t++)
        if (unit->trampolines[t].target)
            unit->trampolines[t].target->users += change;
}

static void count_own_uses(const struct removal_set *set, uint32_t change)
{
    for (size_t i = 0; i < set->count; i++)
        count_uses(set->units[i], change);
}

static bool has_users(const struct unit *unit)
{
    for (uint32_t d = 0; d < unit->definition_count; d++)
        if (unit->definitions[d]->users > 0)
            return true;
    return false;
}

/* Whether anybody outside of the set uses it: uses by the set's own units are taken off the counts meanwhile. */
static bool is_used(const struct removal_set *set)
{
    bool used = false;

    count_own_uses(set, (uint32_t)-1);
    for (size_t i = 0; i < set->count; i++)
        used |= has_users(set->units[i]);
    count_own_uses(set, 1);
    return used;
}

/* It stays, and its own uses count again. */
static void drop(struct removal_set *set, size_t at)
{
    struct unit *unit = set->units[at];

    set->units[at] = set->units[--set->count];
    unit->removing = false;
    count_uses(unit, 1);
}

/* From the last to the first, since users mostly come after what they use: then one walk finds nearly all. */
void removal_drop_used(struct removal_set *set, size_t first)
{
    size_t before;

    count_own_uses(set, (uint32_t)-1);
    do {
        before = set->count;
        for (size_t i = set->count; i-- > first;)
            if (has_users(set->units[i]))
                drop(set, i);
    } while (set->count < before);
    count_own_uses(set, 1);
}

static int refuse_used(struct linker *linker, struct report *report)
{
    struct report_entry *entry = NULL;
    struct error error;

    for (struct unit *user = units_after(&linker->units, 0); user; user = units_after(&linker->units, user->id)) {
        for (uint32_t n = 0; n < user->need_count; n++) {
            const struct symbol *symbol = unit_needs(user)[n];

            if (!is_external(user, symbol))
                continue;
            if (!entry) {
                error_set(&error, ERROR_DEPENDENTS, "%s: %s uses its '%s': remove the users too (cascade), or first",
                          symbol->definer->name, user->name, symbol->name);
                error_set_unit(&error, symbol->definer->name);
                error_set_symbol(&error, symbol->name);
                entry = report_add(report, &error);
            }
            report_add_reference(entry, user->name, user->id);
            break;
        }
    }
    if (!entry) {
        error_set(&error, ERROR_DEPENDENTS,
                  "other functions have been redirected to what it defines: redirect them "
                  "elsewhere first");
        report_add(report, &error);
    }
    return ERROR_DEPENDENTS;
}

/* The set grows while it is walked. */
int removal_add_users(struct linker *linker, struct removal_set *set)
{
    struct dependents dependents;
    int code;

    if (!is_used(set))
        return 0;
    code = dependents_open(linker, &dependents);
    for (size_t i = 0; i < set->count && !code; i++) {
        size_t count;
        const struct dependent *users = dependents_of(&dependents, set->units[i]->id, &count);

        for (size_t u = 0; u < count && !code; u++)
            code = removal_set_add(set, users[u].user);
    }
    dependents_close(&dependents);
    return code;
}

/* A lookup that waits is a unit, but not one that anybody's code depends on. */
static bool is_lookup(const struct unit *unit)
{
    return unit->internal && unit->pending && unit->definition_count == 0;
}

/* The set grows while it is walked; lookups have no users. */
static int add_lookups(struct removal_set *set, struct report *report)
{
    for (size_t i = 0; i < set->count; i++)
        for (uint32_t d = 0; d < set->units[i]->definition_count; d++)
            for (struct use *use = set->units[i]->definitions[d]->uses; use; use = use->next)
                if (is_lookup(use->unit) && removal_set_add(set, use->unit) != 0)
                    return no_memory(report);
    return 0;
}

static int check_states(const struct removal_set *set, struct report *report)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct unit *unit = set->units[i];
        struct error error;

        if (unit->state == UNIT_READY || unit->state == UNIT_RESOLVED || unit->state == UNIT_FAILED)
            continue;
        error_set(&error, ERROR_INVALID,
                  unit->state == UNIT_REMOVED ? "it is being removed already"
                                              : "it is being initialised: try when it is ready");
        resolve_refuse_unit(report, unit, &error);
    }
    return report_code(report);
}

int removal_check(struct linker *linker, struct removal_set *set, struct report *report)
{
    int code = add_lookups(set, report);

    if (!code && is_used(set))
        code = refuse_used(linker, report);
    return code ? code : check_states(set, report);
}

/* ---- going ---- */

static void withdraw_names(struct linker *linker, struct unit *unit)
{
    uint32_t definitions = unit->definition_count;

    adapters_forget(linker, unit);
    for (uint32_t i = 0; i < unit->trampoline_count; i++)
        unit->trampolines[i].definition = NULL;
    resolve_withdraw(unit);
    for (uint32_t i = 0; i < definitions; i++)
        lazy_withdrawn(linker, unit->definitions[i], NULL);
}

/* While names go one by one nothing may be found that is about to go, nor be led to what has gone. */
void removal_withdraw(struct linker *linker, const struct removal_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        linker->withdrawn++;
        linker->departures++;
        set->units[i]->state = UNIT_REMOVED;
        redirect_forget(set->units[i]);
    }
    for (size_t i = 0; i < set->count; i++)
        withdraw_names(linker, set->units[i]);
}

static void keep_aside(struct linker *linker, const struct arena_block *block)
{
    struct limbo *limbo;
    bool empty = true;

    for (int z = 0; z < ZONE_COUNT; z++)
        empty &= block->extent[z].bytes == 0;
    limbo = empty ? NULL : malloc(sizeof *limbo);
    if (!limbo)
        return; /* where it is not empty, it is lost until the session ends, and nothing else */
    *limbo = (struct limbo){linker->limbo, *block};
    linker->limbo = limbo;
}

void removal_set_memory_aside(struct linker *linker, struct unit *unit)
{
    keep_aside(linker, &unit->block);
    while (unit->extra) {
        struct extra_block *extra = unit->extra;

        keep_aside(linker, &extra->block);
        unit->extra = extra->next;
        free(extra);
    }
    unit->block = (struct arena_block){0};
}

void removal_release(struct linker *linker, struct unit *unit)
{
    lazy_unlink(linker, unit); /* not before: finalisers may call what is not there */
    code_pages_remove(&linker->code, unit);
    removal_set_memory_aside(linker, unit);
    linker->withdrawn--;
    linker->kept_bytes -= unit->kept_bytes;
    units_remove(&linker->units, unit);
    unit_free(unit);
}

bool removal_age(struct linker *linker)
{
    linker->aged = linker->limbo;
    linker->limbo = NULL;
    return linker->aged != NULL;
}

void removal_reclaim(struct linker *linker)
{
    while (linker->aged) {
        struct limbo *limbo = linker->aged;

        linker->aged = limbo->next;
        DELAY();
        arena_free(linker->arena, &limbo->block);
        free(limbo);
    }
}

static void forget_list(struct limbo *limbo)
{
    while (limbo) {
        struct limbo *next = limbo->next;

        free(limbo);
        limbo = next;
    }
}

void removal_forget_memory(struct linker *linker)
{
    forget_list(linker->limbo);
    forget_list(linker->aged);
    linker->limbo = linker->aged = NULL;
}
