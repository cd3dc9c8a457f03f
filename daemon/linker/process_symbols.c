#include "daemon/linker/process_symbols.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "proto/limits.h"
#include "proto/process_symbols.h"

#define HIDDEN_VERSION 0x8000u

/* One library's tables, all inside the mapping. */
struct library {
    const struct process_library *description;
    const char *name;
    const Elf64_Sym *symbols;
    uint32_t symbol_count;
    const char *strings;
    uint64_t strings_bytes;
    const uint16_t *versions;      /* NULL: none are hidden */
    const uint32_t *version_names; /* in strings, by version; 0: none of that number */
    uint32_t version_count;
    const uint64_t *bloom;            /* NULL: the hash is DT_HASH's */
    const uint32_t *buckets, *chains; /* chains[i] belongs to symbol first_hashed + i */
    uint32_t bucket_count;            /* 0: the library has no names */
    uint32_t first_hashed, bloom_words, bloom_shift;
};

struct process_symbols {
    uint8_t *view; /* owned mapping */
    uint64_t bytes;
    uint32_t count;
    struct library libraries[];
};

static bool table_within(const struct process_symbols *symbols, uint64_t offset, uint64_t count, uint64_t size)
{
    return offset % 8 == 0 && count <= symbols->bytes / size && range_within(offset, count * size, symbols->bytes);
}

/* DT_GNU_HASH: four words, the bloom filter, the buckets, the chains. */
static bool open_hash(const struct process_symbols *symbols, struct library *library)
{
    const struct process_library *from = library->description;

    if (!table_within(symbols, from->hash, from->hash_bytes, 1) || from->hash_bytes < 16)
        return false;
    const uint32_t *words = (const uint32_t *)(const void *)(symbols->view + from->hash);
    library->bucket_count = words[0];
    library->first_hashed = words[1];
    library->bloom_words = words[2];
    library->bloom_shift = words[3] & 63;
    if (!is_power_of_two(library->bloom_words) || library->first_hashed > library->symbol_count)
        return false;
    uint64_t chains = library->symbol_count - library->first_hashed;
    if (16 + library->bloom_words * 8ull + library->bucket_count * 4ull + chains * 4 > from->hash_bytes)
        return false;
    library->bloom = (const uint64_t *)(const void *)(words + 4);
    library->buckets = (const uint32_t *)(const void *)(library->bloom + library->bloom_words);
    library->chains = library->buckets + library->bucket_count;
    return true;
}

/* DT_HASH: two words, the buckets, the chains. */
static bool open_sysv_hash(const struct process_symbols *symbols, struct library *library)
{
    const struct process_library *from = library->description;

    if (!table_within(symbols, from->sysv, from->sysv_bytes, 1) || from->sysv_bytes < 8)
        return false;
    const uint32_t *words = (const uint32_t *)(const void *)(symbols->view + from->sysv);
    library->bucket_count = words[0];
    if (words[1] != library->symbol_count || 8 + (words[0] + (uint64_t)words[1]) * 4 > from->sysv_bytes)
        return false;
    library->buckets = words + 2;
    library->chains = library->buckets + library->bucket_count;
    return true;
}

static bool string_ends_within(const char *strings, uint64_t bytes)
{
    return bytes > 0 && strings[bytes - 1] == '\0';
}

static bool open_tables(const struct process_symbols *symbols, struct library *library)
{
    const struct process_library *from = library->description;

    if (!table_within(symbols, from->symbols, from->symbol_count, sizeof(Elf64_Sym)) ||
        from->symbol_count > UINT32_MAX || !table_within(symbols, from->strings, from->strings_bytes, 1) ||
        (from->versions && !table_within(symbols, from->versions, from->symbol_count, 2)) ||
        (from->version_names && (!table_within(symbols, from->version_names, from->version_count, sizeof(uint32_t)) ||
                                 from->version_count > HIDDEN_VERSION)))
        return false;
    library->symbols = (const Elf64_Sym *)(const void *)(symbols->view + from->symbols);
    library->symbol_count = (uint32_t)from->symbol_count;
    library->strings = (const char *)symbols->view + from->strings;
    library->strings_bytes = from->strings_bytes;
    library->versions = from->versions ? (const uint16_t *)(const void *)(symbols->view + from->versions) : NULL;
    if (library->versions && from->version_names) {
        library->version_names = (const uint32_t *)(const void *)(symbols->view + from->version_names);
        library->version_count = (uint32_t)from->version_count;
    }
    if (!string_ends_within(library->strings, library->strings_bytes))
        return false;
    return from->hash ? open_hash(symbols, library) : open_sysv_hash(symbols, library);
}

