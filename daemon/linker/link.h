/*
 * Linking: the life of a unit, as a column of phases.
 *
 *   on submission, over a batch:     check  ->  resolve  ->  lay out  ->  allocate  ->  commit      (link_submit)
 *   when its needs are met, over a
 *   component of units:              scan  ->  make slots  ->  copy  ->  relocate  ->  publish   (link_component)
 *   when its initialisers have run:  ready                                                          (link_ready)
 *
 * A batch is committed as a whole or not at all; until then nothing that lasts has been written. A unit that fails
 * later takes its dependents with it, each told why, and leaves the arena and the symbols as if it had never come.
 *
 * This is the owner of the session's units, symbols, arena and graph. It knows no socket and no runner: news and work
 * for the runner go out through `hooks`.
 */
#ifndef LINKER_LINK_H
#define LINKER_LINK_H

#include "common/error.h"
#include "daemon/linker/adapters.h"
#include "daemon/linker/arch.h"
#include "daemon/linker/arena.h"
#include "daemon/linker/code_pages.h"
#include "daemon/linker/graph.h"
#include "daemon/linker/lazy.h"
#include "daemon/linker/library.h"
#include "daemon/linker/process_symbols.h"
#include "daemon/linker/report.h"
#include "daemon/linker/symbols.h"
#include "daemon/linker/unit.h"
#include "daemon/linker/units.h"
#include "daemon/linker/waiting.h"
#include "daemon/linker/wanted.h"
#include "daemon/linker/workers.h"

struct limbo;

struct link_hooks {
    /* The unit's state has become RESOLVED, READY or FAILED (then with the report). */
    void (*unit_changed)(void *owner, const struct unit *unit, const struct report *report);
    /* The component's bytes are in place. The owner has the runner copy data and run initialisers and calls link_ready,
       or link_fail, now or later. */
    void (*component_linked)(void *owner, struct unit *root);
    /* A thread of the runner has called a symbol that nobody offers: the owner asks for it and sets its deadline. */
    void (*lazy_wanted)(void *owner, struct lazy *lazy);
    /* The thread goes on at the address; or, with 0, learns that it cannot, for the reason given. `lazy` is what it
       waited for, or NULL where that is gone. */
    void (*lazy_resumed)(void *owner, uint32_t waiter, uint64_t address, const struct lazy *lazy,
                         const struct error *why);
};

struct linker {
    const struct arch *arch;
    struct arena *arena;             /* owned */
    struct symbols *symbols;         /* owned */
    struct symbols *provided;        /* owned; of the runner's libraries and the linker itself, that units spoke of */
    struct process_symbols *process; /* owned; NULL in tests without a runner */
    struct libraries *libraries;     /* owned */
    const struct symbol *handle;     /* borrowed; __dso_handle */
    struct wanted wanted;
    struct lazies lazies;
    struct adapters adapters;
    bool has_linkonce;     /* a unit has had a .gnu.linkonce section */
    bool many_spaces;      /* there is more than one namespace to search for a name of a unit's */
    bool many_conventions; /* a definition or a use has had another calling convention than the platform's */
    struct graph graph;
    struct pool deciding; /* tables of the batch being submitted, until link_run has returned */
    struct pool scratch;  /* tables of the unit being linked */
    struct units units;   /* and each of them is owned */
    struct code_pages code;
    uint64_t batch_count;
    uint64_t ready_count;
    struct waiting waiting; /* its limit is LIMIT_WAITING_BYTES unless the owner sets another */
    struct limbo *limbo;    /* owned; memory of removed units that is not used again yet (removal.h)... */
    struct limbo *aged;     /* ...and what was there when removal_age was called */
    uint32_t withdrawn;     /* units that are removed and still there */
    uint64_t departures;    /* how often somebody has ceased to use others: units gone, redirections changed */
    uint64_t kept_bytes;    /* by units for good, but for the symbols */
    bool running; /* the queue of runnable components is being worked off: hooks that come back here only add to it */
    struct workers *workers; /* borrowed; for large batches. NULL: all is done on the calling thread */
    const struct link_hooks *hooks;
    void *owner; /* handed to the hooks */
};

/* The arena's base is known. Takes over arena and process symbols, also on failure. Without workers, which may be set
   afterwards. */
int link_open(struct linker *linker, const struct arch *arch, struct arena *arena, struct process_symbols *process,
              const struct link_hooks *hooks, void *owner, struct error *error);
void link_close(struct linker *linker);

/* What is submitted: names and bytes, the latter 16-byte aligned and alive as long as the batch (its frame, its
   mappings). */
struct link_input {
    const char *name;
    size_t name_length;
    const void *object; /* NULL: a unit that is a manifest alone */
    size_t object_bytes;
    uint32_t library;
    uint64_t tag;
    const struct manifest *manifest; /* NULL: names are global as they are; needed until link_submit returns */
};

/* Takes the batch over. On success its units exist (batch->units, in order, with their ids): send the reply, then call
   link_run, which reports them. On failure the report says why, and nothing of the batch is left. */
int link_submit(struct linker *linker, struct batch *batch, const struct link_input *inputs, uint32_t count,
                struct report *report);

/* Reports the batch's units as resolved and links everything that can be linked now. The batch may be gone after it. */
void link_run(struct linker *linker, struct batch *batch);

/* The component's initialisers have run: its units are ready, and whoever waited for them goes on. */
void link_ready(struct linker *linker, struct unit *root);

/* The unit failed for the reason given, at any stage; so do all that depend on it. */
void link_fail(struct linker *linker, struct unit *unit, const struct error *error);

/* Counts memory that the unit keeps when it is ready. */
void link_keep(struct linker *linker, struct unit *unit, uint64_t bytes);

/* Where calls of functions that are not there go in the runner. */
void link_set_lazy_entry(struct linker *linker, uint64_t address);

/* Links every component whose needs are met; for those who have changed what is met. */
void link_run_queue(struct linker *linker);

/* NULL for a number that is no unit. */
struct unit *link_unit(const struct linker *linker, uint64_t id);

/* The unit whose code covers an address of the runner, or NULL; looked for in `guess` first, which may be NULL. */
struct unit *link_find_code(const struct linker *linker, uint64_t address, struct unit *guess);

/* Makes or changes a library; what waits looks again for what it needs. Errors as libraries_define. */
int link_define_library(struct linker *linker, const struct library_definition *definition, struct error *error);

/* What a name means. */
struct link_found {
    uint64_t address;
    bool ready; /* it may be used now */
    bool function;
    struct unit *unit; /* that defines it, though its address may lie elsewhere; NULL: a library of the runner's */
};

/* As a unit of the library would find it; false when nobody offers it. Asks the runner's libraries too. Remembers no
   name that no unit has spoken of. */
bool link_lookup(struct linker *linker, uint32_t library, const char *name, size_t length, struct link_found *out);

#endif
