/*
 * From the command line's files to what is submitted: objects in link order, and shared libraries.
 */
#ifndef JITCTL_INPUTS_H
#define JITCTL_INPUTS_H

#include <stddef.h>

#include "client/jitctl/options.h"

struct input_object {
    char *name;        /* owned; "a.o", or "libfoo.a(member.o)" */
    const void *bytes; /* borrowed from a file of the inputs */
    size_t length;
};

struct input_file; /* a file in memory */

struct inputs {
    struct input_object *objects; /* owned; in link order */
    size_t object_count;
    char **libraries; /* owned; absolute paths of shared objects; NULL-terminated */
    size_t library_count;
    struct input_file *files; /* owned */
    size_t file_count;
};

/* Opens every operand, searches archives and, last, what the toolchain adds silently. Every file that cannot be used is
   complained of. Returns 0, or EXIT_JITCTL if there was one. End with inputs_free in both cases. */
int inputs_gather(struct inputs *inputs, const struct options *options);
void inputs_free(struct inputs *inputs);

#endif
