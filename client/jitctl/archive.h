/*
 * An ar(5) archive in memory: its members, and which member defines which symbol.
 *
 * Everything points into the archive's bytes, which are borrowed and must outlive it. The symbol index is the
 * archive's own (`ar s`); for one without it, it is built from the members' symbol tables.
 */
#ifndef JITCTL_ARCHIVE_H
#define JITCTL_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct archive_member {
    char *name;        /* owned; "sqlite3.o" */
    uint64_t position; /* of its header in the archive */
    const void *bytes; /* borrowed */
    size_t length;
    bool included; /* for the use of selection.c */
};

struct archive_symbol {
    const char *name; /* owned by `elf`, or borrowed from the archive's bytes */
    size_t member;    /* index */
};

struct archive {
    struct archive_member *members; /* owned; in the archive's order, without the index and the table of names */
    size_t member_count;
    struct archive_symbol *symbols; /* owned; in the index's order */
    size_t symbol_count;
    void *elf;          /* owned; libelf's view, which holds the names of the index */
    bool index_missing; /* the index was built here */
};

/* Whether the bytes begin as an archive does, ordinary or thin. */
bool archive_recognise(const void *bytes, size_t length);

/* ERROR_UNSUPPORTED for a thin archive, ERROR_OBJECT_FORMAT or ERROR_OBJECT_TRUNCATED for a broken one. On failure
 * nothing is left to close; otherwise end with archive_close. */
int archive_open(struct archive *archive, const void *bytes, size_t length, struct error *error);
void archive_close(struct archive *archive);

#endif
