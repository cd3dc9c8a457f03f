/*
 * Files in memory, mapped privately.
 */
#ifndef JITCTL_INPUT_FILES_H
#define JITCTL_INPUT_FILES_H

#include "client/jitctl/inputs.h"
#include "common/error.h"

/* Maps a regular file. Errors: NOT_FOUND, with a text that does not name the path. End with input_files_unmap. */
int input_files_map(const char *path, struct input_file *file, struct error *error);
void input_files_unmap(struct input_file *file);

/* The same for a file that is kept with the inputs, of which `file` is a copy. */
int input_files_open(struct inputs *inputs, const char *path, struct input_file *file, struct error *error);
void input_files_free(struct inputs *inputs);

#endif
