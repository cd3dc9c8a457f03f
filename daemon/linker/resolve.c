#include "daemon/linker/resolve.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/relocate.h"

/* A definition's strength, or NONE for a reference. */
static enum symbol_strength strength_of(const struct unit *unit, uint32_t index)
{
    const Elf64_Sym *symbol = &unit->pending->object.symbols[index];
    uint32_t section = object_symbol_section(&unit->pending->object, index);

    if (section == OBJECT_UNDEFINED)
        return STRENGTH_NONE;
    if (section < unit->pending->object.section_count && unit->pending->placements[section].zone == ZONE_COUNT)
        return STRENGTH_NONE; /* lost with its COMDAT group: a reference to the winner's */
    if (section == OBJECT_COMMON)
        return STRENGTH_COMMON;
    return ELF64_ST_BIND(symbol->st_info) == STB_WEAK ? STRENGTH_WEAK : STRENGTH_STRONG;
}

static int no_memory(struct report *report, const struct unit *unit)
{
    struct error error;

    error_set(&error, ERROR_NO_MEMORY, "%s: no memory for its symbols", unit->name);
    error_set_unit(&error, unit->name);
    report_add(report, &error);
    return ERROR_NO_MEMORY;
}

/* The batch's contest about a name, begun where there is none; NULL: out of memory. */
static struct contest *enter_contest(struct linker *linker, struct symbol *symbol, const struct batch *batch)
{
    struct contest *contest = symbol_contest(symbol, batch->number);

    if (contest)
        return contest;
    symbol->contest = pool_allocate(&linker->deciding, sizeof *symbol->contest);
    symbol->contest_batch = symbol->contest ? batch->number : 0;
    return symbol->contest;
}

/* The unit of this batch whose definition of the name stands, or NULL. */
static struct unit *winner(const struct symbol *symbol, const struct batch *batch)
{
    const struct contest *contest = symbol_contest(symbol, batch->number);

    return contest ? contest->unit : NULL;
}

/* Whether a unit of an earlier batch holds the group of this signature. */
static bool comdat_stands(const struct linker *linker, const struct symbol *signature)
{
    const struct unit *holder = link_unit(linker, signature->comdat);

    return holder && holder->state != UNIT_FAILED;
}

/* Of COMDAT groups with one signature the first stands; the members of the others go nowhere. */
static int resolve_groups(struct linker *linker, struct unit *unit, struct report *report)
{
    const struct object *object = &unit->pending->object;

    for (uint32_t g = 0; g < object->group_count; g++) {
        const struct object_group *group = &object->groups[g];
        const char *name = object_symbol_name(object, group->signature);
        struct symbol *signature = symbols_intern(linker->symbols, name, strlen(name));

        if (!signature)
            return no_memory(report, unit);
        if (!comdat_stands(linker, signature)) {
            struct contest *contest = enter_contest(linker, signature, unit->pending->batch);

            if (!contest)
                return no_memory(report, unit);
            if (!contest->comdat)
                contest->comdat = unit;
            if (contest->comdat == unit)
                continue;
        }
        for (uint32_t m = 0; m < group->member_count; m++)
            unit->pending->placements[group->members[m]].zone = ZONE_COUNT;
    }
    return 0;
}

static void report_duplicate(struct report *report, const struct unit *unit, const struct symbol *symbol,
                             const struct unit *first)
{
    struct error error;

    error_set(&error, ERROR_SYMBOL_DUPLICATE, "%s: duplicate definition of '%s', first defined in %s", unit->name,
              symbol->name, first->name);
    error_set_unit(&error, unit->name);
    error_set_symbol(&error, symbol->name);
    report_add(report, &error);
}

/* One definition enters the contest for its name. */
static int contend(struct linker *linker, struct unit *unit, uint32_t index, struct symbol *symbol,
                   struct report *report)
{
    const Elf64_Sym *entry = &unit->pending->object.symbols[index];
    enum symbol_strength strength = strength_of(unit, index);
    struct contest *contest;

    if (symbol->binding == SYMBOL_UNIT) {
        if (strength == STRENGTH_STRONG && symbol->strength == STRENGTH_STRONG)
            report_duplicate(report, unit, symbol, symbol->definer);
        return 0;
    }
    contest = enter_contest(linker, symbol, unit->pending->batch);
    if (!contest)
        return no_memory(report, unit);
    if (strength == STRENGTH_STRONG && contest->strength == STRENGTH_STRONG) {
        report_duplicate(report, unit, symbol, contest->unit);
        return 0;
    }
    if (strength == STRENGTH_COMMON) {
        contest->common_bytes = max_u64(contest->common_bytes, entry->st_size);
        contest->common_alignment = max_u64(max_u64(contest->common_alignment, entry->st_value), 1);
    }
    if (strength <= contest->strength)
        return 0;
    contest->unit = unit;
    contest->index = index;
    contest->strength = strength;
    return 0;
}

