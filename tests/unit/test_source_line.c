/*
 * Lines and inlined functions out of objects, whose sources say with #line what their lines are called.
 */
#include <criterion/criterion.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/source_line.h"
#include "common/bytes.h"
#include "tests/lib/compile.h"
#include "tests/lib/elf_build.h"

static const char shop[] = "#line 40 \"shop.c\"\n"
                           "int first(int x)\n"
                           "{\n"
                           "    return x / 2;\n"
                           "}\n"
                           "#line 70 \"other.h\"\n"
                           "__attribute__((section(\".text.apart\"))) int second(int *x) { return *x; }\n";

static const char nested[] = "#line 10 \"in.h\"\n"
                             "static inline __attribute__((always_inline)) int innermost(int *p) { return p[*p]; }\n"
                             "#line 20 \"mid.h\"\n"
                             "static inline __attribute__((always_inline)) int middle(int *p) {\n"
                             "    return innermost(p) + 1; }\n"
                             "#line 30 \"top.c\"\n"
                             "int top(int *p) {\n"
                             "    return middle(p); }\n";

struct fixture {
    struct object_bytes object;
    struct source_lines *lines;
    struct source_frame frames[SOURCE_FRAMES];
};

static void open_lines(struct fixture *fixture)
{
    fixture->lines = source_lines_open(fixture->object.bytes, fixture->object.length);
    cr_assert(fixture->lines);
}

static void close_lines(struct fixture *fixture)
{
    source_lines_close(fixture->lines);
    object_free(&fixture->object);
}

static size_t find(struct fixture *fixture, const char *section, uint64_t offset)
{
    size_t index = elf_section_index(&fixture->object, section);
    return source_lines_find(fixture->lines, (uint32_t)index, offset, fixture->frames);
}

static void expect_frame(const struct source_frame *frame, const char *function, const char *file, int line,
                         const char *what)
{
    cr_expect(frame->file && strstr(frame->file, file) && frame->line == line, "%s: %s:%d", what,
              frame->file ? frame->file : "?", frame->line);
    cr_expect_str_eq(frame->function, function, "%s: in %s", what, frame->function);
}

/* As compilers other than gcc write it. */
static void drop_aranges(struct object_bytes *object)
{
    elf_section_named(object, ".rela.debug_aranges")->sh_type = SHT_NULL;
    elf_section_named(object, ".debug_aranges")->sh_type = SHT_NULL;
}

static const struct {
    const char *flags;
    bool aranges;
} ways[] = {{"-g -O0", true},
            {"-g -O2", true},
            {"-g -O2", false},
            {"-gdwarf-4 -O2", false},
            {"-gdwarf-5 -O0", false},
            {"-g1 -O2", false},
            {"-g3 -O2", false},
            {"-g -O2 -gz=zlib", false},
            {"-g -O2 -gz=zlib-gnu", true}, /* .zdebug_aranges */
            {"-g -O2 -fno-pic", false},
            {"-g -O2 -ffunction-sections", false},
            {"-g -O2 -fdebug-types-section", false},
            {"-gdwarf-4 -O2 -fdebug-types-section", false},
            {"-gdwarf-4 -O2 -gsplit-dwarf", true},
            {"-gdwarf-5 -O2 -gsplit-dwarf", true}};

Test(source_line, finds_the_line_of_each_section)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        const char *what = ways[i].flags;
        struct fixture fixture = {.object = compile_c(shop, what)};
        if (!ways[i].aranges)
            drop_aranges(&fixture.object);
        open_lines(&fixture);
        const struct source_frame *frame = &fixture.frames[0];
        const char *text = strstr(what, "function-sections") ? ".text.first" : ".text";
        cr_expect_eq(find(&fixture, text, 0), 1, "%s", what);
        cr_expect(frame->file && strstr(frame->file, "shop.c") && frame->line >= 40 && frame->line <= 43, "%s: %s:%d",
                  what, frame->file ? frame->file : "?", frame->line);
        cr_expect_eq(find(&fixture, ".text.apart", 0), 1, "%s", what);
        expect_frame(frame, "", "other.h", 70, what);
        close_lines(&fixture);
    }
}

/* libdwfl reads nothing where it does not know one relocation. */
Test(source_line, finds_lines_beside_thread_local_variables)
{
    struct fixture fixture = {
        .object = compile_c("__thread int own;\n#line 7 \"tls.c\"\nint f(void) { return own; }\n", "-g -O2 -fPIC")};
    open_lines(&fixture);
    cr_assert_eq(find(&fixture, ".text", 0), 1);
    expect_frame(&fixture.frames[0], "", "tls.c", 7, "thread-local");
    close_lines(&fixture);
}

