/*
 * Random operations, one function a kind.
 */
#include <stddef.h>

#include "tests/model/generator.h"

/* 0 is no deadline. */
static uint32_t any_deadline(struct generator *generator)
{
    return generate_chance(generator, generator->character.deadline) ? 1 + generate_below(generator, DEADLINES - 1) : 0;
}

static void make_submit(struct generator *generator, struct operation *operation)
{
    operation->closed = generate_chance(generator, generator->character.closed);
    operation->atomic = generate_chance(generator, generator->character.atomic);
    operation->deadline = any_deadline(generator);
    if (generate_lacks_adapters(generator) || generate_chance(generator, generator->character.adapter / 8))
        generate_adapter(generator, operation);
    else
        generate_units(generator, operation, UNITS_MOST);
}

/* Libraries come early, each searching those before it, or most operations would be refused for want of one. */
static void make_library(struct generator *generator, struct operation *operation)
{
    bool first = operation->number < generator->character.libraries;
    uint32_t libraries = first ? operation->number + 1 : generator->character.libraries;

    operation->library = first ? operation->number : generate_library(generator);
    operation->process = generate_chance(generator, 60) ? 0 : generate_below(generator, 3);
    operation->process_names = generate_seed(generator->state++, 1) & ((1u << NAMES_MOST) - 1);
    operation->search_count = generate_below(generator, SEARCHES_MOST + 1);
    for (uint32_t i = 0; i < operation->search_count; i++)
        operation->searches[i] =
            (struct search_row){.library = generate_below(generator, libraries),
                                .hidden = generate_chance(generator, generator->character.hidden),
                                .re_export = generate_chance(generator, generator->character.re_export)};
}

static void make_names(struct generator *generator, struct operation *operation)
{
    operation->library = generate_library(generator);
    operation->item_count = 1 + generate_below(generator, generate_chance(generator, 50) ? ITEMS_MOST : 1);
    for (uint32_t i = 0; i < operation->item_count; i++)
        operation->items[i].value = generate_name(generator);
}

static void make_await(struct generator *generator, struct operation *operation)
{
    make_names(generator, operation);
    operation->deadline = any_deadline(generator);
}

/* What is submitted if the call waits for a function, which may be this one. Most never do: nobody speaks of it. */
static void make_supply(struct generator *generator, struct operation *operation, const struct mention *lazy)
{
    struct generator before = *generator;

    if (!generate_chance(generator, generator->character.supply))
        return;
    const struct mention other = generate_mentioned(generator, &generator->lazy);
    if (generate_chance(generator, 90))
        generate_target(generator, operation, generate_chance(generator, 70) ? lazy : &other);
    else
        generate_units(generator, operation, UNITS_MOST - operation->unit_count);
    before.state = generator->state;
    *generator = before;
}

static void make_call(struct generator *generator, struct operation *operation)
{
    static const struct mentions none;
    const struct mentions *const from[] = {&none, &generator->functions, &generator->replaceable};
    const struct mention called = generate_mentioned(generator, from[generate_below(generator, 3)]);

    operation->library = called.library;
    operation->item_count = 1;
    operation->items[0].value = called.name;
    make_supply(generator, operation, &called);
}

/* An earlier operation of that kind, rather a late one; NULL where chance finds none. */
static const struct operation *find_earlier(struct generator *generator, uint32_t kind)
{
    for (uint32_t tries = 0; tries < 20 && generator->count; tries++) {
        uint32_t back =
            generate_below(generator, generate_chance(generator, 50) && generator->count > 12 ? 12 : generator->count);
        const struct operation *operation = &generator->operations[generator->count - 1 - back];

        if (operation->kind == kind)
            return operation;
    }
    return NULL;
}

/* A unit of an operation; where there are adapters one that uses something, as long as chance finds one. */
static const struct operation *find_probed(struct generator *generator, uint32_t *index)
{
    const struct operation *submit = find_earlier(generator, OPERATION_SUBMIT);
    const struct operation *last = submit ? &generator->operations[generator->count - 1] : NULL;

    *index = submit ? generate_below(generator, submit->unit_count) : 0;
    if (generator->character.adapter && last && last->kind == OPERATION_SUBMIT && generate_chance(generator, 80)) {
        *index = 0;
        return last;
    }
    for (uint32_t tries = 0;
         submit && generator->character.adapter && tries < 8 && !generate_has_use(&submit->units[*index]); tries++) {
        submit = find_earlier(generator, OPERATION_SUBMIT);
        *index = submit ? generate_below(generator, submit->unit_count) : 0;
    }
    return submit;
}

static void make_probe(struct generator *generator, struct operation *operation)
{
    uint32_t index;
    const struct operation *submit = find_probed(generator, &index);

    if (!submit)
        return;
    const struct unit_row *unit = &submit->units[index];
    operation->item_count = 1;
    operation->items[0].value = SERIAL(submit->number, index);
    operation->mode = unit->data && generate_chance(generator, 60)
                          ? MODE_COUNT + generate_below(generator, 2)
                          : !generate_chance(generator, generator->character.adapter ? 20 : 50);
    for (uint32_t tries = 0; tries < 4; tries++) {
        operation->entry = 1 + generate_below(generator, unit->entry_count);
        if (unit->entries[operation->entry - 1].kind == ENTRY_USE)
            break;
    }
    const struct mention lazy = generate_mention_of(unit, &unit->entries[operation->entry - 1]);
    make_supply(generator, operation, &lazy);
}

