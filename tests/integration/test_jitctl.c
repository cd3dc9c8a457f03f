/*
 * jitctl as a shell meets it: what it prints, and the status it ends with.
 *
 * Each test has a directory of its own, with the objects that the table below names. What cc would do is asked of cc
 * where that is not plain.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/shell.h"
#include "tests/lib/elf_build.h"

TestSuite(jitctl, .timeout = 60);

static void put(const struct shell *shell, const char *name, const void *bytes, size_t length)
{
    char path[512];
    FILE *file = fopen(temp_path(&shell->temp, name, path), "wb");
    cr_assert(file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0, "%s cannot be written", path);
}

static void put_object(const struct shell *shell, const char *name, const char *source)
{
    struct object_bytes object = compile_c(source, "-O1 -g -w -fPIC");
    put(shell, name, object.bytes, object.length);
    object_free(&object);
}

#define EXPECT_STATUS(shell, expected)                                                                                 \
    cr_expect((shell)->status == (expected), "status %d instead of %d: %s", (shell)->status, expected,                 \
              (char *)(shell)->error.bytes)
#define EXPECT_OUT(shell, expected) cr_expect_str_eq((char *)(shell)->out.bytes, expected)
#define EXPECT_ERROR(shell, words)                                                                                     \
    cr_expect(strstr((char *)(shell)->error.bytes, words), "no \"%s\" in: %s", words, (char *)(shell)->error.bytes)

Test(jitctl, passes_arguments_streams_and_the_exit_status)
{
    struct shell shell = shell_open();
    put_object(&shell, "echo.o",
               "#include <stdio.h>\n"
               "int main(int argc, char **argv) { int c; for (int i = 0; i < argc; i++) puts(argv[i]);\n"
               "    while ((c = getchar()) != EOF) putchar(c); fputs(\"to stderr\", stderr); return argc + 40; }");
    shell_run(&shell, "echo from stdin | JITD_LOG=error $J run ./echo.o -- one --two '' ");
    EXPECT_STATUS(&shell, 44);
    EXPECT_OUT(&shell, "./echo.o\none\n--two\n\nfrom stdin\n");
    cr_expect_str_eq((char *)shell.error.bytes, "to stderr");
    shell_run(&shell, "$J run --argv0 name echo.o");
    EXPECT_OUT(&shell, "name\n");
    shell_close(&shell);
}

Test(jitctl, passes_only_the_common_environment_unless_told)
{
    struct shell shell = shell_open();
    put_object(&shell, "env.o",
               "#include <stdio.h>\n#include <stdlib.h>\n"
               "static void show(const char *n) { printf(\"%s=%s\\n\", n, getenv(n) ? getenv(n) : \"-\"); }\n"
               "int main(void) { show(\"LC_ALL\"); show(\"SECRET\"); show(\"TZ\"); show(\"NEW\"); return 0; }");
    shell_run(&shell, "export LC_ALL=C SECRET=s TZ=UTC; $J run env.o");
    EXPECT_OUT(&shell, "LC_ALL=C\nSECRET=-\nTZ=UTC\nNEW=-\n");
    shell_run(&shell, "export LC_ALL=C SECRET=s TZ=UTC; $J run --env SECRET --env NEW=1 --env TZ=CET env.o");
    EXPECT_OUT(&shell, "LC_ALL=C\nSECRET=s\nTZ=CET\nNEW=1\n");
    shell_run(&shell, "export LC_ALL=C SECRET=s TZ=UTC; $J run --env-all env.o");
    EXPECT_OUT(&shell, "LC_ALL=C\nSECRET=s\nTZ=UTC\nNEW=-\n");
    shell_close(&shell);
}

Test(jitctl, takes_from_archives_what_cc_takes)
{
    struct shell shell = shell_open();
    put_object(&shell, "main.o", "int f(void); int main(void) { return f(); }");
    put_object(&shell, "f.o", "int g(void); int f(void) { return g() + 1; }");
    put_object(&shell, "g.o", "int g(void) { return 6; }");
    put_object(&shell, "broken.o", "int nowhere(void); int unused(void) { return nowhere(); }");
    shell_run(&shell,
              "ar rcs libfg.a g.o broken.o f.o && ar rcS noindex.a g.o broken.o f.o && ar rcs libmain.a main.o");
    static const char *const lines[] = {"main.o libfg.a",        "main.o noindex.a",
                                        "main.o -L . -lfg",      "-L. main.o -l fg",
                                        "main.o -L. -l:libfg.a", "libmain.a libfg.a -lm -lc -lpthread"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        shell_run(&shell, "$J run %s", lines[i]);
        EXPECT_STATUS(&shell, 7);
    }
    /* An archive before the use of it adds nothing, as with ld. */
    shell_run(&shell, "$J run libfg.a main.o");
    EXPECT_STATUS(&shell, 125);
    EXPECT_ERROR(&shell, "undefined symbol 'f'");
    shell_close(&shell);
}

