/*
 * Between the files that gather inputs: what is known while the command line is gone through.
 *
 * What may add more when it is looked at again, an archive or a library that is not needed so far, is a candidate.
 * Outside of groups a candidate is forgotten at once; at a group's end its candidates are gone through until that adds
 * nothing.
 */
#ifndef JITCTL_GATHERING_H
#define JITCTL_GATHERING_H

#include <stdbool.h>
#include <stddef.h>

#include "client/jitctl/archive.h"
#include "client/jitctl/inputs.h"
#include "client/jitctl/options.h"
#include "client/jitctl/selection.h"

struct candidate {
    char *path;              /* owned */
    struct archive *archive; /* owned; NULL: a shared library */
    struct input_file file;
};

struct gathering {
    struct inputs *inputs;
    const struct options *options;
    struct selection selection;
    const char *archive_path;     /* of the archive being searched */
    struct candidate *candidates; /* owned */
    size_t candidate_count;
    unsigned group_depth;
    char **directories; /* owned; of SEARCH_DIR */
    size_t directory_count;
    char *unsuitable; /* owned; a file that a search has passed over */
    unsigned script_depth;
    int status;
};

/* Opens a file, whatever it is, and complains of what cannot be used. */
void gathering_take_file(struct gathering *gathering, const char *path, struct operand_manner manner);

/* What follows -l. */
void gathering_take_library(struct gathering *gathering, const char *name, struct operand_manner manner);

void gathering_take_archive(struct gathering *gathering, const char *path, const struct input_file *file,
                            struct operand_manner manner);
void gathering_take_shared(struct gathering *gathering, const char *path, const struct input_file *file,
                           struct operand_manner manner);
void gathering_take_script(struct gathering *gathering, const char *path, const struct input_file *file,
                           struct operand_manner manner);

/* Whether the path is of a library that is part of every runner. */
bool gathering_is_resident(const char *path);

/* Ends the group whose candidates begin with this one. */
void gathering_end_group(struct gathering *gathering, size_t first);
void gathering_forget_candidates(struct gathering *gathering);

/* Takes the name over. */
void gathering_add_object(struct inputs *inputs, char *name, const void *bytes, size_t length);

#endif
