/*
 * Calls when a unit is published and when it is undone. A function that notes succeeds, any other fails.
 */
#include <string.h>

#include "tests/model/model.h"

/* Whether it succeeds. What waits inside an action is not looked into. */
static bool call(struct model *model, const struct model_use *use, struct model_note *note)
{
    if (!use)
        return true;
    const struct point start = model_begin(use);
    struct reach reach = model_go(model, &start);
    if (reach.kind != REACH_VALUE) {
        model->stuck = true;
        return true;
    }
    note->count += reach.notes;
    note->by = reach.notes ? reach.by : note->by;
    return reach.notes && !reach.passed.adapters; /* those make something else of a 0 */
}

static uint32_t make(struct model *model, struct model_unit *unit)
{
    uint32_t done = 0;

    while (done < unit->action_count && call(model, unit->actions[done].publish, &unit->actions[done].made))
        done++;
    return done;
}

static bool undo(struct model *model, struct model_unit *unit, uint32_t done)
{
    bool succeeds = true;

    while (done-- > 0)
        succeeds &= call(model, unit->actions[done].remove, &unit->actions[done].undone);
    return succeeds;
}

bool model_act_again(struct model *model, struct model_unit *unit)
{
    return make(model, unit) == unit->action_count;
}

bool model_undo(struct model *model, struct model_unit *unit)
{
    return undo(model, unit, unit->action_count);
}

/* ---- publishing ---- */

/* Units, by serial number. */
struct set {
    bool has[SERIALS_MOST];
};

static bool needs(const struct model *model, uint32_t serial, uint32_t needed)
{
    struct set dependents;

    model_find_dependents(model, needed, dependents.has);
    return dependents.has[serial];
}

/* Those that need each other. */
static struct set find_component(const struct model *model, uint32_t serial)
{
    struct set set;

    model_find_dependents(model, serial, set.has);
    for (uint32_t i = 0; i < model->unit_end; i++)
        set.has[i] = set.has[i] && needs(model, serial, i);
    return set;
}

/* What its lazy functions have come to lead to goes by adapters that stay in use when it fails. */
static bool may_have_led(const struct model *model, const struct model_unit *unit)
{
    bool lazy = false, adapted = false;

    for (uint32_t i = 0; i < unit->use_count; i++)
        lazy |= unit->uses[i].bound.kind == BOUND_LAZY;
    for (uint32_t i = 0; i < CONVENTIONS * CONVENTIONS; i++)
        adapted |= model_adapter(model, i / CONVENTIONS, i % CONVENTIONS) != NULL;
    return lazy && adapted;
}

/* Unit by unit, in the order of submission; where one fails all are undone. */
static void act_together(struct model *model, const struct set *component)
{
    uint32_t done[SERIALS_MOST], at = 0;

    for (; at < model->unit_end; at++) {
        if (!component->has[at])
            continue;
        done[at] = make(model, &model->units[at]);
        if (done[at] < model->units[at].action_count)
            break;
    }
    if (at == model->unit_end)
        return;
    for (uint32_t i = at + 1; i-- > 0;)
        if (component->has[i])
            undo(model, &model->units[i], done[i]);
    for (uint32_t i = 0; i < model->unit_end; i++)
        model->stuck |= component->has[i] && may_have_led(model, &model->units[i]);
    model_fail(model, &model->units[at], JITD_ERROR_ACTION_FAILED);
}

static bool is_left(const struct model *model, const bool linkable[SERIALS_MOST], uint32_t serial)
{
    const struct model_unit *unit = &model->units[serial];

    return linkable[serial] && unit->action_count && !unit->acted && unit->state == JITD_UNIT_RESOLVED;
}

bool model_waits_for_actions(const struct model *model, const bool linkable[SERIALS_MOST], uint32_t serial)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (is_left(model, linkable, i) && needs(model, serial, i) && !needs(model, i, serial))
            return true;
    return false;
}

bool model_act(struct model *model, const bool linkable[SERIALS_MOST])
{
    for (uint32_t i = 0; i < model->unit_end; i++) {
        if (!is_left(model, linkable, i) || model_waits_for_actions(model, linkable, i))
            continue;
        struct set component = find_component(model, i);
        for (uint32_t member = 0; member < model->unit_end; member++)
            model->units[member].acted |= component.has[member];
        act_together(model, &component);
        return true;
    }
    return false;
}