Test(jitctl, loads_shared_libraries_before_archives)
{
    struct shell shell = shell_open();
    put_object(&shell, "main.o", "int f(void); int main(void) { return f(); }");
    put_object(&shell, "shared.o", "int f(void) { return 3; }");
    put_object(&shell, "static.o", "int f(void) { return 4; }");
    shell_run(&shell, "cc -shared -o libf.so shared.o && ar rcs libf.a static.o && echo 'GROUP ( libf.so )' > libs.so");
    static const struct {
        const char *line;
        int status;
    } rows[] = {{"main.o -L. -lf", 3}, {"main.o libf.a", 4}, {"main.o ./libf.so libf.a", 3}, {"main.o -L. -ls", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, "$J run %s", rows[i].line);
        EXPECT_STATUS(&shell, rows[i].status);
    }
    shell_close(&shell);
}

Test(jitctl, adds_what_cc_adds_silently)
{
    struct shell shell = shell_open();
    put_object(&shell, "silent.o",
               "#include <stdlib.h>\n#include <stdio.h>\n"
               "static void bye(void) { puts(\"bye\"); }\n"
               "int main(int argc, char **argv) { atexit(bye); unsigned __int128 a = argc + 99, b = argc + 8;\n"
               "    return (int)(a / b); }");
    shell_run(&shell, "$J run silent.o");
    EXPECT_STATUS(&shell, 11);
    EXPECT_OUT(&shell, "bye\n");
    shell_close(&shell);
}

Test(jitctl, lists_every_missing_symbol_with_who_needs_it)
{
    struct shell shell = shell_open();
    put_object(&shell, "a.o", "#line 12 \"/source/a.c\"\nint first(void); int main(void) { return first(); }");
    put_object(&shell, "b.o", "extern int second; int first_user(void) { return second; }");
    shell_run(&shell, "$J run a.o b.o");
    EXPECT_STATUS(&shell, 125);
    EXPECT_ERROR(&shell, "jitctl: undefined symbol 'first'");
    EXPECT_ERROR(&shell, "needed by /source/a.c:12 in a.o");
    EXPECT_ERROR(&shell, "jitctl: undefined symbol 'second'");
    EXPECT_ERROR(&shell, "b.o");
    shell_close(&shell);
}