static void make_cancel_units(struct generator *generator, struct operation *operation)
{
    uint32_t count = 1 + generate_below(generator, generate_chance(generator, 20) ? ITEMS_MOST : 1);

    for (uint32_t i = 0; i < count; i++) {
        const struct operation *submit = find_earlier(generator, OPERATION_SUBMIT);

        if (submit)
            operation->items[operation->item_count++].value =
                SERIAL(submit->number, generate_below(generator, submit->unit_count));
    }
}

static void make_cancel_lookup(struct generator *generator, struct operation *operation)
{
    const struct operation *lookup = find_earlier(generator, OPERATION_AWAIT);

    if (lookup)
        operation->items[operation->item_count++].value = lookup->number;
}

static struct item any_removed(struct generator *generator)
{
    const struct operation *submit = find_earlier(generator, OPERATION_SUBMIT);

    if (generate_chance(generator, 15))
        return (struct item){.kind = REMOVE_TAG, .value = 1 + generate_below(generator, generator->character.tags + 1)};
    if (generate_chance(generator, 5))
        return (struct item){.kind = REMOVE_LIBRARY, .value = generate_library(generator)};
    if (!submit)
        return (struct item){.value = 0};
    uint32_t index = generate_below(generator, submit->unit_count);
    generate_forget(generator, &submit->units[index]);
    return (struct item){.value = SERIAL(submit->number, index)};
}

static void make_remove(struct generator *generator, struct operation *operation)
{
    operation->cascade = generate_chance(generator, generator->character.cascade);
    operation->item_count = 1 + generate_below(generator, generate_chance(generator, 30) ? ITEMS_MOST : 1);
    for (uint32_t i = 0; i < operation->item_count; i++)
        operation->items[i] = any_removed(generator);
}

/* Mostly of a function that the unit has. */
static void make_run(struct generator *generator, struct operation *operation)
{
    generate_units(generator, operation, 1);
    const struct unit_row *unit = &operation->units[0];
    const struct mention called =
        generate_mention_of(unit, &unit->entries[generate_below(generator, unit->entry_count)]);
    operation->item_count = 1;
    operation->items[0].value = generate_chance(generator, 10) ? generate_name(generator) : called.name;
    make_supply(generator, operation, &called);
}

/* One of the library's, as long as chance finds one. */
static struct mention mentioned_in(struct generator *generator, const struct mentions *mentions, uint32_t library)
{
    struct mention mention = generate_mentioned(generator, mentions);

    for (uint32_t tries = 0; tries < MENTIONS_MOST && mention.library != library; tries++)
        mention = generate_mentioned(generator, mentions);
    return mention;
}

static struct item any_redirection(struct generator *generator, uint32_t library)
{
    bool chained = generate_chance(generator, 40);
    struct mention symbol = mentioned_in(generator, &generator->replaceable, library);
    struct mention target = mentioned_in(generator, chained ? &generator->replaceable : &generator->functions, library);

    if (generate_chance(generator, 5))
        symbol.name = generate_name(generator);
    return (struct item){.value = symbol.name,
                         .target =
                             generate_chance(generator, generator->character.adapter ? 30 : 15) ? 0 : target.name + 1};
}

static void make_redirect(struct generator *generator, struct operation *operation)
{
    operation->library = generate_mentioned(generator, &generator->replaceable).library;
    operation->item_count = 1 + generate_below(generator, generate_chance(generator, 30) ? ITEMS_MOST : 1);
    for (uint32_t i = 0; i < operation->item_count; i++) {
        const struct item *before = i && operation->items[i - 1].target ? &operation->items[i - 1] : NULL;

        operation->items[i] = any_redirection(generator, operation->library);
        if (before && generate_chance(generator, 30)) /* a circle, where both may be replaced */
            operation->items[i] = (struct item){.value = before->target - 1, .target = before->value + 1};
    }
}

static void make_adapt(struct generator *generator, struct operation *operation)
{
    uint32_t conventions = generator->character.conventions;
    const struct mention named =
        generate_mentioned(generator, generate_chance(generator, 90) ? &generator->adapters : &generator->functions);

    operation->library = named.library;
    operation->item_count = 1;
    operation->items[0].value = generate_chance(generator, 5) ? generate_name(generator) : named.name;
    /* Each pair in turn, mostly: one that has an adapter is refused. */
    uint32_t pair = generate_chance(generator, 80) ? generator->adapters.count : generate_below(generator, 6);

    operation->wanted = pair % conventions;
    operation->given = (operation->wanted + 1 + pair / conventions % (conventions - 1)) % conventions;
}

static void make_inspect(struct generator *generator, struct operation *operation)
{
    operation->limit = generate_chance(generator, 50) ? 0 : 1 + generate_below(generator, 40);
}

static void make_crash(struct generator *generator, struct operation *operation)
{
    operation->mode = generate_chance(generator, 50);
}

static void (*const makers[OPERATION_KINDS])(struct generator *generator, struct operation *operation) = {
    [OPERATION_LIBRARY] = make_library,
    [OPERATION_SUBMIT] = make_submit,
    [OPERATION_LOOKUP] = make_names,
    [OPERATION_AWAIT] = make_await,
    [OPERATION_CALL] = make_call,
    [OPERATION_PROBE] = make_probe,
    [OPERATION_CANCEL_UNITS] = make_cancel_units,
    [OPERATION_CANCEL_LOOKUP] = make_cancel_lookup,
    [OPERATION_INSPECT] = make_inspect,
    [OPERATION_CRASH] = make_crash,
    [OPERATION_REMOVE] = make_remove,
    [OPERATION_RUN] = make_run,
    [OPERATION_REDIRECT] = make_redirect,
    [OPERATION_ADAPT] = make_adapt,
};

void generate_operation(struct generator *generator, struct operation *operation)
{
    makers[operation->kind](generator, operation);
}
