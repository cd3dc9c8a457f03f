/*
 * The members of an archive, one after the other, as System V, GNU and BSD write their headers.
 *
 * A thin archive has the headers alone. Its table of names holds paths, and a name of "path:position" stands for a
 * member of another archive.
 */
#ifndef JITCTL_ARCHIVE_ENTRIES_H
#define JITCTL_ARCHIVE_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/jitctl/archive_index.h"
#include "common/error.h"

struct archive_entries {
    const uint8_t *bytes; /* borrowed */
    size_t length;
    bool thin;
    uint64_t next;
    const char *names; /* the table of long names, as soon as it has been met */
    size_t names_length;
    struct archive_index index; /* likewise */
};

struct archive_entry {
    uint64_t position; /* of its header */
    char *name;        /* owned by the caller */
    uint64_t start, length;
    uint64_t nested; /* position in the archive of that name; 0 for none */
    bool elsewhere;  /* a thin archive's: its bytes are not here */
};

/* The bytes begin as an archive does. */
void archive_entries_begin(struct archive_entries *entries, const void *bytes, size_t length, bool thin);

/* The next member; at the end one without a name. ERROR_OBJECT_FORMAT or ERROR_OBJECT_TRUNCATED. */
int archive_entries_next(struct archive_entries *entries, struct archive_entry *entry, struct error *error);

#endif
