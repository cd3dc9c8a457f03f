/*
 * What chance alone hardly brings about: a function that changes, used by another convention than it has, with what
 * takes its place and goes again. The steps come one after another, with anything else between them.
 */
#include "tests/model/generator.h"

static struct unit_row one_entry(const struct drill *drill, const struct entry *entry)
{
    return (struct unit_row){.library = drill->library, .manifest = 1, .entry_count = 1, .entries[0] = *entry};
}

static void submit(struct operation *operation, const struct drill *drill, const struct entry *entry)
{
    operation->kind = OPERATION_SUBMIT;
    operation->units[operation->unit_count++] = one_entry(drill, entry);
}

static void submit_name(struct generator *generator, struct operation *operation)
{
    const struct drill *drill = &generator->drill;
    const struct entry entry = {.kind = drill->lazy ? ENTRY_LAZY : ENTRY_DEFINE,
                                .number = 1,
                                .name = drill->name,
                                .target = drill->body,
                                .redirectable = 1,
                                .convention = drill->given};

    submit(operation, drill, &entry);
}

static void submit_body(struct generator *generator, struct operation *operation)
{
    struct drill *drill = &generator->drill;
    const struct entry entry = {
        .kind = ENTRY_DEFINE, .number = 1, .name = drill->body, .convention = drill->body_convention};

    drill->body_unit = SERIAL(operation->number, 0);
    submit(operation, drill, &entry);
}

static void submit_use(struct generator *generator, struct operation *operation)
{
    struct drill *drill = &generator->drill;
    const struct entry entry = {.kind = ENTRY_USE,
                                .number = 1,
                                .name = drill->name,
                                .call = generate_chance(generator, 50),
                                .slot = generate_chance(generator, 20),
                                .convention = drill->wanted};

    drill->use_unit = SERIAL(operation->number, 0);
    submit(operation, drill, &entry);
}

/* Where the function is not there yet it may come now. */
static void probe(struct generator *generator, struct operation *operation)
{
    const struct drill *drill = &generator->drill;

    operation->kind = OPERATION_PROBE;
    operation->mode = MODE_CALL;
    operation->entry = 1;
    operation->item_count = 1;
    operation->items[0].value = drill->use_unit;
    if (drill->lazy && generate_chance(generator, 80))
        submit_body(generator, operation);
    operation->kind = OPERATION_PROBE;
}

static void redirect(struct generator *generator, struct operation *operation)
{
    const struct drill *drill = &generator->drill;

    operation->kind = OPERATION_REDIRECT;
    operation->library = drill->library;
    operation->item_count = 1;
    operation->items[0] = (struct item){.value = drill->name, .target = drill->body + 1};
}

static void redirect_back(struct generator *generator, struct operation *operation)
{
    redirect(generator, operation);
    operation->items[0].target = 0;
}

static void remove_body(struct generator *generator, struct operation *operation)
{
    operation->kind = OPERATION_REMOVE;
    operation->item_count = 1;
    operation->items[0] = (struct item){.kind = REMOVE_UNIT, .value = generator->drill.body_unit};
}

static void (*const steps[][12])(struct generator *generator, struct operation *operation) = {
    {submit_name, submit_body, submit_use, probe, redirect, probe, redirect_back, probe, remove_body, probe},
    {submit_use, submit_name, probe, submit_body, redirect, probe, redirect_back, remove_body, probe},
    {submit_name, submit_use, probe, remove_body, submit_body, probe, redirect, redirect_back, probe},
};

static uint32_t any_convention(struct generator *generator)
{
    return generate_below(generator, generator->character.conventions);
}

static void begin(struct generator *generator)
{
    uint32_t library = generate_library(generator);

    generator->drill = (struct drill){.library = library,
                                      .name = generate_free_name(generator, library),
                                      .body = generate_free_name(generator, library),
                                      .lazy = generate_chance(generator, 50),
                                      .given = any_convention(generator),
                                      .wanted = any_convention(generator),
                                      .body_convention = any_convention(generator),
                                      .order = generate_below(generator, sizeof steps / sizeof *steps)};
}

void generate_drill(struct generator *generator, struct operation *operation)
{
    struct drill *drill = &generator->drill;

    if (drill->step == 0)
        begin(generator);
    steps[drill->order][drill->step++](generator, operation);
    if (!steps[drill->order][drill->step])
        drill->step = 0;
}
