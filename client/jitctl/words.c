/*
 * The rules are libiberty's, which cc and ld share: a backslash keeps the next byte, within quotes too; there is no
 * other escape and no comment.
 */
#include "client/jitctl/words.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/complain.h"

/* Files within files. libiberty gives up after 2000 files. */
#define WORDS_DEPTH 32
#define WORDS_FILES 2000

struct words_reading {
    struct words *words;
    unsigned depth, files;
    bool ended; /* "--" has come: what follows is the program's */
};

static int words_take(struct words_reading *reading, char *word);

static void words_add(struct words *words, char *word)
{
    words->list = allocate_room(words->list, words->count, sizeof *words->list);
    words->list[words->count++] = word;
}

/* NULL where there is none. The caller frees it. */
static char *words_read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = NULL;
    size_t bytes = 0;
    ssize_t length = getdelim(&text, &bytes, '\0', file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (length >= 0 && !failed)
        return text;
    free(text);
    return failed ? NULL : allocate_format("%s", "");
}

/* Unquotes the next word of `*at` into `word`, which has room for all of the text. False at the end. */
static bool words_next(const char **at, char *word)
{
    while (isspace((unsigned char)**at))
        ++*at;
    if (**at == '\0')
        return false;
    char quote = '\0';
    for (; **at && (quote || !isspace((unsigned char)**at)); ++*at) {
        if (**at == '\\' && (*at)[1])
            *word++ = *++*at;
        else if (quote ? **at == quote : **at == '\'' || **at == '"')
            quote = quote ? '\0' : **at;
        else
            *word++ = **at;
    }
    *word = '\0';
    return true;
}

static int words_take_text(struct words_reading *reading, const char *text)
{
    struct words *words = reading->words;
    char *room = allocate_zeroed(strlen(text) + 1);
    int code = 0;
    while (!code && words_next(&text, room)) {
        char *word = allocate_format("%s", room);
        words->texts = allocate_room(words->texts, words->text_count, sizeof *words->texts);
        words->texts[words->text_count++] = word;
        code = words_take(reading, word);
    }
    free(room);
    return code;
}

static int words_take(struct words_reading *reading, char *word)
{
    reading->ended = reading->ended || strcmp(word, "--") == 0;
    char *text = *word == '@' && !reading->ended ? words_read_file(word + 1) : NULL;
    if (!text) {
        words_add(reading->words, word);
        return 0;
    }
    int code = reading->depth == WORDS_DEPTH || reading->files == WORDS_FILES
                   ? complain("%s: response files name each other without end", word)
                   : 0;
    reading->depth++;
    reading->files++;
    if (!code)
        code = words_take_text(reading, text);
    reading->depth--;
    free(text);
    return code;
}

int words_expand(struct words *words, int argc, char **argv)
{
    *words = (struct words){0};
    struct words_reading reading = {.words = words};
    for (int i = 0; i < argc; i++) {
        int code = words_take(&reading, argv[i]);
        if (code)
            return code;
    }
    if (words->count >= INT_MAX)
        return complain("too many words");
    words_add(words, NULL);
    words->count--;
    return 0;
}

void words_free(struct words *words)
{
    for (size_t i = 0; i < words->text_count; i++)
        free(words->texts[i]);
    free(words->texts);
    free(words->list);
    *words = (struct words){0};
}
