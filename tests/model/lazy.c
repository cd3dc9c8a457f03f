/*
 * Functions that need not be there before they are called, and what calls come to.
 *
 * A lazy function is known by its name and by where that is looked for. It leads to the first that is ready and stays
 * there until that is removed.
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/object.h"

#define PAGE_BYTES 4096

/* ---- what lazy functions lead to ---- */

static bool is_linked(const struct model_unit *unit)
{
    return unit->exists && !unit->removed && unit->state == JITD_UNIT_READY;
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

static bool never_ends(const struct model *model, const struct model_use *use)
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
            if (model->units[i].uses[u].bound.kind == BOUND_LAZY && never_ends(model, &model->units[i].uses[u]))
                return true;
    return false;
}

/* What nobody looks for any more is forgotten. */
void model_bind_lazies(struct model *model)
{
    const struct model_lazies before = model->lazies;

    memset(&model->lazies, 0, sizeof model->lazies);
    for (uint32_t i = 0; i < model->unit_end; i++)
        for (uint32_t u = 0; is_linked(&model->units[i]) && u < model->units[i].use_count; u++) {
            const struct model_use *use = &model->units[i].uses[u];
            struct bound bound = before.bound[use->library][use->exact][use->name];

            if (use->bound.kind != BOUND_LAZY)
                continue;
            if (!is_ready(&bound))
                bound = model_search(model, use, NULL);
            if (is_ready(&bound))
                model->lazies.bound[use->library][use->exact][use->name] = bound;
        }
    model->stuck |= is_circular(model);
}

/* ---- what calls come to ---- */

static void end_at_process(struct reach *reach, uint32_t name)
{
    reach->kind = REACH_VALUE;
    reach->value = strcmp(operation_name(name), "abs") == 0 ? CALL_ARGUMENT : 1;
}

static void end_at_absolute(struct reach *reach, const struct model_definition *definition)
{
    reach->kind = definition->function ? REACH_VALUE : REACH_CRASH;
    reach->value = PAGE_BYTES;
}

static void end_at_body(struct reach *reach, const struct model_definition *definition)
{
    reach->kind = definition->common ? REACH_CRASH : REACH_VALUE;
    reach->value = DEFINITION_VALUE(definition->unit->serial, definition->number);
    reach->notes = definition->notes;
}

/* Gives what comes next; NULL: there is nothing, and `reach` says why. */
static const struct model_definition *follow_use(const struct model *model, const struct model_use *use,
                                                 uint64_t convention, struct reach *reach)
{
    bool lazy = use->bound.kind == BOUND_LAZY;
    struct bound bound = lazy ? model_lazy(model, use) : use->bound;

    reach->changes |= lazy;
    if (bound.kind == BOUND_NOTHING) {
        reach->kind = REACH_LAZY;
        reach->lazy = use;
        reach->convention = convention;
    } else if (lazy && convention != (bound.kind == BOUND_PROCESS ? 0 : model_convention(bound.definition)))
        reach->kind = REACH_CONVENTION;
    else if (bound.kind == BOUND_PROCESS)
        end_at_process(reach, use->name);
    else
        return bound.definition;
    return NULL;
}

static const struct model_definition *follow(const struct model *model, const struct model_definition *definition,
                                             struct reach *reach)
{
    reach->changes |= definition->redirectable || definition->kind == ENTRY_LAZY;
    if (definition->redirected)
        return definition->redirected;
    switch (definition->kind) {
    case ENTRY_ALIAS:
    case ENTRY_LAZY:
        return follow_use(model, definition->alias_of, definition->convention, reach);
    case ENTRY_ABSOLUTE:
        end_at_absolute(reach, definition);
        return NULL;
    default:
        end_at_body(reach, definition);
        return NULL;
    }
}

struct reach model_reach(const struct model *model, const struct model_use *start)
{
    struct reach reach = {.kind = REACH_CIRCLE};
    const struct model_definition *at = follow_use(model, start, start->convention, &reach);

    for (uint32_t steps = 0; at && steps < SERIALS_MOST; steps++)
        at = follow(model, at, &reach);
    return reach;
}
