/*
 * Which members of archives belong to a program: ld's rule.
 *
 * Files are taken in the order of the command line. An object is always included. A member of an archive is included
 * if it defines a symbol that what is included so far leaves undefined other than weakly; or has as common, if the
 * member defines it as initialised data. The archive is searched again until that adds nothing. What an earlier object,
 * member or shared library defines pulls nothing any more, and no later file reopens an archive.
 */
#ifndef JITCTL_SELECTION_H
#define JITCTL_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "client/jitctl/archive.h"

struct selection {
    void *symbols; /* owned; a tsearch(3) tree of struct selection_symbol */
};

/* All bytes given to a selection are borrowed until selection_free: it keeps names that lie in them. */
void selection_init(struct selection *selection);
void selection_free(struct selection *selection);

/* Makes `name` undefined unless it is defined: what the program's start refers to. */
void selection_require(struct selection *selection, const char *name);

void selection_add_object(struct selection *selection, const void *bytes, size_t length);
void selection_add_library(struct selection *selection, const void *bytes, size_t length);

/* Searches the archive and calls `include` for each member that comes in, in the order of coming in, marking it
   `included`. Returns how many. */
typedef void selection_include(const struct archive_member *member, void *data);
size_t selection_search_archive(struct selection *selection, struct archive *archive, selection_include *include,
                                void *data);

/* Includes all members that are not in yet. */
void selection_take_archive(struct selection *selection, struct archive *archive, selection_include *include,
                            void *data);

/* Whether the library defines a symbol that is undefined so far, other than weakly: ld's rule for --as-needed. */
bool selection_needs_library(const struct selection *selection, const void *bytes, size_t length);

/* Whether anything has defined the symbol. */
bool selection_defines(const struct selection *selection, const char *name);

#endif
