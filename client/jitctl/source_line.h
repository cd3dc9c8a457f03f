/*
 * File and line of a place in a relocatable object, from the object's own DWARF.
 */
#ifndef JITCTL_SOURCE_LINE_H
#define JITCTL_SOURCE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source_lines; /* one object's line tables */

/* NULL where libdw cannot read the object. The bytes are copied. Free it with source_lines_close; NULL is allowed. */
struct source_lines *source_lines_open(const char *name, const void *bytes, size_t length);
void source_lines_close(struct source_lines *lines);

/* Finds the line of the byte at `offset` of the first section of that name that is long enough. False where the object
   says nothing of it. *file is owned by `lines`. */
bool source_lines_find(struct source_lines *lines, const char *section, uint64_t offset, const char **file, int *line);

#endif