static bool open_library(const struct process_symbols *symbols, struct library *library)
{
    const struct process_library *from = library->description;

    if (!table_within(symbols, from->name, from->name_bytes, 1))
        return false;
    library->name = (const char *)symbols->view + from->name;
    if (!string_ends_within(library->name, from->name_bytes))
        return false;
    return (!from->hash && !from->sysv) || open_tables(symbols, library);
}

int process_symbols_open(int fd, uint64_t bytes, struct process_symbols **out, struct error *error)
{
    if (bytes < sizeof(struct process_symbols_header) || bytes > LIMIT_PROCESS_SYMBOL_BYTES) {
        descriptor_close(&fd);
        return error_set(error, ERROR_SETUP, "the table of process symbols has %llu bytes", (unsigned long long)bytes);
    }
    void *view = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED)
        error_system(error, "mapping the process symbols");
    descriptor_close(&fd);
    if (view == MAP_FAILED)
        return ERROR_SYSTEM;

    const struct process_symbols_header *header = view;
    const struct process_library *descriptions = (const void *)(header + 1);
    uint32_t count = header->count;
    struct process_symbols *symbols = NULL;
    if (header->magic == PROCESS_SYMBOLS_MAGIC && count <= (bytes - sizeof *header) / sizeof *descriptions)
        symbols = calloc(1, sizeof *symbols + count * sizeof *symbols->libraries);
    if (!symbols) {
        munmap(view, bytes);
        return error_set(error, ERROR_SETUP, "the table of process symbols is malformed");
    }
    *symbols = (struct process_symbols){.view = view, .bytes = bytes, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        symbols->libraries[i].description = &descriptions[i];
        if (open_library(symbols, &symbols->libraries[i]))
            continue;
        process_symbols_close(symbols);
        return error_set(error, ERROR_SETUP, "library %u of the process symbols is malformed", i);
    }
    *out = symbols;
    return 0;
}

void process_symbols_close(struct process_symbols *symbols)
{
    if (!symbols)
        return;
    munmap(symbols->view, symbols->bytes);
    free(symbols);
}

/* What is looked for: "name", "name@VERSION" or "name@@VERSION". */
struct wanted_name {
    const char *name;
    size_t length;
    uint32_t hash;       /* of DT_GNU_HASH: h * 33 + c from 5381 */
    const char *version; /* NULL: the default one */
};

static struct wanted_name read_name(const char *name, const char *end)
{
    struct wanted_name wanted = {.name = name, .hash = 5381};
    const char *at = name;

    for (; at != end && *at; at++)
        wanted.hash = wanted.hash * 33 + (uint8_t)*at;
    wanted.length = (size_t)(at - name);
    return wanted;
}

