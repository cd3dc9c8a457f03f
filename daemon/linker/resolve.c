#include "daemon/linker/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/comdat.h"
#include "daemon/linker/gather.h"
#include "daemon/linker/missing.h"
#include "daemon/linker/names.h"
#include "daemon/linker/relocate.h"
#include "daemon/linker/search.h"
#include "daemon/linker/uses.h"

enum symbol_strength resolve_strength_of(const struct unit *unit, uint32_t index)
{
    const struct object *object = &unit->pending->object;
    uint32_t section = object_symbol_section(object, index);

    if (section == OBJECT_UNDEFINED)
        return STRENGTH_NONE;
    if (section < object->section_count && unit->pending->placements[section].zone == ZONE_COUNT)
        return STRENGTH_NONE; /* lost with its COMDAT group: a reference to the winner's */
    if (section == OBJECT_COMMON)
        return STRENGTH_COMMON;
    return ELF64_ST_BIND(object->symbols[index].st_info) == STB_WEAK ? STRENGTH_WEAK : STRENGTH_STRONG;
}

static enum symbol_strength offer_strength(const struct unit *unit, const struct offer *offer)
{
    enum symbol_strength strength = offer->index ? resolve_strength_of(unit, offer->index) : STRENGTH_STRONG;
    bool weak = offer->definition && (offer->definition->flags & DEFINITION_WEAK);

    return strength == STRENGTH_STRONG && weak ? STRENGTH_WEAK : strength;
}

int resolve_refuse_unit(struct report *report, const struct unit *unit, struct error *error)
{
    error_prefix(error, "%s", unit->name);
    error_set_unit(error, unit->name);
    report_add(report, error);
    return error->code;
}

int resolve_no_memory(struct report *report, const struct unit *unit)
{
    struct error error;

    error_set(&error, ERROR_NO_MEMORY, "no memory for its symbols");
    return resolve_refuse_unit(report, unit, &error);
}

struct contest *resolve_enter_contest(struct linker *linker, struct symbol *symbol, const struct batch *batch)
{
    struct contest *contest = symbol_contest(symbol, batch->number);

    if (contest)
        return contest;
    symbol->contest = pool_allocate(&linker->deciding, sizeof *symbol->contest);
    symbol->contest_batch = symbol->contest ? batch->number : 0;
    return symbol->contest;
}

struct unit *resolve_winner(const struct symbol *symbol, const struct batch *batch)
{
    const struct contest *contest = symbol_contest(symbol, batch->number);

    return contest ? contest->unit : NULL;
}

static void report_duplicate(struct report *report, const struct unit *unit, const struct symbol *symbol,
                             const struct unit *first)
{
    struct error error;

    error_set(&error, ERROR_SYMBOL_DUPLICATE, "duplicate definition of '%s', first defined in %s", symbol->name,
              first->name);
    error_set_symbol(&error, symbol->name);
    resolve_refuse_unit(report, unit, &error);
}

/* Who has a strong definition of a name that the library keeps to itself where this one is exported, or the other way
   round: then the name would mean two things in one library. */
static const struct unit *strong_sibling(const struct linker *linker, const struct symbol *symbol,
                                         const struct batch *batch)
{
    const struct symbol *sibling =
        linker->many_spaces ? symbols_find(linker->symbols, symbol->space ^ 1, symbol->name, symbol->name_length)
                            : NULL;
    const struct contest *contest = sibling ? symbol_contest(sibling, batch->number) : NULL;

    if (sibling && sibling->binding == SYMBOL_UNIT && sibling->strength == STRENGTH_STRONG)
        return sibling->definer;
    return contest && contest->strength == STRENGTH_STRONG ? contest->unit : NULL;
}

static void enter_common(struct contest *contest, const Elf64_Sym *entry)
{
    contest->common_bytes = max_u64(contest->common_bytes, entry->st_size);
    contest->common_alignment = max_u64(max_u64(contest->common_alignment, entry->st_value), 1);
}

static bool is_absolute(const struct unit *unit, const struct offer *offer)
{
    return offer->index && object_symbol_section(&unit->pending->object, offer->index) == OBJECT_ABSOLUTE;
}

/* Whether the two are one and the same number, which ld takes twice: `first` is what stands in this batch, or NULL, and
   then the symbol is bound by an earlier one. */
