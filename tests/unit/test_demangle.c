/*
 * Mangled names, by hand and hostile.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "client/jitctl/demangle.h"
#include "common/bytes.h"

Test(demangle, spells_names_as_their_language_does)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        {"_ZN4shop4peekEi", "shop::peek(int)"},
        {"_ZN4shop4peekEi.cold", "shop::peek(int) [clone .cold]"},
        {"_ZNK1aIcE1bEPKv", "a<char>::b(void const*) const"},
        {"_RNvC6_123foo3bar", "123foo::bar"},
        {"_ZN4core6option13unwrap_failed17h0123456789abcdefE", "core::option::unwrap_failed"},
        {"_D3std5stdio4stopFZv", "std.stdio.stop()"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char text[256];
        cr_assert(demangle(rows[i].name, text, sizeof text), "%s", rows[i].name);
        cr_expect_str_eq(text, rows[i].text);
    }
}

Test(demangle, leaves_plain_names_alone)
{
    static const char *const names[] = {"",   "_",      "_Z",      "main",     "_ZN", "_R",
                                        "_D", "_Zebra", "_Random", "_DYNAMIC", "i",   "_ZN4shop"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char text[64];
        cr_expect_not(demangle(names[i], text, sizeof text), "%s", names[i]);
    }
}

/* a<int, int>, then again and again an `a` of the last one twice: each substitution stands for twice the text. */
static void write_doubling(char *name)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    name += sprintf(name, "_Z1f1aIiiE");
    for (size_t i = 0; i + 1 < sizeof digits; i++)
        name += sprintf(name, "S_IS%c_S%c_E", digits[i], digits[i]);
}

Test(demangle, ends_texts_that_would_not_end, .timeout = 10)
{
    char name[2048], text[512];
    write_doubling(name);
    cr_assert(demangle(name, text, sizeof text), "%s", name);
    cr_expect_eq(strlen(text), sizeof text - 1);
    cr_expect_str_eq(text + sizeof text - 4, "...");
    cr_assert(demangle("_ZN4shop4peekEi", text, 8));
    cr_expect_str_eq(text, "shop...");
}

Test(demangle, survives_deep_and_long_names)
{
    static char name[40000], text[512];
    static const char *const prefixes[] = {"_Z1f", "_RNvC1a", "_D1a", "_ZN1a", "_RI"};
    static const char *const pieces[] = {"P", "N", "IS_", "T", "X", "R", "1a", "L", "dp", "B_", "K"};
    for (size_t p = 0; p < ARRAY_LENGTH(prefixes); p++)
        for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++)
            for (size_t length = 1000; length < sizeof name; length *= 6) {
                size_t at = (size_t)sprintf(name, "%s", prefixes[p]);
                while (at + 4 < length)
                    at += (size_t)sprintf(name + at, "%s", pieces[i]);
                demangle(name, text, sizeof text);
            }
}
