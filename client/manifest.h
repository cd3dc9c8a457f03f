/*
 * A manifest on its way to the daemon: checked when its unit is added, packed when its batch is submitted.
 */
#ifndef CLIENT_MANIFEST_H
#define CLIENT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "client/jitd.h"
#include "proto/limits.h"
#include "proto/message.h"

/* More entries fit into no message: each has a tag, a length and a byte of a name. */
#define MANIFEST_MOST_ENTRIES (LIMIT_MESSAGE_BYTES / 3)

/* `with_object`: of a unit that has one. INVALID: a name is missing, or is a local one where there is no object, a list
   is NULL that has entries, a flag is not known. LIMIT: a name is too long, a library's number too large, or there are
   more entries than any message holds. 0 else. */
int manifest_check(const struct jitd_manifest *manifest, bool with_object);

/* How many entries it has; of one that passed manifest_check. */
size_t manifest_entries(const struct jitd_manifest *manifest);

/* What the manifests of a submission take altogether; zero-initialised is none. */
struct manifest_measure {
    size_t units;             /* of the submission, with a manifest or without; set by the caller */
    size_t definitions, uses; /* entries */
    size_t name_bytes;
    size_t message_bytes; /* of messages that units have besides */
};

/* Adds one, that passed manifest_check. */
void manifest_measure(const struct jitd_manifest *manifest, struct manifest_measure *measure);

/* Bytes of room for columns and messages, a multiple of 8. */
size_t manifest_room(const struct manifest_measure *measure);

/* The submission's entries, and how many of them there are so far. */
struct manifest_columns {
    Jitd__Proto__Entries entries;
    size_t definitions, uses;
};

/* Columns that are empty, in the room at *room, which must be aligned to 8 and is advanced past them. */
void manifest_open_columns(const struct manifest_measure *measure, struct manifest_columns *columns, char **room);

/* Adds to the columns the entries of the unit that is number `number` of the submission, each after those before it.
   Names of aliases and absolute symbols are borrowed. */
void manifest_pack(const struct jitd_manifest *manifest, size_t number, struct manifest_columns *columns,
                   Jitd__Proto__Unit *unit, char **room);

#endif
