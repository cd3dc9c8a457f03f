#include "daemon/linker/uses.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/linker/actions.h"
#include "daemon/linker/gather.h"
#include "daemon/linker/missing.h"
#include "daemon/linker/names.h"
#include "daemon/linker/relocate.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"
#include "daemon/linker/standard.h"

/* Which symbols the unit's kept sections refer to. A symbol that is listed as undefined and never used is not needed.
 */
int uses_mark(struct linker *linker, struct unit *unit, struct report *report)
{
    unit->pending->referenced = pool_allocate(&linker->deciding, unit->pending->object.symbol_count);
    if (!unit->pending->referenced)
        return resolve_no_memory(report, unit);
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

bool uses_is_hidden(const struct unit *unit, uint32_t index)
{
    return index && ELF64_ST_VISIBILITY(unit->pending->object.symbols[index].st_other) != STV_DEFAULT;
}

static bool is_weak(const struct unit *unit, uint32_t index, const struct manifest_use *listed)
{
    return (index && ELF64_ST_BIND(unit->pending->object.symbols[index].st_info) == STB_WEAK) ||
           (listed && (listed->flags & USE_WEAK));
}

static void add_use(struct unit *unit, struct symbol *symbol, uint32_t index, const struct manifest_use *listed,
                    const struct search *search)
{
    struct use *use = &unit->pending->uses[unit->pending->use_count++];

    *use = (struct use){.symbol = symbol,
                        .unit = unit,
                        .index = index,
                        .library = search->library,
                        .exact = search->exact,
                        .of_units = search->of_units};
    if (!listed)
        return;
    use->number = (uint32_t)(listed - unit->pending->manifest->uses);
    use->by_slot = (listed->flags & USE_BY_SLOT) != 0;
    use->any_convention = listed->any_convention;
    use->convention = listed->convention;
}

/* The runner's libraries have the platform's own convention. Where that is not wanted the unit uses the adapter. */
static struct symbol *use_process(struct linker *linker, struct unit *unit, uint32_t index, struct symbol *symbol,
                                  const struct manifest_use *listed, const struct search *search, struct report *report)
{
    struct symbol *adapter;
    struct error error;

    if (!listed || listed->convention == symbol->convention)
        return symbol;
    adapter = symbol->function ? adapters_find(linker, listed->convention, symbol->convention) : NULL;
    linker->many_conventions = true;
    if (adapter && index)
        add_use(unit, adapter, index, listed, search);
    if (adapter)
        return symbol;
    adapters_refuse(symbol, listed->convention, &error);
    resolve_refuse_unit(report, unit, &error);
    return symbol;
}

/* Calls go through a trampoline of the unit's own, and the unit waits for nobody. */
static struct symbol *use_lazily(struct unit *unit, uint32_t index, struct symbol *wanted,
                                 const struct manifest_use *listed, const struct search *search)
{
    struct trampoline *trampoline = trampoline_add(unit, TRAMPOLINE_LAZY_USE);

    trampoline->wanted = wanted;
    trampoline->index = index;
    trampoline->library = search->library;
    trampoline->exact = search->exact;
    trampoline->convention = listed->convention;
    return wanted;
}

struct symbol *uses_define_own(struct linker *linker, struct unit *unit, const char *name, struct symbol *found,
                               const char **why)
{
    struct symbol *bound = gather_may_bound(name) ? gather_find(linker, unit, name) : NULL;

    if (bound)
        return bound;
    if (!found || !found->standard)
        return found;
    *why = "";
    if (!standard_has_meaning(found, unit->pending->batch, why))
        return NULL;
    bound = standard_bind(linker, unit->pending->batch, found);
    if (!bound)
        *why = ": no memory for it";
    return bound;
}

/* One use of a name: becomes one of the unit's needs where another unit must meet it. A weak symbol that nobody offers
   now stays missing, whoever may come to offer it before the unit is linked: what a reference means depends on the
   order of submission alone. Gives what it is bound to, or waits for; NULL: missing for good. */
static struct symbol *bind_use(struct linker *linker, struct unit *unit, uint32_t index, struct symbol *wanted,
                               const struct manifest_use *listed, struct report *report)
{
    const struct batch *batch = unit->pending->batch;
    bool exact = listed && listed->library != USE_LIBRARY_OWN;
    const struct search search = {wanted, exact ? listed->library : unit->library, exact,
                                  !listed && uses_is_hidden(unit, index), index != 0};
    struct symbol *found = search_find(linker, &search, batch);
    const char *why = search.of_units ? USES_HIDDEN : "";

    if (index && (!found || found->binding == SYMBOL_PROCESS))
        found = uses_define(linker, unit, wanted->name, found, &why);

    if (found && found->binding == SYMBOL_PROCESS)
        return use_process(linker, unit, index, found, listed, &search, report);
    if (found && resolve_winner(found, batch) == unit)
        return found;
    if (listed && index && (listed->flags & USE_LAZY))
        return use_lazily(unit, index, wanted, listed, &search);
    if (!found && is_weak(unit, index, listed))
        return NULL;
    if (!found && batch->closed)
        missing_report(linker, report, unit, index, wanted->name, why);
    if (!found && linker->many_spaces && wanted_add(&linker->wanted, wanted) != 0)
        resolve_no_memory(report, unit);
    add_use(unit, found ? found : wanted, index, listed, &search);
    linker->many_conventions |= listed && listed->convention != 0;
    return found ? found : wanted;
}

int uses_resolve(struct linker *linker, struct unit *unit, struct report *report)
{
    struct pending *pending = unit->pending;
    const struct object *object = &pending->object;
    uint32_t most = pending->manifest ? pending->manifest->use_count : 0;

    for (uint32_t i = object->first_global; i < object->symbol_count; i++)
        most += pending->referenced[i];
    most += pending->tie_count;
    pending->uses = pool_allocate_array(&pending->batch->pool, most, sizeof *pending->uses);
    if (!pending->uses)
        return resolve_no_memory(report, unit);
    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        struct symbol **global = &pending->globals[i - object->first_global];

        /* A definition of this unit's that stands, or that a manifest keeps local, is no question. */
        if (!pending->referenced[i] && *global && resolve_winner(*global, pending->batch) != unit)
            *global = NULL; /* nobody asks, and it may go before the unit is linked */
        else if (pending->referenced[i] && *global && (*global)->binding != SYMBOL_PROCESS)
            *global = bind_use(linker, unit, i, *global,
                               pending->listed ? pending->listed[i - object->first_global] : NULL, report);
    }
    return 0;
}

