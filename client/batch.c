/*
 * Putting a batch together (batch.h). Adding copies names and borrows bytes; one allocation grows at a time, so a batch
 * of one unit costs little and one of 65,536 is not slow.
 */
#include "client/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/jitd.h"
#include "client/manifest.h"
#include "common/descriptor.h"
#include "proto/limits.h"

/* From about 100 KiB up a memfd is faster than two copies through a socket; a little above it is so for certain. */
#define BATCH_SHARE_BYTES KIB(256)

#define BATCH_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct jitd_batch *jitd_batch_new(unsigned flags)
{
    struct jitd_batch *batch = calloc(1, sizeof *batch);
    if (batch)
        batch->flags = flags;
    return batch;
}

void jitd_batch_set_deadline(struct jitd_batch *batch, uint32_t milliseconds)
{
    if (batch)
        batch->deadline_ms = milliseconds;
}

void jitd_batch_free(struct jitd_batch *batch)
{
    if (!batch)
        return;
    for (size_t i = 0; i < batch->descriptor_count; i++)
        descriptor_close(&batch->descriptors[i]);
    free(batch->descriptors);
    free(batch->names);
    free(batch->objects);
    free(batch);
}

/* Makes room for `needed` elements, doubling; the caller has checked `needed` against a cap. */
static bool batch_reserve(void **array, size_t *room, size_t needed, size_t size)
{
    if (needed <= *room)
        return true;
    size_t larger = *room ? *room * 2 : 4;
    if (larger < needed)
        larger = needed;
    void *moved = realloc(*array, larger * size);
    if (!moved)
        return false;
    *array = moved;
    *room = larger;
    return true;
}

static int batch_append(struct jitd_batch *batch, const char *name, struct batch_object object)
{
    if (!name)
        return JITD_ERROR_INVALID;
    object.name = batch->name_bytes;
    object.name_length = strlen(name);
    if (object.name_length > LIMIT_UNIT_NAME_BYTES || batch->name_bytes + object.name_length > LIMIT_MESSAGE_BYTES ||
        batch->count == LIMIT_UNITS_PER_BATCH)
        return JITD_ERROR_LIMIT;
    void *objects = batch->objects;
    if (!batch_reserve(&objects, &batch->room, batch->count + 1, sizeof object))
        return JITD_ERROR_NO_MEMORY;
    batch->objects = objects;
    void *names = batch->names;
    if (!batch_reserve(&names, &batch->name_room, batch->name_bytes + object.name_length, 1))
        return JITD_ERROR_NO_MEMORY;
    batch->names = names;
    if (object.name_length != 0)
        memcpy(batch->names + object.name, name, object.name_length);
    batch->name_bytes += object.name_length;
    batch->objects[batch->count++] = object;
    return 0;
}

int jitd_batch_add(struct jitd_batch *batch, const char *name, const void *object, size_t bytes)
{
    if (!batch || !object)
        return JITD_ERROR_INVALID;
    if (bytes > LIMIT_OBJECT_BYTES)
        return JITD_ERROR_LIMIT;
    return batch_append(batch, name, (struct batch_object){.bytes = object, .length = bytes, .descriptor = -1});
}

int jitd_batch_add_unit(struct jitd_batch *batch, const struct jitd_unit_input *input)
{
    if (!batch || !input)
        return JITD_ERROR_INVALID;
    const struct jitd_manifest *manifest = input->manifest;
    if (!input->object && (input->bytes != 0 || !manifest))
        return JITD_ERROR_INVALID;
    if (input->bytes > LIMIT_OBJECT_BYTES || input->library >= LIMIT_LIBRARY_NUMBERS)
        return JITD_ERROR_LIMIT;
    int code = manifest ? manifest_check(manifest, input->object != NULL) : 0;
    if (code != 0)
        return code;
    size_t entries = batch->manifest_entries + (manifest ? manifest_entries(manifest) : 0);
    if (entries > MANIFEST_MOST_ENTRIES)
        return JITD_ERROR_LIMIT;
    code = batch_append(batch, input->name,
                        (struct batch_object){.bytes = input->object,
                                              .length = input->bytes,
                                              .descriptor = -1,
                                              .library = input->library,
                                              .tag = input->tag,
                                              .manifest = manifest});
    if (code == 0)
        batch->manifest_entries = entries;
    return code;
}

/* Takes the descriptor over, also on failure. Returns its index or -1 when out of memory. */
static int batch_keep_descriptor(struct jitd_batch *batch, int fd)
{
    if (!batch->descriptors)
        batch->descriptors = calloc(LIMIT_FRAME_DESCRIPTORS, sizeof *batch->descriptors);
    if (!batch->descriptors) {
        descriptor_close(&fd);
        return -1;
    }
    batch->descriptors[batch->descriptor_count] = fd;
    return (int)batch->descriptor_count++;
}

int jitd_batch_add_memfd(struct jitd_batch *batch, const char *name, int memfd)
{
    if (!batch)
        return JITD_ERROR_INVALID;
    if (batch->descriptor_count == LIMIT_FRAME_DESCRIPTORS)
        return JITD_ERROR_LIMIT;
    int copy = fcntl(memfd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return errno == EBADF ? JITD_ERROR_INVALID : JITD_ERROR_SYSTEM;
    int index = batch_keep_descriptor(batch, copy);
    if (index < 0)
        return JITD_ERROR_NO_MEMORY;
    int code = batch_append(batch, name, (struct batch_object){.descriptor = index});
    if (code != 0)
        descriptor_close(&batch->descriptors[--batch->descriptor_count]);
    return code;
}

static bool batch_write_all(int fd, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t written = write(fd, (const char *)bytes + done, length - done);
        if (written < 0 && errno != EINTR)
            return false;
        done += written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* A sealed memfd that holds a copy, or -1. */
static int batch_seal_copy(const struct batch_object *object)
{
    int fd;
    if (descriptor_create_memfd("jitd-object", object->length, &fd, NULL) != 0)
        return -1;
    if (!batch_write_all(fd, object->bytes, object->length) || fcntl(fd, F_ADD_SEALS, BATCH_SEALS) != 0)
        descriptor_close(&fd);
    return fd;
}

void batch_share(struct jitd_batch *batch)
{
    for (size_t i = 0; i < batch->count && batch->descriptor_count < LIMIT_FRAME_DESCRIPTORS; i++) {
        struct batch_object *object = &batch->objects[i];
        if (!object->bytes || object->length < BATCH_SHARE_BYTES)
            continue;
        int fd = batch_seal_copy(object);
        if (fd < 0)
            return;
        object->descriptor = batch_keep_descriptor(batch, fd);
        if (object->descriptor < 0)
            return;
        object->bytes = NULL;
    }
}
