/*
 * The session's global symbols: one struct for each name that any unit defines or needs in a namespace.
 *
 * A symbol never moves, and goes when nobody speaks of it any more; units hold pointers to symbols, so that resolving
 * is one hash lookup a name and a unit. A symbol is bound by a unit's definition, by the runner's own libraries, or by
 * nobody yet. The hash is seeded anew for every session, so that chosen names cannot collide on purpose.
 *
 * Each library (library.h) has two namespaces: what it exports, and what it keeps to itself. The runner's own libraries
 * are one more, in a table of its own.
 *
 * A batch is decided before it is committed: what is being decided about a name lies in a `contest` that is
 * valid under the batch's number only, so that a refused batch leaves nothing to undo.
 */
#ifndef LINKER_SYMBOLS_H
#define LINKER_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct graph_node;
struct symbol;
struct trampoline;
struct unit;

/* Namespaces, by number. */
#define SPACE_EXPORTED(library) ((library)*2u)
#define SPACE_HIDDEN(library)   ((library)*2u + 1u)
#define SPACE_PROCESS           UINT32_MAX
/* Of a library, where no search comes: keys of .gnu.linkonce sections and of what they are about (comdat.h), and by
   what units hold together (gather.h). */
#define SPACE_LINKONCE(library) (0x40000000u | (library))
#define SPACE_ONCE(library)     (0x60000000u | (library))
#define SPACE_GATHERED(library) (0x80000000u | (library))

enum symbol_binding {
    SYMBOL_UNBOUND, /* nobody offers it yet */
    SYMBOL_UNIT,    /* defined by `definer` */
    SYMBOL_PROCESS  /* a symbol of the runner's libraries, or one that the linker itself provides: SPACE_PROCESS only */
};

/* In the order in which a later one beats an earlier one inside a batch (gABI, "Symbol Table"). */
enum symbol_strength { STRENGTH_NONE, STRENGTH_WEAK, STRENGTH_COMMON, STRENGTH_STRONG };

/* One unit's need of one symbol, linked into the symbol's list while the unit is not ready. */
struct use {
    struct symbol *symbol;
    struct unit *unit;
    struct use *next;        /* in symbol->uses */
    struct use **link;       /* what points to this one; NULL when in no list */
    uint32_t index;          /* in the unit's symbol table; 0: no reference, the unit only waits for it */
    uint32_t number;         /* where index is 0: among the uses of the manifest */
    uint32_t library;        /* where the search for it begins */
    bool exact : 1;          /* the search ends in that library and what it re-exports */
    bool by_slot : 1;        /* reached through a slot, whatever the distance */
    bool of_units : 1;       /* no library of the runner's can meet it */
    bool any_convention : 1; /* nothing is called by it */
    uint8_t refusal;         /* why it cannot be reached by the convention that is wanted, which was decided; or 0 */
    uint64_t convention;     /* wanted; 0: the platform's */
    uint64_t way;            /* where it is reached by that, which is not its own (adapters.h); or 0 */
};

/* What one batch is about to decide of one name. Lives until the batch is committed or refused. */
struct contest {
    struct unit *unit; /* whose definition stands so far; NULL for none */
    uint32_t offer;    /* which of its offers */
    enum symbol_strength strength;
    uint64_t common_bytes, common_alignment;
    uint64_t common_offset; /* in the unit's block of zone Z */
    struct unit *comdat;    /* whose COMDAT group or .gnu.linkonce section of this key stands */
    bool comdat_alone;      /* that is a group of one section */
};