Test(jitctl, says_of_each_file_what_is_wrong_with_it)
{
    struct shell shell = shell_open();
    put_object(&shell, "good.o", "int main(void) { return 0; }");
    put(&shell, "text.o", "no object\n", 10);
    put(&shell, "bad.a", "!<arch>\nrubbish", 15);
    put(&shell, "empty.o", "", 0);
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"good.o none.o", "none.o: No such file"},
        {"good.o .", ".: is a directory"},
        {"good.o bad.a", "bad.a: "},
        {"good.o text.o", "text.o"},
        {"good.o empty.o", "empty.o"},
        {"/bin/true", "/bin/true: an executable"},
        {"good.o -lnowhere", "-lnowhere: "},
        {"good.o good.o", "main"},
        {"good.o /dev/null", "/dev/null: is not a regular file"},
        {"--no-such good.o", "--no-such is no opt"},
        {"", "no files given"},
        {"--env", "--env needs a value"},
        {"--sandbox open good.o", "--sandbox is "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell_run(&shell, "$J run %s", rows[i].line);
        EXPECT_STATUS(&shell, 125);
        EXPECT_ERROR(&shell, "jitctl: ");
        EXPECT_ERROR(&shell, rows[i].words);
    }
    shell_run(&shell, "$J run good.o none.o -lnowhere");
    EXPECT_ERROR(&shell, "none.o: ");
    EXPECT_ERROR(&shell, "-lnowhere: ");
    shell_close(&shell);
}

static const char crash_source[] = "#line 10 \"/source/crash.c\"\n"
                                   "__attribute__((noinline)) void inner(volatile int *p) { *p = 1; }\n"
                                   "__attribute__((noinline)) int outer(int *p) { inner(p); return *p; }\n"
                                   "int main(void) { return outer(0); }\n";

Test(jitctl, reports_a_crash_with_function_file_and_line)
{
    struct shell shell = shell_open();
    put_object(&shell, "crash.o", crash_source);
    shell_run(&shell, "$J run crash.o");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    EXPECT_ERROR(&shell, "signal 11, SIGSEGV");
    EXPECT_ERROR(&shell, "address 0x0");
    EXPECT_ERROR(&shell, "(crash.o) at /source/crash.c:10\n");
    EXPECT_ERROR(&shell, "(crash.o) at /source/crash.c:11\n");
    EXPECT_ERROR(&shell, "(crash.o) at /source/crash.c:12\n");
    shell_close(&shell);
}

Test(jitctl, reports_a_crash_inside_an_archive)
{
    struct shell shell = shell_open();
    put_object(&shell, "deep.o", crash_source);
    shell_run(&shell, "ar rcs libdeep.a deep.o; $J run libdeep.a");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    EXPECT_ERROR(&shell, "(libdeep.a(deep.o)) at /source/crash.c:10\n");
    shell_close(&shell);
}

/* Two objects of one name; the second one crashes, or refers to what is not there. */
static void put_twins(struct shell *shell, const char *second)
{
    shell_run(shell, "mkdir -p x y");
    put_object(shell, "main.o", "int good(int *), bad(int *); int main(void) { return good(0) + bad(0); }");
    put_object(shell, "x/util.o",
               "#line 90 \"/source/x.c\"\nint good(int *p) { return p != 0; }\nint spare(int *p) { return *p; }");
    put_object(shell, "y/util.o", second);
}

static const char *const twin_lines[] = {
    "rm -f lib.a; ar qc lib.a x/util.o && ar q lib.a y/util.o && ranlib lib.a && $J run main.o lib.a",
    "rm -f ?/lib.a; ar rcs x/lib.a x/util.o && ar rcs y/lib.a y/util.o && $J run main.o x/lib.a y/lib.a",
};

Test(jitctl, finds_the_lines_of_the_right_one_of_two_members_of_one_name)
{
    struct shell shell = shell_open();
    put_twins(&shell, "#line 10 \"/source/y.c\"\nint bad(int *p) { return *p; }");
    for (size_t i = 0; i < sizeof twin_lines / sizeof twin_lines[0]; i++) {
        shell_run(&shell, "%s", twin_lines[i]);
        EXPECT_STATUS(&shell, 128 + SIGSEGV);
        EXPECT_ERROR(&shell, "(lib.a(util.o)) at /source/y.c:10\n");
    }
    put_twins(&shell, "#line 10 \"/source/y.c\"\nint gone(void); int bad(int *p) { return gone() + !p; }");
    for (size_t i = 0; i < sizeof twin_lines / sizeof twin_lines[0]; i++) {
        shell_run(&shell, "%s", twin_lines[i]);
        EXPECT_STATUS(&shell, 125);
        EXPECT_ERROR(&shell, "undefined symbol 'gone', needed by /source/y.c:10 in lib.a(util.o)\n");
    }
    shell_close(&shell);
}

