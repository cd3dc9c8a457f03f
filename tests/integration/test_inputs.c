/*
 * What jitctl takes as input, beside what the system's linker does with it.
 *
 * The objects that most tests use: main.o calls a, which calls b, which calls c, which is the exit status; each is in a
 * file of its own name. Each row is linked and run natively too, and must end alike where it does not
 * say otherwise.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "tests/integration/shell.h"

TestSuite(inputs, .timeout = 60);

static void compile(struct shell *shell, const char *name, const char *flags, const char *source)
{
    shell_run(shell, "printf '%%s' '%s' > %s.c && cc -w -fPIC %s -c %s.c", source, name, flags, name);
    cr_assert_eq(shell->status, 0, "%s", (char *)shell->error.bytes);
}

static struct shell open_chain(void)
{
    struct shell shell = shell_open();
    compile(&shell, "main", "", "int a(void); int main(void) { return a(); }");
    compile(&shell, "a", "", "int b(void); int a(void) { return b(); }");
    compile(&shell, "b", "", "int c(void); int b(void) { return c(); }");
    compile(&shell, "c", "", "int c(void) { return 7; }");
    compile(&shell, "d", "", "int c(void) { return 8; }");
    return shell;
}

#define NATIVELY "cc %s -o native >/dev/null 2>&1 && ./native"

struct row {
    const char *line;
    int status;
    const char *words; /* of jitctl's complaint; NULL: it says nothing */
    bool here;         /* natively it ends otherwise, on purpose */
};

#define RUNS(line, status)                                                                                             \
    (struct row)                                                                                                       \
    {                                                                                                                  \
        line, status, NULL, false                                                                                      \
    }
#define RUNS_HERE(line, status)                                                                                        \
    (struct row)                                                                                                       \
    {                                                                                                                  \
        line, status, NULL, true                                                                                       \
    }
#define REFUSED(line, words)                                                                                           \
    (struct row)                                                                                                       \
    {                                                                                                                  \
        line, 125, words, false                                                                                        \
    }
#define REFUSED_HERE(line, words)                                                                                      \
    (struct row)                                                                                                       \
    {                                                                                                                  \
        line, 125, words, true                                                                                         \
    }

/* A line that the linker refuses ends natively with 1. */
static void check(struct shell *shell, const struct row *row)
{
    shell_run(shell, NATIVELY, row->line);
    if (!row->here)
        cr_expect_eq(shell->status, row->status == 125 ? 1 : row->status, "natively %s: %d", row->line, shell->status);
    shell_run(shell, "$J run %s", row->line);
    cr_expect_eq(shell->status, row->status, "%s: %d instead of %d: %s", row->line, shell->status, row->status,
                 (char *)shell->error.bytes);
    if (row->words)
        cr_expect(strstr((char *)shell->error.bytes, row->words), "%s: no \"%s\" in: %s", row->line, row->words,
                  (char *)shell->error.bytes);
    else
        cr_expect_eq(shell->error.length, 0, "%s: %s", row->line, (char *)shell->error.bytes);
}

static void check_rows(struct shell *shell, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(shell, &rows[i]);
}

#define CHECK(shell, ...)                                                                                              \
    do {                                                                                                               \
        const struct row rows_[] = {__VA_ARGS__};                                                                      \
        check_rows(shell, rows_, sizeof rows_ / sizeof rows_[0]);                                                      \
    } while (0)

static void prepare(struct shell *shell, const char *command)
{
    shell_run(shell, "%s", command);
    cr_assert_eq(shell->status, 0, "%s: %s", command, (char *)shell->error.bytes);
}