static bool is_same_number(const struct symbol *symbol, const struct unit *first, const struct unit *unit,
                           const struct offer *offer)
{
    uint64_t value = is_absolute(unit, offer) ? unit->pending->object.symbols[offer->index].st_value : 0;
    const struct contest *contest = symbol->contest;

    if (!is_absolute(unit, offer))
        return false;
    if (!first)
        return symbol->absolute && symbol->address == value;
    if (first != contest->unit)
        return false;
    const struct offer *other = &first->pending->offers[contest->offer];
    return is_absolute(first, other) && first->pending->object.symbols[other->index].st_value == value;
}

/* Data that one of the runner's libraries has under the name of a common symbol: a program's own would be put in its
   place by ld.so, so that both are one, and here the library's is. One that is larger is the program's alone. */
static bool is_librarys(struct linker *linker, const struct unit *unit, uint32_t index, const struct symbol *symbol)
{
    if (unit->pending->manifest ||
        !libraries_wants_process_symbol(linker->libraries, unit->library, symbol->name, symbol->name_length))
        return false;
    const struct symbol *found = search_process(linker, symbol->name, symbol->name_length);
    return found && !found->standard && !found->function &&
           found->bytes >= unit->pending->object.symbols[index].st_size;
}

/* One definition enters the contest for its name. */
static int contend(struct linker *linker, struct unit *unit, uint32_t number, struct report *report)
{
    const struct offer *offer = &unit->pending->offers[number];
    struct symbol *symbol = offer->symbol;
    enum symbol_strength strength = offer_strength(unit, offer);
    struct batch *batch = unit->pending->batch;
    struct contest *contest;

    if (symbol->binding == SYMBOL_UNIT) {
        if (strength == STRENGTH_STRONG && symbol->strength == STRENGTH_STRONG &&
            !is_same_number(symbol, NULL, unit, offer))
            report_duplicate(report, unit, symbol, symbol->definer);
        return 0;
    }
    if (strength == STRENGTH_COMMON && is_librarys(linker, unit, offer->index, symbol))
        return 0;
    contest = resolve_enter_contest(linker, symbol, batch);
    if (!contest)
        return resolve_no_memory(report, unit);
    const struct unit *first =
        contest->strength == STRENGTH_STRONG ? contest->unit : strong_sibling(linker, symbol, batch);
    if (strength == STRENGTH_STRONG && first) {
        if (!is_same_number(symbol, first, unit, offer))
            report_duplicate(report, unit, symbol, first);
        return 0;
    }
    if (strength == STRENGTH_COMMON)
        enter_common(contest, &unit->pending->object.symbols[offer->index]);
    if (strength <= contest->strength)
        return 0;
    contest->unit = unit;
    contest->offer = number;
    contest->strength = strength;
    return 0;
}

static int resolve_definitions(struct linker *linker, struct unit *unit, struct report *report)
{
    int code = names_resolve(linker, unit, report);

    for (uint32_t i = 0; i < unit->pending->offer_count && !code; i++)
        code = contend(linker, unit, i, report);
    return code;
}

bool resolve_offer_stands(const struct unit *unit, uint32_t number)
{
    const struct contest *contest = symbol_contest(unit->pending->offers[number].symbol, unit->pending->batch->number);

    return contest && contest->unit == unit && contest->offer == number;
}

static bool is_function(const struct unit *unit, const struct offer *offer)
{
    uint32_t flags = offer->definition ? offer->definition->flags : 0;

    if (flags & (DEFINITION_FUNCTION | DEFINITION_DATA))
        return (flags & DEFINITION_FUNCTION) != 0;
    return offer->index && object_symbol_is_function(&unit->pending->object, offer->index);
}

/* At most how many trampolines the unit has. An object may have many symbols of the one name that a manifest lists. */
static uint32_t count_trampolines(const struct pending *pending)
{
    const struct manifest *manifest = pending->manifest;
    uint32_t globals = pending->object.symbol_count - pending->object.first_global, count = 0;

    for (uint32_t i = 0; i < globals; i++)
        count += pending->listed[i] && (pending->listed[i]->flags & USE_LAZY);
    for (uint32_t i = 0; i < manifest->definition_count; i++)
        count += manifest->definitions[i].kind == DEFINITION_LAZY ||
                 (manifest->definitions[i].flags & DEFINITION_REDIRECTABLE);
    return count;
}

static struct trampoline *add_lazy_definition(struct linker *linker, struct unit *unit, const struct offer *offer)
{
    const struct manifest_definition *definition = offer->definition;
    bool exact = definition->library != USE_LIBRARY_OWN;
    uint32_t library = exact ? definition->library : unit->library;
    struct symbol *wanted =
        symbols_intern(linker->symbols, SPACE_EXPORTED(library), definition->target.bytes, definition->target.length);
    struct trampoline *trampoline = wanted ? trampoline_add(unit, TRAMPOLINE_LAZY_DEFINITION) : NULL;

