/*
 * A process that reads what objects say of themselves: lines out of debug information, and mangled names.
 *
 * Both are hostile and read by libraries of other people's. A reader that crashes, or uses up its time or memory, is
 * gone and its questions stay without an answer; nothing else happens. It has no descriptor but its end of a socket,
 * and what it answers is bounded and believed no more than the object.
 */
#ifndef JITCTL_LINE_READER_H
#define JITCTL_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_READER_TEXT 4096 /* longer texts are cut */

struct line_place {
    char function[LINE_READER_TEXT];  /* "" for the function that has a symbol */
    char demangled[LINE_READER_TEXT]; /* the same name as its source has it; "" where it is not mangled */
    char file[LINE_READER_TEXT];      /* "": not known */
    int line;
};

struct line_reader; /* one process */

/* Reads one object; NULL: only names. The bytes must stay until then. NULL: there is no process. */
struct line_reader *line_reader_open(const void *bytes, size_t length);
void line_reader_close(struct line_reader *reader); /* NULL is allowed */

/* Where a byte of the object comes from, as source_lines_find has it. Waits for at most `patience_ms`. Gives how many
   places there are; 0 where nothing is known. */
size_t line_reader_find(struct line_reader *reader, uint32_t section, uint64_t offset, int patience_ms,
                        struct line_place *places, size_t most);

/* Why there may be more to know than the last answer had, or "". Owned by the reader. */
const char *line_reader_problem(const struct line_reader *reader);

/* False where the name is not a mangled one, or the reader has gone. */
bool line_reader_demangle(struct line_reader *reader, const char *name, int patience_ms, char out[LINE_READER_TEXT]);

bool line_reader_lives(const struct line_reader *reader);

#endif