/* Interns every global name of the unit and enters its definitions. */
static int resolve_definitions(struct linker *linker, struct unit *unit, struct report *report)
{
    const struct object *object = &unit->pending->object;
    uint32_t count = object->symbol_count - object->first_global;

    unit->pending->globals = pool_allocate_array(&unit->pending->batch->pool, count, sizeof(struct symbol *));
    if (!unit->pending->globals)
        return no_memory(report, unit);
    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        const char *name = object_symbol_name(object, i);
        struct symbol *symbol = symbols_intern(linker->symbols, name, strlen(name));

        if (!symbol)
            return no_memory(report, unit);
        unit->pending->globals[i - object->first_global] = symbol;
        if (strength_of(unit, i) != STRENGTH_NONE && contend(linker, unit, i, symbol, report) != 0)
            return ERROR_NO_MEMORY;
    }
    return 0;
}

/* Which symbols the unit's kept sections refer to. A symbol that is listed as undefined and never used is not needed.
 */
static int mark_references(struct linker *linker, struct unit *unit, struct report *report)
{
    unit->pending->referenced = pool_allocate(&linker->deciding, unit->pending->object.symbol_count);
    if (!unit->pending->referenced)
        return no_memory(report, unit);
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        struct error error;

        if (unit->pending->placements[i].zone == ZONE_COUNT || !unit->pending->object.sections[i].relocations ||
            !object_section_is_loaded(&unit->pending->object.sections[i]))
            continue;
        if (relocate_check(linker->arch, &unit->pending->object, i, unit->pending->referenced, unit->name, &error) != 0)
            report_add(report, &error);
    }
    return report_code(report);
}

void resolve_process(struct linker *linker, struct symbol *symbol)
{
    struct process_symbol found;

    if (symbol->binding != SYMBOL_UNBOUND || symbol->process_known || !linker->process)
        return;
    symbol->process_known = true;
    if (!process_symbols_find(linker->process, symbol->name, &found))
        return;
    symbol->binding = SYMBOL_PROCESS;
    symbol->address = found.address;
    symbol->bytes = found.bytes;
    symbol->function = found.function;
}

static bool is_weak(const struct unit *unit, uint32_t index)
{
    return ELF64_ST_BIND(unit->pending->object.symbols[index].st_info) == STB_WEAK;
}

/* Everyone who refers to the symbol, from this unit on; a later unit finds the entry and adds itself. */
static void report_missing(struct report *report, const struct unit *unit, uint32_t index, const struct symbol *symbol)
{
    struct report_entry *entry = NULL;
    uint32_t section = 0;
    uint64_t offset = 0;

    for (uint32_t i = 0; i < report->count && !entry; i++)
        if (report->entries[i].error.code == ERROR_SYMBOL_MISSING &&
            strcmp(report->entries[i].error.symbol, symbol->name) == 0)
            entry = &report->entries[i];
    if (!relocate_find_reference(&unit->pending->object, index, &section, &offset))
        section = 0;
    const char *section_name = unit->pending->object.sections[section].name;
    if (!entry) {
        struct error error;

        error_set(&error, ERROR_SYMBOL_MISSING, "%s:%s+0x%llx: undefined symbol '%s'", unit->name, section_name,
                  (unsigned long long)offset, symbol->name);
        error_set_unit(&error, unit->name);
        error_set_section(&error, section_name, offset);
        error_set_symbol(&error, symbol->name);
        entry = report_add(report, &error);
    }
    report_add_reference(entry, unit->name, section_name, offset);
}

static bool is_own(const struct unit *unit, uint32_t index)
{
    const struct contest *contest = symbol_contest(unit->pending->globals[index - unit->pending->object.first_global],
                                                   unit->pending->batch->number);

    return contest && contest->unit == unit && contest->index == index;
}

/* Whether a referenced global must be met by another unit before this one can be linked. */
static bool is_use(const struct unit *unit, const struct symbol *symbol)
{
    const struct unit *definer = winner(symbol, unit->pending->batch);

    return definer ? definer != unit : symbol->binding != SYMBOL_PROCESS;
}

/* The references of a unit that others must meet; in a closed batch they must be there now. */
static void resolve_uses(struct linker *linker, struct unit *unit, struct report *report)
{
    const struct object *object = &unit->pending->object;

    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        struct symbol *symbol = unit->pending->globals[i - object->first_global];

        unit->definition_count += is_own(unit, i);
        if (!unit->pending->referenced[i])
            continue;
        if (!winner(symbol, unit->pending->batch))
            resolve_process(linker, symbol);
        if (!is_use(unit, symbol)) {
            unit->pending->referenced[i] = 0; /* from here on: referred to, and another unit's to meet */
            continue;
        }
        unit->pending->use_count++;
        if (unit->pending->batch->closed && !winner(symbol, unit->pending->batch) &&
            symbol->binding == SYMBOL_UNBOUND && !is_weak(unit, i))
            report_missing(report, unit, i, symbol);
    }
}