    if (!trampoline)
        return NULL;
    trampoline->wanted = wanted;
    trampoline->library = library;
    trampoline->exact = exact;
    trampoline->convention = definition->convention;
    trampoline->definition = offer->symbol;
    return trampoline;
}

static int add_redirectable(struct unit *unit, struct offer *offer, struct report *report)
{
    struct error error;

    if (!is_function(unit, offer)) {
        error_set(&error, ERROR_INVALID, "'%s' is to be redirectable, but is not a function", offer->symbol->name);
        error_set_symbol(&error, offer->symbol->name);
        return resolve_refuse_unit(report, unit, &error);
    }
    offer->trampoline = trampoline_add(unit, TRAMPOLINE_REDIRECTABLE);
    offer->trampoline->definition = offer->symbol;
    offer->trampoline->convention = offer->definition->convention;
    return 0;
}

/* Definitions that have one; lazy uses get theirs when they are resolved. */
static int resolve_trampolines(struct linker *linker, struct unit *unit, struct report *report)
{
    const struct manifest *manifest = unit->pending->manifest;
    uint32_t count = manifest && manifest->has_trampolines ? count_trampolines(unit->pending) : 0;
    int code = 0;

    if (count == 0)
        return 0;
    unit->trampolines = calloc(count, sizeof *unit->trampolines);
    if (!unit->trampolines)
        return resolve_no_memory(report, unit);
    for (uint32_t i = 0; i < unit->pending->offer_count && !code; i++) {
        struct offer *offer = &unit->pending->offers[i];

        if (!resolve_offer_stands(unit, i))
            continue;
        if (offer->definition->kind == DEFINITION_LAZY) {
            offer->trampoline = add_lazy_definition(linker, unit, offer);
            code = offer->trampoline ? 0 : resolve_no_memory(report, unit);
        } else if (offer->definition->flags & DEFINITION_REDIRECTABLE)
            code = add_redirectable(unit, offer, report);
    }
    return code;
}

/* Exactly as much memory as the unit's definitions and needs take. */
static int enter_names(struct unit *unit, struct report *report)
{
    struct pending *pending = unit->pending;
    uint32_t definitions = 0;

    for (uint32_t i = 0; i < pending->offer_count; i++)
        definitions += resolve_offer_stands(unit, i);
    for (const struct tie *tie = pending->ties; tie; tie = tie->next)
        definitions++;
    unit->definitions = malloc((definitions + pending->use_count + 1u) * sizeof(struct symbol *));
    if (!unit->definitions)
        return resolve_no_memory(report, unit);
    for (uint32_t i = 0; i < pending->offer_count; i++)
        if (resolve_offer_stands(unit, i))
            unit->definitions[unit->definition_count++] = pending->offers[i].symbol;
    for (const struct tie *tie = pending->ties; tie; tie = tie->next)
        unit->definitions[unit->definition_count++] = tie->symbol;
    for (uint32_t i = 0; i < pending->use_count; i++)
        unit_needs(unit)[i] = pending->uses[i].symbol;
    unit->need_count = pending->use_count;
    return 0;
}

/* Those of a unit with a manifest are its own, and known by now. */
static int gather_shared(struct linker *linker, struct unit *unit, struct report *report)
{
    return unit->pending->batch->gatherings && !unit->pending->manifest ? gather_collect(linker, unit, report) : 0;
}

/* The phases of resolving one unit; each is done for all units before the next. */
static int (*const phases[])(struct linker *linker, struct unit *unit, struct report *report) = {
    comdat_resolve, uses_mark,           names_foresee,
    names_fetch,    resolve_definitions, resolve_trampolines,
    gather_shared,  uses_resolve,        uses_resolve_unreferenced,
};

static int resolve_phases(struct linker *linker, struct batch *batch, struct report *report)
{
    for (size_t phase = 0; phase < ARRAY_LENGTH(phases); phase++) {
        for (uint32_t i = 0; i < batch->unit_count; i++)
            if (phases[phase](linker, batch->units[i], report) == ERROR_NO_MEMORY)
                return ERROR_NO_MEMORY;
        /* All that is missing is listed at once, and so are all errors of one phase. */
        if (report_code(report) && phases[phase] != uses_resolve)
            return report_code(report);
    }
    return report_code(report);
}