Test(inputs, thin_archives_are_read_from_the_files_that_they_name)
{
    struct shell shell = open_chain();
    prepare(&shell, "mkdir x && ar rcsT x/near.a a.o b.o c.o && mv a.o b.o c.o x && ar rcsT far.a x/a.o x/b.o x/c.o "
                    "&& ar rcsT whole.a $PWD/x/a.o $PWD/x/b.o $PWD/x/c.o && ar rcs x/inner.a x/b.o x/c.o && "
                    "ar rcsT nest.a x/a.o x/inner.a && ar rcsT nest2.a nest.a && ar rcsT x/same.a x/a.o x/b.o x/c.o && "
                    "ar rcsT libmain.a main.o");
    CHECK(&shell, RUNS("main.o far.a", 7), RUNS("main.o ./far.a", 7), RUNS("main.o x/../whole.a", 7),
          RUNS("main.o nest.a", 7), RUNS("main.o nest2.a", 7), RUNS("main.o x/same.a", 7), RUNS("libmain.a far.a", 7));
    shell_close(&shell);
}

Test(inputs, a_thin_archive_names_what_is_missing_once_it_is_needed)
{
    struct shell shell = open_chain();
    prepare(&shell, "ar rcsT all.a a.o b.o d.o c.o && rm d.o && ar rcs inner.a b.o && ar rcsT nest.a a.o inner.a c.o");
    CHECK(&shell, REFUSED("main.o all.a", "all.a: member d.o: d.o: No such file or directory"));
    prepare(&shell, "rm all.a; cp c.o d.o && ar rcsT all.a a.o b.o c.o main.o && mv main.o m.o && rm d.o");
    CHECK(&shell, RUNS("m.o all.a", 7), RUNS("m.o nest.a", 7));
    prepare(&shell, "rm inner.a");
    CHECK(&shell, REFUSED("m.o nest.a", "inner.a: No such file or directory"));
    /* ld, too, takes the file as it is now. */
    compile(&shell, "c", "", "int c(void) { return 9; } int more[100] = {1};");
    CHECK(&shell, RUNS("m.o all.a", 9));
    prepare(&shell, "echo text > c.o");
    CHECK(&shell, REFUSED("m.o all.a", "all.a(c.o)"));
    shell_close(&shell);
}

/* ld refuses the first two: "archive has no index; run ranlib to add one". */
Test(inputs, archives_need_no_index)
{
    struct shell shell = open_chain();
    prepare(&shell, "ar rcS no.a a.o b.o c.o && ar rcST thin.a a.o b.o c.o && ar rcs index.a a.o b.o c.o && "
                    "sed 's/\\(a.b\\).c/\\1.x/' index.a > stale.a && ! cmp -s index.a stale.a");
    CHECK(&shell, RUNS_HERE("main.o no.a", 7), RUNS_HERE("main.o thin.a", 7), RUNS("main.o index.a", 7),
          RUNS_HERE("main.o stale.a", 7));
    shell_close(&shell);
}

Test(inputs, archives_are_searched_once_from_left_to_right)
{
    struct shell shell = open_chain();
    prepare(&shell, "ar rcs ac.a c.o a.o && ar rcs b.a b.o && ar rcs libab.a b.o a.o && ar rcs libc2.a c.o");
    CHECK(&shell, REFUSED("main.o ac.a b.a", "undefined symbol 'c'"), RUNS("main.o ac.a b.a ac.a", 7),
          REFUSED("ac.a b.a main.o", "undefined symbol 'a'"));
    shell_close(&shell);
}

Test(inputs, groups_are_searched_in_circles)
{
    struct shell shell = open_chain();
    prepare(&shell, "ar rcs libac.a c.o a.o && ar rcs libb.a b.o && echo 'GROUP(libac.a -lb)' > libg.so && "
                    "echo 'INPUT(libac.a -lb)' > libi.so && echo 'GROUP(libac.a)' > libn.so");
    CHECK(&shell, RUNS("main.o -L. -lg", 7), REFUSED("main.o -L. -li", "undefined symbol 'c'"),
          RUNS("main.o -L. -ln -lb -ln", 7));
    static const struct {
        const char *line;
        int status;
    } rows[] = {{"main.o --start-group libac.a libb.a --end-group", 7},
                {"main.o --start-group -L. -ln -lb --end-group", 7},
                {"--start-group libac.a main.o libb.a --end-group", 7},
                {"--start-group libac.a libb.a --end-group main.o", 125},
                {"main.o --start-group libac.a --start-group libb.a --end-group", 125},
                {"main.o --start-group libac.a libb.a", 125},
                {"main.o libac.a libb.a --end-group", 125}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, "$J run %s", rows[i].line);
        cr_expect_eq(shell.status, rows[i].status, "%s: %d: %s", rows[i].line, shell.status, (char *)shell.error.bytes);
    }
    shell_close(&shell);
}

