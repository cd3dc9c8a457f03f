/*
 * Scripts: a list of words, and one function for each command, which reads what its parentheses hold.
 */
#include "client/jitctl/script.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "common/bytes.h"

#if defined(__x86_64__)
static const char script_format[] = "elf64-x86-64";
#elif defined(__aarch64__)
static const char script_format[] = "elf64-littleaarch64";
#endif

#define SCRIPT_WORD_SHOWN 40

/* A parenthesis, or a name; quoted ones may hold anything. Length 0 is the end of the text. */
struct script_word {
    const char *start;
    size_t length;
    bool quoted;
};

struct script_reader {
    struct script *script;
    const char *text, *at, *end;
    struct script_word word; /* the one that was read last */
};

bool script_recognise(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)text[i]) && !isspace((unsigned char)text[i]))
            return false;
    return length > 0;
}

/* The first problem stands. */
static void script_refuse(struct script_reader *reader, const char *what)
{
    struct script *script = reader->script;
    if (script->problem)
        return;
    size_t line = 1;
    for (const char *at = reader->text; at < reader->word.start; at++)
        line += *at == '\n';
    int shown = (int)min_u64(reader->word.length, SCRIPT_WORD_SHOWN);
    script->problem = reader->word.length
                          ? allocate_format("line %zu: '%.*s' %s", line, shown, reader->word.start, what)
                          : allocate_format("line %zu: ends where more is due", line);
}

static void script_skip(struct script_reader *reader)
{
    while (reader->at < reader->end) {
        size_t left = (size_t)(reader->end - reader->at);
        if (left >= 2 && reader->at[0] == '/' && reader->at[1] == '*') {
            const char *close = memmem(reader->at + 2, left - 2, "*/", 2);
            reader->at = close ? close + 2 : reader->end;
        } else if (isspace((unsigned char)*reader->at) || *reader->at == ',' || *reader->at == ';')
            reader->at++;
        else
            break;
    }
}

static bool script_ends_name(char byte)
{
    return isspace((unsigned char)byte) || strchr("(),;\"", byte);
}

static struct script_word script_next(struct script_reader *reader)
{
    script_skip(reader);
    struct script_word word = {.start = reader->at};
    if (reader->at < reader->end && *reader->at == '"') {
        const char *start = reader->at + 1;
        const char *close = memchr(start, '"', (size_t)(reader->end - start));
        word = (struct script_word){start, close ? (size_t)(close - start) : 0, true};
        reader->at = close ? close + 1 : reader->end;
    } else if (reader->at < reader->end && (*reader->at == '(' || *reader->at == ')'))
        word.length = (size_t)(++reader->at - word.start);
    else {
        while (reader->at < reader->end && !script_ends_name(*reader->at))
            reader->at++;
        word.length = (size_t)(reader->at - word.start);
    }
    reader->word = word;
    return word;
}

static bool script_is(struct script_word word, const char *text)
{
    return !word.quoted && word.length == strlen(text) && memcmp(word.start, text, word.length) == 0;
}

static bool script_take(struct script_reader *reader, const char *text)
{
    if (script_is(script_next(reader), text))
        return true;
    script_refuse(reader, "stands where a parenthesis is due");
    return false;
}

/* A name within parentheses; false at their end, and where a name is not due. */
static bool script_take_name(struct script_reader *reader)
{
    struct script_word word = script_next(reader);
    if (script_is(word, ")"))
        return false;
    if (word.length && !script_is(word, "("))
        return true;
    script_refuse(reader, "stands where a name is due");
    return false;
}

static void script_add(struct script_reader *reader, enum script_kind kind)
{
    struct script *script = reader->script;
    struct script_item item = {.kind = kind};
    if (kind != SCRIPT_GROUP_BEGIN && kind != SCRIPT_GROUP_END)
        item.text = allocate_format("%.*s", (int)min_u64(reader->word.length, 4096), reader->word.start);
    script->items = allocate_room(script->items, script->item_count, sizeof *script->items);
    script->items[script->item_count++] = item;
}

/* Whatever is listed, as items of one kind. */
static void script_read_names(struct script_reader *reader, enum script_kind kind)
{
    while (script_take_name(reader))
        script_add(reader, kind);
}

static void script_read_input(struct script_reader *reader)
{
    while (script_take_name(reader)) {
        if (!script_is(reader->word, "AS_NEEDED"))
            script_add(reader, SCRIPT_FILE);
        else if (script_take(reader, "("))
            script_read_names(reader, SCRIPT_AS_NEEDED_FILE);
    }
}

static void script_read_group(struct script_reader *reader)
{
    script_add(reader, SCRIPT_GROUP_BEGIN);
    script_read_input(reader);
    script_add(reader, SCRIPT_GROUP_END);
}

static void script_read_directories(struct script_reader *reader)
{
    script_read_names(reader, SCRIPT_DIRECTORY);
}

static void script_read_extern(struct script_reader *reader)
{
    script_read_names(reader, SCRIPT_EXTERN);
}

/* One format, or three of which the first is that of a linker without -EB or -EL. */
static void script_read_format(struct script_reader *reader)
{
    for (bool first = true; script_take_name(reader); first = false)
        if (first)
            reader->script->foreign = reader->word.length != strlen(script_format) ||
                                      memcmp(reader->word.start, script_format, reader->word.length) != 0;
}

static void script_read_ignored(struct script_reader *reader)
{
    while (script_take_name(reader))
        continue;
}

static const struct {
    const char *name;
    void (*read)(struct script_reader *reader); /* from behind the opening parenthesis to the closing one */
} script_commands[] = {
    {"INPUT", script_read_input},    {"GROUP", script_read_group},          {"SEARCH_DIR", script_read_directories},
    {"EXTERN", script_read_extern},  {"OUTPUT_FORMAT", script_read_format}, {"OUTPUT_ARCH", script_read_ignored},
    {"TARGET", script_read_ignored},
};

static void script_read_command(struct script_reader *reader)
{
    for (size_t i = 0; i < ARRAY_LENGTH(script_commands); i++)
        if (script_is(reader->word, script_commands[i].name)) {
            if (script_take(reader, "("))
                script_commands[i].read(reader);
            return;
        }
    script_refuse(reader, "is none of INPUT, GROUP, AS_NEEDED, EXTERN, SEARCH_DIR and OUTPUT_FORMAT");
}

void script_read(struct script *script, const char *text, size_t length)
{
    *script = (struct script){0};
    struct script_reader reader = {.script = script, .text = text, .at = text, .end = text + length};
    while (!script->problem && script_next(&reader).length)
        script_read_command(&reader);
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->item_count; i++)
        free(script->items[i].text);
    free(script->items);
    free(script->problem);
    *script = (struct script){0};
}
