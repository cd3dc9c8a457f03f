#include "tests/model/generator.h"

#include <string.h>

uint64_t generate_seed(uint64_t seed, uint64_t index)
{
    /* Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). */
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint32_t generate_below(struct generator *generator, uint32_t end)
{
    return (uint32_t)(generate_seed(generator->state++, 0) % end);
}

uint32_t generate_chance(struct generator *generator, uint32_t percent)
{
    return generate_below(generator, 100) < percent;
}

/* 0 mostly, else up to `most`: a session has much of few things. */
static uint32_t degree(struct generator *generator, uint32_t most)
{
    return generate_chance(generator, 50) ? generate_below(generator, most + 1)
                                          : generate_below(generator, 1 + most / 8);
}

static void make_calm(struct generator *generator, struct character *character)
{
    character->calm = true;
    character->libraries = character->adapter ? 2 + character->libraries % 3 : 1 + character->libraries % 2;
    character->action =
        generate_chance(generator, character->adapter ? 20 : 60) ? 10 + generate_below(generator, 30) : 0;
    if (character->action)
        character->weights[OPERATION_CRASH] = generate_below(generator, 4);
    character->closed = character->oddity = character->common = 0;
    character->convention = character->adapter ? character->convention : 0;
    character->weak = character->weak / 4;
    character->weights[OPERATION_CANCEL_UNITS] = 1;
    if (character->adapter)
        character->deadline = character->atomic = character->deadline / 4;
    character->weights[OPERATION_REDIRECT] *= 2;
    character->weights[OPERATION_CALL] *= 2;
}

/* Of few conventions most functions are the one or the other. */
static void make_adapted(struct generator *generator, struct character *character)
{
    character->adapter = 60 + generate_below(generator, 36);
    character->conventions = 2 + generate_below(generator, CONVENTIONS - 1);
    character->convention = 30 + generate_below(generator, 40);
    character->manifest = 80 + generate_below(generator, 21);
    character->weights[OPERATION_ADAPT] = 3 + generate_below(generator, 12);
    character->weights[OPERATION_PROBE] *= 2;
    character->weights[OPERATION_REMOVE] *= 2;
}

static void make_character(struct generator *generator)
{
    static const uint32_t weights[OPERATION_KINDS] = {
        [OPERATION_LIBRARY] = 10,      [OPERATION_SUBMIT] = 60, [OPERATION_LOOKUP] = 15,       [OPERATION_AWAIT] = 15,
        [OPERATION_CALL] = 15,         [OPERATION_PROBE] = 40,  [OPERATION_CANCEL_UNITS] = 12, [OPERATION_INSPECT] = 2,
        [OPERATION_CANCEL_LOOKUP] = 5, [OPERATION_CRASH] = 1,   [OPERATION_REMOVE] = 12,       [OPERATION_RUN] = 6,
        [OPERATION_REDIRECT] = 8,      [OPERATION_ADAPT] = 1,
    };
    struct character *character = &generator->character;

    *character = (struct character){.libraries = 1 + generate_below(generator, LIBRARIES_MOST),
                                    .names = 3 + generate_below(generator, NAMES_MOST - PROCESS_NAMES - 2),
                                    .manifest = generate_below(generator, 101),
                                    .closed = degree(generator, 60),
                                    .atomic = degree(generator, 60),
                                    .weak = degree(generator, 60),
                                    .hidden = degree(generator, 60),
                                    .common = degree(generator, 40),
                                    .exact = degree(generator, 60),
                                    .convention = degree(generator, 30),
                                    .oddity = degree(generator, 8),
                                    .settle = generate_below(generator, 101),
                                    .data = degree(generator, 20),
                                    .re_export = generate_below(generator, 101),
                                    .tags = generate_below(generator, 6),
                                    .lazy = 10 + generate_below(generator, 40),
                                    .redirectable = 10 + generate_below(generator, 70),
                                    .supply = generate_below(generator, 101),
                                    .deadline = degree(generator, 30),
                                    .cascade = generate_below(generator, 101),
                                    .action = degree(generator, 60),
                                    .conventions = CONVENTIONS};
    for (size_t kind = 0; kind < OPERATION_KINDS; kind++)
        character->weights[kind] = 1 + generate_below(generator, 2 * weights[kind]);
    if (generate_chance(generator, 80))
        character->weights[OPERATION_CRASH] = 0;
    if (generate_chance(generator, 35))
        make_adapted(generator, character);
    if (generate_chance(generator, character->adapter ? 15 : 50)) {
        character->weights[OPERATION_REDIRECT] = character->lazy = character->redirectable = 0;
        return;
    }
    /* A manifest has to say it; and of few names most would be defined twice. */
    character->manifest = 50 + generate_below(generator, 51);
    character->names = NAMES_MOST - PROCESS_NAMES - generate_below(generator, 16);
    if (generate_chance(generator, character->adapter ? 80 : 50))
        make_calm(generator, character);
}

uint32_t generate_name(struct generator *generator)
{
    if (generate_chance(generator, 5))
        return NAMES_MOST - 1 - generate_below(generator, PROCESS_NAMES);
    return generate_below(generator, generator->character.names);
}

uint32_t generate_library(struct generator *generator)
{
    return generate_below(generator, generator->character.libraries);
}

void generate_mention(struct mentions *mentions, const struct mention *mention)
{
    mentions->entries[mentions->count++ % MENTIONS_MOST] = *mention;
}

struct mention generate_mentioned(struct generator *generator, const struct mentions *mentions)
{
    uint32_t count = mentions->count < MENTIONS_MOST ? mentions->count : MENTIONS_MOST;

    if (count)
        return mentions->entries[generate_below(generator, count)];
    return (struct mention){.name = generate_name(generator),
                            .library = generate_library(generator),
                            .target = generate_name(generator),
                            .target_library = generate_library(generator)};
}

/* What comes after what was done just now: an adapter is registered, mostly, so that most of what comes meets with it;
   what is used is called. */
static uint32_t find_next_kind(struct generator *generator, uint32_t kind)
{
    const struct operation *last = generator->count ? &generator->operations[generator->count - 1] : NULL;

    if (!generator->character.adapter || !last || last->kind != OPERATION_SUBMIT)
        return kind;
    if (last->units[0].entries[0].adapts && generate_chance(generator, 80))
        return OPERATION_ADAPT;
    return generate_has_use(&last->units[0]) && generate_chance(generator, 50) ? OPERATION_PROBE : kind;
}

static uint32_t any_kind(struct generator *generator)
{
    uint32_t total = 0, kind = 0;

    for (size_t i = 0; i < OPERATION_KINDS; i++)
        total += generator->character.weights[i];
    for (uint32_t point = generate_below(generator, total); point >= generator->character.weights[kind]; kind++)
        point -= generator->character.weights[kind];
    if (kind == OPERATION_REDIRECT && generator->replaceable.count == 0)
        return OPERATION_SUBMIT; /* of what may be replaced */
    return find_next_kind(generator, generate_lacks_adapters(generator) ? OPERATION_SUBMIT : kind);
}

static bool is_to_drill(struct generator *generator)
{
    return generator->character.adapter && !generate_lacks_adapters(generator) && generate_chance(generator, 30);
}

static void make_any(struct generator *generator, struct operation *operation, bool first)
{
    operation->kind = first ? OPERATION_LIBRARY : any_kind(generator);
    generate_operation(generator, operation);
}

void generate_session(uint64_t seed, struct operation *out, size_t count)
{
    struct generator generator = {.state = seed, .operations = out};

    make_character(&generator);
    for (; generator.count < count; generator.count++) {
        struct operation *operation = &out[generator.count];
        uint32_t number = generator.count + 1;
        bool first = number < generator.character.libraries;

        *operation = (struct operation){.number = number};
        if (!first && is_to_drill(&generator))
            generate_drill(&generator, operation);
        else
            make_any(&generator, operation, first);
        operation->settle = generate_chance(&generator, generator.character.settle);
    }
}
