/*
 * Taking units away: who is meant, who keeps them from it, what becomes of those that wait.
 */
#include "tests/model/model.h"

/* Units, by serial number. */
struct set {
    bool has[SERIALS_MOST];
};

static bool is_there(const struct model_unit *unit)
{
    return unit->exists && !unit->removed;
}

static bool is_meant(const struct model_unit *unit, const struct item *item)
{
    if (item->kind == REMOVE_UNIT)
        return unit->serial == item->value;
    return item->value && (item->kind == REMOVE_TAG ? unit->tag : unit->library) == item->value;
}

static struct set find_meant(const struct model *model, const struct operation *operation)
{
    struct set set = {0};

    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t item = 0; item < operation->item_count; item++)
            set.has[i] |= is_there(&model->units[i]) && !model->units[i].internal &&
                          is_meant(&model->units[i], &operation->items[item]);
    return set;
}

/* Of a unit that failed nothing is left. */
static bool uses_any(const struct model_unit *unit, const struct set *set)
{
    return unit->state != JITD_UNIT_FAILED && model_uses_any(unit, set->has);
}

/* A lookup keeps nobody. */
static bool depends(const struct model *model, const struct set *set, uint32_t serial)
{
    const struct model_unit *unit = &model->units[serial];

    return is_there(unit) && !unit->lookup && !set->has[serial] && uses_any(unit, set);
}

static bool is_led_to(const struct model *model, const struct set *set)
{
    bool led = false;

    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t d = 0; is_there(&model->units[i]) && !set->has[i] && d < model->units[i].definition_count; d++) {
            const struct model_definition *target = model->units[i].definitions[d].redirected;

            led |= target && set->has[target->unit->serial];
        }
    return led;
}

static bool leads_to(const struct model_unit *unit, const struct set *set)
{
    bool led = false;

    for (uint32_t d = 0; is_there(unit) && d < unit->definition_count; d++)
        led |= unit->definitions[d].redirected && set->has[unit->definitions[d].redirected->unit->serial];
    return led;
}

/* Somebody who stays uses it; a lookup counts while it waits. */
static bool is_kept(const struct model *model, uint32_t serial, const struct set *going)
{
    struct set single = {0};
    bool kept = false;

    single.has[serial] = true;
    for (uint32_t i = 0; i < model->unit_end; i++) {
        const struct model_unit *unit = &model->units[i];
        bool waits = unit->exists && unit->lookup && unit->state == JITD_UNIT_RESOLVED;

        if (!going->has[i])
            kept |= depends(model, &single, i) || leads_to(unit, &single) || (waits && uses_any(unit, &single));
    }
    return kept;
}

/* Adds what stays for nobody but the set, or one another. */
static void add_unused(const struct model *model, struct set *set)
{
    const struct set before = *set;

    for (uint32_t i = 0; i < model->unit_end; i++)
        set->has[i] |= is_there(&model->units[i]) && model->units[i].over;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < model->unit_end; i++)
            if (set->has[i] && !before.has[i] && is_kept(model, i, set)) {
                set->has[i] = false;
                changed = true;
            }
    }
}

static uint32_t find_dependents(const struct model *model, const struct set *set, struct set *out)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < model->unit_end; i++) {
        out->has[i] = depends(model, set, i);
        count += out->has[i];
    }
    return count;
}

static void add_dependents(const struct model *model, struct set *set)
{
    struct set more = {0};

    while (find_dependents(model, set, &more))
        for (uint32_t i = 0; i < model->unit_end; i++)
            set->has[i] |= more.has[i];
}

/* With those that go along. */
static struct set find_going(const struct model *model, const struct operation *operation)
{
    struct set set = find_meant(model, operation);

    add_unused(model, &set);
    if (operation->cascade)
        add_dependents(model, &set);
    add_unused(model, &set);
    return set;
}

uint32_t model_dependents(const struct model *model, const struct operation *operation, bool dependents[SERIALS_MOST])
{
    struct set set = find_going(model, operation), out = {0};
    uint32_t count = find_dependents(model, &set, &out);

    for (uint32_t i = 0; i < SERIALS_MOST; i++)
        dependents[i] = out.has[i];
    return count;
}

