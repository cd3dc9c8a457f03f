/*
 * Who waits, who is ready, who fails: by going over all units until nothing changes.
 */
#include <string.h>

#include "tests/model/model.h"

/* A set of units, by serial number. */
struct set {
    bool has[SERIALS_MOST];
};

static bool waits(const struct model_unit *unit)
{
    return unit->exists && unit->state == JITD_UNIT_RESOLVED;
}

bool model_uses_any(const struct model_unit *unit, const bool set[SERIALS_MOST])
{
    for (uint32_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i].bound.kind == BOUND_DEFINITION && set[unit->uses[i].bound.definition->unit->serial])
            return true;
    for (uint32_t i = 0; i < CONVENTIONS * CONVENTIONS; i++) {
        const struct model_definition *adapter = unit->adapters[i / CONVENTIONS][i % CONVENTIONS];

        if (adapter && set[adapter->unit->serial])
            return true;
    }
    return false;
}

static bool needs_any(const struct model *model, const struct model_unit *unit, const struct set *set)
{
    if (model_uses_any(unit, set->has))
        return true;
    /* A group is the units of one batch. */
    for (uint32_t u = 0; unit->group && u < UNITS_MOST; u++) {
        uint32_t serial = SERIAL(unit->group, u);

        if (set->has[serial] && model->units[serial].group == unit->group)
            return true;
    }
    return false;
}

/* Adds all that waits and needs one of the set, directly or not. */
static void add_dependents(const struct model *model, struct set *set)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < model->unit_end; i++) {
            const struct model_unit *unit = &model->units[i];

            if (waits(unit) && !set->has[i] && needs_any(model, unit, set))
                set->has[i] = changed = true;
        }
    }
}

void model_search_again(struct model *model)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t u = 0; waits(&model->units[i]) && u < model->units[i].use_count; u++) {
            struct model_use *use = &model->units[i].uses[u];

            if (use->bound.kind == BOUND_NOTHING)
                use->bound = model_search(model, use, NULL);
        }
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (waits(&model->units[i]))
            model_decide(model, &model->units[i]);
}

/* ---- failing ---- */

void model_withdraw(struct model *model, const struct model_unit *unit)
{
    for (uint32_t i = 0; i < unit->definition_count; i++) {
        const struct model_definition *definition = &unit->definitions[i];
        const struct model_definition **entry =
            &model->table.entries[unit->library][definition->hidden][definition->name];

        if (*entry == definition)
            *entry = NULL;
    }
}

static void fail_unit(struct model *model, struct model_unit *unit, int code, int alternative)
{
    unit->state = JITD_UNIT_FAILED;
    unit->code = code;
    unit->alternative = alternative;
    unit->failure = model->failures;
    unit->failed_since = model->operation;
    model_withdraw(model, unit);
}

static void fail_set(struct model *model, const struct set *set)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (set->has[i] && waits(&model->units[i]))
            fail_unit(model, &model->units[i], JITD_ERROR_DEPENDENCY_FAILED, 0);
}

void model_fail(struct model *model, struct model_unit *unit, int code)
{
    struct set set = {0};

    set.has[unit->serial] = true;
    add_dependents(model, &set);
    model->failures++;
    fail_unit(model, unit, code, 0);
    fail_set(model, &set);
}

static bool is_user(const struct model_unit *unit, const struct set *set)
{
    return unit->exists && !unit->removed && !unit->lookup && unit->state == JITD_UNIT_READY && !set->has[unit->serial];
}

void model_fail_late(struct model *model, struct model_unit *unit, int code)
{
    struct set set = {0};

    set.has[unit->serial] = true;
    for (bool changed = true; changed;) {
        changed = false;
        add_dependents(model, &set);
        for (uint32_t i = 0; i < model->unit_end; i++)
            if (is_user(&model->units[i], &set) && needs_any(model, &model->units[i], &set))
                set.has[i] = changed = true;
    }
    model->failures++;
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (set.has[i]) {
            model->units[i].was_ready = model->units[i].state == JITD_UNIT_READY;
            fail_unit(model, &model->units[i], i == unit->serial ? code : JITD_ERROR_DEPENDENCY_FAILED, 0);
        }
    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t d = 0; d < model->units[i].definition_count; d++) {
            struct model_definition *definition = &model->units[i].definitions[d];

            if (!definition->redirected || !set.has[definition->redirected->unit->serial])
                continue;
            definition->redirected = NULL;
            model_lead_definition(model, definition);
        }
}

/* ---- linking ---- */

static uint64_t convention_of(const struct model_definition *definition, unsigned depth)
{
    if (definition->kind != ENTRY_ALIAS)
        return definition->convention;
    return definition->alias_of->bound.kind == BOUND_DEFINITION && depth
               ? convention_of(definition->alias_of->bound.definition, depth - 1)
               : 0;
}

uint64_t model_convention(const struct model_definition *definition)
{
    return convention_of(definition, SERIALS_MOST);
}

