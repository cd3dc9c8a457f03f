/*
 * What waits, in bytes: frames, mappings and pools of the batches that have units which are neither ready nor failed.
 *
 * Exactly that memory is given back as soon as the last unit of a batch is done, so that the count is what a session
 * can be held to: past its limit a batch is refused. Refused, and not left unread: what the others wait for may be
 * behind it in the stream.
 */
#ifndef LINKER_WAITING_H
#define LINKER_WAITING_H

#include <stdint.h>

#include "common/error.h"

struct batch;

struct waiting {
    uint64_t limit;
    uint64_t bytes;
    uint64_t peak;  /* the most that `bytes` has been; lowered by whoever gives memory back to the system */
    uint64_t units; /* neither ready nor failed */
};

/* Whether there is room for the batch as large as it is now. LIMIT, with all numbers and what to do about it. */
int waiting_check(const struct waiting *waiting, const struct batch *batch, struct error *error);

/* Counts a batch that was committed, with all its units; nothing more may be allocated in its pool. `waiting` must
   outlive the batch. */
void waiting_add(struct waiting *waiting, struct batch *batch);

/* One unit of a counted batch is done; with the last one the batch counts no more. */
void waiting_unit_done(struct batch *batch);

#endif
