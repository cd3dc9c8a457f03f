/*
 * From the command line's files to what is submitted: objects in link order, and shared libraries.
 */
#ifndef JITCTL_INPUTS_H
#define JITCTL_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/jitctl/options.h"

struct input_object {
    char *name;        /* owned; "a.o", or "libfoo.a(member.o)" */
    const void *bytes; /* borrowed from a file of the inputs */
    size_t length;
};

struct input_file {
    void *bytes; /* owned mapping; NULL for an empty file */
    size_t length;
};

struct inputs {
    struct input_object *objects; /* owned; in link order */
    size_t object_count;
    char **libraries; /* owned; absolute paths of shared objects; NULL-terminated */
    size_t library_count;
    struct input_file *files; /* owned; mapped until the end: reports read their line tables */
    size_t file_count;
    char **unsearched; /* owned; members of archives that may define anything: their code is for a compiler */
    size_t unsearched_count;
};

/* Opens every operand, searches archives and, last, what the toolchain adds silently. Of a `program`, main is missing
   unless something defines it. Every file that cannot be used is complained of. Returns 0, or EXIT_JITCTL if there was
   one. End with inputs_free in both cases. */
int inputs_gather(struct inputs *inputs, const struct options *options, bool program);
void inputs_free(struct inputs *inputs);

/* Complains of members of archives where what is missing may be. */
void inputs_complain_unsearched(const struct inputs *inputs);

#endif
