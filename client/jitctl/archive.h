/*
 * An ar(5) archive: its members, and which member defines which symbol.
 *
 * What a member defines is read from the member itself, so that an archive needs no index and an index that is out of
 * date harms nobody. Only of a member that cannot be read, or is no object, the index is asked what it would define: so
 * that it is taken where it is needed, and whoever takes it says what is wrong with it.
 *
 * The bytes of the archive and of the files that it names are borrowed and must outlive it.
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
    char *problem; /* owned; NULL, or why it cannot be read: it has no bytes then */
    bool included; /* for the use of selection.c */
    bool known;    /* its symbols have been read */
};

struct archive_symbol {
    const char *name; /* borrowed from the archive's bytes or the member's */
    size_t member;    /* index */
};

struct archive {
    char *path;           /* owned */
    const uint8_t *bytes; /* borrowed */
    size_t length;
    struct archive_member *members; /* owned; in the archive's order, without index and table of names */
    size_t member_count;
    struct archive_symbol *symbols; /* owned; in the order of their members */
    size_t symbol_count;
    struct archive **nested; /* owned; the archives whose members a thin one has */
    size_t nested_count;
    char *problem; /* owned; of a nested archive: why it cannot be used, or NULL */
    bool thin;
    bool indexed;
};

/* Where the files come from that a thin archive names. `open` returns 0 and bytes that outlive the archive, or sets the
   error. */
struct archive_files {
    int (*open)(void *data, const char *path, const void **bytes, size_t *length, struct error *error);
    void *data;
};

/* Whether the bytes begin as an archive does, ordinary or thin. */
bool archive_recognise(const void *bytes, size_t length);

/* The first member of an ordinary archive; NULL where there is none, or the archive is broken or thin. */
const void *archive_first_member(const void *bytes, size_t length, size_t *member_length);

/* `path` is the archive's own, from whose directory a thin one names its files. ERROR_OBJECT_FORMAT or
   ERROR_OBJECT_TRUNCATED for a broken archive; ERROR_NOT_FOUND for a thin one that has no index and names a file that
   cannot be read.
   On failure nothing is left to close; otherwise end with archive_close. */
int archive_open(struct archive *archive, const char *path, const void *bytes, size_t length,
                 const struct archive_files *files, struct error *error);
void archive_close(struct archive *archive);

#endif
