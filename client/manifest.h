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

/* Bytes that manifest_pack takes, a multiple of 8; of one that passed manifest_check. */
size_t manifest_room(const struct jitd_manifest *manifest);

/* The message, in the room at *room, which must be aligned to 8 and is advanced past it. Names of
   aliases and absolute symbols are borrowed. */
Jitd__Proto__Manifest *manifest_pack(const struct jitd_manifest *manifest, char **room);

#endif
