#include "daemon/linker/adapters.h"

#include <stdlib.h>

#include "common/log.h"
#include "daemon/linker/link.h"
#include "daemon/linker/search.h"
#include "daemon/linker/uses.h"
#include "proto/limits.h"

struct way {
    struct hash_entry entry;
    const struct symbol *target; /* borrowed */
    uint64_t convention, given;  /* by which it is reached here; that of the adapter's other side */
    struct way *next;            /* in the same unit's room */
    struct way *sibling;         /* of the same trampoline */
    struct symbol *adapter;      /* borrowed; that it goes through */
    uint32_t start;              /* offset in zone X: what users are bound to */
    uint32_t thunk;              /* offset in zone X; behind the start where that is a stub */
    uint32_t slot;               /* offset in zone S, of the stub */
};

/* ---- tables ---- */

static uint32_t hash_pair(const struct linker *linker, uint64_t first, uint64_t second)
{
    const uint64_t pair[] = {first, second};

    return symbols_hash(linker->symbols, pair, sizeof pair);
}

static uint32_t hash_way(const struct linker *linker, const struct symbol *target, uint64_t convention)
{
    return hash_pair(linker, (uint64_t)(uintptr_t)target, convention);
}

static struct way *find_way(const struct linker *linker, const struct symbol *target, uint64_t convention)
{
    struct way *way = hash_table_find(&linker->adapters.ways, hash_way(linker, target, convention));

    while (way && (way->target != target || way->convention != convention))
        way = hash_table_next(&way->entry);
    return way;
}

static struct adapter *find_adapter(const struct linker *linker, uint64_t wanted, uint64_t given)
{
    struct adapter *adapter = hash_table_find(&linker->adapters.registered, hash_pair(linker, wanted, given));

    while (adapter && (adapter->wanted != wanted || adapter->given != given))
        adapter = hash_table_next(&adapter->entry);
    return adapter;
}

struct symbol *adapters_find(const struct linker *linker, uint64_t wanted, uint64_t given)
{
    const struct adapter *adapter = find_adapter(linker, wanted, given);

    return adapter ? adapter->symbol : NULL;
}

void adapters_close(struct adapters *adapters)
{
    hash_table_close(&adapters->registered, free);
    hash_table_close(&adapters->ways, free);
}

/* Its adapter may have gone just before, with a unit that goes along. */
static void forget_way(struct linker *linker, struct way *way)
{
    struct adapter *adapter = find_adapter(linker, way->convention, way->given);

    if (adapter)
        adapter->ways--;
    hash_table_remove(&linker->adapters.ways, &way->entry);
    free(way);
}

void adapters_unregister(struct linker *linker, struct unit *unit)
{
    for (struct adapter *adapter = unit->adapters, *next; adapter; adapter = next) {
        next = adapter->next;
        hash_table_remove(&linker->adapters.registered, &adapter->entry);
        free(adapter);
    }
    unit->adapters = NULL;
}

void adapters_forget(struct linker *linker, struct unit *unit)
{
    for (struct way *way = unit->ways, *next; way; way = next) {
        next = way->next;
        forget_way(linker, way);
    }
    unit->ways = NULL;
    for (uint32_t i = 0; i < unit->trampoline_count; i++)
        unit->trampolines[i].ways = NULL;
}

/* ---- registering ---- */

/* A thunk's jump must reach it, and on the way to it nothing may change the register in which it finds its target, as
   the first call of a lazy function does. */
static bool can_adapt(const struct linker *linker, const struct symbol *symbol)
{
    enum zone zone;
    uint64_t offset;

    return symbol->function && !symbol->trampoline && symbol->definer->state == UNIT_READY &&
           arena_find(linker->arena, symbol->address, &zone, &offset) && zone == ZONE_X;
}

static int refuse(int code, const struct manifest_name *name, const char *what, struct error *error)
{
    char shown[160];

    log_escape(shown, sizeof shown, name->bytes, name->length);
    error_set(error, code, "adapter '%s' %s", shown, what);
    error_set_symbol(error, shown);
    return code;
}

static int refuse_second(const struct symbol *first, struct error *error)
{
    error_set(error, ERROR_SYMBOL_DUPLICATE, "the two conventions have an adapter, '%s' of %s", first->name,
              first->definer->name);
    error_set_unit(error, first->definer->name);
    error_set_symbol(error, first->name);
    return ERROR_SYMBOL_DUPLICATE;
}

static int add_adapter(struct linker *linker, struct symbol *symbol, uint64_t wanted, uint64_t given,
                       struct error *error)
{
    struct hash_table *registered = &linker->adapters.registered;
    struct adapter *adapter;

