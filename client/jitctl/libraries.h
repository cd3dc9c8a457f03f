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

/* Whether -lNAME is part of every runner, so that there is nothing to search. */
bool libraries_is_resident(const char *name);

/* The path of -lNAME: in `directories` first, then in the toolchain's and the system's; in each libNAME.so before
   libNAME.a, or the file FILE for ":FILE". NULL where there is none. The caller frees it. */
char *libraries_find(const char *name, const char *const *directories, size_t directory_count);

/* Linker scripts, as many a libNAME.so is one: calls `add` for each file that GROUP or INPUT names, "-lNAME" included,
   in order, AS_NEEDED ones too. Returns false if the text is no such script. */
typedef void libraries_add_file(const char *file, void *data);
bool libraries_read_script(const char *text, size_t length, libraries_add_file *add, void *data);

#endif
