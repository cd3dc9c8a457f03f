/*
 * libiberty's demanglers, which addr2line, ld and gdb use: their spelling is the one that people know.
 *
 * A name of a hundred bytes can stand for an exabyte of text. The demanglers give their text in pieces, and are left by
 * a jump when there is no more room for it; how deeply they recurse they limit themselves (DEMANGLE_RECURSION_LIMIT).
 */
#include "client/jitctl/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* They take some hundred bytes of stack for each byte of the name. */
#define DEMANGLE_NAME_BYTES 16384

struct demangle_sink {
    char *out;
    size_t size, length;
    jmp_buf full;
};

static void demangle_take(const char *text, size_t length, void *data)
{
    struct demangle_sink *sink = data;
    size_t left = sink->size - 1 - sink->length;
    size_t taken = length < left ? length : left;
    memcpy(sink->out + sink->length, text, taken);
    sink->length += taken;
    if (taken < length)
        longjmp(sink->full, 1);
}

static bool demangle_rust(const char *name, struct demangle_sink *sink)
{
    return rust_demangle_callback(name, DMGL_PARAMS | DMGL_ANSI, demangle_take, sink) != 0;
}

static bool demangle_cxx(const char *name, struct demangle_sink *sink)
{
    return cplus_demangle_v3_callback(name, DMGL_PARAMS | DMGL_ANSI, demangle_take, sink) != 0;
}

static bool demangle_d(const char *name, struct demangle_sink *sink)
{
    char *text = dlang_demangle(name, 0);
    if (text)
        demangle_take(text, strlen(text), sink);
    free(text);
    return text != NULL;
}

/* In this order: the older mangling of Rust is C++'s with a hash behind it. */
static const struct {
    const char *prefix;
    bool (*demangle)(const char *name, struct demangle_sink *sink);
} demangle_rows[] = {{"_R", demangle_rust}, {"_ZN", demangle_rust}, {"_Z", demangle_cxx}, {"_D", demangle_d}};

static bool demangle_row(size_t row, const char *name, struct demangle_sink *sink)
{
    sink->length = 0;
    if (setjmp(sink->full) == 0)
        return demangle_rows[row].demangle(name, sink);
    memcpy(sink->out + sink->size - 4, "...", 3);
    return true;
}

bool demangle(const char *name, char *out, size_t size)
{
    struct demangle_sink sink = {.out = out, .size = size};
    if (strnlen(name, DEMANGLE_NAME_BYTES) == DEMANGLE_NAME_BYTES || size < 4)
        return false;
    for (size_t i = 0; i < sizeof demangle_rows / sizeof demangle_rows[0]; i++) {
        const char *prefix = demangle_rows[i].prefix;
        if (strncmp(name, prefix, strlen(prefix)) != 0 || !demangle_row(i, name, &sink))
            continue;
        out[sink.length] = '\0';
        return sink.length > 0;
    }
    return false;
}
