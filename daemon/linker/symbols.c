#include "daemon/linker/symbols.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/limits.h"

#define FIRST_BUCKETS 1024

/* No sweep for fewer symbols than this. */
#define SWEEP_FLOOR 4096

struct symbols {
    uint64_t seed;
    struct symbol **buckets; /* owned; a power of two of them */
    size_t bucket_count;
    size_t count;
    size_t after_sweep; /* count */
    size_t memory;      /* bytes of symbols and buckets */
};

struct symbols *symbols_new(uint64_t seed)
{
    struct symbols *symbols = calloc(1, sizeof *symbols);

    if (!symbols)
        return NULL;
    symbols->seed = seed;
    symbols->bucket_count = FIRST_BUCKETS;
    symbols->buckets = calloc(symbols->bucket_count, sizeof *symbols->buckets);
    if (!symbols->buckets) {
        free(symbols);
        return NULL;
    }
    symbols->memory = symbols->bucket_count * sizeof *symbols->buckets;
    return symbols;
}

void symbols_free(struct symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i < symbols->bucket_count; i++) {
        for (struct symbol *symbol = symbols->buckets[i], *next; symbol; symbol = next) {
            next = symbol->next;
            free(symbol);
        }
    }
    free(symbols->buckets);
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

static void grow(struct symbols *symbols)
{
    size_t wider = symbols->bucket_count * 2;
    bool room = wider * sizeof(struct symbol *) <= LIMIT_KEPT_BYTES - symbols->memory;
    struct symbol **buckets = room ? calloc(wider, sizeof *buckets) : NULL;

    if (!buckets)
        return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < symbols->bucket_count; i++) {
        for (struct symbol *symbol = symbols->buckets[i], *next; symbol; symbol = next) {
            next = symbol->next;
            symbol->next = buckets[symbol->hash & (wider - 1)];
            buckets[symbol->hash & (wider - 1)] = symbol;
        }
    }
    free(symbols->buckets);
    symbols->memory += (wider - symbols->bucket_count) * sizeof *buckets;
    symbols->buckets = buckets;
    symbols->bucket_count = wider;
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

static struct symbol *find_hashed(const struct symbols *symbols, uint32_t space, const char *name, size_t length,
                                  uint32_t hash)
{
    struct symbol *symbol = symbols->buckets[hash & (symbols->bucket_count - 1)];

    while (symbol && (symbol->hash != hash || symbol->space != space || symbol->name_length != length ||
                      memcmp(symbol->name, name, length) != 0))
        symbol = symbol->next;
    return symbol;
}

struct symbol *symbols_find(const struct symbols *symbols, uint32_t space, const char *name, size_t length)
{
    return find_hashed(symbols, space, name, length, hash_name(symbols, space, name, length));
}

struct symbol *symbols_intern(struct symbols *symbols, uint32_t space, const char *name, size_t length)
{
    uint32_t hash = hash_name(symbols, space, name, length);
    struct symbol *symbol = find_hashed(symbols, space, name, length, hash);

    if (symbol)
        return symbol;
    symbol = symbol_new(symbols, length);
    if (!symbol)
        return NULL;
    *symbol = (struct symbol){.hash = hash, .space = space, .name_length = (uint32_t)length};
    memcpy(symbol->name, name, length);
    symbol->name[length] = '\0';
    if (symbols->count >= symbols->bucket_count)
        grow(symbols);
    symbol->next = symbols->buckets[hash & (symbols->bucket_count - 1)];
    symbols->buckets[hash & (symbols->bucket_count - 1)] = symbol;
    symbols->count++;
    return symbol;
}

void symbols_visit(const struct symbols *symbols, void (*visit)(struct symbol *symbol, void *data), void *data)
{
    for (size_t b = 0; b < symbols->bucket_count; b++)
        for (struct symbol *symbol = symbols->buckets[b]; symbol; symbol = symbol->next)
            visit(symbol, data);
}

static bool is_forgotten(const struct symbol *symbol)
{
    return symbol->binding == SYMBOL_UNBOUND && symbol->users == 0 && symbol->lazies == 0 && !symbol->uses &&
           !symbol->wanted;
}

void symbols_sweep(struct symbols *symbols, bool (*is_spoken_of)(const struct symbol *symbol, void *data), void *data)
{
    if (symbols->count < SWEEP_FLOOR || symbols->count / 2 < symbols->after_sweep)
        return;
    for (size_t i = 0; i < symbols->bucket_count; i++) {
        for (struct symbol **link = &symbols->buckets[i]; *link;) {
            struct symbol *symbol = *link;

            if (!is_forgotten(symbol) || is_spoken_of(symbol, data)) {
                link = &symbol->next;
                continue;
            }
            *link = symbol->next;
            symbols->count--;
            symbols->memory -= symbol_memory(symbol->name_length);
            free(symbol);
        }
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
