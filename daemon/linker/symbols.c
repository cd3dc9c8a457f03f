#include "daemon/linker/symbols.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/limits.h"

#define FIRST_SLOTS 256

/* No sweep for fewer symbols than this. */
#define SWEEP_FLOOR 4096

/* One place of the table. With the hash at hand only symbols that are meant are looked at, which lie anywhere. */
struct slot {
    struct symbol *symbol; /* owned; NULL: free */
    uint32_t hash;         /* symbol->hash */
};

/* Open addressing: a symbol lies in the slot that its hash names or in one behind that, with no free one in between. */
struct symbols {
    uint64_t seed;
    struct slot *slots; /* owned */
    size_t mask;        /* their number, a power of two, less 1 */
    size_t count;       /* of symbols: at most two thirds of the slots, or seven eighths where there is no memory */
    size_t after_sweep; /* count */
    size_t memory;      /* bytes of symbols and slots */
};

struct symbols *symbols_new(uint64_t seed)
{
    struct symbols *symbols = calloc(1, sizeof *symbols);

    if (!symbols)
        return NULL;
    symbols->seed = seed;
    symbols->mask = FIRST_SLOTS - 1;
    symbols->slots = calloc(FIRST_SLOTS, sizeof *symbols->slots);
    if (!symbols->slots) {
        free(symbols);
        return NULL;
    }
    symbols->memory = FIRST_SLOTS * sizeof *symbols->slots;
    return symbols;
}

void symbols_free(struct symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i <= symbols->mask; i++)
        free(symbols->slots[i].symbol);
    free(symbols->slots);
    free(symbols);
}

uint64_t symbols_seed(const struct symbols *symbols)
{
    return symbols->seed;
}

/* What malloc takes for a symbol, near enough. */
static size_t symbol_memory(size_t name_length)
{
    return sizeof(struct symbol) + name_length + 1 + sizeof(size_t);
}

static struct symbol *symbol_new(struct symbols *symbols, size_t name_length)
{
    struct symbol *symbol = NULL;

    if (symbol_memory(name_length) <= LIMIT_KEPT_BYTES - symbols->memory)
        symbol = malloc(sizeof *symbol + name_length + 1);
    if (symbol)
        symbols->memory += symbol_memory(name_length);
    return symbol;
}

static struct slot *free_slot(struct slot *slots, size_t mask, uint32_t hash)
{
    size_t at = hash & mask;

    while (slots[at].symbol)
        at = (at + 1) & mask;
    return &slots[at];
}

static void grow(struct symbols *symbols)
{
    size_t count = symbols->mask + 1, wider = count * 2;
    bool room = wider * sizeof(struct slot) <= LIMIT_KEPT_BYTES - symbols->memory;
    struct slot *slots = room ? calloc(wider, sizeof *slots) : NULL;

    if (!slots)
        return;
    for (size_t i = 0; i < count; i++)
        if (symbols->slots[i].symbol)
            *free_slot(slots, wider - 1, symbols->slots[i].hash) = symbols->slots[i];
    free(symbols->slots);
    symbols->memory += (wider - count) * sizeof *slots;
    symbols->slots = slots;
    symbols->mask = wider - 1;
}

/* Whether one more fits: without memory for more slots the table gets slower before it is full. */
static bool make_room(struct symbols *symbols)
{
    if (symbols->count * 3 >= symbols->mask * 2)
        grow(symbols);
    return symbols->count < symbols->mask / 8 * 7;
}

uint32_t symbols_hash(const struct symbols *symbols, const void *key, size_t length)
{
    return (uint32_t)XXH3_64bits_withSeed(key, length, symbols->seed);
}

/* Namespaces are spread by an odd factor, so that one name's symbols in many libraries do not share a bucket. */
static uint32_t spread(uint32_t space)
{
    return space * 0x9e3779b1u;
}

static uint32_t hash_name(const struct symbols *symbols, uint32_t space, const char *name, size_t length)
{
    return symbols_hash(symbols, name, length) ^ spread(space);
}

uint32_t symbol_name_hash(const struct symbol *symbol)
{
    return symbol->hash ^ spread(symbol->space);
}

bool symbol_is_namesake(const struct symbol *symbol, const struct symbol *other)
{
    return symbol->name_length == other->name_length && memcmp(symbol->name, other->name, other->name_length) == 0;
}

struct symbol_key symbols_key(const struct symbols *symbols, uint32_t space, const char *name, size_t length)
{
    uint32_t hash = hash_name(symbols, space, name, length);

    __builtin_prefetch(&symbols->slots[hash & symbols->mask]);
    return (struct symbol_key){name, (uint32_t)length, space, hash};
}