/* Uses to which nothing in the object refers: what aliases stand for, functions of actions, and what is only to be
   waited for. */
static int bind_unreferenced(struct linker *linker, struct unit *unit, struct symbol **bound, struct report *report)
{
    const struct manifest *manifest = unit->pending->manifest;

    for (uint32_t i = 0; i < manifest->use_count; i++) {
        const struct manifest_use *use = &manifest->uses[i];

        if (use->local.length)
            continue;
        bound[i] = symbols_intern_key(linker->symbols, &unit->pending->keys[names_key_of_use(manifest, use)]);
        if (!bound[i])
            return resolve_no_memory(report, unit);
        bound[i] = bind_use(linker, unit, 0, bound[i], use, report);
    }
    return 0;
}

static bool has_unreferenced(const struct manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->use_count; i++)
        if (manifest->uses[i].local.length == 0)
            return true;
    return false;
}

int uses_resolve_unreferenced(struct linker *linker, struct unit *unit, struct report *report)
{
    struct pending *pending = unit->pending;
    const struct manifest *manifest = pending->manifest;

    if (!manifest || !has_unreferenced(manifest))
        return 0;
    struct symbol **bound = pool_allocate_array(&linker->deciding, manifest->use_count, sizeof(struct symbol *));
    pending->aliases = pool_allocate_array(&pending->batch->pool, manifest->definition_count, sizeof *pending->aliases);
    if (!bound || !pending->aliases)
        return resolve_no_memory(report, unit);
    int code = bind_unreferenced(linker, unit, bound, report);
    for (uint32_t i = 0; i < pending->offer_count && !code; i++) {
        const struct offer *offer = &pending->offers[i];

        if (offer->definition->kind == DEFINITION_ALIAS && resolve_offer_stands(unit, i))
            pending->aliases[pending->alias_count++] = (struct alias){
                .symbol = offer->symbol, .target = bound[offer->definition->use], .use = offer->definition->use};
    }
    if (!code && actions_bind(unit, bound) != 0)
        code = resolve_no_memory(report, unit);
    return code;
}

static bool settle(const struct alias *alias)
{
    const struct symbol *target = alias->target;
    struct symbol *symbol = alias->symbol;

    if (target->binding == SYMBOL_UNBOUND || target->unsettled)
        return false;
    symbol->unsettled = false;
    symbol->address = target->address;
    symbol->bytes = target->bytes;
    symbol->function = target->function;
    symbol->convention = target->convention;
    symbol->trampoline = target->trampoline;
    symbol->origin = target->origin ? target->origin : target->binding == SYMBOL_UNIT ? alias->target : NULL;
    return true;
}

uint32_t uses_settle_aliases(struct unit *unit)
{
    uint32_t unsettled = 0;

    for (uint32_t i = 0; i < unit->pending->alias_count; i++)
        unsettled += !settle(&unit->pending->aliases[i]);
    return unsettled;
}

static int compare_alias(const void *key, const void *element)
{
    const struct use *use = key;
    const struct alias *alias = element;

    return (use->number > alias->use) - (use->number < alias->use);
}

struct alias *uses_settle_alias(const struct use *use)
{
    const struct pending *pending = use->unit->pending;
    struct alias *alias = NULL;

    if (use->index == 0 && pending->alias_count)
        alias = bsearch(use, pending->aliases, pending->alias_count, sizeof *alias, compare_alias);
    return alias && alias->symbol->unsettled && settle(alias) ? alias : NULL;
}
