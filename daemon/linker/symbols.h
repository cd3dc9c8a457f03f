/*
 * The session's global symbols: one struct for each name that any unit defines or needs.
 *
 * A name is interned once and never moves; units hold pointers to symbols, so that resolving is one hash lookup a name
 * and a unit. A symbol is bound by a unit's definition, by the runner's own libraries, or by nobody yet. The hash is
 * seeded anew for every session, so that chosen names cannot collide on purpose.
 *
 * A batch is decided before it is committed: what is being decided about a name lies in a `contest` that is
 * valid under the batch's number only, so that a refused batch leaves nothing to undo.
 */
#ifndef LINKER_SYMBOLS_H
#define LINKER_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit;
struct symbol;

enum symbol_binding {
    SYMBOL_UNBOUND, /* nobody offers it yet */
    SYMBOL_UNIT,    /* defined by `definer` */
    SYMBOL_PROCESS  /* a symbol of the runner's libraries, or one that the linker itself provides */
};

/* In the order in which a later one beats an earlier one inside a batch (gABI, "Symbol Table"). */
enum symbol_strength { STRENGTH_NONE, STRENGTH_WEAK, STRENGTH_COMMON, STRENGTH_STRONG };

/* One unit's need of one symbol, linked into the symbol's list while the unit is not ready. */
struct use {
    struct symbol *symbol;
    struct unit *unit;
    struct use *next;  /* in symbol->uses */
    struct use **link; /* what points to this one; NULL when in no list */
    uint32_t index;    /* in the unit's symbol table */
    bool weak;
};

/* What one batch is about to decide of one name. Lives until the batch is committed or refused. */
struct contest {
    struct unit *unit; /* whose definition stands so far; NULL for none */
    uint32_t index;    /* in its symbol table */
    enum symbol_strength strength;
    uint64_t common_bytes, common_alignment;
    uint64_t common_offset; /* in the unit's block of zone Z */
    struct unit *comdat;    /* whose COMDAT group of this signature stands */
};

struct symbol {
    struct symbol *next; /* in its hash bucket */
    uint32_t hash;
    uint32_t name_length;
    uint8_t binding;  /* enum symbol_binding */
    uint8_t strength; /* enum symbol_strength of the definition that stands */
    bool function;
    bool process_known; /* the libraries have been asked */
    uint32_t comdat;    /* id of the unit whose COMDAT group of this signature was kept, or 0 */
    uint64_t address;   /* in the runner; valid unless unbound */
    uint64_t bytes;
    struct unit *definer;    /* borrowed; SYMBOL_UNIT only */
    struct use *uses;        /* by units that are not ready; borrowed */
    struct contest *contest; /* borrowed; valid while the batch numbered contest_batch is being decided */
    uint64_t contest_batch;
    char name[]; /* NUL-terminated */
};

/* The batch's decision about the symbol so far; NULL where it has none. */
static inline struct contest *symbol_contest(const struct symbol *symbol, uint64_t batch)
{
    return symbol->contest_batch == batch ? symbol->contest : NULL;
}

struct symbols;

struct symbols *symbols_new(uint64_t seed); /* NULL: out of memory */
void symbols_free(struct symbols *symbols); /* NULL is allowed */

/* The symbol of a name, made unbound where it is new; NULL only when out of memory. */
struct symbol *symbols_intern(struct symbols *symbols, const char *name, size_t length);

/* NULL when nobody has spoken of it. */
struct symbol *symbols_find(const struct symbols *symbols, const char *name, size_t length);

/* A copy of a name that lives as long as the symbols; NULL only when out of memory. */
const char *symbols_keep_name(struct symbols *symbols, const char *name);

void symbol_add_use(struct symbol *symbol, struct use *use);
void symbol_remove_use(struct use *use); /* one in no list is left alone */

/* How many names there are. */
size_t symbols_count(const struct symbols *symbols);

#endif
