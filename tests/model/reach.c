/*
 * What calls come to: through adapters, redirections and lazy functions to a function that returns.
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/object.h"

#define PAGE_BYTES 4096

/* A call on its way. */
struct walk {
    const struct model *model;
    struct model *led; /* the same; NULL: on paper, lazy functions are not led anew */
    struct reach reach;
};

/* Where it is. */
struct step {
    struct bound bound;  /* what it calls; NOTHING: it is over, and the walk's `reach` says how */
    uint32_t name;       /* of a process symbol */
    uint64_t convention; /* by which */
};

static const struct bound nothing;

/* ---- ends ---- */

static struct step end(struct walk *walk, enum reach_kind kind)
{
    walk->reach.kind = kind;
    return (struct step){nothing, 0, 0};
}

static struct step end_with(struct walk *walk, uint32_t value)
{
    walk->reach.by = value;
    walk->reach.value = value * walk->reach.passed.factor + walk->reach.passed.summand;
    return end(walk, REACH_VALUE);
}

static struct step end_at_process(struct walk *walk, uint32_t name)
{
    return end_with(walk, strcmp(operation_name(name), "abs") == 0 ? CALL_ARGUMENT : 1);
}

static struct step end_at_body(struct walk *walk, const struct model_definition *definition)
{
    if (definition->kind == ENTRY_ABSOLUTE)
        return definition->function ? end_with(walk, PAGE_BYTES) : end(walk, REACH_CRASH);
    if (definition->common)
        return end(walk, REACH_CRASH);
    if (definition->adapts)
        return end(walk, REACH_ADAPTER);
    walk->reach.notes = definition->notes;
    return end_with(walk, DEFINITION_VALUE(definition->unit->serial, definition->number));
}

/* ---- steps ---- */

static struct step go_on_in_lazy(struct walk *walk, const struct model_use *use)
{
    const struct step next = {model_lazy(walk->model, use), use->name, use->convention};

    walk->reach.changes = true;
    if (walk->led)
        model_lead_use(walk->led, use);
    if (next.bound.kind != BOUND_NOTHING)
        return next;
    walk->reach.lazy = use;
    return end(walk, REACH_LAZY);
}

/* It is called as it wants to be. */
static struct step go_on_in(struct walk *walk, const struct step *at)
{
    const struct model_definition *definition = at->bound.definition;

    if (!definition)
        return end_at_process(walk, at->name);
    if (definition->redirected)
        return (struct step){{BOUND_DEFINITION, definition->redirected}, 0, definition->convention};
    return definition->kind == ENTRY_LAZY ? go_on_in_lazy(walk, definition->alias_of) : end_at_body(walk, definition);
}

/* One that calls nobody is the end. */
static struct step pass(struct walk *walk, const struct model_definition *adapter, const struct step *at)
{
    const struct model_definition *body = model_origin(adapter);
    struct passage *passed = &walk->reach.passed;

    if (!body->adapts)
        return end_at_body(walk, body);
    passed->summand += passed->factor * ADAPTER_SUMMAND(body->unit->serial, body->number);
    passed->factor *= ADAPTER_FACTOR;
    passed->adapters++;
    return go_on_in(walk, at);
}

/* What a function that changes leads to in the place of its own body. */
static struct step find_led(const struct walk *walk, const struct model_definition *definition)
{
    if (definition && definition->redirected)
        return (struct step){{BOUND_DEFINITION, definition->redirected}, 0, 0};
    if (definition && definition->kind == ENTRY_LAZY)
        return (struct step){model_lazy(walk->model, definition->alias_of), definition->alias_of->name, 0};
    return (struct step){nothing, 0, 0};
}

/* It is called otherwise: through the adapter for the two, unless what it leads to is called just so. */
static struct step go_on_otherwise(struct walk *walk, const struct step *at)
{
    const struct model_definition *adapter = model_find_way(walk->model, &at->bound, at->convention);
    struct step led = find_led(walk, at->bound.definition);

    if (!adapter)
        return end(walk, REACH_CONVENTION);
    if (led.bound.kind == BOUND_NOTHING || model_convention_of(&led.bound) != at->convention)
        return pass(walk, adapter, at);
    walk->reach.passed.past = true;
    led.convention = at->convention;
    return led;
}

static struct step go_on(struct walk *walk, const struct step *at)
{
    const struct model_definition *definition = at->bound.definition;

    if (definition && definition->kind == ENTRY_ALIAS)
        return (struct step){definition->alias_of->bound, definition->alias_of->name, at->convention};
    walk->reach.changes |= definition && (definition->redirectable || definition->kind == ENTRY_LAZY);
    return at->convention == model_convention_of(&at->bound) ? go_on_in(walk, at) : go_on_otherwise(walk, at);
}

/* ---- the whole way ---- */

static struct reach walk(const struct model *model, struct model *led, const struct point *start)
{
    const struct model_use *use = &start->use;
    struct walk walk = {model, led, {.kind = REACH_CIRCLE, .passed = start->passed}};
    struct step at = use->bound.kind == BOUND_LAZY ? go_on_in_lazy(&walk, use)
                                                   : (struct step){use->bound, use->name, model_called_by(use)};

    for (uint32_t steps = 0; at.bound.kind != BOUND_NOTHING && steps < SERIALS_MOST; steps++)
        at = go_on(&walk, &at);
    return walk.reach;
}

struct point model_begin(const struct model_use *use)
{
    return (struct point){.use = *use, .passed.factor = 1};
}

struct reach model_reach(const struct model *model, const struct point *start)
{
    return walk(model, NULL, start);
}

struct reach model_go(struct model *model, const struct point *start)
{
    return walk(model, model, start);
}
