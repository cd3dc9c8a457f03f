/*
 * Linker scripts as lists of what they bring, and text that is none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/script.h"

/* "F a.o" for a file, "N" for one as needed, "D" for a directory, "E" for a symbol, and parentheses for a group. */
static const char *describe(const char *text, char *out, size_t size)
{
    static const char *const marks[] = {
        [SCRIPT_FILE] = "F ",     [SCRIPT_AS_NEEDED_FILE] = "N ", [SCRIPT_GROUP_BEGIN] = "(",
        [SCRIPT_GROUP_END] = ")", [SCRIPT_DIRECTORY] = "D ",      [SCRIPT_EXTERN] = "E ",
    };
    struct script script;
    script_read(&script, text, strlen(text));
    *out = '\0';
    for (size_t i = 0; i < script.item_count; i++) {
        const struct script_item *item = &script.items[i];
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s ", marks[item->kind], item->text ? item->text : "");
    }
    if (script.problem)
        snprintf(out, size, "%s", script.problem);
    else if (script.foreign)
        strcat(out, "foreign ");
    script_free(&script);
    return out;
}

Test(script, brings_files_in_order)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"INPUT(a.o -lb)", "F a.o F -lb "},
        {"/* GNU ld script */ OUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libm.so.6  AS_NEEDED ( /lib/libmvec.so.1 ) )",
         "( F /lib/libm.so.6 N /lib/libmvec.so.1 ) "},
        {"GROUP(a)INPUT(b);GROUP(c,d)", "( F a ) F b ( F c F d ) "},
        {"INPUT(AS_NEEDED(a b) c AS_NEEDED())", "N a N b F c "},
        {"INPUT(\"with blank\" \"AS_NEEDED\" \")\")", "F with blank F AS_NEEDED F ) "},
        {"SEARCH_DIR(\"=/usr/lib\") SEARCH_DIR(/opt) EXTERN(main, other)", "D =/usr/lib D /opt E main E other "},
        {"OUTPUT_ARCH(i386:x86-64) TARGET(binary)", ""},
        {"INPUT()", ""},
        {"/* nothing */", ""},
        {" \n;\t", ""},
        {"OUTPUT_FORMAT(elf32-i386)", "foreign "},
        {"OUTPUT_FORMAT(\"elf64-x86-64\", \"elf64-big\", \"elf64-little\")", ""},
        {"OUTPUT_FORMAT(elf32-i386, elf64-x86-64, elf64-x86-64)", "foreign "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[512];
        cr_expect_str_eq(describe(rows[i].text, out, sizeof out), rows[i].expected, "%s: %s", rows[i].text, out);
    }
}

Test(script, says_at_which_line_it_stops)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"no object\n", "line 1: 'no' is none of INPUT"},
        {"INPUT(a)\n\nSECTIONS { }", "line 3: 'SECTIONS' is none of INPUT"},
        {"INPUT(a)\nx = 3;", "line 2: 'x' is none of INPUT"},
        {"INPUT a", "line 1: 'a' stands where a parenthesis is due"},
        {"INPUT", "line 1: ends where more is due"},
        {"INPUT(a", "line 1: ends where more is due"},
        {"INPUT(a (b))", "line 1: '(' stands where a name is due"},
        {"INPUT(AS_NEEDED a)", "line 1: 'a' stands where a parenthesis is due"},
        {"INPUT(AS_NEEDED(a)", "line 1: ends where more is due"},
        {"INPUT(\"a)", "line 1: ends where more is due"},
        {"INPUT(a))", "line 1: ')' is none of INPUT"},
        {"INPUT(a /* b)", "line 1: ends where more is due"},
        {"input(a)", "line 1: 'input' is none of INPUT"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[512];
        describe(rows[i].text, out, sizeof out);
        cr_expect(strncmp(out, rows[i].expected, strlen(rows[i].expected)) == 0, "%s: %s", rows[i].text, out);
    }
}

Test(script, a_long_word_is_shown_by_its_beginning)
{
    char text[1001], out[512];
    memset(text, 'w', 1000);
    text[1000] = '\0';
    cr_expect_lt(strlen(describe(text, out, sizeof out)), 200);
}

/* The bytes end with the text: under a sanitizer, reading past them is an error. */
Test(script, no_end_of_the_text_is_read_past)
{
    static const char text[] = "/**/ OUTPUT_FORMAT(\"elf64-x86-64\") GROUP ( a \"b\" AS_NEEDED ( c ) , d ) /* e */";
    for (size_t length = 0; length < sizeof text; length++) {
        char *copy = malloc(length ? length : 1);
        struct script script;
        memcpy(copy, text, length);
        script_read(&script, copy, length);
        script_free(&script);
        free(copy);
    }
}

Test(script, is_text)
{
    cr_expect(script_recognise("INPUT(a)\r\n\t\f", 11));
    cr_expect(script_recognise("INPUT(\xc3\xa4)", 9));
    cr_expect_not(script_recognise("", 0));
    cr_expect_not(script_recognise("INPUT(a)\0", 9));
    cr_expect_not(script_recognise("\177ELF", 4));
}