Test(source_line, tells_sections_of_one_name_apart)
{
    struct fixture fixture = {.object = compile_assembly(".section .text.same,\"ax\",@progbits,unique,1\n"
                                                         "one: nop\n"
                                                         "nop\n"
                                                         ".section .text.same,\"ax\",@progbits,unique,2\n"
                                                         "nop\n"
                                                         "two: nop\n",
                                                         "-g")};
    open_lines(&fixture);
    size_t index = elf_section_index(&fixture.object, ".text.same");
    static const struct {
        size_t section, offset;
        int line;
    } rows[] = {{0, 0, 2}, {0, 1, 3}, {1, 0, 5}, {1, 1, 6}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        cr_assert_eq(
            source_lines_find(fixture.lines, (uint32_t)(index + rows[i].section), rows[i].offset, fixture.frames), 1);
        expect_frame(&fixture.frames[0], "", "source.s", rows[i].line, "row");
    }
    cr_expect_eq(source_lines_find(fixture.lines, (uint32_t)index, 2, fixture.frames), 0, "behind the section");
    close_lines(&fixture);
}

Test(source_line, shows_what_was_inlined_with_the_lines_that_called_it)
{
    static const char *const flags[] = {"-g -O2", "-gdwarf-4 -O1", "-g -O0", "-g2 -O2 -gz=zlib"};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        struct fixture fixture = {.object = compile_c(nested, flags[i])};
        const Elf64_Sym *top = elf_symbol_named(&fixture.object, "top");
        uint64_t offset = top->st_value;
        drop_aranges(&fixture.object);
        open_lines(&fixture);
        while (offset < top->st_size && find(&fixture, ".text", offset) != 3)
            offset++;
        cr_assert(offset < top->st_size, "%s: nothing is inlined", flags[i]);
        expect_frame(&fixture.frames[0], "innermost", "in.h", 10, flags[i]);
        expect_frame(&fixture.frames[1], "middle", "mid.h", 21, flags[i]);
        expect_frame(&fixture.frames[2], "", "top.c", 31, flags[i]);
        cr_expect_str_eq(source_lines_problem(fixture.lines), "");
        close_lines(&fixture);
    }
}

Test(source_line, names_inlined_functions_as_the_linker_would)
{
    struct fixture fixture = {
        .object = compile_cxx("namespace shop { struct till { int *p;\n"
                              "  __attribute__((always_inline)) int peek(int by) { return p[by]; } }; }\n"
                              "int look(shop::till *t) { return t->peek(1); }\n",
                              "-g -O2")};
    open_lines(&fixture);
    cr_assert_eq(find(&fixture, ".text", 0), 2);
    cr_expect_str_eq(fixture.frames[0].function, "_ZN4shop4till4peekEi");
    close_lines(&fixture);
}

/* The object has its line table; what was inlined is told in a file that compile_c has removed. */
Test(source_line, says_where_what_it_does_not_know_would_be)
{
    static const char *const flags[] = {"-gdwarf-4 -O2 -gsplit-dwarf", "-gdwarf-5 -O2 -gsplit-dwarf"};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        struct fixture fixture = {.object = compile_c(nested, flags[i])};
        open_lines(&fixture);
        cr_assert_eq(find(&fixture, ".text", 0), 1, "%s", flags[i]);
        expect_frame(&fixture.frames[0], "", "in.h", 10, flags[i]);
        const char *problem = source_lines_problem(fixture.lines);
        cr_expect(strstr(problem, "object.dwo, which is not there"), "%s: %s", flags[i], problem);
        close_lines(&fixture);
    }
}

