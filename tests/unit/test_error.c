/*
 * common/error: texts are cut, never overrun; every field is cleared by the next error.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/error.h"

Test(error, set_gives_code_and_text_and_clears_the_rest)
{
    struct error error;
    memset(&error, 0xff, sizeof error);
    cr_expect_eq(error_set(&error, ERROR_LIMIT, "%d units", 7), ERROR_LIMIT);
    cr_expect_eq(error.code, ERROR_LIMIT);
    cr_expect_str_eq(error.text, "7 units");
    cr_expect_eq(error.os, 0);
    cr_expect_str_eq(error.unit, "");
    cr_expect_str_eq(error.section, "");
    cr_expect_str_eq(error.symbol, "");
    cr_expect_str_eq(error.relocation, "");
    cr_expect_eq(error.offset, 0);
}

Test(error, a_null_error_gives_the_code_alone)
{
    errno = EPERM;
    cr_expect_eq(error_set(NULL, ERROR_INVALID, "x"), ERROR_INVALID);
    cr_expect_eq(error_system(NULL, "x"), ERROR_SYSTEM);
    cr_expect_neq(error_prefix(NULL, "x"), 0);
    error_set_unit(NULL, "u");
    error_set_section(NULL, "s", 1);
    error_set_symbol(NULL, "s");
    error_set_relocation(NULL, "r");
}

Test(error, set_may_read_from_the_error_it_sets)
{
    struct error error;
    error_set(&error, ERROR_LIMIT, "too long");
    error_set(&error, ERROR_INVALID, "refused: %s", error.text);
    cr_expect_str_eq(error.text, "refused: too long");
}

Test(error, system_appends_the_text_of_errno_and_keeps_it)
{
    struct error error;
    errno = ENOENT;
    cr_expect_eq(error_system(&error, "open %s", "x.o"), ERROR_SYSTEM);
    cr_expect_str_eq(error.text, "open x.o: No such file or directory");
    cr_expect_eq(error.os, ENOENT);
    cr_expect_eq(errno, ENOENT);
    errno = 4000;
    error_system(&error, "odd");
    cr_expect_str_eq(error.text, "odd: unknown errno");
}

Test(error, prefix_keeps_code_and_fields)
{
    struct error error;
    error_set(&error, ERROR_OBJECT_SECTION, "bad link");
    error_set_unit(&error, "a.o");
    cr_expect_eq(error_prefix(&error, "unit %d", 3), ERROR_OBJECT_SECTION);
    cr_expect_str_eq(error.text, "unit 3: bad link");
    cr_expect_str_eq(error.unit, "a.o");
}

Test(error, long_texts_are_cut)
{
    static char name[4096];
    memset(name, 'n', sizeof name - 1);
    struct error error;
    error_set(&error, ERROR_LIMIT, "%s", name);
    cr_expect_eq(strlen(error.text), sizeof error.text - 1);
    error_prefix(&error, "%s", name);
    cr_expect_eq(strlen(error.text), sizeof error.text - 1);
    error_system(&error, "%s", name);
    cr_expect_eq(strlen(error.text), sizeof error.text - 1);
    error_set_symbol(&error, name);
    cr_expect_eq(strlen(error.symbol), sizeof error.symbol - 1);
    cr_expect_str_eq(error.symbol + sizeof error.symbol - 4, "...");
}

Test(error, names_are_escaped_and_null_clears_them)
{
    struct error error;
    error_set(&error, ERROR_OBJECT_SYMBOL, "x");
    error_set_section(&error, ".te\nxt", 12);
    cr_expect_str_eq(error.section, ".te\\x0axt");
    cr_expect_eq(error.offset, 12);
    error_set_relocation(&error, "R_X86_64_PC32");
    cr_expect_str_eq(error.relocation, "R_X86_64_PC32");
    error_set_section(&error, NULL, 0);
    cr_expect_str_eq(error.section, "");
}

Test(error, codes_have_names_and_texts)
{
    cr_expect_str_eq(error_code_name(ERROR_RELOCATION_RANGE), "RELOCATION_RANGE");
    cr_expect_str_eq(error_code_name(0), "OK");
    cr_expect_str_eq(error_code_name(9999), "UNKNOWN");
    cr_expect_str_eq(error_code_name(-1), "UNKNOWN");
    cr_expect(strlen(error_code_text(9999)) > 0);
    cr_expect_str_eq(error_code_text(ERROR_NO_MEMORY), "out of memory");
}
