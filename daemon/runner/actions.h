/*
 * The actions of the program's units: calls made when a unit is published, and undone when it goes, when a later one
 * of its publication fails, or at exit.
 */
#ifndef RUNNER_ACTIONS_H
#define RUNNER_ACTIONS_H

#include <stddef.h>

#include "proto/channel.h"

/* Makes the publishing calls of an array, which is borrowed for the life of the process, as CHANNEL_ACTIONS says; fills
   a, b and c of the reply. Returns 0 also where a call failed; NO_MEMORY where none was made and the publication's
   earlier ones have been undone. Any thread. */
int actions_publish(const struct channel_action *array, size_t count, uint64_t publication,
                    struct channel_record *reply);

/* Makes the removing calls of an array that was published, as CHANNEL_UNDO_ACTIONS says, and forgets it; one that was
   not is left alone. Any thread. */
void actions_undo(const struct channel_action *array, struct channel_record *reply);

/* Makes the removing calls of all arrays, the one published last first: at exit. */
void actions_undo_all(void);

#endif