/* As objcopy --compress-debug-sections=zstd makes them, where libelf does not know of it: the type is what counts. */
Test(source_line, says_how_what_it_cannot_read_is_compressed)
{
    static const struct {
        uint32_t type;
        const char *words;
    } rows[] = {{2, ""}, {77, "unknown way"}, {ELFCOMPRESS_ZLIB, "damaged"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct fixture fixture = {.object = compile_c(shop, "-g -gz=zlib")};
        Elf64_Chdr *header = elf_contents(&fixture.object, elf_section_named(&fixture.object, ".debug_info"));
        header->ch_type = rows[i].type;
        memset(header + 1, 0x5a, 16);
        open_lines(&fixture);
        cr_expect_eq(find(&fixture, ".text", 0), 0);
        const char *problem = source_lines_problem(fixture.lines);
        cr_expect(*problem && strstr(problem, rows[i].words), "type %u: %s", rows[i].type, problem);
        close_lines(&fixture);
    }
}

Test(source_line, expands_no_more_than_a_gibibyte)
{
    static const char *const flags[] = {"-g -gz=zlib", "-g -gz=zlib-gnu"};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        struct fixture fixture = {.object = compile_c(shop, flags[i])};
        if (i == 0)
            ((Elf64_Chdr *)elf_contents(&fixture.object, elf_section_named(&fixture.object, ".debug_info")))->ch_size =
                UINT64_C(1) << 40;
        else
            ((char *)elf_contents(&fixture.object, elf_section_named(&fixture.object, ".zdebug_info")))[6] = 1;
        open_lines(&fixture);
        cr_expect(strstr(source_lines_problem(fixture.lines), "1 GiB"), "%s", source_lines_problem(fixture.lines));
        close_lines(&fixture);
    }
}

Test(source_line, knows_nothing_of_places_that_are_not_there)
{
    struct fixture fixture = {.object = compile_c(shop, "-g -O0")};
    open_lines(&fixture);
    cr_expect_eq(find(&fixture, ".text", 1 << 20), 0);
    cr_expect_eq(find(&fixture, ".text", UINT64_MAX), 0);
    cr_expect_eq(find(&fixture, ".debug_info", 0), 0);
    static const uint32_t sections[] = {0, 1000, 0xff00, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(sections); i++)
        cr_expect_eq(source_lines_find(fixture.lines, sections[i], 0, fixture.frames), 0);
    /* Behind .text comes .text.apart, which is not the section that was asked for. */
    for (uint64_t offset = 0; offset < 256; offset++)
        if (find(&fixture, ".text", offset))
            cr_assert(strstr(fixture.frames[0].file, "shop.c"), "offset %d: %s", (int)offset, fixture.frames[0].file);
    close_lines(&fixture);
}

Test(source_line, knows_nothing_without_debug_information)
{
    struct fixture fixture = {.object = compile_c(shop, "-g0 -O0")};
    open_lines(&fixture);
    cr_expect_eq(find(&fixture, ".text", 0), 0);
    cr_expect_str_eq(source_lines_problem(fixture.lines), "", "an object without -g is nothing to speak of");
    close_lines(&fixture);
}

Test(source_line, survives_objects_cut_short)
{
    struct object_bytes object = compile_c(shop, "-g -O0");
    for (size_t length = 0; length < object.length; length += 61) {
        struct source_frame frames[SOURCE_FRAMES];
        struct source_lines *lines = source_lines_open(object.bytes, length);
        cr_assert(lines);
        source_lines_find(lines, 1, 0, frames);
        source_lines_close(lines);
    }
    object_free(&object);
}

/* Where the first entry below the unit's lies in .debug_info. */
static uint32_t first_entry(struct object_bytes *object)
{
    Elf *elf = elf_memory((char *)object->bytes, object->length);
    Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
    Dwarf_CU *cu = NULL;
    Dwarf_Die root, child;
    cr_assert(dwarf && dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &root, NULL) == 0 &&
              dwarf_child(&root, &child) == 0);
    uint32_t offset = (uint32_t)dwarf_dieoffset(&child);
    dwarf_end(dwarf);
    elf_end(elf);
    return offset;
}

/* Whichever bytes say where the next entry is: it may then be one that lies before. */
Test(source_line, says_that_entries_lead_back, .timeout = 10)
{
    struct object_bytes object = compile_c(nested, "-gdwarf-4 -O2");
    elf_version(EV_CURRENT);
    uint32_t target = first_entry(&object);
    uint8_t *bytes = elf_contents(&object, elf_section_named(&object, ".debug_info"));
    size_t damaged = 0;
    for (size_t i = target; i + sizeof target <= elf_section_named(&object, ".debug_info")->sh_size; i++) {
        uint32_t kept;
        memcpy(&kept, bytes + i, sizeof kept);
        memcpy(bytes + i, &target, sizeof target);
        struct fixture fixture = {.object = object_copy(&object)};
        open_lines(&fixture);
        find(&fixture, ".text", 0);
        damaged += *source_lines_problem(fixture.lines) != '\0';
        close_lines(&fixture);
        memcpy(bytes + i, &kept, sizeof kept);
    }
    cr_expect(damaged > 0, "no entry led back");
    object_free(&object);
}
