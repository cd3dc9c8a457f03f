/*
 * Functions that need not be there before they are called.
 *
 * A lazy function is known by its name and by where that is looked for. It leads to the first that is ready and stays
 * there until that is removed.
 */
#include <string.h>

#include "tests/model/model.h"

static bool is_linked(const struct model_unit *unit)
{
    return unit->exists && !unit->removed && unit->state == JITD_UNIT_READY;
}

/* Its lazy functions lead somewhere. */
static bool may_call(const struct model_unit *unit)
{
    return is_linked(unit) || unit->leaving;
}

static bool is_ready(const struct bound *bound)
{
    return bound->kind == BOUND_PROCESS || (bound->kind == BOUND_DEFINITION && is_linked(bound->definition->unit));
}

struct bound model_lazy(const struct model *model, const struct model_use *use)
{
    return model->lazies.bound[use->library][use->exact][use->name];
}

static const struct model_definition *next_of_use(const struct model *model, const struct model_use *use)
{
    return (use->bound.kind == BOUND_LAZY ? model_lazy(model, use) : use->bound).definition;
}

static const struct model_definition *next_of(const struct model *model, const struct model_definition *definition)
{
    if (definition->redirected)
        return definition->redirected;
    return definition->kind == ENTRY_ALIAS || definition->kind == ENTRY_LAZY ? next_of_use(model, definition->alias_of)
                                                                             : NULL;
}

bool model_never_ends(const struct model *model, const struct model_use *use)
{
    const struct model_definition *at = next_of_use(model, use);

    for (uint32_t steps = 0; at && steps < SERIALS_MOST; steps++)
        at = next_of(model, at);
    return at != NULL;
}

/* Lazy functions that lead in a circle: one of them leads nowhere, and which is said nowhere. */
static bool is_circular(const struct model *model)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t u = 0; is_linked(&model->units[i]) && u < model->units[i].use_count; u++)
            if (model->units[i].uses[u].bound.kind == BOUND_LAZY && model_never_ends(model, &model->units[i].uses[u]))
                return true;
    return false;
}

void model_lead_use(struct model *model, const struct model_use *use)
{
    const struct bound bound = model_lazy(model, use);

    if (bound.kind != BOUND_NOTHING)
        model_lead(model, &model->units[use->serial], &bound, use->convention);
}

void model_lead_definition(struct model *model, const struct model_definition *definition)
{
    const struct bound redirected = {BOUND_DEFINITION, definition->redirected};

    if (definition->redirected)
        model_lead(model, definition->unit, &redirected, definition->convention);
    else if (definition->kind == ENTRY_LAZY)
        model_lead_use(model, definition->alias_of);
}

/* Of a definition one that another has come before leads nowhere, and one that is redirected elsewhere. */
static bool is_led(const struct model_unit *unit, const struct model_use *use)
{
    for (uint32_t i = 0; i < unit->definition_count; i++) {
        const struct model_definition *definition = &unit->definitions[i];

        if (definition->alias_of == use)
            return definition->stands && !definition->redirected;
    }
    return true;
}

/* By an adapter that is there now: one that comes later the next call finds. */
static void lead_if_new(struct model *model, const struct model_unit *unit, const struct model_use *use,
                        const struct bound *before)
{
    const struct bound now = model_lazy(model, use);
    bool same = before->kind == now.kind && before->definition == now.definition;

    if ((!same || unit->ready_since == model->operation) && is_led(unit, use))
        model_lead_use(model, use);
}

static void bind(struct model *model, const struct model_use *use, const struct bound *before)
{
    struct bound bound = *before;

    if (!is_ready(&bound))
        bound = model_search(model, use, NULL);
    if (is_ready(&bound))
        model->lazies.bound[use->library][use->exact][use->name] = bound;
}

/* What nobody looks for any more is forgotten. */
void model_bind_lazies(struct model *model)
{
    const struct model_lazies before = model->lazies;

    memset(&model->lazies, 0, sizeof model->lazies);
    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t u = 0; may_call(&model->units[i]) && u < model->units[i].use_count; u++) {
            const struct model_use *use = &model->units[i].uses[u];
            const struct bound *bound = &before.bound[use->library][use->exact][use->name];

            if (use->bound.kind != BOUND_LAZY)
                continue;
            bind(model, use, bound);
            lead_if_new(model, &model->units[i], use, bound);
        }
    model->stuck |= is_circular(model);
}
