/*
 * Log lines: formatted on the stack, sent with one write(2), so that lines of several processes do not mix.
 *
 * Everything that needs the environment or a system call other than write happens in log_open: a confined process logs
 * as freely as any other. Control characters never reach the terminal, whoever forgot to escape them.
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_TAG "log"

#define LINE_BYTES     2048
#define TAG_BYTES      24
#define TAG_LEVELS_MAX 16

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const trace_names[TRACE_COUNT] = {"proto", "channel", "link"};

struct tag_level {
    char tag[TAG_BYTES];
    enum log_level level;
};

static struct {
    const char *role; /* borrowed from log_open's caller */
    int pid;
    enum log_level level;
    bool traces[TRACE_COUNT];
    struct tag_level tags[TAG_LEVELS_MAX];
    size_t tag_count;
} state = {.role = "jitd", .level = LOG_WARN};

/* The index of a word of `length` bytes among `names`, or -1. */
static int find_word(const char *const *names, size_t count, const char *word, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
            return (int)i;
    return -1;
}

/* "debug" or "link=debug". */
static bool parse_level(const char *word, size_t length)
{
    const char *equals = memchr(word, '=', length);
    const char *name = equals ? equals + 1 : word;
    int level =
        find_word(level_names, sizeof level_names / sizeof level_names[0], name, length - (size_t)(name - word));
    if (level < 0)
        return false;
    if (!equals) {
        state.level = (enum log_level)level;
        return true;
    }
    size_t tag_length = (size_t)(equals - word);
    if (tag_length >= TAG_BYTES || state.tag_count == TAG_LEVELS_MAX)
        return false;
    struct tag_level *entry = &state.tags[state.tag_count++];
    *entry = (struct tag_level){.level = (enum log_level)level};
    memcpy(entry->tag, word, tag_length);
    return true;
}

static bool parse_trace(const char *word, size_t length)
{
    int trace = find_word(trace_names, TRACE_COUNT, word, length);
    if (trace < 0)
        return false;
    state.traces[trace] = true;
    return true;
}

static void parse_list(const char *variable, bool (*parse)(const char *word, size_t length))
{
    const char *at = getenv(variable);
    while (at && *at) {
        size_t length = strcspn(at, ",");
        if (length && !parse(at, length)) {
            char word[64];
            log_warn("%s: '%s' is not understood and ignored", variable, log_escape(word, sizeof word, at, length));
        }
        at += length + (at[length] == ',');
    }
}

void log_open(const char *role)
{
    int saved = errno;
    state.role = role;
    state.pid = (int)getpid();
    state.level = LOG_WARN;
    state.tag_count = 0;
    memset(state.traces, 0, sizeof state.traces);
    parse_list("JITD_LOG", parse_level);
    parse_list("JITD_TRACE", parse_trace);
    errno = saved;
}

bool log_enabled(enum log_level level, const char *tag)
{
    enum log_level limit = state.level;
    for (size_t i = 0; i < state.tag_count; i++)
        if (strcmp(state.tags[i].tag, tag) == 0)
            limit = state.tags[i].level;
    return level <= limit;
}

bool log_tracing(enum log_trace trace)
{
    return state.traces[trace];
}

static void write_line(const char *tag, const char *format, va_list arguments)
{
    int saved = errno;
    char line[LINE_BYTES];
    const size_t room = sizeof line - 1; /* the last byte is the newline's */
    int prefix = snprintf(line, room, "[%s %d] %s: ", state.role, state.pid, tag);
    size_t length = prefix < 0 ? 0 : (size_t)prefix < room ? (size_t)prefix : room - 1;
    int text = vsnprintf(line + length, room - length, format, arguments);
    if (text > 0)
        length += (size_t)text < room - length ? (size_t)text : room - length - 1;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length); /* there is nobody to tell */
    (void)ignored;
    errno = saved;
}

void log_line(enum log_level level, const char *tag, const char *format, ...)
{
    if (!log_enabled(level, tag))
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(tag, format, arguments);
    va_end(arguments);
}

void log_trace_line(enum log_trace trace, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(trace_names[trace], format, arguments);
    va_end(arguments);
}

const char *log_escape(char *out, size_t size, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    size_t used = 0, cut = 0; /* cut: where "..." still fits */
    for (size_t i = 0; i < length && size; i++) {
        bool printable = in[i] >= 0x20 && in[i] < 0x7f;
        size_t need = printable ? 1 : 4;
        if (used + 4 <= size)
            cut = used;
        if (used + need >= size) {
            snprintf(out + cut, size - cut, "...");
            return out;
        }
        if (printable)
            out[used] = (char)in[i];
        else
            memcpy(out + used, (char[]){'\\', 'x', digits[in[i] >> 4], digits[in[i] & 15]}, 4);
        used += need;
    }
    if (size)
        out[used] = '\0';
    return out;
}