    if (registered->count == LIMIT_ADAPTERS)
        return error_set(error, ERROR_LIMIT, "a session holds at most %d adapters", LIMIT_ADAPTERS);
    adapter = hash_table_reserve(registered, 1) == 0 ? malloc(sizeof *adapter) : NULL;
    if (!adapter)
        return error_set(error, ERROR_NO_MEMORY, "no memory for an adapter");
    *adapter = (struct adapter){.wanted = wanted, .given = given, .next = symbol->definer->adapters, .symbol = symbol};
    symbol->definer->adapters = adapter;
    hash_table_add(registered, &adapter->entry, hash_pair(linker, wanted, given));
    link_keep(linker, symbol->definer, sizeof *adapter);
    return 0;
}

int adapters_register(struct linker *linker, uint32_t library, const struct manifest_name *name, uint64_t wanted,
                      uint64_t given, struct error *error)
{
    struct symbol *symbol, *first = adapters_find(linker, wanted, given);

    if (!libraries_has(linker->libraries, library))
        return error_set(error, ERROR_NOT_FOUND, "there is no library %u", library);
    symbol = search_units(linker, library, name->bytes, name->length);
    if (!symbol)
        return refuse(ERROR_NOT_FOUND, name, "is not defined", error);
    if (!can_adapt(linker, symbol))
        return refuse(ERROR_NOT_CALLABLE, name,
                      "is not a function of an object that is ready, or it is redirectable or lazy", error);
    if (wanted == given)
        return refuse(ERROR_INVALID, name, "is to lead from a convention to itself", error);
    if (first)
        return refuse_second(first, error);
    return add_adapter(linker, symbol, wanted, given, error);
}

/* ---- ways ---- */

int adapters_refuse(const struct symbol *target, uint64_t convention, struct error *error)
{
    error_set(error, ERROR_CONVENTION, "'%s' is called by convention %llu, but defined with %llu: %s", target->name,
              (unsigned long long)convention, (unsigned long long)target->convention,
              target->function ? "register an adapter for the two before"
                               : "no adapter leads to it, since nothing says that it is a function");
    error_set_symbol(error, target->name);
    return ERROR_CONVENTION;
}

/* To a function of that very convention there is no need to go through an adapter. */
static void lead(const struct linker *linker, const struct way *way, const struct trampoline *trampoline)
{
    uint64_t *slot = (uint64_t *)(void *)arena_bytes(linker->arena, ZONE_S, way->slot);
    const struct symbol *reached = trampoline_reached(trampoline);
    bool straight = reached && reached->convention == way->convention;

    __atomic_store_n(slot, straight ? reached->address : arena_address(linker->arena, ZONE_X, way->thunk),
                     __ATOMIC_RELEASE);
}

void adapters_follow(struct linker *linker, const struct trampoline *trampoline)
{
    for (const struct way *way = trampoline->ways; way; way = way->sibling)
        lead(linker, way, trampoline);
}

static void write_way(struct linker *linker, const struct way *way, const struct symbol *target)
{
    const struct arch *arch = linker->arch;
    struct arena *arena = linker->arena;
    uint64_t start = arena_address(arena, ZONE_X, way->start), thunk = arena_address(arena, ZONE_X, way->thunk);

    arch->write_thunk(arena_bytes(arena, ZONE_X, way->thunk), thunk, target->address, way->adapter->address);
    if (!target->trampoline)
        return;
    lead(linker, way, target->trampoline);
    arch->write_stub(arena_bytes(arena, ZONE_X, way->start), start, arena_address(arena, ZONE_S, way->slot),
                     way->slot / SLOT_BYTES, arena_address(arena, ZONE_X, ARENA_LANDING));
}

/* Room for a way in the owner's; nothing has changed where there is none. */
static struct way *allocate(struct linker *linker, struct unit *owner, const struct symbol *target, struct error *error)
{
    uint64_t stub = target->trampoline ? STUB_BYTES : 0;
    const struct arena_need needs[ZONE_COUNT] = {
        [ZONE_X] = {stub + THUNK_BYTES, STUB_BYTES}, [ZONE_S] = {stub ? SLOT_BYTES : 0, SLOT_BYTES}};
    struct way *way = hash_table_reserve(&linker->adapters.ways, 1) == 0 ? calloc(1, sizeof *way) : NULL;
    int code = way && unit_reserve_need(owner) == 0
                   ? 0
                   : error_set(error, ERROR_NO_MEMORY, "no memory for the way to '%s'", target->name);

    if (!code)
        code = unit_extend(owner, linker->arena, needs, error);
    if (code) {
        free(way);
        return NULL;
    }
    way->start = owner->extra->block.extent[ZONE_X].offset;
    way->thunk = way->start + (uint32_t)stub;
    way->slot = owner->extra->block.extent[ZONE_S].offset;
    link_keep(linker, owner, sizeof *way + sizeof *owner->extra);
    return way;
}

static struct way *make(struct linker *linker, struct symbol *target, uint64_t convention, struct error *error)
{
    struct adapter *adapter = target->function ? find_adapter(linker, convention, target->convention) : NULL;
    struct way *way;

