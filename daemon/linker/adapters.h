/*
 * Adapters: functions of the program's through which calls by one convention reach functions of another.
 *
 * An adapter is registered for a pair of conventions. Where a use asks for another one than its target has, it is bound
 * to the target's *way* for that convention: a thunk that loads the target's address into a register and goes on in the
 * adapter. There is one way for each target and convention; once made it is never changed, lies in the room of the
 * target's unit, and goes with it. That unit uses the adapter from then on, so that the adapter cannot go before. A
 * symbol of the runner's libraries has no unit: its ways are the adapter's unit's, and who goes through uses the
 * adapter.
 *
 * What is reached through a trampoline may come to be another function, which may even have the convention that was
 * asked for. Its ways begin with a stub whose slot leads to the thunk, or straight to such a function.
 */
#ifndef LINKER_ADAPTERS_H
#define LINKER_ADAPTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/linker/hash_table.h"

struct linker;
struct manifest_name;
struct symbol;
struct trampoline;
struct unit;
struct use;

/* One that is registered: calls by the convention `wanted` reach through it functions of `given`. */
struct adapter {
    struct hash_entry entry;
    uint64_t wanted, given;
    struct adapter *next;  /* of the same unit, the one that was registered before */
    struct symbol *symbol; /* borrowed; of that unit */
    uint32_t ways;         /* that lead through it */
};

struct adapters {
    struct hash_table registered; /* struct adapter, by the convention that is wanted and the one that is there */
    struct hash_table ways;       /* struct way, by the target's symbol and the convention that is wanted */
};

void adapters_close(struct adapters *adapters);

/* From now on calls by convention `wanted` go through that function, looked for from the library on, where the target
   is of convention `given`. It is a ready unit's, and goes with that. NOT_FOUND, NOT_CALLABLE, INVALID,
   SYMBOL_DUPLICATE, LIMIT, NO_MEMORY. */
int adapters_register(struct linker *linker, uint32_t library, const struct manifest_name *name, uint64_t wanted,
                      uint64_t given, struct error *error);

/* The function that is registered for the pair, or NULL. */
struct symbol *adapters_find(const struct linker *linker, uint64_t wanted, uint64_t given);

/* The address at which calls by the convention reach the function: its own, or that of its way, which is made where it
   is not there. `user`, which may be NULL, is the unit that will hold the address; it uses the function already, or
   follows it as lazy trampolines do. CONVENTION, ARENA_FULL, NO_MEMORY. */
int adapters_reach(struct linker *linker, struct unit *user, struct symbol *target, uint64_t convention,
                   uint64_t *address, struct error *error);

/* "'f' is called by convention 1, but defined with 0: ...". Gives CONVENTION. */
int adapters_refuse(const struct symbol *target, uint64_t convention, struct error *error);

/* The unit's definitions have been bound, or the use has: decides at once which way the unit's uses go, those that have
   waited for it, and those of aliases that get their addresses by it, so that this does not depend on when units become
   ready. What cannot be is told by adapters_check. */
void adapters_decide(struct linker *linker, struct unit *unit);
void adapters_decide_use(struct linker *linker, struct use *use);

/* The unit is to be linked, and all that it uses is known. Errors as adapters_reach. */
int adapters_check(struct linker *linker, struct unit *unit, struct error *error);

/* What the trampoline leads to has changed: its ways follow. */
void adapters_follow(struct linker *linker, const struct trampoline *trampoline);

/* The unit goes, and no way is made through the adapters that it defines any more. Of units that go together all before
   any name is taken away, since what else has such a name may then be led to. */
void adapters_unregister(struct linker *linker, struct unit *unit);

/* So do the ways in its room. */
void adapters_forget(struct linker *linker, struct unit *unit);

#endif