Test(inputs, whole_archives_give_every_member)
{
    struct shell shell = shell_open();
    compile(&shell, "main", "", "int count; int main(void) { return count; }");
    compile(&shell, "one", "", "extern int count; __attribute__((constructor)) void one(void) { count += 1; }");
    compile(&shell, "two", "", "extern int count; __attribute__((constructor)) void two(void) { count += 2; }");
    prepare(&shell, "ar rcs libx.a one.o two.o && ar rcsT liby.a one.o two.o && cp libx.a bad.a && echo text > README "
                    "&& ar qc bad.a README");
    static const struct {
        const char *native, *line;
        int status;
    } rows[] = {{"main.o libx.a", "main.o libx.a", 0},
                {"main.o -Wl,--whole-archive libx.a -Wl,--no-whole-archive", "main.o --whole-archive libx.a", 3},
                {"-Wl,--whole-archive liby.a -Wl,--no-whole-archive main.o", "--whole-archive -L. -ly main.o", 3},
                {"main.o -Wl,--whole-archive -Wl,--no-whole-archive libx.a",
                 "main.o --whole-archive --no-whole-archive libx.a", 0},
                {"main.o -u two libx.a", "main.o -u two libx.a", 2},
                {"main.o libx.a -u one -Wl,--undefined=two", "main.o libx.a -uone --undefined=two", 3},
                {"main.o libx.a -u nowhere", "main.o libx.a -u nowhere", 0},
                {"main.o -Wl,--whole-archive bad.a -Wl,--no-whole-archive", "main.o --whole-archive bad.a", 125}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, NATIVELY, rows[i].native);
        cr_expect_eq(shell.status, rows[i].status == 125 ? 1 : rows[i].status, "natively %s: %d", rows[i].native,
                     shell.status);
        shell_run(&shell, "$J run %s", rows[i].line);
        cr_expect_eq(shell.status, rows[i].status, "%s: %d: %s", rows[i].line, shell.status, (char *)shell.error.bytes);
    }
    cr_expect(strstr((char *)shell.error.bytes, "bad.a(README)"), "%s", (char *)shell.error.bytes);
    shell_close(&shell);
}

/* libm.so is a linker script, by which -lm brings libmvec where it is needed. */
Test(inputs, the_mathematics_library_brings_its_vector_functions)
{
    struct shell shell = shell_open();
    shell_run(&shell, "f=$(cc -print-file-name=libmvec.so.1) && test -e $f");
    if (shell.status != 0)
        cr_skip_test("there is no libmvec here");
    compile(&shell, "vector", "-Ofast",
            "#include <math.h>\n#include <stdio.h>\ndouble x[64], y[64]; int main(void) { int i; for (i = 0; i < 64; "
            "i++) x[i] = i * 0.01; for (i = 0; i < 64; i++) y[i] = sin(x[i]); printf(\"%.3f\\n\", y[50]); "
            "return 0; }");
    shell_run(&shell, "nm vector.o | grep -q _ZGV");
    if (shell.status != 0)
        cr_skip_test("the compiler does not call libmvec");
    CHECK(&shell, RUNS("vector.o -lm", 0), REFUSED("-lm vector.o", "_ZGV"),
          RUNS("vector.o -lpthread -ldl -lc -lm -lgcc_s", 0));
    cr_expect_str_eq((char *)shell.out.bytes, "0.479\n");
    shell_close(&shell);
}