static bool is_meant(const struct symbol *symbol, const struct symbol_key *key)
{
    return symbol->space == key->space && symbol->name_length == key->length &&
           memcmp(symbol->name, key->name, key->length) == 0;
}

static struct symbol *find(const struct symbols *symbols, const struct symbol_key *key)
{
    for (size_t at = key->hash & symbols->mask; symbols->slots[at].symbol; at = (at + 1) & symbols->mask)
        if (symbols->slots[at].hash == key->hash && is_meant(symbols->slots[at].symbol, key))
            return symbols->slots[at].symbol;
    return NULL;
}

void symbols_fetch(const struct symbols *symbols, const struct symbol_key *key)
{
    size_t at = key->hash & symbols->mask;

    while (symbols->slots[at].symbol && symbols->slots[at].hash != key->hash)
        at = (at + 1) & symbols->mask;
    if (!symbols->slots[at].symbol)
        return;
    __builtin_prefetch(symbols->slots[at].symbol);
    __builtin_prefetch(symbols->slots[at].symbol->name);
}

struct symbol *symbols_find(const struct symbols *symbols, uint32_t space, const char *name, size_t length)
{
    const struct symbol_key key = symbols_key(symbols, space, name, length);

    return find(symbols, &key);
}

struct symbol *symbols_intern(struct symbols *symbols, uint32_t space, const char *name, size_t length)
{
    const struct symbol_key key = symbols_key(symbols, space, name, length);

    return symbols_intern_key(symbols, &key);
}

struct symbol *symbols_intern_key(struct symbols *symbols, const struct symbol_key *key)
{
    struct symbol *symbol = find(symbols, key);

    if (symbol)
        return symbol;
    symbol = make_room(symbols) ? symbol_new(symbols, key->length) : NULL;
    if (!symbol)
        return NULL;
    *symbol = (struct symbol){.hash = key->hash, .space = key->space, .name_length = key->length};
    memcpy(symbol->name, key->name, key->length);
    symbol->name[key->length] = '\0';
    *free_slot(symbols->slots, symbols->mask, key->hash) = (struct slot){symbol, key->hash};
    symbols->count++;
    return symbol;
}

void symbols_visit(const struct symbols *symbols, void (*visit)(struct symbol *symbol, void *data), void *data)
{
    for (size_t i = 0; i <= symbols->mask; i++)
        if (symbols->slots[i].symbol)
            visit(symbols->slots[i].symbol, data);
}

static bool is_forgotten(const struct symbol *symbol)
{
    return symbol->binding == SYMBOL_UNBOUND && symbol->users == 0 && symbol->lazies == 0 && !symbol->uses &&
           !symbol->wanted;
}

/* Those behind that may lie where the hole is move there, so that none has a free slot before it. */
static void take_out(struct symbols *symbols, size_t hole)
{
    size_t mask = symbols->mask;

    for (size_t at = (hole + 1) & mask; symbols->slots[at].symbol; at = (at + 1) & mask) {
        size_t wanted = symbols->slots[at].hash & mask;

        if (((at - wanted) & mask) < ((at - hole) & mask))
            continue;
        symbols->slots[hole] = symbols->slots[at];
        hole = at;
    }
    symbols->slots[hole].symbol = NULL;
}

void symbols_sweep(struct symbols *symbols, bool (*is_spoken_of)(const struct symbol *symbol, void *data), void *data)
{
    if (symbols->count < SWEEP_FLOOR || symbols->count / 2 < symbols->after_sweep)
        return;
    for (size_t i = 0; i <= symbols->mask;) {
        struct symbol *symbol = symbols->slots[i].symbol;

        if (!symbol || !is_forgotten(symbol) || is_spoken_of(symbol, data)) {
            i++;
            continue;
        }
        take_out(symbols, i);
        symbols->count--;
        symbols->memory -= symbol_memory(symbol->name_length);
        free(symbol);
    }
    symbols->after_sweep = symbols->count;
}

void symbol_add_use(struct symbol *symbol, struct use *use)
{
    use->next = symbol->uses;
    use->link = &symbol->uses;
    if (use->next)
        use->next->link = &use->next;
    symbol->uses = use;
}

void symbol_remove_use(struct use *use)
{
    if (!use->link)
        return;
    *use->link = use->next;
    if (use->next)
        use->next->link = use->link;
    use->next = NULL;
    use->link = NULL;
}

size_t symbols_memory(const struct symbols *symbols)
{
    return symbols->memory;
}

size_t symbols_count(const struct symbols *symbols)
{
    return symbols->count;
}
