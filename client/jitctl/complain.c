/*
 * Complaints: composed in memory first, so that each reaches standard error in one write and lines of the program,
 * which shares the descriptor, cannot fall into their middle.
 */
#include "client/jitctl/complain.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void complain_put(FILE *out, const char *text)
{
    for (const char *at = text; *at; at++)
        if (iscntrl((unsigned char)*at))
            fprintf(out, "\\x%02x", (unsigned)(unsigned char)*at);
        else
            fputc(*at, out);
}

int complain(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);

    char *line = NULL;
    size_t bytes = 0;
    FILE *out = length < 0 ? NULL : open_memstream(&line, &bytes);
    if (out) {
        fputs("jitctl: ", out);
        complain_put(out, text);
        fputc('\n', out);
        fclose(out);
    }
    fputs(line ? line : "jitctl: out of memory\n", stderr);
    free(line);
    if (length >= 0)
        free(text);
    return EXIT_JITCTL;
}
