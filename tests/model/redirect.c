/*
 * Functions that others are put in the place of.
 */
#include "tests/model/model.h"

const struct model_definition *model_origin(const struct model_definition *definition)
{
    for (uint32_t steps = 0; definition && definition->kind == ENTRY_ALIAS; steps++)
        definition = steps < SERIALS_MOST ? definition->alias_of->bound.definition : NULL;
    return definition;
}

/* NULL: no unit offers it. */
static const struct model_definition *find(const struct model *model, const struct operation *operation, uint32_t name)
{
    return model_look_up(model, operation->library, name).bound.definition;
}

static bool is_ready(const struct model_definition *definition)
{
    return definition->unit->state == JITD_UNIT_READY;
}

static bool is_replaceable(const struct model_definition *definition)
{
    const struct model_definition *at = is_ready(definition) ? model_origin(definition) : NULL;

    return at && (at->redirectable || at->kind == ENTRY_LAZY);
}

/* All that is wrong with one of them, as bits by code. */
static uint64_t check(const struct model *model, const struct operation *operation, const struct item *item)
{
    const struct model_definition *symbol = find(model, operation, item->value);
    const struct model_definition *target = item->target ? find(model, operation, item->target - 1) : NULL;
    uint64_t codes = 0;

    if (!symbol || (item->target && !target))
        codes |= 1ull << JITD_ERROR_NOT_FOUND;
    if (symbol && !is_replaceable(symbol))
        codes |= 1ull << JITD_ERROR_INVALID;
    if (!target)
        return codes;
    if (!is_ready(target) || !model_is_function(target))
        codes |= 1ull << JITD_ERROR_NOT_CALLABLE;
    if (symbol && model_origin(symbol) == model_origin(target))
        codes |= 1ull << JITD_ERROR_INVALID;
    if (symbol && model_convention(symbol) != model_convention(target) &&
        !model_adapter(model, model_convention(symbol), model_convention(target)))
        codes |= 1ull << JITD_ERROR_CONVENTION;
    return codes;
}

/* What is led elsewhere. */
static const struct model_definition **place(const struct model *model, const struct operation *operation,
                                             uint32_t name)
{
    const struct model_definition *definition = model_origin(find(model, operation, name));

    return &definition->unit->definitions[definition - definition->unit->definitions].redirected;
}

/* One of them; false where calls would never end. */
static bool put(const struct model *model, const struct operation *operation, const struct item *item)
{
    const struct model_use start = model_look_up(model, operation->library, item->value);

    *place(model, operation, item->value) = item->target ? find(model, operation, item->target - 1) : NULL;
    return !model_never_ends(model, &start);
}

/* A function goes by way of an adapter to one that is called otherwise, even where the next item leads it elsewhere. */
static void lead_all(struct model *model, const struct operation *operation)
{
    for (uint32_t i = 0; i < operation->item_count; i++) {
        const struct item *item = &operation->items[i];
        const struct model_definition *symbol = find(model, operation, item->value);
        const struct bound target = {BOUND_DEFINITION, item->target ? find(model, operation, item->target - 1) : NULL};

        if (target.definition)
            model_lead(model, symbol->unit, &target, model_convention(symbol));
        model_lead_definition(model, model_origin(symbol));
    }
}

/* Each is tried with those before it in force. */
static uint64_t put_all(const struct model *model, const struct operation *operation)
{
    const struct model_definition *before[ITEMS_MOST];
    uint32_t done = 0;
    bool ends = true;

    for (; done < operation->item_count && ends; done++) {
        before[done] = *place(model, operation, operation->items[done].value);
        ends = put(model, operation, &operation->items[done]);
    }
    while (!ends && done-- > 0)
        *place(model, operation, operation->items[done].value) = before[done];
    return ends ? 0 : 1ull << JITD_ERROR_INVALID;
}

void model_redirect(struct model *model, const struct operation *operation, struct answer *answer)
{
    uint64_t codes = model->libraries[operation->library].exists ? 0 : 1ull << JITD_ERROR_NOT_FOUND;

    if (operation->item_count == 0)
        return;
    for (uint32_t i = 0; i < operation->item_count && !codes; i++)
        codes = check(model, operation, &operation->items[i]);
    if (!codes)
        codes = put_all(model, operation);
    if (!codes)
        lead_all(model, operation);
    answer->kind = codes ? ANSWER_REFUSED : ANSWER_DONE;
    answer->codes = codes;
}
