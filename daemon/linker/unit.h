/*
 * A unit: one relocatable object from its submission to the end of the session, and the batch it came with.
 *
 * What is needed only until the unit is ready (the checked object, placements, pointers to symbols, its place in the
 * graph) lies in the batch's pool and dies when every unit of the batch is ready or failed. What the session needs for
 * good is small and the unit's own: its extents in the arena, its definitions, what it uses, and a map of its functions
 * for crash reports.
 */
#ifndef LINKER_UNIT_H
#define LINKER_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/pool.h"
#include "daemon/linker/arena.h"
#include "daemon/linker/graph.h"
#include "daemon/linker/manifest.h"
#include "daemon/linker/object.h"
#include "daemon/linker/symbols.h"
#include "daemon/linker/trampoline.h"
#include "daemon/linker/waiting.h"

struct adapter;
struct code_piece;
struct frame;
struct gathering;
struct gatherings;
struct missing;
struct relocation_place;
struct way;

/* The numbers of jitd.proto's UnitState. */
enum unit_state { UNIT_ACCEPTED, UNIT_RESOLVED, UNIT_LINKED, UNIT_INITIALISED, UNIT_READY, UNIT_FAILED, UNIT_REMOVED };

/* Where a section lies: zone ZONE_COUNT means nowhere (not loaded, or discarded with its COMDAT group). An .eh_frame
   whose CIE was left out begins where that would lie, which may be before the unit's block. */
struct placement {
    int32_t offset; /* in the zone; in the block until layout_settle */
    uint8_t zone;   /* enum zone */
    bool gathered;  /* it lies in the block of another unit, or apart in its own (gather.h) */
};

/* An array of initialisers or finalisers in zone R. */
struct call_array {
    uint64_t address;
    uint64_t order;   /* section_kind_order */
    const char *name; /* orders those of one number; "" for those that have none. In the object */
    uint32_t count;
    uint8_t kind; /* enum section_kind */
};

/* What is made of a unit's pieces of .init or of .fini; all zeros: there are none. Offsets in the block until
   layout_settle. */
struct piece_function {
    uint64_t begin, end; /* in zone X; the epilogue begins at the end */
    uint64_t word;       /* in zone R: where its address stands */
};

/* One call of an action, which zone R has for the runner (actions.h). */
struct action_call {
    struct symbol *function; /* borrowed, for as long as the unit has its names; NULL: none */
    uint32_t use;            /* that found it, among those of the manifest */
    uint32_t bytes;
    uint64_t argument; /* its address; in the block until it is placed; 0 where there are no bytes */
};

struct action {
    struct action_call publish, remove;
};

/* One function or code section of a linked unit, for crash reports. Sections come first. */
struct code_range {
    uint32_t offset; /* in zone X */
    uint32_t bytes : 31;
    uint32_t section : 1;
    const char *name; /* behind the ranges, or of a symbol that the unit defines */
};

/* One definition that the unit offers, while its batch is being decided. */
struct offer {
    struct symbol *symbol;
    uint32_t index;                               /* in the object's symbol table; 0: not of the object */
    const struct manifest_definition *definition; /* NULL without a manifest */
    struct trampoline *trampoline;                /* that gives it its address, or NULL */
};

/* A symbol that the unit defines beside its offers, so that another one can hold on to it (gather.h). */
struct tie {
    struct tie *next;
    struct symbol *symbol;
};

/* A definition that is another name for `target`. */
struct alias {
    struct symbol *symbol, *target;
    struct alias *next; /* of those whose users have yet to be told */
    uint32_t use;       /* the one that found the target: among those of the manifest */
};

/* What is needed until the unit is ready or failed. Lies in the batch's pool, but for the object's tables, which are
   kept no longer than one step needs. */
struct pending {
    struct batch *batch;
    struct unit_waiter *waiter; /* borrowed; who is told of an internal unit, else NULL */
    struct object object;
    struct placement *placements; /* by section */
    struct symbol **globals;      /* by symbol index minus object.first_global: what references are bound to; NULL for
                                     what is local, and for a weak symbol that nobody offered when the unit came */
    struct use *uses;             /* one for each of the unit's needs */
    struct alias *aliases;        /* by their uses */
    uint32_t use_count, alias_count;
    uint32_t place; /* in the batch, from 1 on */

    /* While the batch is being decided; in the linker's pool for that. */
    const struct manifest *manifest; /* borrowed from the request; NULL: all names are global */
    struct symbol_key *keys; /* of its globals, by symbol index minus object.first_global, or of its manifest's names:
                                of definitions, then of uses */
    uint32_t key_count;
    struct offer *offers;
    uint32_t offer_count;
    const struct manifest_use **listed; /* by symbol index minus object.first_global; NULL without a manifest */
    uint8_t *referenced;                /* by symbol index: some loaded section refers to it */
    const char **versions;              /* by the same: what a symbol defines besides (version.h); NULL: none does */
    struct relocation_place *places;    /* by symbol index (missing.h); NULL: not looked for */
    struct gathering *hosted;           /* whose room is in its block */
    struct tie *ties;
    uint32_t tie_count; /* at most so many */

    struct piece_function pieces[2]; /* of .init, of .fini; where the unit has any arrays */
    bool has_initialisers;           /* it has sections that are arrays or pieces */
    uint32_t eh_frame, eh_frames;    /* the first such section, or 0; and how many there are */
    uint32_t fde_count;              /* in all of them */
    uint32_t omitted;       /* bytes at the beginning of the only .eh_frame that are not copied: the common CIE, or 0 */
    uint64_t unwind_header; /* offset in zone R, or 0 */
    uint32_t slots, stubs;  /* foreseen: at the beginning of the block in S, and at... */
    uint64_t stub_offset;   /* ...this offset in zone X */
    uint64_t common_offset; /* of the unit's common symbols in zone Z */
    uint64_t own_commons;   /* ...and in them of those that are the unit's own */
    uint64_t data_offset, data_bytes; /* what the runner must copy in zone D */
    bool stale_zeros;                 /* the runner must prepare zone Z (arena_is_stale) */

