/*
 * Lines out of objects, whose sources say with #line what their lines are called.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "client/jitctl/source_line.h"
#include "tests/lib/compile.h"

static const char source_line_text[] = "#line 40 \"shop.c\"\n"
                                       "int first(int x)\n"
                                       "{\n"
                                       "    return x / 2;\n"
                                       "}\n"
                                       "#line 70 \"other.h\"\n"
                                       "__attribute__((section(\".text.apart\"))) int second(int *x) { return *x; }\n";

static struct source_lines *open_lines(struct object_bytes *object, const char *flags)
{
    *object = compile_c(source_line_text, flags);
    struct source_lines *lines = source_lines_open("shop.o", object->bytes, object->length);
    cr_assert(lines);
    return lines;
}

static void close_lines(struct source_lines *lines, struct object_bytes *object)
{
    source_lines_close(lines);
    object_free(object);
}

Test(source_line, finds_the_line_of_each_section)
{
    struct object_bytes object;
    static const char *const flags[] = {"-g -O0", "-g -O2", "-gdwarf-4 -O2", "-g -gz -O2", "-g -O2 -fno-pic"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct source_lines *lines = open_lines(&object, flags[i]);
        const char *file;
        int line = 0;
        cr_assert(source_lines_find(lines, ".text", 0, &file, &line), "%s", flags[i]);
        cr_assert(strstr(file, "shop.c") && line >= 40 && line <= 43, "%s: %s:%d", flags[i], file, line);
        cr_assert(source_lines_find(lines, ".text.apart", 0, &file, &line), "%s", flags[i]);
        cr_assert(strstr(file, "other.h") && line == 70, "%s: %s:%d", flags[i], file, line);
        close_lines(lines, &object);
    }
}

Test(source_line, knows_nothing_of_places_that_are_not_there)
{
    struct object_bytes object;
    struct source_lines *lines = open_lines(&object, "-g -O0");
    const char *file;
    int line;
    cr_assert_not(source_lines_find(lines, ".text.none", 0, &file, &line));
    cr_assert_not(source_lines_find(lines, ".text", 1 << 20, &file, &line));
    cr_assert_not(source_lines_find(lines, ".text", UINT64_MAX, &file, &line));
    /* Behind .text comes .text.apart, which is not the section that was asked for. */
    for (uint64_t offset = 0; offset < 256; offset++)
        if (source_lines_find(lines, ".text", offset, &file, &line))
            cr_assert(strstr(file, "shop.c"), "offset %d: %s", (int)offset, file);
    close_lines(lines, &object);
}

Test(source_line, knows_nothing_without_debug_information)
{
    struct object_bytes object;
    struct source_lines *lines = open_lines(&object, "-g0 -O0");
    const char *file;
    int line;
    cr_assert_not(source_lines_find(lines, ".text", 0, &file, &line));
    close_lines(lines, &object);
}

Test(source_line, survives_objects_cut_short)
{
    struct object_bytes object = compile_c(source_line_text, "-g -O0");
    for (size_t length = 0; length < object.length; length += 61) {
        struct source_lines *lines = source_lines_open("cut.o", object.bytes, length);
        const char *file;
        int line;
        if (lines)
            source_lines_find(lines, ".text", 0, &file, &line);
        source_lines_close(lines);
    }
    object_free(&object);
}
