/*
 * Actions: calls that the runner makes when a unit is published and when it is removed (docs/manifests.md).
 *
 * The functions are uses of the unit like any others. What the runner reads, an array of struct channel_action and the
 * arguments, is part of the unit's room in zone R: arguments are there from the submission on and nowhere else, the
 * array is written when the functions' addresses are known.
 */
#ifndef LINKER_ACTIONS_H
#define LINKER_ACTIONS_H

#include "daemon/linker/link.h"
#include "proto/channel.h"

/* That one of a unit's actions failed, as the runner told it. */
struct action_failure {
    struct unit *unit; /* borrowed; NULL: none did */
    struct channel_record reply;
};

/* Makes the unit's actions from its manifest's; `bound` has what each of the manifest's uses is bound to. NO_MEMORY. */
int actions_bind(struct unit *unit, struct symbol *const *bound);

/* The unit's use of that number, among those of its manifest, is met by another symbol now. */
void actions_move_use(struct unit *unit, uint32_t use, struct symbol *to);

/* Adds to what the unit needs of zone R. May be asked again. */
void actions_plan(struct unit *unit, struct arena_need *need);

/* The unit has its room: the arguments are put there. Its manifest is still there. */
void actions_place(struct linker *linker, struct unit *unit);

/* Writes the array; all functions are bound. NOT_CALLABLE, CONVENTION. */
int actions_link(struct linker *linker, const struct unit *unit, struct error *error);

/* The array's address in the runner. */
uint64_t actions_address(const struct linker *linker, const struct unit *unit);

/* What the runner's reply to CHANNEL_ACTIONS or CHANNEL_UNDO_ACTIONS for the unit says: 0 that all went well,
   ACTION_FAILED or NO_MEMORY with the text; RUNNER_PROTOCOL where it speaks of an action that there is not. */
int actions_read_reply(const struct unit *unit, const struct channel_record *reply, struct error *error);

#endif