/* A call that does not return is its function's last instruction: what it returns to is another line's. */
Test(jitctl, finds_the_line_of_the_call_not_of_what_it_returns_to)
{
    struct shell shell = shell_open();
    put_object(&shell, "end.o",
               "#include <stdlib.h>\n#line 20 \"/source/end.c\"\n"
               "__attribute__((noinline, noreturn)) static void give_up(void) { abort(); }\n"
               "__attribute__((noinline)) void caller(void) {\n"
               "    give_up();\n"
               "}\n"
               "int main(void) {\n"
               "    caller();\n"
               "    return 0;\n"
               "}\n");
    shell_run(&shell, "$J run end.o");
    EXPECT_STATUS(&shell, 128 + SIGABRT);
    EXPECT_ERROR(&shell, "in give_up+");
    EXPECT_ERROR(&shell, "at /source/end.c:20\n");
    EXPECT_ERROR(&shell, "at /source/end.c:22\n");
    EXPECT_ERROR(&shell, "at /source/end.c:25\n");
    shell_close(&shell);
}

Test(jitctl, shows_inlined_functions_and_names_as_the_source_has_them)
{
    static const char source[] = "#line 10 \"/source/shop.h\"\n"
                                 "namespace shop { struct till { int *p;\n"
                                 "    __attribute__((always_inline)) int peek(int by) { return p[p[by]]; } };\n"
                                 "template <class T> __attribute__((noinline)) int look(T *t) {\n"
                                 "    return t->peek(2) + 1; } }\n"
                                 "#line 30 \"/source/main.cc\"\n"
                                 "int main() { shop::till t = {0}; return shop::look(&t) + 1; }\n";
    struct shell shell = shell_open();
    struct object_bytes object = compile_cxx(source, "-O1 -g -fPIC");
    put(&shell, "shop.o", object.bytes, object.length);
    object_free(&object);
    shell_run(&shell, "$J run shop.o");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    EXPECT_ERROR(&shell, "in _ZN4shop4till4peekEi [shop::till::peek(int)], inlined (shop.o) at /source/shop.h:11\n");
    EXPECT_ERROR(&shell, "in _ZN4shop4lookINS_4tillEEEiPT_+0x");
    EXPECT_ERROR(&shell, " [int shop::look<shop::till>(shop::till*)] (shop.o) at /source/shop.h:13\n");
    EXPECT_ERROR(&shell, "(shop.o) at /source/main.cc:30\n");
    shell_run(&shell, "$J run --json shop.o 2>&1 | tr -d '\\n' | sed 's/  */ /g'");
    static const char *const members[] = {
        "\"function\": \"_ZN4shop4lookINS_4tillEEEiPT_\", \"demangled\": \"int shop::look<shop::till>(shop::till*)\"",
        "\"file\": \"/source/shop.h\", \"line\": 13, \"inlined\": [ { \"function\": \"_ZN4shop4till4peekEi\", "
        "\"demangled\": \"shop::till::peek(int)\", \"file\": \"/source/shop.h\", \"line\": 11 } ]",
        "\"unit_id\": 1, \"section\": \".text._ZN4shop4lookINS_4tillEEEiPT_\", \"section_index\": ",
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        cr_expect(strstr((char *)shell.out.bytes, members[i]), "no %s in: %s", members[i], (char *)shell.out.bytes);
    shell_close(&shell);
}

Test(jitctl, names_missing_symbols_as_the_source_has_them)
{
    struct shell shell = shell_open();
    struct object_bytes object =
        compile_cxx("#line 5 \"/source/a.cc\"\nnamespace shop { int gone(long); } int main() { return shop::gone(1); }",
                    "-g -fPIC");
    put(&shell, "a.o", object.bytes, object.length);
    object_free(&object);
    shell_run(&shell, "$J run a.o");
    EXPECT_STATUS(&shell, 125);
    EXPECT_ERROR(&shell, "undefined symbol '_ZN4shop4goneEl' [shop::gone(long)], needed by /source/a.cc:5 in a.o\n");
    shell_close(&shell);
}

static void replace_in(struct object_bytes *object, const char *from, const char *to)
{
    size_t length = strlen(from);
    for (size_t i = 0; i + length <= object->length; i++)
        if (memcmp(object->bytes + i, from, length) == 0)
            memcpy(object->bytes + i, to, length);
}

/* Functions, plain and mangled and inlined, and files whose names speak to the terminal. */
Test(jitctl, shows_control_characters_of_names_as_numbers)
{
    struct shell shell = shell_open();
    struct object_bytes object =
        compile_cxx("#line 5 \"/source/escape.cc\"\n"
                    "inline __attribute__((always_inline)) int inside(int *p) { return p[*p]; }\n"
                    "__attribute__((noinline)) int escape(int *p) { return inside(p) + 1; }\n"
                    "extern \"C\" __attribute__((noinline)) int escape_c(int *p) { return escape(p) + 1; }\n"
                    "int main() { return escape_c(0) + 1; }\n",
                    "-O1 -g -fPIC");
    replace_in(&object, "escape", "e\033[31m");
    replace_in(&object, "inside", "i\033[31m");
    put(&shell, "a.o", object.bytes, object.length);
    object_free(&object);
    shell_run(&shell, "$J run a.o");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    EXPECT_ERROR(&shell, "[i\\x1b[31m(int*)], inlined (a.o) at /source/e\\x1b[31m.cc:5\n");
    EXPECT_ERROR(&shell, "[e\\x1b[31m(int*)] (a.o) at /source/e\\x1b[31m.cc:6\n");
    EXPECT_ERROR(&shell, "in e\\x1b[31m_c+0x");
    cr_expect_not(strchr((char *)shell.error.bytes, '\033'));
    shell_close(&shell);
}

/* Debug information that is no debug information takes nothing else along. */
Test(jitctl, reports_a_crash_whose_lines_cannot_be_read)
{
    struct shell shell = shell_open();
    struct object_bytes object = compile_c(crash_source, "-O1 -g -fPIC -gz=zlib");
    ((Elf64_Chdr *)elf_contents(&object, elf_section_named(&object, ".debug_info")))->ch_size = UINT64_C(1) << 50;
    put(&shell, "a.o", object.bytes, object.length);
    object_free(&object);
    shell_run(&shell, "$J run a.o");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    EXPECT_ERROR(&shell, "in inner+0x");
    EXPECT_ERROR(&shell, "  a.o: its debug information is compressed, and more than 1 GiB when it is not\n");
    shell_run(&shell, "$J run --json a.o");
    EXPECT_ERROR(&shell, "\"problem\": \"its debug information is compressed, and");
    shell_close(&shell);
}

Test(jitctl, writes_the_report_as_json_where_told)
{
    struct shell shell = shell_open();
    put_object(&shell, "crash.o", crash_source);
    shell_run(&shell, "JITD_LOG=error $J run --json --report report.json crash.o");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    cr_expect_eq(shell.error.length, 0);
    shell_run(&shell, "cat report.json");
    cr_expect(strstr((char *)shell.out.bytes, "\"signal_name\": \"SIGSEGV\""));
    cr_expect(strstr((char *)shell.out.bytes, "\"file\": \"/source/crash.c\""));
    shell_close(&shell);
}

Test(jitctl, writes_reports_that_others_parse)
{
    SKIP_WITHOUT("python3");
    struct shell shell = shell_open();
    put_object(&shell, "crash.o", crash_source);
    shell_run(&shell, "$J run --json --report report.json crash.o");
    EXPECT_STATUS(&shell, 128 + SIGSEGV);
    shell_run(&shell, "python3 -m json.tool report.json >/dev/null");
    EXPECT_STATUS(&shell, 0);
    shell_close(&shell);
}

Test(jitctl, ends_as_the_program_ends)
{
    struct shell shell = shell_open();
    static const struct {
        const char *source;
        int status;
    } rows[] = {
        {"#include <stdlib.h>\nint main(void) { abort(); }", 128 + SIGABRT},
        {"#include <stdlib.h>\nint main(void) { exit(9); }", 9},
        {"#include <unistd.h>\nint main(void) { _exit(300); }", 300 & 255},
        {"int main(int c, char **v) { volatile int zero = 0; return 1000 / zero; }", 128 + SIGFPE},
        {"#include <stdlib.h>\n__attribute__((constructor)) void early(void) { exit(6); } int main(void) { return 1; }",
         6},
        {"static int v; __attribute__((constructor)) void e(void) { v = 5; } int main(void) { return v; }", 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_object(&shell, "end.o", rows[i].source);
        shell_run(&shell, "$J run end.o");
        cr_expect(shell.status == rows[i].status, "row %zu: %d instead of %d: %s", i, shell.status, rows[i].status,
                  (char *)shell.error.bytes);
    }
    shell_close(&shell);
}

/* Whether a process of this process group still lives; the children are given a moment to be gone. */
static bool group_lives(pid_t group)
{
    for (int i = 0; i < 100; i++) {
        if (kill(-group, 0) < 0)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return true;
}

/* Starts `jitctl run loop.o` in a group of its own, as a shell does, and returns once the program has written a byte.
 */
static pid_t start_loop(struct shell *shell)
{
    char path[512];
    int ready[2];
    char byte;
    put_object(shell, "loop.o", "#include <unistd.h>\nint main(void) { write(1, \"x\", 1); for (;;) pause(); }");
    temp_path(&shell->temp, "loop.o", path);
    cr_assert(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        dup2(ready[1], 1);
        close(ready[0]);
        close(ready[1]);
        execl(shell->jitctl, "jitctl", "run", path, (char *)NULL);
        _exit(99);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the program did not start");
    close(ready[0]);
    return pid;
}

Test(jitctl, control_c_ends_everything_with_130)
{
    struct shell shell = shell_open();
    static const bool whole_group[] = {true, false};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = start_loop(&shell);
        int status;
        kill(whole_group[i] ? -pid : pid, SIGINT);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 130, "wait status 0x%x", (unsigned)status);
        cr_expect_not(group_lives(pid));
    }
    shell_close(&shell);
}

Test(jitctl, killing_it_leaves_no_process_behind)
{
    struct shell shell = shell_open();
    pid_t pid = start_loop(&shell);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_expect_not(group_lives(pid));
    shell_close(&shell);
}

Test(jitctl, link_prints_the_map)
{
    struct shell shell = shell_open();
    put_object(&shell, "two.o", "int counter = 1; int next(void) { return counter++; }");
    shell_run(&shell, "$J link two.o");
    EXPECT_STATUS(&shell, 0);
    cr_expect(strstr((char *)shell.out.bytes, "two.o\n"));
    cr_expect(strstr((char *)shell.out.bytes, "  next\n"));
    cr_expect(strstr((char *)shell.out.bytes, "  counter\n"));
    shell_run(&shell, "$J link --json two.o");
    EXPECT_STATUS(&shell, 0);
    cr_expect(strstr((char *)shell.out.bytes, "\"name\": \"counter\""));
    shell_close(&shell);
}

Test(jitctl, helps)
{
    struct shell shell = shell_open();
    static const char *const commands[] = {"--help", "help", "help run", "run --help", "--version", "help link"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        shell_run(&shell, "$J %s", commands[i]);
        EXPECT_STATUS(&shell, 0);
        cr_expect(shell.out.length > 10 && shell.error.length == 0, "%s", commands[i]);
    }
    shell_run(&shell, "$J frobnicate");
    EXPECT_STATUS(&shell, 125);
    EXPECT_ERROR(&shell, "no command 'frobnicate'");
    shell_close(&shell);
}
