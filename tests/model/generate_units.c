/*
 * Random units.
 */
#include "tests/model/generator.h"

/* Of the kinds an entry is, in percent; those behind USE are a manifest's alone. */
static uint32_t entry_kind(struct generator *generator, const struct unit_row *unit)
{
    static const uint32_t up_to[] = {
        [ENTRY_DEFINE] = 40, [ENTRY_USE] = 75, [ENTRY_ABSOLUTE] = 82, [ENTRY_ALIAS] = 92, [ENTRY_AWAIT] = 100};
    uint32_t point = generate_below(generator, unit->manifest ? 100 : 75), kind = 0;
    uint32_t action = generator->character.action;

    if (unit->manifest && generate_chance(generator, action && unit->no_object ? 80 : action))
        return ENTRY_ACTION;
    if (unit->manifest && generate_chance(generator, generator->character.lazy / 2))
        return ENTRY_LAZY;
    while (point >= up_to[kind])
        kind++;
    return kind;
}

uint32_t generate_free_name(struct generator *generator, uint32_t library)
{
    uint32_t name = generate_name(generator);

    for (uint32_t tries = 0; tries < 6 && generator->offered[library] >> name & 1; tries++)
        name = generate_name(generator);
    return name;
}

static uint32_t any_defined(struct generator *generator, uint32_t library)
{
    return generator->character.calm ? generate_free_name(generator, library) : generate_name(generator);
}

/* What is there. */
static void turn_to_function(struct generator *generator, const struct unit_row *unit, struct entry *entry)
{
    bool changes = generate_chance(generator, 30) && generator->replaceable.count;
    const struct mention function =
        generate_mentioned(generator, changes ? &generator->replaceable : &generator->functions);

    if (entry->kind == ENTRY_USE || entry->kind == ENTRY_AWAIT)
        entry->name = function.name;
    else
        entry->target = function.name;
    if (entry->library || function.library != unit->library)
        entry->library = function.library + 1;
}

/* Mostly of what succeeds. */
static void make_action(struct generator *generator, struct entry *entry)
{
    const struct mention publish = generate_mentioned(generator, &generator->noting);
    const struct mention remove = generate_mentioned(generator, &generator->noting);

    entry->half = generate_chance(generator, 30) ? generate_below(generator, HALVES) : HALF_BOTH;
    if (generate_chance(generator, 40))
        entry->library = publish.library + 1;
    if (generate_chance(generator, 93))
        entry->name = publish.name;
    if (generate_chance(generator, 93))
        entry->target = remove.name;
}

static struct entry make_entry(struct generator *generator, const struct unit_row *unit, uint32_t number)
{
    const struct character *character = &generator->character;
    struct entry entry = {.kind = entry_kind(generator, unit),
                          .number = number,
                          .name = generate_name(generator),
                          .target = generate_name(generator),
                          .hidden = generate_chance(generator, character->hidden),
                          .common = generate_chance(generator, character->common),
                          .function = generate_chance(generator, 60),
                          .call = generate_chance(generator, 50),
                          .slot = generate_chance(generator, 15),
                          .renamed = generate_chance(generator, 30),
                          .unlisted = generate_chance(generator, character->oddity),
                          .absent = generate_chance(generator, character->oddity / 2),
                          .repeated = generate_chance(generator, character->oddity / 4),
                          .lazy = generate_chance(generator, character->lazy),
                          .redirectable = generate_chance(generator, character->redirectable)};

    if (entry.kind == ENTRY_DEFINE || entry.kind == ENTRY_LAZY)
        entry.name = any_defined(generator, unit->library);
    /* Mostly a later one, or many would lead in a circle, where a session ends. */
    if (entry.kind == ENTRY_LAZY && entry.target <= entry.name && generate_chance(generator, 95))
        entry.target = (entry.name + 1) % NAMES_MOST;
    if (generate_chance(generator, character->weak))
        entry.weak = 1 + generate_below(generator, 3);
    if (generate_chance(generator, character->exact))
        entry.library = 1 + generate_library(generator);
    if (generate_chance(generator, character->convention))
        entry.convention = 1 + generate_below(generator, character->conventions - 1);
    entry.adapts = generate_chance(generator, character->adapter / 16);
    if (entry.kind != ENTRY_DEFINE && entry.kind != ENTRY_ABSOLUTE && generate_chance(generator, character->adapter))
        turn_to_function(generator, unit, &entry);
    if (character->action)
        entry.notes = generate_chance(generator, 70);
    if (entry.kind == ENTRY_ACTION)
        make_action(generator, &entry);
    return entry;
}

