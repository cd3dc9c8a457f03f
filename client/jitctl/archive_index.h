/*
 * The index of an archive, which says which member defines which symbol: as System V's and GNU's ar write it, and as
 * BSD's and Darwin's do.
 */
#ifndef JITCTL_ARCHIVE_INDEX_H
#define JITCTL_ARCHIVE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive_index {
    const struct archive_index_format *format; /* NULL: there is none */
    const uint8_t *bytes;                      /* borrowed */
    size_t length;
};

/* Whether a member of this name is an index; it is then what `index` reads. */
bool archive_index_recognise(const char *name, const uint8_t *bytes, size_t length, struct archive_index *index);

/* Calls `visit` for each entry, with the position of a member's header; neither need be true of the archive. Returns
   false if the index is malformed; what lies before the fault has been visited. */
typedef void archive_index_visitor(const char *symbol, uint64_t position, void *data);
bool archive_index_read(const struct archive_index *index, archive_index_visitor *visit, void *data);

#endif
