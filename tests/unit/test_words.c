/*
 * Command lines with response files.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/words.h"
#include "tests/lib/leaks.h"
#include "tests/lib/temp.h"

static struct temp temp;

static void enter(void)
{
    temp = temp_make();
    cr_assert(chdir(temp.path) == 0);
}

static void leave(void)
{
    temp_remove(&temp);
    expect_no_leaks();
}

TestSuite(words, .init = enter, .fini = leave);

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The words of a command line of one, two or three, with bars between; "refused". */
static const char *expand(const char *one, const char *two, const char *three)
{
    static char out[1024];
    char *argv[] = {(char *)one, (char *)two, (char *)three, NULL};
    struct words words;
    snprintf(out, sizeof out, "refused");
    if (words_expand(&words, two ? three ? 3 : 2 : 1, argv) == 0) {
        *out = '\0';
        for (size_t i = 0; i < words.count; i++)
            snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i ? "|" : "", words.list[i]);
        cr_expect_null(words.list[words.count]);
    }
    words_free(&words);
    return out;
}

Test(words, of_a_file_are_parted_by_blanks_and_kept_by_quotes)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"a b", "x|a|b|y"},
        {"  a\n\tb \r\n", "x|a|b|y"},
        {"'a b' \"c d\"", "x|a b|c d|y"},
        {"a' 'b", "x|a b|y"},
        {"a\\ b \\'c", "x|a b|'c|y"},
        {"'a\\'b' \"c\\\"d\"", "x|a'b|c\"d|y"},
        {"'a\"b' \"c'd\"", "x|a\"b|c'd|y"},
        {"'' \"\"", "x|||y"},
        {"", "x|y"},
        {" \n", "x|y"},
        {"'a b", "x|a b|y"},
        {"a\\", "x|a\\|y"},
        {"\\\\n", "x|\\n|y"},
        {"# a", "x|#|a|y"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put("file", rows[i].text);
        cr_expect_str_eq(expand("x", "@file", "y"), rows[i].expected, "%s", rows[i].text);
    }
}

Test(words, files_may_name_files)
{
    put("outer", "a @inner d");
    put("inner", "b c");
    cr_expect_str_eq(expand("x", "@outer", NULL), "x|a|b|c|d");
}

Test(words, what_cannot_be_read_is_a_word)
{
    cr_expect_str_eq(expand("x", "@absent", "@"), "x|@absent|@");
    cr_expect_str_eq(expand("x", "@.", NULL), "x|@.");
}

Test(words, of_the_program_are_its_own)
{
    put("file", "a b");
    put("end", "c -- @file");
    cr_expect_str_eq(expand("x", "--", "@file"), "x|--|@file");
    cr_expect_str_eq(expand("x", "@end", "@file"), "x|c|--|@file|@file");
}

Test(words, files_that_name_each_other_are_refused)
{
    put("one", "a @two");
    put("two", "b @one @one");
    cr_expect_str_eq(expand("x", "@one", NULL), "refused");
}

Test(words, a_million_words_are_no_burden)
{
    FILE *file = fopen("file", "w");
    cr_assert(file);
    for (int i = 0; i < 1000000; i++)
        fputs("w\n", file);
    cr_assert(fclose(file) == 0);
    char *argv[] = {"@file", NULL};
    struct words words;
    cr_assert_eq(words_expand(&words, 1, argv), 0);
    cr_expect_eq(words.count, 1000000);
    words_free(&words);
}
