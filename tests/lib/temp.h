/*
 * A temporary directory for one test, under $TMPDIR or /tmp.
 */
#ifndef TESTS_LIB_TEMP_H
#define TESTS_LIB_TEMP_H

#include <stddef.h>

struct temp {
    char path[256];
};

/* Makes an empty directory of mode 0700; the test fails where that cannot be done. */
struct temp temp_make(void);

/* Writes DIRECTORY/name into `out` (at least 512 bytes) and returns it. */
const char *temp_path(const struct temp *temp, const char *name, char out[512]);

/* Removes the directory and all in it. */
void temp_remove(struct temp *temp);

#endif
