/*
 * A batch being put together: what jitd_submit packs into one frame.
 */
#ifndef CLIENT_BATCH_H
#define CLIENT_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct batch_object {
    size_t name;        /* offset in the batch's names */
    size_t name_length; /* in bytes */
    const void *bytes;  /* borrowed from the program; NULL where it lies in a memfd, or is none */
    size_t length;
    int descriptor; /* index among the batch's descriptors, or -1 */
    uint32_t library;
    uint64_t tag;
    const struct jitd_manifest *manifest; /* borrowed from the program, checked; or NULL */
};

struct jitd_batch {
    unsigned flags;
    uint32_t deadline_ms;         /* 0: none */
    struct batch_object *objects; /* owned */
    size_t count;
    size_t room;
    char *names; /* owned; one behind the other, without NULs */
    size_t name_bytes;
    size_t name_room;
    size_t manifest_entries; /* of all the manifests */
    int *descriptors;        /* owned, and so is each; LIMIT_FRAME_DESCRIPTORS places once there is one */
    size_t descriptor_count;
};

/* Moves large objects that lie in memory into sealed memfds, as many as a frame can carry. A failure moves no more and
   is no error: what was not moved travels as bytes. */
void batch_share(struct jitd_batch *batch);

#endif
