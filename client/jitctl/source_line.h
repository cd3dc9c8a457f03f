/*
 * File and line of a place in a relocatable object, from the object's own DWARF, with the functions that were inlined
 * there.
 */
#ifndef JITCTL_SOURCE_LINE_H
#define JITCTL_SOURCE_LINE_H

#include <stddef.h>
#include <stdint.h>

/* Functions inlined in one another at one place, and the one that has a symbol; the compilers stay far below. */
#define SOURCE_FRAMES 64

struct source_frame {
    const char *function; /* as the linker would know it; "" for the one with the symbol, and where nothing is said */
    const char *file;     /* NULL: not known */
    int line;
};

struct source_lines; /* one object's debug information */

/* NULL: out of memory. The bytes are copied. Free it with source_lines_close; NULL is allowed. */
struct source_lines *source_lines_open(const void *bytes, size_t length);
void source_lines_close(struct source_lines *lines);

/* Where the byte at `offset` of the section comes from, the innermost function first: what was inlined, then the
   function that has a symbol, each with the line that it had come to. Gives how many; 0 where the object says nothing
   of it. Strings are owned by `lines`. */
size_t source_lines_find(struct source_lines *lines, uint32_t section, uint64_t offset,
                         struct source_frame frames[SOURCE_FRAMES]);

/* Why source_lines_find may have said less than there is to say, as the end of a sentence about the object, or "". */
const char *source_lines_problem(const struct source_lines *lines);

#endif