/* Each library's constructor prints its name: what is not needed is not loaded. */
static void make_loud(struct shell *shell, const char *name, const char *more)
{
    char source[512], command[256];
    snprintf(
        source, sizeof source,
        "#include <stdio.h>\n__attribute__((constructor)) static void loud(void) { puts(\"%s\"); fflush(stdout); } %s",
        name, more);
    compile(shell, name, "", source);
    snprintf(command, sizeof command, "cc -shared -o lib%s.so %s.o", name, name);
    prepare(shell, command);
}

Test(inputs, as_needed_libraries_are_loaded_where_one_of_their_symbols_is_needed)
{
    struct shell shell = open_chain();
    make_loud(&shell, "used", "int b(void) { return 5; }");
    make_loud(&shell, "idle", "int nobody(void) { return 6; }");
    prepare(&shell, "ar rcs liba.a a.o && echo 'GROUP(AS_NEEDED(libidle.so -lused) libidle.so liba.a)' > libg.so; "
                    "echo 'INPUT(AS_NEEDED(libidle.so libused.so))' > libi.so; "
                    "echo 'GROUP(AS_NEEDED(./libidle.so ./libused.so) liba.a)' > libh.so");
    static const struct {
        const char *line, *out;
        int status;
    } rows[] = {
        {"main.o a.o -L. -li", "used\n", 5},
        {"main.o -L. -lh", "used\n", 5},
        {"main.o a.o b.o c.o -L. -li", "", 7},
        {"-L. -li main.o a.o b.o c.o", "", 7},
        {"main.o a.o -L. --as-needed -lidle -lused", "used\n", 5},
        {"main.o a.o b.o c.o -L. -lidle", "idle\n", 7},
        {"main.o a.o b.o c.o -L. --as-needed --no-as-needed -lidle", "idle\n", 7},
        {"-L. --as-needed -lused main.o a.o", "", 125},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, "$J run %s", rows[i].line);
        cr_expect_eq(shell.status, rows[i].status, "%s: %d: %s", rows[i].line, shell.status, (char *)shell.error.bytes);
        cr_expect_str_eq((char *)shell.out.bytes, rows[i].out, "%s: %s", rows[i].line, (char *)shell.out.bytes);
    }
    shell_close(&shell);
}

Test(inputs, linker_scripts_bring_files_as_ld_looks_for_them)
{
    struct shell shell = open_chain();
    prepare(&shell,
            "mkdir x y z && mv c.o x && cp d.o x/q.o && cp x/c.o y/q.o && cp d.o z/libz2.a.o && "
            "ar rcs z/libz2.a d.o && rm d.o && cp x/q.o q.o && cp y/q.o q.o && "
            "echo '/* files */ INPUT(a.o \"b.o\" /* and */ x/c.o)' > plain.txt && echo 'INPUT(a.o, b.o, x/c.o)' > "
            "commas.txt && "
            "echo 'INPUT(q.o)' > x/beside.so && echo 'INPUT(q.o)' > here.so && echo 'INPUT(c.o)' > searched.so "
            "&& echo 'SEARCH_DIR(z) INPUT(-lz2) OUTPUT_ARCH(i386:x86-64) TARGET(elf64-x86-64)' > dir.so && "
            "echo 'OUTPUT_FORMAT(elf32-i386) INPUT(x/c.o)' > foreign.so && "
            "echo 'OUTPUT_FORMAT(\"elf64-x86-64\", \"elf64-x86-64\", \"elf64-x86-64\") INPUT(x/c.o)' > own.so && "
            "echo 'INPUT(loop.so)' > loop.so && echo 'INPUT(x/c.o' > open.so && : > empty.o && "
            "echo 'SECTIONS { }' > sections.ld && echo 'no object' > text.o && echo 'x = 3;' > assigns.ld && "
            "ar rcs libab.a a.o b.o && echo 'EXTERN(main) INPUT(main.o)' > extern.so");
    CHECK(&shell, RUNS("main.o plain.txt", 7), RUNS_HERE("main.o commas.txt", 7), RUNS("main.o a.o b.o x/beside.so", 8),
          RUNS("main.o a.o b.o here.so", 7), REFUSED("main.o a.o b.o searched.so", "c.o"),
          RUNS("main.o a.o b.o searched.so -Lx", 7), RUNS("main.o a.o b.o dir.so", 8), RUNS("main.o a.o b.o own.so", 7),
          RUNS("extern.so plain.txt", 7), REFUSED_HERE("main.o a.o b.o foreign.so", "another machine"),
          REFUSED("main.o plain.txt open.so", "line 2"),
          REFUSED("main.o plain.txt text.o", "text.o: neither an object"),
          REFUSED_HERE("main.o plain.txt sections.ld", "line 1: 'SECTIONS' is none of INPUT"),
          REFUSED_HERE("main.o plain.txt assigns.ld", "line 1: 'x' is none of INPUT"),
          REFUSED_HERE("main.o plain.txt empty.o", "empty.o: is empty"));
    shell_run(&shell, "$J run main.o plain.txt loop.so");
    cr_expect_eq(shell.status, 125);
    cr_expect(strstr((char *)shell.error.bytes, "too deeply"), "%s", (char *)shell.error.bytes);
    shell_close(&shell);
}