struct mention generate_mention_of(const struct unit_row *unit, const struct entry *entry)
{
    return (struct mention){.name = entry->name,
                            .library = unit->library,
                            .target = entry->kind == ENTRY_LAZY ? entry->target : entry->name,
                            .target_library = entry->library ? entry->library - 1 : unit->library,
                            .convention = entry->convention};
}

/* What a unit before it defines is not likely to be this one's. */
static void mention_definition(struct generator *generator, const struct unit_row *unit, const struct entry *entry)
{
    const struct mention mention = generate_mention_of(unit, entry);
    uint32_t *offered = &generator->offered[unit->library], bit = 1u << entry->name;

    if (*offered & bit)
        return;
    *offered |= bit;
    generate_mention(entry->adapts ? &generator->adapters : &generator->functions, &mention);
    if (entry->notes && !entry->common && !entry->convention)
        generate_mention(&generator->noting, &mention);
    if (unit->manifest && (entry->kind == ENTRY_LAZY || entry->redirectable))
        generate_mention(&generator->replaceable, &mention);
}

static void mention(struct generator *generator, const struct unit_row *unit, const struct entry *entry)
{
    const struct mention mention = generate_mention_of(unit, entry);

    if (unit->manifest && (entry->kind == ENTRY_LAZY || (entry->kind == ENTRY_USE && entry->lazy)))
        generate_mention(&generator->lazy, &mention);
    if (entry->kind == ENTRY_DEFINE || (unit->manifest && entry->kind == ENTRY_LAZY))
        mention_definition(generator, unit, entry);
}

bool generate_has_use(const struct unit_row *unit)
{
    for (uint32_t i = 0; i < unit->entry_count; i++)
        if (unit->entries[i].kind == ENTRY_USE)
            return true;
    return false;
}

void generate_forget(struct generator *generator, const struct unit_row *unit)
{
    for (uint32_t i = 0; i < unit->entry_count; i++)
        if (unit->entries[i].kind == ENTRY_DEFINE || unit->entries[i].kind == ENTRY_LAZY)
            generator->offered[unit->library] &= ~(1u << unit->entries[i].name);
}

static void make_unit(struct generator *generator, struct unit_row *unit, uint32_t library)
{
    const struct character *character = &generator->character;

    unit->library = library;
    unit->manifest = generate_chance(generator, character->manifest);
    unit->no_object = unit->manifest && generate_chance(generator, 15);
    if (generate_chance(generator, character->data))
        unit->data = DATA_COUNTER + generate_below(generator, DATA_FINALISER);
    unit->tag = generate_below(generator, character->tags + 1);
    unit->entry_count = 1 + generate_below(generator, generate_chance(generator, 10) ? ENTRIES_MOST : 3);
    for (uint32_t i = 0; i < unit->entry_count; i++) {
        unit->entries[i] = make_entry(generator, unit, i + 1);
        mention(generator, unit, &unit->entries[i]);
    }
}

void generate_units(struct generator *generator, struct operation *operation, uint32_t most)
{
    const struct character *character = &generator->character;
    uint32_t library = generate_library(generator);
    uint32_t end = operation->unit_count + 1 +
                   generate_below(generator, generate_chance(generator, character->calm ? 10 : 50) ? most : 1);

    while (operation->unit_count < end)
        make_unit(generator, &operation->units[operation->unit_count++],
                  generate_chance(generator, 70) ? library : generate_library(generator));
}

bool generate_lacks_adapters(const struct generator *generator)
{
    return generator->character.adapter && generator->adapters.count < 2 * generator->character.conventions - 2;
}

void generate_adapter(struct generator *generator, struct operation *operation)
{
    struct unit_row *unit = &operation->units[operation->unit_count++];
    uint32_t library = generate_library(generator);

    *unit = (struct unit_row){
        .library = library,
        .manifest = 1,
        .tag = generate_below(generator, generator->character.tags + 1),
        .entry_count = 1,
        .entries[0] = {.kind = ENTRY_DEFINE, .number = 1, .name = generate_free_name(generator, library), .adapts = 1}};
    mention(generator, unit, &unit->entries[0]);
}

/* The first entry of what is otherwise any unit, and may wait for others. */
void generate_target(struct generator *generator, struct operation *operation, const struct mention *lazy)
{
    struct unit_row *unit = &operation->units[operation->unit_count++];

    make_unit(generator, unit, lazy->target_library);
    unit->no_object = 0;
    unit->manifest = 1;
    unit->entries[0] = (struct entry){
        .kind = ENTRY_DEFINE,
        .number = 1,
        .name = lazy->target,
        .convention = generate_chance(generator, generator->character.adapter ? 50 : 90) ? lazy->convention : 0};
    if (generate_chance(generator, 60))
        unit->entry_count = 1;
    mention(generator, unit, &unit->entries[0]);
}
