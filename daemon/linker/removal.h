/*
 * Taking units away: which may go, and what becomes of their memory.
 *
 * A unit may go when nobody outside of the set that goes with it uses what it defines. Its names are withdrawn at once;
 * its memory is kept aside until no thread of the runner can be in it.
 */
#ifndef LINKER_REMOVAL_H
#define LINKER_REMOVAL_H

#include "daemon/linker/link.h"

/* Units to be removed together; zero-initialised is empty. */
struct removal_set {
    struct unit **units; /* owned array; borrowed units */
    size_t count, capacity;
};

void removal_set_free(struct removal_set *set); /* takes the marks off the units that are still there */

/* Adds a unit once. NO_MEMORY. */
int removal_set_add(struct removal_set *set, struct unit *unit);

/* Takes those out of the set again, from the unit `first` on, that others use who are not of it, also through one
   another. */
void removal_drop_used(struct removal_set *set, size_t first);

/* Adds those that use what the set defines, and their users. NO_MEMORY. */
int removal_add_users(struct linker *linker, struct removal_set *set);

/* Whether all of the set may go: DEPENDENTS with those that use it, INVALID where a unit is with the runner. Lookups
   that wait for one of the set are added to it. */
int removal_check(struct linker *linker, struct removal_set *set, struct report *report);

/* The units' names are free from now on, and they are in the state REMOVED; their code, finalisers that are to run
   among it, still calls whatever it did. Of a unit that waited everything has been taken back by link_fail before. */
void removal_withdraw(struct linker *linker, const struct removal_set *set);

/* The unit is forgotten; its memory is used again after removal_age and then removal_reclaim. */
void removal_release(struct linker *linker, struct unit *unit);

/* The memory of a unit whose code may have run is no longer the unit's; it is used again in the same way. */
void removal_set_memory_aside(struct linker *linker, struct unit *unit);

/* Sets apart the memory of units that have been released since; false: there is none. What was set apart before has
   been reclaimed. */
bool removal_age(struct linker *linker);

/* No thread can be in code that was removed before removal_age: gives its memory back. */
void removal_reclaim(struct linker *linker);

/* The session ends: nothing is given back. */
void removal_forget_memory(struct linker *linker);

#endif
