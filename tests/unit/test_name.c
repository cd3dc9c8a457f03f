/*
 * client/jitctl/name and the strings of client/jitctl/json: names of any bytes on terminals, in graphs and in JSON.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/json.h"
#include "client/jitctl/name.h"
#include "common/bytes.h"

static void print_json(FILE *out, const void *bytes, size_t length)
{
    struct json json;
    json_init(&json, out);
    json_bytes(&json, NULL, bytes, length);
}

static void expect_printed(void (*print)(FILE *, const void *, size_t), const void *bytes, size_t length,
                           const char *wanted)
{
    char *text = NULL, *exact = malloc(length ? length : 1); /* not a byte behind it may be read */
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert(out && exact);
    memcpy(exact, bytes, length);
    print(out, exact, length);
    fclose(out);
    cr_expect_str_eq(text, wanted);
    free(text);
    free(exact);
}

Test(name, is_printed_so_that_it_moves_no_cursor_and_closes_no_string)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *people, *dot, *json;
    } rows[] = {
        {"", 0, "", "", "\"\""},
        {"main.o", 6, "main.o", "main.o", "\"main.o\""},
        {"a\"b\\", 4, "a\"b\\", "a\\\"b\\\\", "\"a\\\"b\\\\\""},
        {"\x1b[2J", 4, "\\x1b[2J", "\\\\x1b[2J", "\"\\u001b[2J\""},
        {"a\0b", 3, "a\\x00b", "a\\\\x00b", "\"a\\u0000b\""},
        {"\x7f", 1, "\\x7f", "\\\\x7f", "\"\x7f\""},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"\xc2\x9b", 2, "\\xc2\\x9b", "\\\\xc2\\\\x9b", "\"\xc2\x9b\""},
        {"\xc3", 1, "\\xc3", "\\\\xc3", "\"\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80", "\\\\xed\\\\xa0\\\\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xf0\x9f\x98", 3, "\\xf0\\x9f\\x98", "\\\\xf0\\\\x9f\\\\x98", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        expect_printed(name_print, rows[i].bytes, rows[i].length, rows[i].people);
        expect_printed(name_print_dot, rows[i].bytes, rows[i].length, rows[i].dot);
        expect_printed(print_json, rows[i].bytes, rows[i].length, rows[i].json);
    }
}
