/*
 * Functions through which calls by one convention reach functions of another.
 *
 * Whether a use finds one is decided when it meets what it is bound to, by what is registered then. From then on the
 * unit of the function uses the adapter, or where that is a process symbol the unit that calls; so while it is gone
 * through it is registered, and what calls come to can be told from that alone.
 */
#include "tests/model/model.h"

/* ---- what there is ---- */

static bool is_ready(const struct model_unit *unit)
{
    return unit->exists && !unit->removed && unit->state == JITD_UNIT_READY;
}

const struct model_definition *model_adapter(const struct model *model, uint64_t wanted, uint64_t given)
{
    const struct model_definition *adapter = model->adapters[wanted][given];

    return adapter && is_ready(adapter->unit) ? adapter : NULL;
}

bool model_is_function(const struct model_definition *definition)
{
    const struct model_definition *at = model_origin(definition);

    return !at || (at->kind == ENTRY_ABSOLUTE ? at->function : !at->common);
}

uint64_t model_convention_of(const struct bound *bound)
{
    return bound->kind == BOUND_DEFINITION ? model_convention(bound->definition) : 0;
}

const struct model_definition *model_find_way(const struct model *model, const struct bound *bound, uint64_t convention)
{
    bool function = bound->kind == BOUND_PROCESS || model_is_function(bound->definition);

    return function ? model_adapter(model, convention, model_convention_of(bound)) : NULL;
}

void model_lead(struct model *model, struct model_unit *user, const struct bound *bound, uint64_t convention)
{
    uint64_t given = model_convention_of(bound);
    const struct model_definition *adapter = convention == given ? NULL : model_find_way(model, bound, convention);
    const struct model_definition *origin = bound->kind == BOUND_DEFINITION ? model_origin(bound->definition) : NULL;
    struct model_unit *owner = bound->kind == BOUND_PROCESS ? user : origin ? origin->unit : bound->definition->unit;

    if (adapter)
        owner->adapters[convention][given] = adapter;
}

/* ---- deciding ---- */

/* An alias has no convention before what it stands for has come. */
static bool has_met(const struct model_use *use)
{
    enum target_kind kind = model_target(use).kind;

    return kind != TARGET_NONE && kind != TARGET_ZERO && kind != TARGET_UNSETTLED && use->bound.kind != BOUND_LAZY;
}

static bool is_own(const struct model_use *use)
{
    return use->bound.kind == BOUND_DEFINITION && use->bound.definition->unit->serial == use->serial;
}

/* What nothing refers to is not gone through. */
static void decide(struct model *model, struct model_use *use)
{
    use->decided = true;
    if (is_own(use) || use->convention == model_convention_of(&use->bound))
        return;
    use->refused = !model_find_way(model, &use->bound, use->convention);
    if (use->referenced)
        model_lead(model, &model->units[use->serial], &use->bound, use->convention);
}

void model_decide(struct model *model, struct model_unit *unit)
{
    for (uint32_t i = 0; i < unit->use_count; i++) {
        struct model_use *use = &unit->uses[i];

        if (use->called && !use->action && !use->decided && has_met(use))
            decide(model, use);
    }
}

uint64_t model_called_by(const struct model_use *use)
{
    bool by_use = use->bound.kind == BOUND_LAZY || (use->called && !use->action && !is_own(use));

    return by_use ? use->convention : model_convention_of(&use->bound);
}

/* ---- registering ---- */

static bool can_adapt(const struct model_definition *definition)
{
    const struct model_definition *at = is_ready(definition->unit) ? model_origin(definition) : NULL;

    return at && at->kind == ENTRY_DEFINE && !at->common && !at->redirectable;
}

void model_adapt(struct model *model, const struct operation *operation, struct answer *answer)
{
    uint32_t wanted = operation->wanted, given = operation->given;
    const struct model_definition *definition;

    if (operation->item_count == 0 || wanted == given || wanted >= CONVENTIONS || given >= CONVENTIONS)
        return;
    if (!model->libraries[operation->library].exists) {
        model_refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    definition = model_look_up(model, operation->library, operation->items[0].value).bound.definition;
    if (!definition)
        answer->codes |= 1ull << JITD_ERROR_NOT_FOUND;
    if (definition && !can_adapt(definition))
        answer->codes |= 1ull << JITD_ERROR_NOT_CALLABLE;
    if (model_adapter(model, wanted, given))
        answer->codes |= 1ull << JITD_ERROR_SYMBOL_DUPLICATE;
    answer->kind = answer->codes ? ANSWER_REFUSED : ANSWER_DONE;
    if (!answer->codes)
        model->adapters[wanted][given] = definition;
}