/* Exactly as much memory as the unit's definitions and uses take. */
static int enter_uses(struct unit *unit, struct report *report)
{
    struct pending *pending = unit->pending;
    const struct object *object = &pending->object;
    uint32_t definitions = 0, needs = 0;

    unit->definitions = malloc((unit->definition_count + pending->use_count + 1u) * sizeof(struct symbol *));
    pending->uses = pool_allocate_array(&pending->batch->pool, pending->use_count, sizeof *pending->uses);
    if (!unit->definitions || !pending->uses)
        return no_memory(report, unit);
    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        struct symbol *symbol = pending->globals[i - object->first_global];

        if (is_own(unit, i))
            unit->definitions[definitions++] = symbol;
        if (!pending->referenced[i])
            continue;
        unit_needs(unit)[needs] = symbol;
        pending->uses[needs++] = (struct use){.symbol = symbol, .unit = unit, .index = i, .weak = is_weak(unit, i)};
    }
    unit->need_count = needs;
    return 0;
}

int resolve_batch(struct linker *linker, struct batch *batch, struct report *report)
{
    int code = 0;

    for (uint32_t i = 0; i < batch->unit_count && !code; i++)
        code = resolve_groups(linker, batch->units[i], report);
    for (uint32_t i = 0; i < batch->unit_count && !code; i++)
        code = resolve_definitions(linker, batch->units[i], report);
    for (uint32_t i = 0; i < batch->unit_count && !code; i++)
        code = mark_references(linker, batch->units[i], report);
    if (code)
        return code;
    for (uint32_t i = 0; i < batch->unit_count; i++)
        resolve_uses(linker, batch->units[i], report);
    code = report_code(report);
    for (uint32_t i = 0; i < batch->unit_count && !code; i++)
        code = enter_uses(batch->units[i], report);
    return code;
}

static uint64_t definition_address(const struct linker *linker, const struct unit *unit, uint32_t index,
                                   const struct symbol *symbol)
{
    const Elf64_Sym *entry = &unit->pending->object.symbols[index];
    uint32_t section = object_symbol_section(&unit->pending->object, index);

    if (section == OBJECT_ABSOLUTE)
        return entry->st_value;
    if (section == OBJECT_COMMON)
        return arena_address(linker->arena, ZONE_Z, unit->pending->common_offset + symbol->contest->common_offset);
    /* In a section that is not loaded: nobody can use it, so any address will do. */
    if (unit->pending->placements[section].zone == ZONE_COUNT)
        return 0;
    return unit_section_address(linker->arena, unit, section) + entry->st_value;
}

/* The contest's outcome becomes the session's. */
static void bind(struct linker *linker, struct unit *unit, uint32_t index, struct symbol *symbol)
{
    const Elf64_Sym *entry = &unit->pending->object.symbols[index];

    symbol->binding = SYMBOL_UNIT;
    symbol->strength = (uint8_t)symbol->contest->strength;
    symbol->definer = unit;
    symbol->address = definition_address(linker, unit, index, symbol);
    symbol->bytes = symbol->strength == STRENGTH_COMMON ? symbol->contest->common_bytes : entry->st_size;
    symbol->function = ELF64_ST_TYPE(entry->st_info) == STT_FUNC;
}

void resolve_commit(struct linker *linker, struct batch *batch)
{
    for (uint32_t u = 0; u < batch->unit_count; u++) {
        struct unit *unit = batch->units[u];
        const struct object *object = &unit->pending->object;

        for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
            if (is_own(unit, i))
                bind(linker, unit, i, unit->pending->globals[i - object->first_global]);
        }
        for (uint32_t g = 0; g < object->group_count; g++) {
            const char *name = object_symbol_name(object, object->groups[g].signature);
            struct symbol *signature = symbols_find(linker->symbols, name, strlen(name));

            const struct contest *contest = symbol_contest(signature, batch->number);

            if (contest && contest->comdat == unit)
                signature->comdat = (uint32_t)unit->id;
        }
        for (uint32_t i = 0; i < unit->pending->use_count; i++) {
            struct symbol *symbol = unit->pending->uses[i].symbol;

            if (!unit->pending->uses[i].weak || winner(symbol, batch) || symbol->binding == SYMBOL_UNIT)
                symbol_add_use(symbol, &unit->pending->uses[i]);
        }
    }
}

void resolve_withdraw(struct unit *unit)
{
    for (uint32_t i = 0; unit->pending && i < unit->pending->use_count; i++)
        symbol_remove_use(&unit->pending->uses[i]);
    for (uint32_t i = 0; i < unit->definition_count; i++) {
        struct symbol *symbol = unit->definitions[i];

        symbol->binding = SYMBOL_UNBOUND;
        symbol->process_known = false;
        symbol->definer = NULL;
        symbol->strength = STRENGTH_NONE;
        symbol->address = 0;
    }
    unit->definition_count = unit->need_count = 0;
}
