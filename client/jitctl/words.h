/*
 * Command lines with response files: each "@FILE" before "--" stands for the words in the file, as with cc and ld.
 */
#ifndef JITCTL_WORDS_H
#define JITCTL_WORDS_H

#include <stddef.h>

struct words {
    char **list; /* owned; NULL-terminated, an argv */
    size_t count;
    char **texts; /* owned; the words that came from files */
    size_t text_count;
};

/* Blanks part words; quotes of both kinds and backslashes keep them. A file may name files. One that cannot be read is
   an ordinary word. Returns 0, or EXIT_JITCTL after having complained of files that name each other without end. End
   with words_free in both cases. */
int words_expand(struct words *words, int argc, char **argv);
void words_free(struct words *words);

#endif
