/*
 * Where libraries lie: the search that `cc -lNAME` makes.
 */
#ifndef JITCTL_LIBRARIES_H
#define JITCTL_LIBRARIES_H

#include <stdbool.h>
#include <stddef.h>

/* What `cc` adds without being asked, to be searched after everything else; NULL-terminated. Either may be missing on
   a machine without a compiler. */
extern const char *const libraries_silent[];

/* Whether -lNAME is part of every runner. */
bool libraries_is_resident(const char *name);

struct libraries_search {
    const char *const *directories; /* in order, before the toolchain's and the system's */
    size_t directory_count;
    const char *const *last; /* after those; of SEARCH_DIR in linker scripts */
    size_t last_count;
    bool archives_only;
    /* Whether this file is for the machine that jitd links for; ld passes over others. */
    bool (*suits)(void *data, const char *path);
    void *data;
};

/* The path of -lNAME: in each directory libNAME.so before libNAME.a, or the file FILE for ":FILE". NULL where there is
   none. The caller frees it. */
char *libraries_find(const char *name, const struct libraries_search *search);

#endif
