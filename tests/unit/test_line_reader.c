/*
 * Readers: what they find comes over, and damaged objects end them and nothing else.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/jitctl/line_reader.h"
#include "common/bytes.h"
#include "tests/lib/compile.h"
#include "tests/lib/elf_build.h"

TestSuite(line_reader, .timeout = 60);

static const char source[] = "#line 10 \"in.h\"\n"
                             "namespace shop { inline __attribute__((always_inline)) int inner(int *p) {\n"
                             "    return p[*p]; } }\n"
                             "#line 30 \"top.cc\"\n"
                             "int top(int *p) { return shop::inner(p); }\n";

static uint32_t text_of(struct object_bytes *object)
{
    return (uint32_t)elf_section_index(object, ".text");
}

Test(line_reader, tells_what_it_finds)
{
    struct object_bytes object = compile_cxx(source, "-g -O2");
    struct line_reader *reader = line_reader_open(object.bytes, object.length);
    static struct line_place places[64];
    cr_assert(reader);
    cr_assert_eq(line_reader_find(reader, text_of(&object), 0, 10000, places, 64), 2);
    cr_expect_str_eq(places[0].function, "_ZN4shop5innerEPi");
    cr_expect_str_eq(places[0].demangled, "shop::inner(int*)");
    cr_expect(strstr(places[0].file, "in.h") && places[0].line == 11);
    cr_expect_str_eq(places[1].function, "");
    cr_expect(strstr(places[1].file, "top.cc") && places[1].line == 30);
    cr_expect_str_eq(line_reader_problem(reader), "");
    cr_expect_eq(line_reader_find(reader, text_of(&object), 4096, 10000, places, 64), 0);
    cr_expect_eq(line_reader_find(reader, 0, 0, 10000, places, 64), 0);
    cr_expect(line_reader_lives(reader));
    line_reader_close(reader);
    object_free(&object);
}

Test(line_reader, demangles)
{
    char text[LINE_READER_TEXT];
    struct line_reader *reader = line_reader_open(NULL, 0);
    cr_assert(line_reader_demangle(reader, "_ZN4shop4peekEi", 10000, text));
    cr_expect_str_eq(text, "shop::peek(int)");
    cr_expect_not(line_reader_demangle(reader, "main", 10000, text));
    line_reader_close(reader);
}

static size_t open_files(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
    DIR *folder = opendir(path);
    size_t count = 0;
    cr_assert(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* The first of the test's children. */
static pid_t reader_process(void)
{
    char path[64];
    int process = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    cr_assert(file && fscanf(file, "%d", &process) == 1);
    fclose(file);
    return process;
}

Test(line_reader, has_nothing_open_but_its_socket)
{
    char text[LINE_READER_TEXT];
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    struct line_reader *reader = line_reader_open(NULL, 0);
    line_reader_demangle(reader, "_ZN4shop4peekEi", 10000, text);
    cr_expect_eq(open_files(reader_process()), 4, "standard streams and the socket");
    line_reader_close(reader);
}

Test(line_reader, that_ends_answers_nothing_more)
{
    struct object_bytes object = compile_cxx(source, "-g -O2");
    struct line_reader *reader = line_reader_open(object.bytes, object.length);
    static struct line_place places[64];
    kill(reader_process(), SIGKILL);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(line_reader_find(reader, text_of(&object), 0, 10000, places, 64), 0);
    cr_expect_not(line_reader_lives(reader));
    cr_expect_str_eq(line_reader_problem(reader), "reading its debug information failed (signal 9)");
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "it has been reaped");
    line_reader_close(reader);
    object_free(&object);
}

Test(line_reader, that_is_late_is_ended)
{
    struct object_bytes object = compile_cxx(source, "-g -O2");
    struct line_reader *reader = line_reader_open(object.bytes, object.length);
    static struct line_place places[64];
    kill(reader_process(), SIGSTOP);
    cr_expect_eq(line_reader_find(reader, text_of(&object), 0, 100, places, 64), 0);
    cr_expect_str_eq(line_reader_problem(reader), "reading its debug information took too long");
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
    line_reader_close(reader);
    object_free(&object);
}

/* Bytes of debug sections, most of them of lengths, offsets and forms, become others. */
static void damage(struct object_bytes *object, unsigned *seed)
{
    static const char *const sections[] = {".debug_info", ".debug_abbrev",   ".debug_line",      ".debug_line_str",
                                           ".debug_str",  ".debug_rnglists", ".rela.debug_info", ".rela.debug_line",
                                           ".debug_line", ".debug_info",     ".rela.debug_info"};
    for (int changes = 1 + rand_r(seed) % 4; changes; changes--) {
        Elf64_Shdr *section = elf_section_named(object, sections[(size_t)rand_r(seed) % ARRAY_LENGTH(sections)]);
        uint8_t *bytes = elf_contents(object, section);
        static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
        bytes[(size_t)rand_r(seed) % section->sh_size] =
            rand_r(seed) % 2 ? values[(size_t)rand_r(seed) % sizeof values] : (uint8_t)rand_r(seed);
    }
}

Test(line_reader, survives_damaged_debug_information)
{
    struct object_bytes object = compile_cxx(source, "-gdwarf-5 -O2 -ffunction-sections");
    uint32_t text = (uint32_t)elf_section_index(&object, ".text._Z3topPi");
    static struct line_place places[64];
    unsigned seed = 4711, lost = 0;
    for (int i = 0; i < 400; i++) {
        struct object_bytes copy = object_copy(&object);
        damage(&copy, &seed);
        struct line_reader *reader = line_reader_open(copy.bytes, copy.length);
        cr_assert(reader);
        for (uint64_t offset = 0; offset < 8; offset++)
            cr_assert(line_reader_find(reader, text, offset, 10000, places, 64) <= 64);
        lost += !line_reader_lives(reader);
        line_reader_close(reader);
        object_free(&copy);
    }
    cr_expect(lost < 40, "%u of 400 readers have ended", lost);
    object_free(&object);
}
