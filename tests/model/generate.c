#include "tests/model/generate.h"

#include <string.h>

/* What a session is like. Chances are in percent. */
struct character {
    uint32_t libraries, names;
    uint32_t weights[OPERATION_KINDS];
    uint32_t manifest, closed, atomic, weak, hidden, common, exact, convention, oddity, settle, data, re_export, own;
};

struct generator {
    uint64_t state;
    struct character character;
    struct operation *operations; /* borrowed; those that are there */
    uint32_t count;
};

uint64_t generate_seed(uint64_t seed, uint64_t index)
{
    /* Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). */
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* Below `end`, which is not 0. */
static uint32_t below(struct generator *generator, uint32_t end)
{
    return (uint32_t)(generate_seed(generator->state++, 0) % end);
}

static uint32_t chance(struct generator *generator, uint32_t percent)
{
    return below(generator, 100) < percent;
}

/* 0 mostly, else up to `most`: a session has much of few things. */
static uint32_t degree(struct generator *generator, uint32_t most)
{
    return chance(generator, 50) ? below(generator, most + 1) : below(generator, 1 + most / 8);
}

static void make_character(struct generator *generator)
{
    static const uint32_t weights[OPERATION_KINDS] = {
        [OPERATION_LIBRARY] = 10,      [OPERATION_SUBMIT] = 60, [OPERATION_LOOKUP] = 15,       [OPERATION_AWAIT] = 15,
        [OPERATION_CALL] = 15,         [OPERATION_PROBE] = 40,  [OPERATION_CANCEL_UNITS] = 12, [OPERATION_INSPECT] = 2,
        [OPERATION_CANCEL_LOOKUP] = 5, [OPERATION_CRASH] = 1,
    };
    struct character *character = &generator->character;

    *character = (struct character){.libraries = 1 + below(generator, LIBRARIES_MOST),
                                    .names = 3 + below(generator, NAMES_MOST - PROCESS_NAMES - 2),
                                    .manifest = below(generator, 101),
                                    .closed = degree(generator, 60),
                                    .atomic = degree(generator, 60),
                                    .weak = degree(generator, 60),
                                    .hidden = degree(generator, 60),
                                    .common = degree(generator, 40),
                                    .exact = degree(generator, 60),
                                    .convention = degree(generator, 30),
                                    .oddity = degree(generator, 8),
                                    .settle = below(generator, 101),
                                    .data = degree(generator, 20),
                                    .re_export = below(generator, 101),
                                    .own = below(generator, 30)};
    for (size_t kind = 0; kind < OPERATION_KINDS; kind++)
        character->weights[kind] = 1 + below(generator, 2 * weights[kind]);
    if (chance(generator, 80))
        character->weights[OPERATION_CRASH] = 0;
}

static uint32_t any_name(struct generator *generator)
{
    if (chance(generator, 5))
        return NAMES_MOST - 1 - below(generator, PROCESS_NAMES);
    return below(generator, generator->character.names);
}

static uint32_t any_library(struct generator *generator)
{
    return below(generator, generator->character.libraries);
}

/* ---- batches ---- */

/* Of the kinds an entry is, in percent; those behind USE are a manifest's alone. */
static uint32_t entry_kind(struct generator *generator, bool manifest)
{
    static const uint32_t up_to[] = {
        [ENTRY_DEFINE] = 40, [ENTRY_USE] = 75, [ENTRY_ABSOLUTE] = 82, [ENTRY_ALIAS] = 92, [ENTRY_AWAIT] = 100};
    uint32_t point = below(generator, manifest ? 100 : 75), kind = 0;

    while (point >= up_to[kind])
        kind++;
    return kind;
}

static struct entry make_entry(struct generator *generator, uint32_t number, bool manifest)
{
    const struct character *character = &generator->character;
    struct entry entry = {.kind = entry_kind(generator, manifest),
                          .number = number,
                          .name = any_name(generator),
                          .target = any_name(generator),
                          .hidden = chance(generator, character->hidden),
                          .common = chance(generator, character->common),
                          .function = chance(generator, 60),
                          .call = chance(generator, 50),
                          .slot = chance(generator, 15),
                          .renamed = chance(generator, 30),
                          .unlisted = chance(generator, character->oddity),
                          .absent = chance(generator, character->oddity / 2),
                          .repeated = chance(generator, character->oddity / 4)};

    if (chance(generator, character->weak))
        entry.weak = 1 + below(generator, 3);
    if (chance(generator, character->exact))
        entry.library = 1 + any_library(generator);
    if (chance(generator, character->convention))
        entry.convention = 1 + below(generator, 2);
    return entry;
}

static void make_unit(struct generator *generator, struct unit_row *unit, uint32_t library)
{
    const struct character *character = &generator->character;

    unit->library = library;
    unit->manifest = chance(generator, character->manifest);
    unit->no_object = unit->manifest && chance(generator, 15);
    if (chance(generator, character->data))
        unit->data = 1 + below(generator, 2);
    unit->entry_count = 1 + below(generator, chance(generator, 10) ? ENTRIES_MOST : 3);
    for (uint32_t i = 0; i < unit->entry_count; i++)
        unit->entries[i] = make_entry(generator, i + 1, unit->manifest);
}

static void make_submit(struct generator *generator, struct operation *operation)
{
    uint32_t library = any_library(generator);

    operation->closed = chance(generator, generator->character.closed);
    operation->atomic = chance(generator, generator->character.atomic);
    operation->unit_count = 1 + below(generator, chance(generator, 50) ? UNITS_MOST : 1);
    for (uint32_t i = 0; i < operation->unit_count; i++)
        make_unit(generator, &operation->units[i], chance(generator, 70) ? library : any_library(generator));
}

/* ---- the others ---- */

/* Libraries come early, each searching those before it, or most operations would be refused for want of one. */
static void make_library(struct generator *generator, struct operation *operation)
{
    bool first = operation->number < generator->character.libraries;
    uint32_t libraries = first ? operation->number + 1 : generator->character.libraries;

    operation->library = first ? operation->number : any_library(generator);
    operation->process = chance(generator, 60) ? 0 : below(generator, 3);
    operation->process_names = generate_seed(generator->state++, 1) & ((1u << NAMES_MOST) - 1);
    operation->search_count = below(generator, SEARCHES_MOST + 1);
    for (uint32_t i = 0; i < operation->search_count; i++)
        operation->searches[i] = (struct search_row){.library = below(generator, libraries),
                                                     .hidden = chance(generator, generator->character.hidden),
                                                     .re_export = chance(generator, generator->character.re_export)};
}

static void make_names(struct generator *generator, struct operation *operation)
{
    operation->library = any_library(generator);
    operation->item_count = 1 + below(generator, chance(generator, 50) ? ITEMS_MOST : 1);
    for (uint32_t i = 0; i < operation->item_count; i++)
        operation->items[i].value = any_name(generator);
}

static void make_call(struct generator *generator, struct operation *operation)
{
    operation->library = any_library(generator);
    operation->item_count = 1;
    operation->items[0].value = any_name(generator);
}

/* An earlier operation of that kind, rather a late one; NULL where chance finds none. */
static const struct operation *find_earlier(struct generator *generator, uint32_t kind)
{
    for (uint32_t tries = 0; tries < 20 && generator->count; tries++) {
        uint32_t back = below(generator, chance(generator, 50) && generator->count > 12 ? 12 : generator->count);
        const struct operation *operation = &generator->operations[generator->count - 1 - back];

        if (operation->kind == kind)
            return operation;
    }
    return NULL;
}

static void make_probe(struct generator *generator, struct operation *operation)
{
    const struct operation *submit = find_earlier(generator, OPERATION_SUBMIT);

    if (!submit)
        return;
    uint32_t index = below(generator, submit->unit_count);
    const struct unit_row *unit = &submit->units[index];
    operation->item_count = 1;
    operation->items[0].value = SERIAL(submit->number, index);
    operation->mode = unit->data && chance(generator, 60) ? MODE_COUNT + below(generator, 2) : below(generator, 2);
    for (uint32_t tries = 0; tries < 4; tries++) {
        operation->entry = 1 + below(generator, unit->entry_count);
        if (unit->entries[operation->entry - 1].kind == ENTRY_USE)
            break;
    }
}

static void make_cancel_units(struct generator *generator, struct operation *operation)
{
    uint32_t count = 1 + below(generator, chance(generator, 20) ? ITEMS_MOST : 1);

    for (uint32_t i = 0; i < count; i++) {
        const struct operation *submit = find_earlier(generator, OPERATION_SUBMIT);

        if (submit)
            operation->items[operation->item_count++].value =
                SERIAL(submit->number, below(generator, submit->unit_count));
    }
}

static void make_cancel_lookup(struct generator *generator, struct operation *operation)
{
    const struct operation *lookup = find_earlier(generator, OPERATION_AWAIT);

    if (lookup)
        operation->items[operation->item_count++].value = lookup->number;
}

static void make_inspect(struct generator *generator, struct operation *operation)
{
    operation->limit = chance(generator, 50) ? 0 : 1 + below(generator, 40);
}

static void make_crash(struct generator *generator, struct operation *operation)
{
}

static void (*const makers[OPERATION_KINDS])(struct generator *generator, struct operation *operation) = {
    [OPERATION_LIBRARY] = make_library,
    [OPERATION_SUBMIT] = make_submit,
    [OPERATION_LOOKUP] = make_names,
    [OPERATION_AWAIT] = make_names,
    [OPERATION_CALL] = make_call,
    [OPERATION_PROBE] = make_probe,
    [OPERATION_CANCEL_UNITS] = make_cancel_units,
    [OPERATION_CANCEL_LOOKUP] = make_cancel_lookup,
    [OPERATION_INSPECT] = make_inspect,
    [OPERATION_CRASH] = make_crash,
};

static uint32_t any_kind(struct generator *generator)
{
    uint32_t total = 0, kind = 0;

    for (size_t i = 0; i < OPERATION_KINDS; i++)
        total += generator->character.weights[i];
    for (uint32_t point = below(generator, total); point >= generator->character.weights[kind]; kind++)
        point -= generator->character.weights[kind];
    return kind;
}

void generate_session(uint64_t seed, struct operation *out, size_t count)
{
    struct generator generator = {.state = seed, .operations = out};

    make_character(&generator);
    for (; generator.count < count; generator.count++) {
        struct operation *operation = &out[generator.count];
        uint32_t number = generator.count + 1;
        bool first = number < generator.character.libraries;

        *operation = (struct operation){.kind = first ? OPERATION_LIBRARY : any_kind(&generator), .number = number};
        makers[operation->kind](&generator, operation);
        operation->settle = chance(&generator, generator.character.settle);
    }
}