/* What resolving and the graph look at comes first: a line of the cache or two. */
struct symbol {
    uint32_t hash;
    uint32_t name_length;
    uint32_t space;   /* its namespace */
    uint8_t binding;  /* enum symbol_binding */
    uint8_t strength; /* enum symbol_strength of the definition that stands */
    bool function : 1;
    bool no_process : 1;     /* the runner's libraries have been asked for the name and do not have it */
    bool unsettled : 1;      /* an alias whose address is not known yet */
    bool absolute : 1;       /* a number that an object defines, and no address */
    bool comdat_alone : 1;   /* what `comdat` is about is a group of one section */
    bool wanted : 1;         /* in the table of wanted symbols (wanted.h) */
    uint8_t standard;        /* of those that the linker itself defines: 1 + its row in standard.c; else 0 */
    struct graph_node *node; /* of the definer, borrowed, while that is neither ready nor failed */
    struct unit *definer;    /* borrowed; SYMBOL_UNIT only */
    struct use *uses;        /* by units that are not ready; borrowed */
    struct contest *contest; /* borrowed; valid while the batch numbered contest_batch is being decided */
    uint64_t contest_batch;
    uint64_t address; /* in the runner; valid unless unbound */
    uint64_t bytes;
    uint32_t users;  /* entries of units' lists of needs that point here, ready units included */
    uint32_t lazies; /* trampolines that wait for it or lead to it, and lazy.h's own; none keeps it bound */
    struct trampoline *trampoline; /* borrowed; that has its address, or NULL: it is what it says */
    struct symbol *origin; /* borrowed; of an alias what it stands for, in the end, where that is a unit's; else NULL */
    uint64_t convention;   /* calling convention of the definition */
    uint64_t comdat;       /* id of the unit whose COMDAT group of this signature, or section, was kept; or 0 */
    char name[];           /* NUL-terminated */
};

/* The batch's decision about the symbol so far; NULL where it has none. */
static inline struct contest *symbol_contest(const struct symbol *symbol, uint64_t batch)
{
    return symbol->contest_batch == batch ? symbol->contest : NULL;
}

struct symbols;

struct symbols *symbols_new(uint64_t seed); /* NULL: out of memory */
void symbols_free(struct symbols *symbols); /* NULL is allowed */

uint64_t symbols_seed(const struct symbols *symbols);

/* The symbol of a name, made unbound where it is new; NULL only when out of memory or of LIMIT_KEPT_BYTES. */
struct symbol *symbols_intern(struct symbols *symbols, uint32_t space, const char *name, size_t length);

/* A name that is going to be looked for. Of many names the keys are made first, then all are fetched, then interned:
   so their memory is waited for together and not one after another. */
struct symbol_key {
    const char *name; /* borrowed */
    uint32_t length;
    uint32_t space;
    uint32_t hash;
};

struct symbol_key symbols_key(const struct symbols *symbols, uint32_t space, const char *name, size_t length);
void symbols_fetch(const struct symbols *symbols, const struct symbol_key *key);
struct symbol *symbols_intern_key(struct symbols *symbols, const struct symbol_key *key);

/* NULL when nobody has spoken of it in that namespace. */
struct symbol *symbols_find(const struct symbols *symbols, uint32_t space, const char *name, size_t length);

/* Of the name alone, whatever the namespace. */
uint32_t symbol_name_hash(const struct symbol *symbol);
bool symbol_is_namesake(const struct symbol *symbol, const struct symbol *other);

/* For other tables (hash_table.h) whose keys are chosen by a controller. */
uint32_t symbols_hash(const struct symbols *symbols, const void *key, size_t length);

/* Calls `visit` for every symbol, in no particular order; it must not intern. */
void symbols_visit(const struct symbols *symbols, void (*visit)(struct symbol *symbol, void *data), void *data);

/* Frees the symbols that nobody speaks of any more, where there may be many: amortised, this costs each symbol a
   constant. `is_spoken_of` knows those that are referred to by more than a binding, uses and users. No batch is being
   decided. */
void symbols_sweep(struct symbols *symbols, bool (*is_spoken_of)(const struct symbol *symbol, void *data), void *data);

void symbol_add_use(struct symbol *symbol, struct use *use);
void symbol_remove_use(struct use *use); /* one in no list is left alone */

/* Bytes of memory that they take; never more than LIMIT_KEPT_BYTES, whatever is asked to be interned. */
size_t symbols_memory(const struct symbols *symbols);

/* How many names there are. */
size_t symbols_count(const struct symbols *symbols);

#endif