static bool has_unsettled_alias(const struct model *model, const struct model_unit *unit)
{
    for (uint32_t i = 0; i < unit->definition_count; i++) {
        const struct model_definition *definition = &unit->definitions[i];

        if (definition->kind == ENTRY_ALIAS && model_target(definition->alias_of).kind == TARGET_UNSETTLED &&
            model->table.entries[unit->library][definition->hidden][definition->name] == definition)
            return true;
    }
    return false;
}

static int find_action_problem(const struct model_use *use)
{
    enum target_kind kind = model_target(use).kind;

    if (kind != TARGET_PROCESS && kind != TARGET_FUNCTION && kind != TARGET_ABSOLUTE_FUNCTION)
        return JITD_ERROR_NOT_CALLABLE;
    return use->bound.definition && model_convention(use->bound.definition) ? JITD_ERROR_CONVENTION : 0;
}

/* What only shows when all addresses are known. */
static int find_problem(const struct model *model, const struct model_unit *unit)
{
    if (has_unsettled_alias(model, unit))
        return JITD_ERROR_INVALID;
    for (uint32_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i].refused)
            return JITD_ERROR_CONVENTION;
    for (uint32_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i].direct && model_target(&unit->uses[i]).kind == TARGET_ABSOLUTE)
            return JITD_ERROR_RELOCATION_RANGE;
    for (uint32_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i].action && find_action_problem(&unit->uses[i]))
            return find_action_problem(&unit->uses[i]);
    return 0;
}

/* Those that lack nothing, and need nobody who does. */
static struct set find_linkable(const struct model *model)
{
    struct set blocked = {0}, linkable = {0};

    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t u = 0; waits(&model->units[i]) && u < model->units[i].use_count; u++)
            blocked.has[i] |= model->units[i].uses[u].bound.kind == BOUND_NOTHING;
    add_dependents(model, &blocked);
    for (uint32_t i = 0; i < model->unit_end; i++)
        linkable.has[i] = waits(&model->units[i]) && !blocked.has[i];
    return linkable;
}

static bool is_bad(const struct model *model, const struct set *linkable, uint32_t serial)
{
    return linkable->has[serial] && find_problem(model, &model->units[serial]);
}

static struct set find_dependents(const struct model *model, uint32_t serial)
{
    struct set set = {0};

    set.has[serial] = true;
    add_dependents(model, &set);
    return set;
}

void model_find_dependents(const struct model *model, uint32_t serial, bool dependents[SERIALS_MOST])
{
    const struct set set = find_dependents(model, serial);

    memcpy(dependents, set.has, sizeof set.has);
}

/* Fails what needs a unit that cannot be linked and that needs no other such, unless they need each other: then one of
   them is the first, and it is not said which. False where there is none. */
static bool fail_from(struct model *model, const struct set *linkable, uint32_t serial)
{
    struct set failing = find_dependents(model, serial), peers = {0};
    bool alone = true;

    for (uint32_t i = 0; i < model->unit_end; i++) {
        if (i == serial || !is_bad(model, linkable, i) || !find_dependents(model, i).has[serial])
            continue;
        if (!failing.has[i])
            return false;
        peers.has[i] = true;
        alone = false;
    }
    int code = find_problem(model, &model->units[serial]);
    model->failures++;
    for (uint32_t i = 0; i < model->unit_end && !alone; i++)
        if (peers.has[i])
            model->units[i].alternative = find_problem(model, &model->units[i]);
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (failing.has[i] && i != serial)
            fail_unit(model, &model->units[i], JITD_ERROR_DEPENDENCY_FAILED, model->units[i].alternative);
    fail_unit(model, &model->units[serial], alone ? code : JITD_ERROR_DEPENDENCY_FAILED, alone ? 0 : code);
    return true;
}

static bool fail_one(struct model *model, const struct set *linkable)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (is_bad(model, linkable, i) && !model_waits_for_actions(model, linkable->has, i) &&
            fail_from(model, linkable, i))
            return true;
    return false;
}

/* The runner makes its data what it must be, and its actions. */
static bool has_work(const struct model_unit *unit)
{
    bool has = unit->data != DATA_NONE || unit->action_count;

    for (uint32_t i = 0; i < unit->definition_count; i++)
        has |= unit->definitions[i].common;
    return has;
}

bool model_settle(struct model *model)
{
    struct set linkable = find_linkable(model);
    bool runs_code = false, acts = false;

    while (fail_one(model, &linkable) || (acts = model_act(model, linkable.has))) {
        runs_code |= acts;
        linkable = find_linkable(model);
    }
    for (uint32_t i = 0; i < model->unit_end; i++) {
        if (!linkable.has[i] || !waits(&model->units[i]))
            continue;
        model->units[i].state = JITD_UNIT_READY;
        model->units[i].ready_since = model->operation;
        runs_code |= has_work(&model->units[i]);
        model->units[i].initialised += model->units[i].data >= DATA_INITIALISER;
    }
    model_bind_lazies(model);
    return runs_code;
}