Test(inputs, libraries_are_searched_as_cc_does)
{
    struct shell shell = open_chain();
    prepare(&shell, "mkdir x y z && cc -shared -o x/libq.so c.o && ar rcs y/libq.a d.o && ar rcs x/libr.a d.o && "
                    "cc -shared -o y/libr.so c.o && ar rcs z/libm.a d.o && "
                    "as --32 -o z/q.o /dev/null && ld -m elf_i386 -shared -o z/libq.so z/q.o && echo "
                    "'OUTPUT_FORMAT(elf32-i386) INPUT(q)' > z/libr.so && "
                    "cp z/libq.so z/libs.so && ar rc z/libr.a z/q.o");
    CHECK(&shell, RUNS_HERE("main.o a.o b.o -Lx -Ly -lq", 7), RUNS("main.o a.o b.o -Ly -Lx -lq", 8),
          RUNS("main.o a.o b.o -Lx -Ly -lr", 8), RUNS("main.o a.o b.o -lr -Lx -Ly", 8),
          RUNS("main.o a.o b.o -Lx -l:libr.a", 8), RUNS("main.o a.o b.o -Lz -lm", 8),
          RUNS("main.o a.o b.o -Lz -Ly -lq", 8), RUNS("main.o a.o b.o -Lz -Lx -lr", 8),
          REFUSED("main.o a.o b.o -Lz -ls", "z/libs.so is for another machine"),
          REFUSED("main.o a.o b.o -Lx -l:nothing.a", "-l:nothing.a: no such library"));
    static const struct {
        const char *line;
        int status;
    } rows[] = {{"$J run main.o a.o b.o -Lx -Ly -Bstatic -lq", 8},
                {"$J run main.o a.o b.o -Lx -Ly -Bstatic -lq -Bdynamic", 8},
                {"$J run main.o a.o b.o -Lx -Bstatic -lq", 125},
                {"$J run main.o a.o b.o -Bstatic x/libq.so", 125},
                {"$J run main.o a.o b.o -Lx -Bstatic -Bdynamic -lq -lm", 7},
                {"$J run main.o a.o b.o -Lx -lq -Bstatic -lm -lc", 7},
                {"$J run main.o a.o b.o -Bother -lq", 125},
                {"LIBRARY_PATH=:z:y $J run main.o a.o b.o -lq", 8},
                {"LIBRARY_PATH=y $J run main.o a.o b.o -Lx -lq", 7}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, "%s", rows[i].line);
        cr_expect_eq(shell.status, rows[i].status, "%s: %d: %s", rows[i].line, shell.status, (char *)shell.error.bytes);
    }
    shell_close(&shell);
}

