/*
 * Places in submitted objects as people know them: "demo/crash.c:14".
 *
 * A report names many places in few objects: the last object's line tables are kept.
 */
#ifndef JITCTL_PLACES_H
#define JITCTL_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "client/jitctl/inputs.h"
#include "client/jitctl/source_line.h"

struct places {
    const struct inputs *inputs;       /* borrowed; NULL: nothing is known */
    const struct input_object *object; /* whose tables `lines` are */
    struct source_lines *lines;        /* owned */
    char *directory;                   /* owned; the current one, cut off paths that begin with it */
};

void places_init(struct places *places, const struct inputs *inputs);
void places_fini(struct places *places);

/* *file is valid until the next call. */
bool places_find(struct places *places, const char *unit, const char *section, uint64_t offset, const char **file,
                 int *line);

#endif
