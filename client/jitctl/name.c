/*
 * Printing names. In DOT a backslash begins an escape in labels and stands for itself in identifiers; doubled it reads
 * as one backslash in the former and stays unambiguous in the latter.
 */
#include "client/jitctl/name.h"

#include <stdbool.h>

/* RFC 3629: shortest form, no surrogates, at most U+10FFFF. */
size_t name_sequence(const unsigned char *at, size_t length)
{
    static const struct {
        unsigned char low, high, second_low, second_high, length;
    } rows[] = {
        {0x20, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (at[0] < rows[i].low || at[0] > rows[i].high)
            continue;
        if (rows[i].length > length)
            return 0;
        if (rows[i].length > 1 && (at[1] < rows[i].second_low || at[1] > rows[i].second_high))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return rows[i].length;
    }
    return 0;
}

/* DEL, and U+0080 to U+009F, which begin commands to some terminals. */
static bool name_is_control(const unsigned char *at, size_t sequence)
{
    return (sequence == 1 && at[0] == 0x7f) || (sequence == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

static void name_print_escaped(FILE *out, const unsigned char *at, size_t length, bool dot)
{
    while (length) {
        size_t sequence = name_sequence(at, length);
        size_t taken = sequence ? sequence : 1;
        if (!sequence || name_is_control(at, sequence))
            for (size_t i = 0; i < taken; i++)
                fprintf(out, dot ? "\\\\x%02x" : "\\x%02x", at[i]);
        else if (dot && (*at == '"' || *at == '\\'))
            fprintf(out, "\\%c", *at);
        else
            fwrite(at, 1, taken, out);
        at += taken;
        length -= taken;
    }
}

void name_print(FILE *out, const void *bytes, size_t length)
{
    name_print_escaped(out, bytes, length, false);
}

void name_print_dot(FILE *out, const void *bytes, size_t length)
{
    name_print_escaped(out, bytes, length, true);
}