Test(inputs, main_may_come_from_anywhere)
{
    struct shell shell = open_chain();
    prepare(&shell, "ar rcs all.a a.o main.o b.o c.o && ar rcs rest.a a.o b.o c.o && "
                    "cc -shared -o libmain.so main.o a.o b.o c.o");
    CHECK(&shell, RUNS("all.a", 7), RUNS("./libmain.so", 7), RUNS_HERE("d.o ./libmain.so", 7),
          REFUSED("rest.a", "undefined symbol 'main'"), REFUSED("c.o", "undefined symbol 'main'"),
          RUNS("rest.a all.a", 7));
    shell_run(&shell, "$J link rest.a");
    cr_expect_eq(shell.status, 125);
    cr_expect(strstr((char *)shell.error.bytes, "--whole-archive"), "%s", (char *)shell.error.bytes);
    shell_run(&shell, "$J link --whole-archive rest.a");
    cr_expect_eq(shell.status, 0, "%s", (char *)shell.error.bytes);
    shell_close(&shell);
}

Test(inputs, what_is_no_object_is_named)
{
    struct shell shell = open_chain();
    prepare(&shell, "cc main.o a.o b.o c.o -o program && cc -static-pie main.o a.o b.o c.o -o fixed; cp program p2");
    CHECK(&shell, REFUSED("main.o a.o b.o c.o ./program", "./program: an executable"),
          REFUSED("main.o a.o b.o c.o .", ".: is a directory"));
    shell_run(&shell, "test -e fixed || exit 77; $J run main.o a.o b.o c.o ./fixed");
    cr_expect(shell.status == 77 || strstr((char *)shell.error.bytes, "./fixed: an executable"), "%s",
              (char *)shell.error.bytes);
    shell_close(&shell);
}

/* The words are as cc reads them: blanks part them, quotes and backslashes keep them. */
Test(inputs, response_files_stand_for_their_words)
{
    struct shell shell = open_chain();
    compile(&shell, "show", "",
            "#include <stdio.h>\nint main(int n, char **v) { int i; for (i = 0; i < n; i++) puts(v[i]); return 0; }");
    FILE *script = fopen(temp_path(&shell.temp, "prepare.sh", (char[512]){0}), "w");
    cr_assert(script);
    fputs("cp c.o 'c \"c.o'\n"
          "cat > words <<'E'\n"
          "main.o\n\ta.o 'b'.o \"c \\\"c\".o\n"
          "E\n"
          "echo @words > nested\n"
          "echo @endless > endless\n"
          "echo '--argv0 \"\" show.o -- @words' > end\n"
          ": > none\n",
          script);
    cr_assert(fclose(script) == 0);
    prepare(&shell, "sh prepare.sh");
    CHECK(&shell, RUNS("@words", 7), RUNS("@none @nested @none", 7), REFUSED("@absent", "@absent: No such file"),
          REFUSED("@endless", "without end"));
    shell_run(&shell, "$J run @end @words");
    cr_expect_str_eq((char *)shell.out.bytes, "\n@words\n@words\n");
    shell_run(&shell, "$J run show.o @none -- @none");
    cr_expect_str_eq((char *)shell.out.bytes, "show.o\n@none\n");
    shell_close(&shell);
}

Test(inputs, code_for_a_compiler_alone_is_named_with_what_to_do)
{
    struct shell shell = open_chain();
    compile(&shell, "a", "-flto", "int b(void); int a(void) { return b(); }");
    prepare(&shell, "ar rcs liba.a a.o && ar rcS plain.a a.o && printf 'BC\\300\\336....' > bit.o && "
                    "ar rcS bit.a bit.o");
    static const struct {
        const char *line, *words;
    } rows[] = {{"main.o a.o b.o c.o", "a.o: holds intermediate code of GCC alone (-flto)"},
                {"main.o a.o b.o c.o", "-ffat-lto-objects"},
                {"main.o liba.a b.o c.o", "liba.a(a.o): holds intermediate code"},
                {"main.o plain.a b.o c.o", "plain.a(a.o) may define it"},
                {"main.o bit.o", "bit.o: not an ELF object: LLVM bitcode"},
                {"main.o bit.o", "-ffat-lto-objects"},
                {"main.o bit.a", "bit.a(bit.o) may define it"},
                {"bit.a", "bit.a(bit.o) may define it"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, "$J run %s", rows[i].line);
        cr_expect_eq(shell.status, 125);
        cr_expect(strstr((char *)shell.error.bytes, rows[i].words), "%s: %s", rows[i].line, (char *)shell.error.bytes);
    }
    compile(&shell, "a", "-flto -ffat-lto-objects", "int b(void); int a(void) { return b(); }");
    prepare(&shell, "ar rcs liba.a a.o");
    CHECK(&shell, RUNS("main.o a.o b.o c.o", 7), RUNS("main.o liba.a b.o c.o", 7));
    shell_close(&shell);
}