int resolve_batch(struct linker *linker, struct batch *batch, struct report *report)
{
    int code = resolve_phases(linker, batch, report);

    if (!code)
        code = gather_place(linker, batch, report);
    for (uint32_t i = 0; i < batch->unit_count && !code; i++)
        code = enter_names(batch->units[i], report);
    gather_close(batch);
    missing_close(batch);
    return code;
}

static uint64_t definition_address(const struct linker *linker, const struct unit *unit, const struct offer *offer)
{
    const struct pending *pending = unit->pending;

    if (!offer->index)
        return offer->definition->address;
    const Elf64_Sym *entry = &pending->object.symbols[offer->index];
    uint32_t section = object_symbol_section(&pending->object, offer->index);
    if (section == OBJECT_ABSOLUTE)
        return entry->st_value;
    if (section == OBJECT_COMMON)
        return arena_address(linker->arena, ZONE_Z, pending->common_offset + offer->symbol->contest->common_offset);
    /* In a section that is not loaded: nobody can use it, so any address will do. */
    if (pending->placements[section].zone == ZONE_COUNT)
        return 0;
    return unit_section_address(linker->arena, unit, section) + entry->st_value;
}

/* The contest's outcome becomes the session's. */
static void bind(struct linker *linker, struct unit *unit, const struct offer *offer)
{
    struct symbol *symbol = offer->symbol;

    symbol->binding = SYMBOL_UNIT;
    symbol->strength = (uint8_t)symbol->contest->strength;
    symbol->definer = unit;
    symbol->node = unit->node;
    symbol->unsettled = offer->definition && offer->definition->kind == DEFINITION_ALIAS;
    symbol->address = definition_address(linker, unit, offer);
    symbol->function = is_function(unit, offer);
    symbol->absolute = is_absolute(unit, offer);
    symbol->trampoline = offer->trampoline;
    if (offer->trampoline) {
        offer->trampoline->body = symbol->address;
        symbol->address = trampoline_stub(linker, offer->trampoline);
    }
    symbol->convention = offer->definition ? offer->definition->convention : 0;
    linker->many_conventions |= symbol->convention != 0;
    symbol->bytes = offer->index ? unit->pending->object.symbols[offer->index].st_size : 0;
    if (symbol->strength == STRENGTH_COMMON)
        symbol->bytes = symbol->contest->common_bytes;
}

/* Nobody ever asks for its address. */
static void bind_tie(struct unit *unit, struct symbol *symbol)
{
    symbol->binding = SYMBOL_UNIT;
    symbol->strength = STRENGTH_STRONG;
    symbol->definer = unit;
    symbol->node = unit->node;
}

void resolve_commit(struct linker *linker, struct batch *batch)
{
    for (uint32_t u = 0; u < batch->unit_count; u++) {
        struct unit *unit = batch->units[u];

        for (uint32_t i = 0; i < unit->pending->offer_count; i++)
            if (resolve_offer_stands(unit, i))
                bind(linker, unit, &unit->pending->offers[i]);
        for (const struct tie *tie = unit->pending->ties; tie; tie = tie->next)
            bind_tie(unit, tie->symbol);
        comdat_keep(linker, unit);
        for (uint32_t i = 0; i < unit->trampoline_count; i++)
            if (unit->trampolines[i].wanted)
                unit->trampolines[i].wanted->lazies++;
        for (uint32_t i = 0; i < unit->pending->use_count; i++) {
            symbol_add_use(unit->pending->uses[i].symbol, &unit->pending->uses[i]);
            unit->pending->uses[i].symbol->users++;
        }
    }
    for (uint32_t u = 0; u < batch->unit_count; u++)
        uses_settle_aliases(batch->units[u]);
}

void resolve_withdraw(struct unit *unit)
{
    for (uint32_t i = 0; unit->pending && i < unit->pending->use_count; i++)
        symbol_remove_use(&unit->pending->uses[i]);
    for (uint32_t i = 0; i < unit->definition_count; i++) {
        struct symbol *symbol = unit->definitions[i];

        symbol->binding = SYMBOL_UNBOUND;
        symbol->definer = NULL;
        symbol->node = NULL;
        symbol->strength = STRENGTH_NONE;
        symbol->trampoline = NULL;
        symbol->origin = NULL;
        symbol->address = 0;
    }
    for (uint32_t i = 0; i < unit->need_count; i++)
        unit_needs(unit)[i]->users--;
    unit->definition_count = unit->need_count = 0;
}