/* What waits fails first, and with it what waits for that; of several it is not said which fails for which. */
static void fail_waiting(struct model *model, const struct set *set)
{
    for (uint32_t i = 0; i < model->unit_end; i++) {
        struct model_unit *unit = &model->units[i];

        if (unit->exists && unit->lookup && unit->state == JITD_UNIT_RESOLVED && uses_any(unit, set))
            model_fail(model, unit, JITD_ERROR_DEPENDENCY_FAILED);
    }
    for (uint32_t i = 0; i < model->unit_end; i++) {
        struct model_unit *unit = &model->units[i];

        unit->either |= set->has[i] && unit->state == JITD_UNIT_RESOLVED;
    }
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (set->has[i] && model->units[i].state == JITD_UNIT_RESOLVED)
            model_fail(model, &model->units[i], JITD_ERROR_CANCELLED);
}

static void take_away(struct model *model, struct model_unit *unit, bool live)
{
    if (unit->state == JITD_UNIT_READY && unit->data == DATA_FINALISER && live)
        unit->finalised++;
    unit->removed = true;
    unit->leaving = unit->state == JITD_UNIT_READY;
    model_withdraw(model, unit);
}

/* Behind all finalisers, when lazy functions lead to what goes no more. Whether all of its actions were undone as they
 * are to be. */
static bool undo(struct model *model, struct model_unit *unit, bool live)
{
    return unit->state != JITD_UNIT_READY || !live || model_undo(model, unit);
}

static void leave(struct model *model)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        model->units[i].leaving = false;
}

void model_remove(struct model *model, const struct operation *operation, struct answer *answer)
{
    struct set set = find_going(model, operation), dependents = {0};

    if (find_dependents(model, &set, &dependents) || is_led_to(model, &set)) {
        model_refuse(answer, JITD_ERROR_DEPENDENTS);
        return;
    }
    fail_waiting(model, &set);
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (set.has[i]) {
            answer->count += !model->units[i].internal;
            take_away(model, &model->units[i], true);
        }
    model_bind_lazies(model);
    for (uint32_t i = 0; i < model->unit_end; i++)
        answer->failing += set.has[i] && !undo(model, &model->units[i], true);
    leave(model);
    answer->kind = ANSWER_REMOVED;
    answer->runs_code = true;
}

/* Whether the call returns before or after an action fails is not said, nor who used the unit then. */
static bool has_lost_users(const struct model *model, const struct set *set)
{
    bool lost = false, acted = false;

    for (uint32_t i = 0; i < model->unit_end; i++) {
        const struct model_unit *unit = &model->units[i];

        if (!unit->exists || unit->state != JITD_UNIT_FAILED || unit->failed_since != model->operation)
            continue;
        lost |= model_uses_any(unit, set->has);
        acted |= unit->code == JITD_ERROR_ACTION_FAILED;
    }
    return lost && acted;
}

/* Nobody who stays uses them. */
static void take_all(struct model *model, const struct set *set, bool live)
{
    fail_waiting(model, set);
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (set->has[i])
            take_away(model, &model->units[i], live);
    model_bind_lazies(model);
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (set->has[i])
            undo(model, &model->units[i], live);
    leave(model);
}

/* One that others use after all stays for so long. */
void model_remove_run(struct model *model, struct model_unit *unit, bool live)
{
    struct set set = {0}, dependents = {0};

    set.has[unit->serial] = true;
    model->stuck |= has_lost_users(model, &set);
    unit->over = find_dependents(model, &set, &dependents) || is_led_to(model, &set);
    if (!unit->over)
        take_all(model, &set, live);
}

bool model_remove_unused(struct model *model, bool live)
{
    struct set set = {0};
    bool any = false;

    add_unused(model, &set);
    take_all(model, &set, live);
    for (uint32_t i = 0; i < model->unit_end; i++)
        any |= set.has[i];
    return any;
}