    if (!adapter) {
        adapters_refuse(target, convention, error);
        return NULL;
    }
    struct symbol *function = adapter->symbol;
    struct unit *owner = target->binding == SYMBOL_PROCESS ? function->definer : target->definer;
    way = allocate(linker, owner, target, error);
    if (!way)
        return NULL;
    way->target = target;
    way->convention = convention;
    way->given = target->convention;
    way->adapter = function;
    way->next = owner->ways;
    owner->ways = way;
    hash_table_add(&linker->adapters.ways, &way->entry, hash_way(linker, target, convention));
    write_way(linker, way, target);
    if (target->trampoline) {
        way->sibling = target->trampoline->ways;
        target->trampoline->ways = way;
    }
    if (owner != function->definer)
        unit_add_need(owner, function);
    adapter->ways++;
    return way;
}

int adapters_reach(struct linker *linker, struct unit *user, struct symbol *target, uint64_t convention,
                   uint64_t *address, struct error *error)
{
    struct way *way;

    /* A unit that is being removed uses nobody any more, though its finalisers may call. */
    if (user && user->state == UNIT_REMOVED)
        user = NULL;
    if (target->convention == convention) {
        *address = target->address;
        return 0;
    }
    if (target->origin) /* an alias goes the way of what it stands for */
        target = target->origin;
    if (target->binding == SYMBOL_UNBOUND) /* it goes, and so does the alias */
        return adapters_refuse(target, convention, error);
    if (target->binding == SYMBOL_PROCESS && user && unit_reserve_need(user) != 0)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the way to '%s'", target->name);
    way = find_way(linker, target, convention);
    if (!way)
        way = make(linker, target, convention, error);
    if (!way)
        return error->code;
    if (target->binding == SYMBOL_PROCESS && user && user != way->adapter->definer)
        unit_add_need(user, way->adapter);
    *address = arena_address(linker->arena, ZONE_X, way->start);
    return 0;
}

/* ---- deciding ---- */

/* A use of a process symbol through an adapter is, for its unit, one of the adapter. */
static struct symbol *target_of(const struct use *use)
{
    const struct pending *pending = use->unit->pending;
    struct symbol *bound = use->index ? pending->globals[use->index - pending->object.first_global] : use->symbol;

    return bound && bound->binding == SYMBOL_PROCESS ? bound : use->symbol;
}

/* A unit's own definition is no question, though it may have waited for a library to lead back to it. */
static void decide(struct linker *linker, struct use *use)
{
    struct symbol *target = target_of(use);
    struct error error;

    if (use->any_convention || use->way || use->refusal || target->binding == SYMBOL_UNBOUND || target->unsettled ||
        target->definer == use->unit || target->convention == use->convention)
        return;
    if (use->index)
        use->refusal = (uint8_t)adapters_reach(linker, use->unit, target, use->convention, &use->way, &error);
    else if (!target->function || !adapters_find(linker, use->convention, target->convention))
        use->refusal = ERROR_CONVENTION; /* nothing goes that way, and yet there is none */
    else
        use->any_convention = true;
}

/* Who uses an alias learns with it what it is. */
static void decide_users(struct linker *linker, struct symbol *symbol)
{
    struct alias *settled = NULL;

    while (symbol) {
        for (struct use *use = symbol->uses; use; use = use->next) {
            struct alias *alias = uses_settle_alias(use);

            decide(linker, use);
            if (!alias)
                continue;
            alias->next = settled;
            settled = alias;
        }
        symbol = settled ? settled->symbol : NULL;
        settled = settled ? settled->next : NULL;
    }
}

void adapters_decide_use(struct linker *linker, struct use *use)
{
    struct alias *alias = linker->many_conventions ? uses_settle_alias(use) : NULL;

    if (linker->many_conventions)
        decide(linker, use);
    if (alias)
        decide_users(linker, alias->symbol);
}

void adapters_decide(struct linker *linker, struct unit *unit)
{
    if (!linker->many_conventions)
        return;
    for (uint32_t i = 0; i < unit->pending->use_count; i++)
        adapters_decide_use(linker, &unit->pending->uses[i]);
    for (uint32_t d = 0; d < unit->definition_count; d++)
        decide_users(linker, unit->definitions[d]);
}

int adapters_check(struct linker *linker, struct unit *unit, struct error *error)
{
    for (uint32_t i = 0; linker->many_conventions && i < unit->pending->use_count; i++) {
        struct use *use = &unit->pending->uses[i];
        const struct symbol *target = target_of(use);

        decide(linker, use);
        if (!use->refusal)
            continue;
        if (use->refusal == ERROR_CONVENTION)
            adapters_refuse(target, use->convention, error);
        else
            error_set(error, use->refusal, "no room for the way to '%s' by calling convention %llu", target->name,
                      (unsigned long long)use->convention);
        error_prefix(error, "%s", unit->name);
        error_set_unit(error, unit->name);
        return error->code;
    }
    return 0;
}