Test(inputs, libraries_have_either_kind_of_hash_table)
{
    struct shell shell = open_chain();
    compile(&shell, "empty", "", "static int nothing;");
    prepare(&shell, "for s in sysv gnu both; do cc -shared -Wl,--hash-style=$s -o lib$s.so c.o && "
                    "cc -shared -nostdlib -Wl,--hash-style=$s -o e$s.so empty.o || exit 1; done");
    CHECK(&shell, RUNS("main.o a.o b.o ./libsysv.so", 7), RUNS("main.o a.o b.o ./libgnu.so", 7),
          RUNS("main.o a.o b.o ./libboth.so", 7), RUNS("main.o a.o b.o ./esysv.so ./egnu.so ./eboth.so c.o", 7));
    shell_close(&shell);
}

/* Writes main.o, in which main calls a function with a name of that many bytes. */
static void make_long_name(struct shell *shell, size_t bytes)
{
    char path[512];
    FILE *file = fopen(temp_path(&shell->temp, "main.s", path), "w");
    cr_assert(file);
    char *name = malloc(bytes + 1);
    memset(name, 'x', bytes);
    name[bytes] = '\0';
    fprintf(file,
            ".globl main, %s\n.type main, @function\n.type %s, @function\n%s: mov $6, %%eax\nret\nmain: call %s\n"
            "ret\n.section .note.GNU-stack\n",
            name, name, name, name);
    cr_assert(fclose(file) == 0);
    free(name);
    prepare(shell, "cc -c main.s");
}

Test(inputs, names_may_have_a_mebibyte)
{
    struct shell shell = shell_open();
    static const size_t lengths[] = {65536, 65537, LIMIT_NAME_BYTES};
    for (size_t i = 0; i < 3; i++) {
        make_long_name(&shell, lengths[i]);
        CHECK(&shell, RUNS("main.o", 6));
    }
    make_long_name(&shell, LIMIT_NAME_BYTES + 1);
    CHECK(&shell, REFUSED_HERE("main.o", "holds a name of more than 1048576 bytes"));
    cr_expect_lt(shell.error.length, 300);
    shell_close(&shell);
}

/* All frames are told of, however long their names are. */
Test(inputs, reports_name_a_function_by_the_beginning_of_a_long_name)
{
    struct shell shell = shell_open();
    char path[512];
    FILE *file = fopen(temp_path(&shell.temp, "deep.c", path), "w");
    cr_assert(file);
    char *name = malloc(300001);
    memset(name, 'f', 300000);
    name[300000] = '\0';
    fprintf(file, "int %s(int n, int *p) { return n ? %s(n - 1, p) + 1 : *p; } int main(void) { return %s(200, 0); }\n",
            name, name, name);
    cr_assert(fclose(file) == 0);
    free(name);
    prepare(&shell, "cc -O0 -fPIC -c deep.c");
    shell_run(&shell, "$J run deep.o");
    cr_expect_eq(shell.status, 139, "%d: %.300s", shell.status, (char *)shell.error.bytes);
    cr_expect(strstr((char *)shell.error.bytes, "#127"));
    cr_expect(strstr((char *)shell.error.bytes, "fff...+0x"));
    cr_expect_lt(shell.error.length, 64 * 1024);
    shell_close(&shell);
}
