#include "daemon/linker/comdat.h"

#include <string.h>

#include "daemon/linker/resolve.h"

#define LINKONCE ".gnu.linkonce."

/* ---- who holds a key ---- */

/* A unit of an earlier batch. */
static const struct unit *earlier_holder(const struct linker *linker, const struct symbol *key)
{
    const struct unit *holder = key->comdat ? link_unit(linker, key->comdat) : NULL;

    return holder && holder->state != UNIT_FAILED ? holder : NULL;
}

static const struct unit *holder_of(const struct linker *linker, const struct symbol *key, const struct batch *batch)
{
    const struct unit *earlier = earlier_holder(linker, key);
    const struct contest *contest = symbol_contest(key, batch->number);

    return earlier || !contest ? earlier : contest->comdat;
}

/* Whether it is a group of one section that has it. */
static bool is_held_alone(const struct linker *linker, const struct symbol *key, const struct batch *batch)
{
    const struct contest *contest = symbol_contest(key, batch->number);

    return earlier_holder(linker, key) ? key->comdat_alone : contest && contest->comdat && contest->comdat_alone;
}

/* The unit holds the key from now on, unless somebody does. */
static int hold(struct linker *linker, struct unit *unit, struct symbol *key, bool alone)
{
    struct batch *batch = unit->pending->batch;
    struct contest *contest = resolve_enter_contest(linker, key, batch);

    if (!contest)
        return ERROR_NO_MEMORY;
    if (!holder_of(linker, key, batch)) {
        contest->comdat = unit;
        contest->comdat_alone = alone;
    }
    return 0;
}

static void discard(struct unit *unit, uint32_t section)
{
    unit->pending->placements[section].zone = ZONE_COUNT;
}

/* ---- groups ---- */

static struct symbol *group_key(struct linker *linker, const struct unit *unit, const struct object_group *group)
{
    const char *name = object_symbol_name(&unit->pending->object, group->signature);

    return symbols_intern(linker->symbols, SPACE_EXPORTED(unit->library), name, strlen(name));
}

/* The key F of sections .gnu.linkonce.?.F; NULL where there has been none. */
static struct symbol *linkonce_namesake(struct linker *linker, const struct symbol *key, uint32_t library)
{
    return linker->has_linkonce ? symbols_find(linker->symbols, SPACE_ONCE(library), key->name, key->name_length)
                                : NULL;
}

static int resolve_group(struct linker *linker, struct unit *unit, const struct object_group *group)
{
    struct symbol *key = group_key(linker, unit, group);
    const struct batch *batch = unit->pending->batch;

    if (!key)
        return ERROR_NO_MEMORY;
    const struct unit *holder = holder_of(linker, key, batch);
    const struct symbol *namesake = group->member_count == 1 ? linkonce_namesake(linker, key, unit->library) : NULL;
    bool stands = (!holder || holder == unit) && !(namesake && holder_of(linker, namesake, batch));

    for (uint32_t m = 0; m < group->member_count && !stands; m++)
        discard(unit, group->members[m]);
    return stands ? hold(linker, unit, key, group->member_count == 1) : 0;
}

/* ---- .gnu.linkonce ---- */

/* F of .gnu.linkonce.t.F, and the letter; NULL for other sections. */
static const char *linkonce_name(const struct object_section *section, char *kind)
{
    const char *name = section->name;

    if (strncmp(name, LINKONCE, strlen(LINKONCE)) != 0 || !section->loaded || section->group)
        return NULL;
    *kind = name[strlen(LINKONCE)];
    name = strchr(name + strlen(LINKONCE), '.');
    return name && name[1] ? name + 1 : NULL;
}

static struct symbol *intern(struct linker *linker, uint32_t space, const char *name)
{
    return symbols_intern(linker->symbols, space, name, strlen(name));
}

/* Whether another unit has the code that the constants of .gnu.linkonce.r.F belong to. */
static bool code_is_elsewhere(struct linker *linker, const struct unit *unit, const char *name)
{
    size_t length = strlen(name);
    char *code = pool_copy_string(&linker->deciding, name, length);
    const struct symbol *key = NULL;

    if (code) {
        code[strlen(LINKONCE)] = 't';
        key = symbols_find(linker->symbols, SPACE_LINKONCE(unit->library), code, length);
    }
    const struct unit *holder = key ? holder_of(linker, key, unit->pending->batch) : NULL;
    return holder && holder != unit;
}

static int resolve_linkonce(struct linker *linker, struct unit *unit, uint32_t section, const char *name, char kind)
{
    const char *section_name = unit->pending->object.sections[section].name;
    struct symbol *key = intern(linker, SPACE_LINKONCE(unit->library), section_name);
    struct symbol *function = intern(linker, SPACE_ONCE(unit->library), name);
    const struct symbol *group = symbols_find(linker->symbols, SPACE_EXPORTED(unit->library), name, strlen(name));
    const struct batch *batch = unit->pending->batch;

    linker->has_linkonce = true;
    if (!key || !function)
        return ERROR_NO_MEMORY;
    const struct unit *holder = holder_of(linker, key, batch);
    if ((holder && holder != unit) || (group && is_held_alone(linker, group, batch)) ||
        (kind == 'r' && section_name[strlen(LINKONCE) + 1] == '.' && code_is_elsewhere(linker, unit, section_name))) {
        discard(unit, section);
        return 0;
    }
    return hold(linker, unit, key, false) != 0 ? ERROR_NO_MEMORY : hold(linker, unit, function, false);
}

/* ---- both ---- */

int comdat_resolve(struct linker *linker, struct unit *unit, struct report *report)
{
    const struct object *object = &unit->pending->object;
    int code = 0;

    if (unit->pending->manifest)
        return 0;
    for (uint32_t i = 1; i < object->section_count && object->has_linkonce && !code; i++) {
        char kind;
        const char *name = linkonce_name(&object->sections[i], &kind);

        if (name)
            code = resolve_linkonce(linker, unit, i, name, kind);
    }
    for (uint32_t g = 0; g < object->group_count && !code; g++)
        code = resolve_group(linker, unit, &object->groups[g]);
    return code ? resolve_no_memory(report, unit) : 0;
}

static void keep(const struct unit *unit, struct symbol *key)
{
    const struct contest *contest = key ? symbol_contest(key, unit->pending->batch->number) : NULL;

    if (!contest || contest->comdat != unit)
        return;
    key->comdat = unit->id;
    key->comdat_alone = contest->comdat_alone;
}

void comdat_keep(struct linker *linker, struct unit *unit)
{
    const struct object *object = &unit->pending->object;

    if (unit->pending->manifest)
        return;
    for (uint32_t g = 0; g < object->group_count; g++)
        keep(unit, group_key(linker, unit, &object->groups[g]));
    for (uint32_t i = 1; i < object->section_count && object->has_linkonce; i++) {
        char kind;
        const char *name = linkonce_name(&object->sections[i], &kind);

        if (!name)
            continue;
        keep(unit, intern(linker, SPACE_LINKONCE(unit->library), object->sections[i].name));
        keep(unit, intern(linker, SPACE_ONCE(unit->library), name));
    }
}

bool comdat_is_key(const struct symbol *symbol, void *linker)
{
    return symbol->comdat && link_unit(linker, symbol->comdat);
}
