/*
 * Texts of errors: cut to their fields, never overrun, formatted without memory of their own.
 *
 * A text is first put together beside the struct, so that an argument may point into the error that is being set.
 */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

struct code_row {
    int code;
    const char *name;
    const char *text;
};

static const struct code_row code_rows[] = {
#define ERROR_CODE_ROW(name, number, text) {(number), #name, text},
    ERROR_CODES(ERROR_CODE_ROW)
#undef ERROR_CODE_ROW
};

static const struct code_row *find_code(int code)
{
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++)
        if (code_rows[i].code == code)
            return &code_rows[i];
    return NULL;
}

const char *error_code_name(int code)
{
    const struct code_row *row = find_code(code);
    return row ? row->name : "UNKNOWN";
}

const char *error_code_text(int code)
{
    const struct code_row *row = find_code(code);
    return row ? row->text : "unknown error";
}

/* Appends to a NUL-terminated text in a field of `size` bytes what fits. */
static void append(char *text, size_t size, const char *more)
{
    size_t used = strlen(text);
    size_t length = strnlen(more, size - 1 - used);
    memcpy(text + used, more, length);
    text[used + length] = '\0';
}

static void store(struct error *error, int code, int os, const char *text)
{
    *error = (struct error){.code = code, .os = os};
    append(error->text, sizeof error->text, text);
}

int error_set(struct error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    char text[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    store(error, code, 0, text);
    return code;
}

int error_system(struct error *error, const char *format, ...)
{
    int os = errno;
    if (!error)
        return ERROR_SYSTEM;
    char text[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* strerror might look for a translation in the file system, which a confined process may not. */
    const char *description = strerrordesc_np(os);
    append(text, sizeof text, ": ");
    append(text, sizeof text, description ? description : "unknown errno");
    store(error, ERROR_SYSTEM, os, text);
    errno = os;
    return ERROR_SYSTEM;
}

int error_prefix(struct error *error, const char *format, ...)
{
    if (!error)
        return ERROR_INVALID;
    char text[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(text, sizeof text, ": ");
    append(text, sizeof text, error->text);
    memcpy(error->text, text, sizeof text);
    return error->code;
}

static void set_name(char *field, size_t size, const char *name)
{
    log_escape(field, size, name ? name : "", name ? strlen(name) : 0);
}

void error_set_unit(struct error *error, const char *unit)
{
    if (error)
        set_name(error->unit, sizeof error->unit, unit);
}

void error_set_section(struct error *error, const char *section, uint64_t offset)
{
    if (!error)
        return;
    set_name(error->section, sizeof error->section, section);
    error->offset = offset;
}

void error_set_symbol(struct error *error, const char *symbol)
{
    if (error)
        set_name(error->symbol, sizeof error->symbol, symbol);
}

void error_set_relocation(struct error *error, const char *relocation)
{
    if (error)
        set_name(error->relocation, sizeof error->relocation, relocation);
}
