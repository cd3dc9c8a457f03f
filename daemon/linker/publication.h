/*
 * A component on its way from linked to ready: what the runner is asked to do for it, in which order.
 *
 * Data of all units first, then their actions, then their initialisers. The requests have the publication's number in
 * common, so that the runner, where an action fails, knows which of them to pass over (proto/channel.h).
 */
#ifndef LINKER_PUBLICATION_H
#define LINKER_PUBLICATION_H

#include "daemon/linker/actions.h"
#include "daemon/linker/runner.h"

struct publication {
    struct publication *next;
    struct unit *root;
    uint64_t number;    /* of no other one of the session; not 0 */
    struct task *tasks; /* owned; in the order in which the runner carries them out */
    uint32_t task_count;
    uint32_t outstanding;          /* tasks not answered; 0: the runner has not been asked for it */
    struct action_failure failure; /* that has been told of so far */
    bool has_deadline;             /* one of its units' batches has */
    uint32_t expired_ms;           /* the deadline that has passed while the runner was busy with it; 0: none... */
    struct task late;              /* ...and what it was doing: it ends with the life */
};

/* Whether there is anything to do for the component. */
bool publication_is_needed(const struct unit *root);

/* With all its tasks. NULL: out of memory. */
struct publication *publication_new(const struct linker *linker, struct unit *root, uint64_t number);
void publication_free(struct publication *publication); /* NULL is allowed */

#endif
