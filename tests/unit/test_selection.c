/*
 * ld's rule for members of archives: what comes in, and what stays out.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/selection.h"
#include "tests/lib/compile.h"
#include "tests/lib/temp.h"

/* An archive put together in memory: one member for each source, called "0", "1", ... and indexed by hand. */
#define MEMBERS 4

struct fixture {
    struct selection selection;
    struct object_bytes objects[MEMBERS];
    struct archive_member members[MEMBERS];
    struct archive_symbol symbols[8];
    struct archive archive;
    struct object_bytes program;
    char included[64]; /* names of what came in, in order */
};

static void add_member(struct fixture *fixture, const char *source, const char *names)
{
    size_t at = fixture->archive.member_count++;
    fixture->archive.members = fixture->members;
    fixture->archive.symbols = fixture->symbols;
    fixture->objects[at] = compile_c(source, "-fcommon -w");
    static char *const numbers[] = {"0", "1", "2", "3"};
    fixture->members[at] = (struct archive_member){
        .name = numbers[at], .bytes = fixture->objects[at].bytes, .length = fixture->objects[at].length};
    for (; *names; names += strlen(names) + 1)
        fixture->symbols[fixture->archive.symbol_count++] = (struct archive_symbol){.name = names, .member = at};
}

static void set_program(struct fixture *fixture, const char *source)
{
    selection_init(&fixture->selection);
    fixture->program = compile_c(source, "-fcommon -w");
    selection_add_object(&fixture->selection, fixture->program.bytes, fixture->program.length);
}

static void note(const struct archive_member *member, void *data)
{
    strcat(data, member->name);
}

static void check(struct fixture *fixture, const char *expected)
{
    selection_search_archive(&fixture->selection, &fixture->archive, note, fixture->included);
    cr_assert_str_eq(fixture->included, expected);
    selection_free(&fixture->selection);
    object_free(&fixture->program);
    for (size_t i = 0; i < MEMBERS; i++)
        object_free(&fixture->objects[i]);
}

Test(selection, takes_only_members_that_are_needed)
{
    struct fixture fixture = {0};
    set_program(&fixture, "int b(void); int main(void) { return b(); }");
    add_member(&fixture, "int a(void) { return 1; }", "a\0");
    add_member(&fixture, "int b(void) { return 2; }", "b\0");
    check(&fixture, "1");
}

Test(selection, searches_an_archive_again_until_nothing_is_added)
{
    struct fixture fixture = {0};
    set_program(&fixture, "int c(void); int main(void) { return c(); }");
    add_member(&fixture, "int a(void) { return 1; }", "a\0");
    add_member(&fixture, "int a(void); int b(void) { return a(); }", "b\0");
    add_member(&fixture, "int b(void); int c(void) { return b(); }", "c\0");
    check(&fixture, "210");
}

Test(selection, leaves_members_that_only_weak_uses_name)
{
    struct fixture fixture = {0};
    set_program(&fixture, "__attribute__((weak)) int a(void); int main(void) { return a ? a() : 0; }");
    add_member(&fixture, "int a(void) { return 1; }", "a\0");
    check(&fixture, "");
}

Test(selection, takes_a_member_once_any_use_is_strong)
{
    struct fixture fixture = {0};
    set_program(&fixture, "__attribute__((weak)) int a(void); int b(void); int main(void) { return a ? a() : b(); }");
    add_member(&fixture, "int a(void) { return 1; }", "a\0");
    add_member(&fixture, "int a(void); int b(void) { return a(); }", "b\0");
    check(&fixture, "10");
}

Test(selection, a_weak_definition_in_a_member_satisfies_a_use)
{
    struct fixture fixture = {0};
    set_program(&fixture, "int a(void); int main(void) { return a(); }");
    add_member(&fixture, "__attribute__((weak)) int a(void) { return 1; }", "a\0");
    add_member(&fixture, "int a(void) { return 2; }", "a\0");
    check(&fixture, "0");
}

Test(selection, a_common_symbol_takes_initialised_data_only)
{
    struct fixture fixture = {0};
    set_program(&fixture, "int x; int main(void) { return x; }");
    add_member(&fixture, "int x;", "x\0");
    add_member(&fixture, "int x(void) { return 3; }", "x\0");
    add_member(&fixture, "int x = 5;", "x\0");
    check(&fixture, "2");
}