/* The hash of DT_HASH: gABI, "Hash Table". */
static uint32_t sysv_hash(const struct wanted_name *wanted)
{
    uint32_t hash = 0;

    for (size_t i = 0; i < wanted->length; i++) {
        hash = (hash << 4) + (uint8_t)wanted->name[i];
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

static const char *symbol_name(const struct library *library, const Elf64_Sym *symbol)
{
    return symbol->st_name < library->strings_bytes ? library->strings + symbol->st_name : "";
}

static bool is_definition(const struct library *library, uint32_t index)
{
    const Elf64_Sym *symbol = &library->symbols[index];
    unsigned type = ELF64_ST_TYPE(symbol->st_info), binding = ELF64_ST_BIND(symbol->st_info);

    return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE) &&
           (binding == STB_GLOBAL || binding == STB_WEAK || binding == STB_GNU_UNIQUE);
}

/* ld binds a name without a version to the default one, which is not hidden. */
static bool is_offered(const struct library *library, uint32_t index)
{
    return is_definition(library, index) && !(library->versions && (library->versions[index] & HIDDEN_VERSION));
}

/* The name of the symbol's version; "" where it has none. */
static const char *version_of(const struct library *library, uint32_t index)
{
    uint32_t version = library->version_names ? library->versions[index] & ~HIDDEN_VERSION : 0;
    uint32_t name = version < library->version_count ? library->version_names[version] : 0;

    return name < library->strings_bytes ? library->strings + name : "";
}

/* Where a version is asked for, a symbol without one is not meant, as ld has it. */
static bool is_meant(const struct library *library, uint32_t index, const struct wanted_name *wanted)
{
    const char *name = symbol_name(library, &library->symbols[index]);

    if (strncmp(name, wanted->name, wanted->length) != 0 || name[wanted->length])
        return false;
    if (!wanted->version)
        return is_offered(library, index);
    return is_definition(library, index) && *wanted->version &&
           strcmp(version_of(library, index), wanted->version) == 0;
}

/* The index of the symbol, or 0. */
static uint32_t find_in_gnu_hash(const struct library *library, const struct wanted_name *wanted)
{
    uint32_t hash = wanted->hash;
    uint64_t word = library->bloom[(hash / 64) & (library->bloom_words - 1)];
    uint64_t mask = 1ull << (hash % 64) | 1ull << ((hash >> library->bloom_shift) % 64);

    if ((word & mask) != mask)
        return 0;
    uint32_t index = library->buckets[hash % library->bucket_count];
    if (index < library->first_hashed)
        return 0;
    for (; index < library->symbol_count; index++) {
        uint32_t chain = library->chains[index - library->first_hashed];

        if ((chain | 1) == (hash | 1) && is_meant(library, index, wanted))
            return index;
        if (chain & 1)
            break;
    }
    return 0;
}

/* A chain may lead in a circle: it has at most as many links as there are symbols. */
static uint32_t find_in_sysv_hash(const struct library *library, const struct wanted_name *wanted)
{
    uint32_t index = library->buckets[sysv_hash(wanted) % library->bucket_count];

    for (uint32_t i = 0; i < library->symbol_count && index != 0 && index < library->symbol_count; i++) {
        if (is_meant(library, index, wanted))
            return index;
        index = library->chains[index];
    }
    return 0;
}

static bool find(const struct process_symbols *symbols, const struct wanted_name *wanted, struct process_symbol *out)
{
    for (uint32_t i = 0; i < symbols->count; i++) {
        const struct library *library = &symbols->libraries[i];
        uint32_t index = library->bucket_count == 0 ? 0
                         : library->bloom           ? find_in_gnu_hash(library, wanted)
                                                    : find_in_sysv_hash(library, wanted);

        if (index == 0)
            continue;
        const Elf64_Sym *symbol = &library->symbols[index];
        uint64_t bias = symbol->st_shndx == SHN_ABS ? 0 : library->description->base;
        *out = (struct process_symbol){.address = bias + symbol->st_value,
                                       .bytes = symbol->st_size,
                                       .function = ELF64_ST_TYPE(symbol->st_info) == STT_FUNC};
        return true;
    }
    return false;
}

/* Nearly all names are without a version, and of those most are no library's. */
bool process_symbols_find(const struct process_symbols *symbols, const char *name, struct process_symbol *out)
{
    struct wanted_name wanted = read_name(name, NULL);

    if (find(symbols, &wanted, out))
        return true;
    const char *at = memchr(name, '@', wanted.length);
    if (!at)
        return false;
    wanted = read_name(name, at);
    wanted.version = at[1] == '@' ? at + 2 : at + 1;
    return find(symbols, &wanted, out);
}

bool process_symbols_describe(const struct process_symbols *symbols, uint64_t address, const char **library_name,
                              const char **function, uint64_t *offset)
{
    for (uint32_t i = 0; i < symbols->count; i++) {
        const struct library *library = &symbols->libraries[i];
        uint64_t base = library->description->base, best = 0;

        if (address < library->description->low || address >= library->description->high)
            continue;
        *library_name = library->name;
        *function = "";
        *offset = 0;
        for (uint32_t s = 1; s < library->symbol_count; s++) {
            uint64_t start = base + library->symbols[s].st_value;

            if (!is_offered(library, s) || ELF64_ST_TYPE(library->symbols[s].st_info) != STT_FUNC || start > address ||
                address - start >= library->symbols[s].st_size || start < best)
                continue;
            best = start;
            *function = symbol_name(library, &library->symbols[s]);
            *offset = address - start;
        }
        return true;
    }
    return false;
}
