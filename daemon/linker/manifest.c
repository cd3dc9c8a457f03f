/*
 * Compilers list names in the order of the symbol table or nearly so: in a small manifest each search begins behind the
 * entry that the one before found, and mostly ends there.
 */
#include "daemon/linker/manifest.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/log.h"

#define SMALL 12

static bool is_same(const struct manifest_name *name, const char *bytes, size_t length)
{
    return name->length == length && memcmp(name->bytes, bytes, length) == 0;
}

static const struct manifest_name *definition_name(const struct manifest *manifest, uint32_t i)
{
    return manifest->definitions[i].kind == DEFINITION_LOCAL ? &manifest->definitions[i].local : NULL;
}

static const struct manifest_name *use_name(const struct manifest *manifest, uint32_t i)
{
    return manifest->uses[i].local.length ? &manifest->uses[i].local : NULL;
}

/* The local name of an entry, or NULL where it has none. */
typedef const struct manifest_name *name_of(const struct manifest *manifest, uint32_t i);

static uint32_t probe(const struct manifest_index *index, const uint32_t *table, name_of *name, const char *bytes,
                      size_t length)
{
    uint32_t place = (uint32_t)XXH3_64bits_withSeed(bytes, length, index->seed) & index->mask;

    while (table[place] && !is_same(name(index->manifest, table[place] - 1), bytes, length))
        place = (place + 1) & index->mask;
    return place;
}

static int refuse_repeated(const struct manifest_name *name, const char *where, struct error *error)
{
    char shown[160];

    error_set(error, ERROR_INVALID, "the manifest has '%s' twice among its %s",
              log_escape(shown, sizeof shown, name->bytes, name->length), where);
    error_set_symbol(error, shown);
    return ERROR_INVALID;
}

static int fill_table(struct manifest_index *index, uint32_t *table, uint32_t count, name_of *name, const char *where,
                      struct error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct manifest_name *local = name(index->manifest, i);

        if (!local)
            continue;
        uint32_t place = probe(index, table, name, local->bytes, local->length);
        if (table[place])
            return refuse_repeated(local, where, error);
        table[place] = i + 1;
    }
    return 0;
}

static int check_small(const struct manifest *manifest, uint32_t count, name_of *name, const char *where,
                       struct error *error)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct manifest_name *local = name(manifest, i);

        for (uint32_t j = 0; local && j < i; j++) {
            const struct manifest_name *other = name(manifest, j);

            if (other && is_same(other, local->bytes, local->length))
                return refuse_repeated(local, where, error);
        }
    }
    return 0;
}

int manifest_index_open(struct manifest_index *index, const struct manifest *manifest, uint64_t seed, struct pool *pool,
                        struct error *error)
{
    uint32_t most = manifest->definition_count > manifest->use_count ? manifest->definition_count : manifest->use_count;
    uint32_t places = SMALL;
    int code;

    *index = (struct manifest_index){.manifest = manifest, .seed = seed};
    if (most <= SMALL) {
        code = check_small(manifest, manifest->definition_count, definition_name, "definitions", error);
        return code ? code : check_small(manifest, manifest->use_count, use_name, "uses", error);
    }
    while (places < most * 2)
        places *= 2;
    places = 1u << (32 - __builtin_clz(places - 1));
    index->mask = places - 1;
    index->definitions = pool_allocate_array(pool, places, sizeof *index->definitions);
    index->uses = pool_allocate_array(pool, places, sizeof *index->uses);
    if (!index->definitions || !index->uses)
        return error_set(error, ERROR_NO_MEMORY, "no memory for a manifest of %u entries", most);
    code = fill_table(index, index->definitions, manifest->definition_count, definition_name, "definitions", error);
    return code ? code : fill_table(index, index->uses, manifest->use_count, use_name, "uses", error);
}

/* The entry's number, or `count`. */
static uint32_t find(struct manifest_index *index, const uint32_t *table, uint32_t count, uint32_t *next, name_of *name,
                     const char *bytes, size_t length)
{
    if (table) {
        uint32_t entry = table[probe(index, table, name, bytes, length)];
        return entry ? entry - 1 : count;
    }
    for (uint32_t step = 0; step < count; step++) {
        uint32_t i = *next + step < count ? *next + step : *next + step - count;
        const struct manifest_name *local = name(index->manifest, i);

        if (!local || !is_same(local, bytes, length))
            continue;
        *next = i + 1 < count ? i + 1 : 0;
        return i;
    }
    return count;
}

const struct manifest_definition *manifest_find_definition(struct manifest_index *index, const char *local,
                                                           size_t length)
{
    uint32_t count = index->manifest->definition_count;
    uint32_t i = find(index, index->definitions, count, &index->next_definition, definition_name, local, length);

    return i < count ? &index->manifest->definitions[i] : NULL;
}

const struct manifest_use *manifest_find_use(struct manifest_index *index, const char *local, size_t length)
{
    uint32_t count = index->manifest->use_count;
    uint32_t i = find(index, index->uses, count, &index->next_use, use_name, local, length);

    return i < count ? &index->manifest->uses[i] : NULL;
}