Test(selection, nothing_is_taken_for_what_a_library_before_defines)
{
    struct fixture fixture = {0};
    set_program(&fixture, "double cos(double); int near(void); int main(void) { return (int)cos(near()); }");
    struct temp temp = temp_make();
    char path[512], command[1024];
    snprintf(command, sizeof command,
             "echo 'double cos(double x) { return x; }' | cc -shared -fPIC -fno-builtin -xc - -o %s",
             temp_path(&temp, "lib.so", path));
    cr_assert(system(command) == 0);
    struct object_bytes library = object_read(path);
    selection_add_library(&fixture.selection, library.bytes, library.length);
    add_member(&fixture, "double cos(double x) { return x; }", "cos\0");
    add_member(&fixture, "int near(void) { return 1; }", "near\0");
    check(&fixture, "1");
    object_free(&library);
    temp_remove(&temp);
}

Test(selection, main_may_come_from_an_archive)
{
    struct fixture fixture = {0};
    selection_init(&fixture.selection);
    selection_require(&fixture.selection, "main");
    add_member(&fixture, "int main(void) { return 0; }", "main\0");
    check(&fixture, "0");
}

Test(selection, a_file_that_is_no_object_adds_nothing)
{
    struct fixture fixture = {0};
    selection_init(&fixture.selection);
    selection_add_object(&fixture.selection, "\177ELF and then nothing", 21);
    add_member(&fixture, "int a(void) { return 1; }", "a\0");
    check(&fixture, "");
}

Test(selection, a_whole_archive_gives_what_is_not_in_yet)
{
    struct fixture fixture = {0};
    set_program(&fixture, "int b(void); int main(void) { return b(); }");
    add_member(&fixture, "int a(void) { return 1; }", "a\0");
    add_member(&fixture, "int b(void) { return 2; }", "b\0");
    selection_search_archive(&fixture.selection, &fixture.archive, note, fixture.included);
    cr_expect_str_eq(fixture.included, "1");
    selection_take_archive(&fixture.selection, &fixture.archive, note, fixture.included);
    cr_expect(selection_defines(&fixture.selection, "a"));
    check(&fixture, "10");
}

Test(selection, a_library_is_needed_for_what_is_undefined_other_than_weakly)
{
    static const struct {
        const char *source;
        bool needed;
    } rows[] = {{"int f(void); int main(void) { return f(); }", true},
                {"__attribute__((weak)) int f(void); int main(void) { return f ? f() : 0; }", false},
                {"int f(void) { return 1; } int main(void) { return f(); }", false},
                {"int f; int main(void) { return f; }", false},
                {"int g(void); int main(void) { return g(); }", false}};
    struct temp temp = temp_make();
    char path[512], command[1024];
    snprintf(command, sizeof command,
             "echo 'int g(void); int f(void) { return g(); }' | cc -w -shared -fPIC -xc - -o %s",
             temp_path(&temp, "lib.so", path));
    cr_assert(system(command) == 0);
    struct object_bytes library = object_read(path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture = {0};
        set_program(&fixture, rows[i].source);
        cr_expect_eq(selection_needs_library(&fixture.selection, library.bytes, library.length), rows[i].needed, "%s",
                     rows[i].source);
        check(&fixture, "");
    }
    object_free(&library);
    temp_remove(&temp);
}

/* ranlib's index has names as they stand in the member. */
Test(selection, a_default_version_is_found_by_its_plain_name_and_every_version_by_its_own)
{
    static const char *const programs[][2] = {
        {"int api(void); int main(void) { return api(); }", "0"},
        {"int f(void); __asm__(\".symver f,api@V2\"); int main(void) { return f(); }", "0"},
        {"int f(void); __asm__(\".symver f,api@V1\"); int main(void) { return f(); }", "1"},
        {"int f(void); __asm__(\".symver f,api@V3\"); int main(void) { return f(); }", ""},
        {"int f(void) { return 0; } __asm__(\".symver f,api@@V2\"); int api(void); int main(void) { return api(); }",
         ""},
    };
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct fixture fixture = {0};
        set_program(&fixture, programs[i][0]);
        add_member(&fixture, "int n(void) { return 2; } __asm__(\".symver n,api@@V2\");", "api@@V2\0");
        add_member(&fixture, "int o(void) { return 1; } __asm__(\".symver o,api@V1\");", "api@V1\0");
        check(&fixture, programs[i][1]);
    }
}
