/*
 * The session's global symbols: one struct for each name that any unit defines or needs.
 *
 * A name is interned once and never moves; units hold pointers to symbols, so that resolving is one hash lookup a name
 * and a unit. A symbol is bound by a unit's definition, by the runner's own libraries, or by nobody yet. The hash is
 * seeded anew for every session, so that chosen names cannot collide on purpose.
 *
 * A batch is decided before it is committed: its tentative definitions are kept in `tentative` under the batch's
 * number, so that a refused batch leaves nothing to undo.
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

struct symbol {
    struct symbol *next; /* in its hash bucket */
    const char *name;    /* NUL-terminated, behind the struct */
    uint64_t hash;
    uint32_t name_length;
    enum symbol_binding binding;
    enum symbol_strength strength; /* of the definition that stands */
    bool function;
    bool process_known; /* the libraries have been asked */
    uint64_t address;   /* in the runner; valid unless unbound */
    uint64_t bytes;
    struct unit *definer; /* borrowed; SYMBOL_UNIT only */
    uint64_t slot;        /* address of its slot in S; 0: none yet */
    uint64_t stub;        /* address of its stub in X; 0: none yet */
    struct use *uses;     /* by units that are not ready; borrowed */
    uint64_t comdat;      /* id of the unit whose COMDAT group of this signature was kept, or 0 */

    /* Decisions about the batch numbered `tentative_batch`; meaningless under any other number. */
    uint64_t tentative_batch;
    struct unit *tentative;
    uint32_t tentative_index; /* in its symbol table */
    enum symbol_strength tentative_strength;
    uint64_t common_bytes, common_alignment, common_offset; /* the offset: in the unit's block of zone Z */
    uint64_t comdat_batch;                                  /* the batch in which `comdat_tentative` is meant */
    struct unit *comdat_tentative;
};

struct symbols;

struct symbols *symbols_new(uint64_t seed); /* NULL: out of memory */
void symbols_free(struct symbols *symbols); /* NULL is allowed */

/* The symbol of a name, made unbound where it is new; NULL only when out of memory. */
struct symbol *symbols_intern(struct symbols *symbols, const char *name, size_t length);

/* NULL when nobody has spoken of it. */
struct symbol *symbols_find(const struct symbols *symbols, const char *name, size_t length);

void symbol_add_use(struct symbol *symbol, struct use *use);
void symbol_remove_use(struct use *use); /* one in no list is left alone */

/* How many names there are. */
size_t symbols_count(const struct symbols *symbols);

#endif
