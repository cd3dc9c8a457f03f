/*
 * Who uses whom, turned round: a list of all uses between units, made when it is wanted and soon thrown away. What a
 * unit keeps of its uses leads the other way, and removal and failure of units that are ready are rare.
 *
 * Costs memory and time by the uses of all units, once; each question then costs a search and its answer.
 */
#ifndef LINKER_DEPENDENTS_H
#define LINKER_DEPENDENTS_H

#include <stddef.h>
#include <stdint.h>

struct linker;
struct symbol;
struct unit;

/* One unit's use of what another defines. */
struct dependent {
    uint64_t definer;  /* unit */
    struct unit *user; /* borrowed */
    uint32_t need;     /* index in unit_needs(user) */
};

struct dependents {
    struct dependent *list; /* owned; by definer, user and need */
    size_t count;
};

/* Of all units, as they use each other now. NO_MEMORY. */
int dependents_open(const struct linker *linker, struct dependents *out);
void dependents_close(struct dependents *dependents); /* zero-initialised is allowed */

/* Those who use what the unit of that id defines; *count of them. */
const struct dependent *dependents_of(const struct dependents *dependents, uint64_t definer, size_t *count);

/* What the user uses. */
const struct symbol *dependents_symbol(const struct dependent *dependent);

#endif