    struct code_piece *code_pieces; /* its code in the room of another unit, or apart in its own (gather.h) */

    struct publication *publication; /* borrowed; of the component, in its root; NULL: none */
};

/* Room in the arena that a unit took after its block. */
struct extra_block {
    struct extra_block *next;
    struct arena_block block;
};

struct unit {
    uint64_t id;
    struct pending *pending; /* NULL once ready or failed... */
    struct graph_node *node; /* ...and so is this */
    uint64_t tag;
    uint64_t kept_bytes;   /* what it has of linker.kept_bytes */
    uint64_t ready_number; /* of its component, in the order in which they became ready */
    uint8_t state;         /* enum unit_state */
    uint8_t chances_lost;  /* lives that its initialisers or actions have ended */
    bool removing;         /* in the set that is being removed */
    bool uses_handle;      /* refers to its own __dso_handle */
    bool internal;         /* made by the linker itself: the controller does not know of it */
    bool hosts_code;       /* code of other units lies in its block */
    bool exposed;          /* its code may have run: its memory waits until no thread can be in it */
    uint16_t library;
    uint32_t definition_count;
    uint32_t need_count;
    uint32_t array_count;
    uint32_t range_count;
    uint32_t code_map_bytes;        /* of `ranges` and the names behind them */
    uint8_t interruptions;          /* lives in a row that others ended while its initialisers or actions ran */
    struct arena_block block;       /* owned room in the arena */
    struct unit *next_in_page;      /* borrowed (code_pages.h) */
    struct extra_block *extra;      /* owned list, the last first; what was not foreseen in `block` */
    struct symbol **definitions;    /* owned array; the symbols that this unit defines, and behind them those of other
                                       units that it uses */
    struct trampoline *trampolines; /* owned array */
    uint32_t trampoline_count;
    uint32_t trampoline_stubs; /* offset in zone X */
    struct call_array *arrays; /* owned array */
    struct action *actions;    /* owned array */
    uint32_t action_count;
    uint32_t action_array;     /* of the runner's: its offset in zone R; in the block until it is placed */
    struct code_range *ranges; /* owned array, once linked (code_map.h); behind it indexes and names */
    struct adapter *adapters;  /* owned list; registered functions that it defines (adapters.h)... */
    struct way *ways;          /* ...and ways that lie in its room */
    char name[];
};

/* The symbols of other units that it uses. */
static inline struct symbol **unit_needs(const struct unit *unit)
{
    return unit->definitions + unit->definition_count;
}

struct batch {
    uint64_t number;
    struct pool pool;
    struct frame *frame;      /* retained: object bytes lie in its attachment; NULL where they lie elsewhere */
    struct unit **units;      /* in the pool; owned until the batch is committed, then by the linker */
    struct graph_node *nodes; /* of the units, in their order; in the pool */
    uint32_t unit_count;
    uint32_t unfinished; /* units that are neither ready nor failed */
    bool closed;
    bool atomic; /* ready or failed as a whole */
    bool report_addresses;
    uint32_t deadline_ms;           /* 0: none */
    struct batch_mapping *mappings; /* of memfds; owned, in the pool */
    struct gatherings *gatherings;  /* while it is being decided; in the linker's pool for that, NULL: none */
    struct missing *missing;        /* the same */
    struct symbol **standards;      /* that its units refer to, by row of standard.c; in the pool, NULL: none */
    struct waiting *waiting;        /* where it counts; borrowed from the linker, once committed */
    uint64_t waiting_bytes;         /* as which it counts there */
};

struct batch_mapping {
    struct batch_mapping *next;
    void *view;
    uint64_t bytes;
};

/* Room for so many units. NO_MEMORY. */
int batch_reserve(struct batch *batch, uint32_t count);

/* The next unit of the batch, pending. `name` is copied. NULL: out of memory. */
struct unit *unit_new(struct batch *batch, const char *name, size_t length);
void unit_free(struct unit *unit); /* NULL is allowed; does not touch the arena or symbols */

/* A batch with a pool of the given budget; retains the frame, which may be NULL. NULL: out of memory. */
struct batch *batch_new(struct frame *frame, size_t budget);
void batch_free(struct batch *batch); /* with what it maps; not its units */

/* One unit of the batch became ready or failed: forgets what was needed until then, and with the last one the batch. */
void unit_finish(struct unit *unit);

/* More room, which is unit->extra then. Errors as arena_allocate. */
int unit_extend(struct unit *unit, struct arena *arena, const struct arena_need needs[ZONE_COUNT], struct error *error);

/* One more symbol of another unit's that it uses, which is ready; one that it uses already is counted once. There must
   be memory for it: NO_MEMORY. */
int unit_reserve_need(struct unit *unit);
void unit_add_need(struct unit *unit, struct symbol *symbol);

/* What its __dso_handle is: an address of the unit's own, or 0 where it has no room at all. */
uint64_t unit_handle(const struct arena *arena, const struct unit *unit);

/* Gives back the unit's room in the arena. */
void unit_release_memory(struct unit *unit, struct arena *arena);

/* Bytes of memory that the unit takes until the session ends, but for what linking adds. */
uint64_t unit_kept_bytes(const struct unit *unit);

/* The address of a section's byte in the runner. */
uint64_t unit_section_address(const struct arena *arena, const struct unit *unit, uint32_t section);

#endif
