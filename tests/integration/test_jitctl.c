/*
 * jitctl as a shell meets it: what it prints, and the status it ends with.
 *
 * Each test has a directory of its own, with the objects that the table below names. What cc would do is asked of cc
 * where that is not plain.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/compile.h"
#include "tests/lib/temp.h"

TestSuite(jitctl, .timeout = 60);

struct fixture {
    struct temp temp;
    char jitctl[512];
    int status; /* of the last command */
    struct object_bytes out, error;
};

static struct fixture fixture_open(void)
{
    struct fixture fixture = {.temp = temp_make()};
    const char *build = getenv("O");
    char relative[300];
    snprintf(relative, sizeof relative, "%s/bin/jitctl", build ? build : "build");
    char *path = realpath(relative, NULL);
    cr_assert(path, "%s is not there", relative);
    snprintf(fixture.jitctl, sizeof fixture.jitctl, "%s", path);
    free(path);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    object_free(&fixture->out);
    object_free(&fixture->error);
    temp_remove(&fixture->temp);
}

/* A file whole, as a string. */
static struct object_bytes read_text(const char *path)
{
    struct object_bytes file = object_read(path);
    struct object_bytes text = {.bytes = calloc(1, file.length + 1), .length = file.length};
    cr_assert(text.bytes);
    memcpy(text.bytes, file.bytes, file.length);
    object_free(&file);
    return text;
}

static void put(const struct fixture *fixture, const char *name, const void *bytes, size_t length)
{
    char path[512];
    FILE *file = fopen(temp_path(&fixture->temp, name, path), "wb");
    cr_assert(file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0, "%s cannot be written", path);
}

static void put_object(const struct fixture *fixture, const char *name, const char *source)
{
    struct object_bytes object = compile_c(source, "-O1 -g -w -fPIC");
    put(fixture, name, object.bytes, object.length);
    object_free(&object);
}

/* Runs a shell command in the directory, with $J for jitctl. */
static int shell(struct fixture *fixture, const char *format, ...)
{
    char text[1024], command[2560], path[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(command, sizeof command, "cd %s && { J=%s; %s; } >out 2>error </dev/null", fixture->temp.path,
             fixture->jitctl, text);
    int status = system(command);
    fixture->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    object_free(&fixture->out);
    object_free(&fixture->error);
    fixture->out = read_text(temp_path(&fixture->temp, "out", path));
    fixture->error = read_text(temp_path(&fixture->temp, "error", path));
    return fixture->status;
}

#define EXPECT_STATUS(fixture, expected)                                                                               \
    cr_expect((fixture)->status == (expected), "status %d instead of %d: %s", (fixture)->status, expected,             \
              (char *)(fixture)->error.bytes)
#define EXPECT_OUT(fixture, expected) cr_expect_str_eq((char *)(fixture)->out.bytes, expected)
#define EXPECT_ERROR(fixture, words)                                                                                   \
    cr_expect(strstr((char *)(fixture)->error.bytes, words), "no \"%s\" in: %s", words, (char *)(fixture)->error.bytes)

Test(jitctl, passes_arguments_streams_and_the_exit_status)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "echo.o",
               "#include <stdio.h>\n"
               "int main(int argc, char **argv) { int c; for (int i = 0; i < argc; i++) puts(argv[i]);\n"
               "    while ((c = getchar()) != EOF) putchar(c); fputs(\"to stderr\", stderr); return argc + 40; }");
    shell(&fixture, "echo from stdin | $J run ./echo.o -- one --two '' ");
    EXPECT_STATUS(&fixture, 44);
    EXPECT_OUT(&fixture, "./echo.o\none\n--two\n\nfrom stdin\n");
    cr_expect_str_eq((char *)fixture.error.bytes, "to stderr");
    shell(&fixture, "$J run --argv0 name echo.o");
    EXPECT_OUT(&fixture, "name\n");
    fixture_close(&fixture);
}

Test(jitctl, passes_only_the_common_environment_unless_told)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "env.o",
               "#include <stdio.h>\n#include <stdlib.h>\n"
               "static void show(const char *n) { printf(\"%s=%s\\n\", n, getenv(n) ? getenv(n) : \"-\"); }\n"
               "int main(void) { show(\"LC_ALL\"); show(\"SECRET\"); show(\"TZ\"); show(\"NEW\"); return 0; }");
    shell(&fixture, "export LC_ALL=C SECRET=s TZ=UTC; $J run env.o");
    EXPECT_OUT(&fixture, "LC_ALL=C\nSECRET=-\nTZ=UTC\nNEW=-\n");
    shell(&fixture, "export LC_ALL=C SECRET=s TZ=UTC; $J run --env SECRET --env NEW=1 --env TZ=CET env.o");
    EXPECT_OUT(&fixture, "LC_ALL=C\nSECRET=s\nTZ=CET\nNEW=1\n");
    shell(&fixture, "export LC_ALL=C SECRET=s TZ=UTC; $J run --env-all env.o");
    EXPECT_OUT(&fixture, "LC_ALL=C\nSECRET=s\nTZ=UTC\nNEW=-\n");
    fixture_close(&fixture);
}

Test(jitctl, takes_from_archives_what_cc_takes)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "main.o", "int f(void); int main(void) { return f(); }");
    put_object(&fixture, "f.o", "int g(void); int f(void) { return g() + 1; }");
    put_object(&fixture, "g.o", "int g(void) { return 6; }");
    put_object(&fixture, "broken.o", "int nowhere(void); int unused(void) { return nowhere(); }");
    shell(&fixture, "ar rcs libfg.a g.o broken.o f.o && ar rcS noindex.a g.o broken.o f.o && ar rcs libmain.a main.o");
    static const char *const lines[] = {"main.o libfg.a",        "main.o noindex.a",
                                        "main.o -L . -lfg",      "-L. main.o -l fg",
                                        "main.o -L. -l:libfg.a", "libmain.a libfg.a -lm -lc -lpthread"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        shell(&fixture, "$J run %s", lines[i]);
        EXPECT_STATUS(&fixture, 7);
    }
    /* An archive before the use of it adds nothing, as with ld. */
    shell(&fixture, "$J run libfg.a main.o");
    EXPECT_STATUS(&fixture, 125);
    EXPECT_ERROR(&fixture, "undefined symbol 'f'");
    fixture_close(&fixture);
}

Test(jitctl, loads_shared_libraries_before_archives)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "main.o", "int f(void); int main(void) { return f(); }");
    put_object(&fixture, "shared.o", "int f(void) { return 3; }");
    put_object(&fixture, "static.o", "int f(void) { return 4; }");
    shell(&fixture, "cc -shared -o libf.so shared.o && ar rcs libf.a static.o && echo 'GROUP ( libf.so )' > libs.so");
    static const struct {
        const char *line;
        int status;
    } rows[] = {{"main.o -L. -lf", 3}, {"main.o libf.a", 4}, {"main.o ./libf.so libf.a", 3}, {"main.o -L. -ls", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shell(&fixture, "$J run %s", rows[i].line);
        EXPECT_STATUS(&fixture, rows[i].status);
    }
    fixture_close(&fixture);
}

Test(jitctl, adds_what_cc_adds_silently)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "silent.o",
               "#include <stdlib.h>\n#include <stdio.h>\n"
               "static void bye(void) { puts(\"bye\"); }\n"
               "int main(int argc, char **argv) { atexit(bye); unsigned __int128 a = argc + 99, b = argc + 8;\n"
               "    return (int)(a / b); }");
    shell(&fixture, "$J run silent.o");
    EXPECT_STATUS(&fixture, 11);
    EXPECT_OUT(&fixture, "bye\n");
    fixture_close(&fixture);
}

Test(jitctl, lists_every_missing_symbol_with_who_needs_it)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "a.o", "#line 12 \"/source/a.c\"\nint first(void); int main(void) { return first(); }");
    put_object(&fixture, "b.o", "extern int second; int first_user(void) { return second; }");
    shell(&fixture, "$J run a.o b.o");
    EXPECT_STATUS(&fixture, 125);
    EXPECT_ERROR(&fixture, "jitctl: undefined symbol 'first'");
    EXPECT_ERROR(&fixture, "needed by /source/a.c:12 in a.o");
    EXPECT_ERROR(&fixture, "jitctl: undefined symbol 'second'");
    EXPECT_ERROR(&fixture, "b.o");
    fixture_close(&fixture);
}

Test(jitctl, says_of_each_file_what_is_wrong_with_it)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "good.o", "int main(void) { return 0; }");
    put(&fixture, "text.o", "no object\n", 10);
    put(&fixture, "bad.a", "!<arch>\nrubbish", 15);
    put(&fixture, "empty.o", "", 0);
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
        shell(&fixture, "$J run %s", rows[i].line);
        EXPECT_STATUS(&fixture, 125);
        EXPECT_ERROR(&fixture, "jitctl: ");
        EXPECT_ERROR(&fixture, rows[i].words);
    }
    shell(&fixture, "$J run good.o none.o -lnowhere");
    EXPECT_ERROR(&fixture, "none.o: ");
    EXPECT_ERROR(&fixture, "-lnowhere: ");
    fixture_close(&fixture);
}

static const char crash_source[] = "#line 10 \"/source/crash.c\"\n"
                                   "__attribute__((noinline)) void inner(volatile int *p) { *p = 1; }\n"
                                   "__attribute__((noinline)) int outer(int *p) { inner(p); return *p; }\n"
                                   "int main(void) { return outer(0); }\n";

Test(jitctl, reports_a_crash_with_function_file_and_line)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "crash.o", crash_source);
    shell(&fixture, "$J run crash.o");
    EXPECT_STATUS(&fixture, 128 + SIGSEGV);
    EXPECT_ERROR(&fixture, "signal 11, SIGSEGV");
    EXPECT_ERROR(&fixture, "address 0x0");
    EXPECT_ERROR(&fixture, "(crash.o) at /source/crash.c:10\n");
    EXPECT_ERROR(&fixture, "(crash.o) at /source/crash.c:11\n");
    EXPECT_ERROR(&fixture, "(crash.o) at /source/crash.c:12\n");
    fixture_close(&fixture);
}

Test(jitctl, reports_a_crash_inside_an_archive)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "deep.o", crash_source);
    shell(&fixture, "ar rcs libdeep.a deep.o; $J run libdeep.a");
    EXPECT_STATUS(&fixture, 128 + SIGSEGV);
    EXPECT_ERROR(&fixture, "(libdeep.a(deep.o)) at /source/crash.c:10\n");
    fixture_close(&fixture);
}

Test(jitctl, writes_the_report_as_json_where_told)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "crash.o", crash_source);
    shell(&fixture, "$J run --json --report report.json crash.o");
    EXPECT_STATUS(&fixture, 128 + SIGSEGV);
    cr_expect_eq(fixture.error.length, 0);
    shell(&fixture,
          "cat report.json; command -v python3 >/dev/null || exit 0; python3 -m json.tool report.json >/dev/null");
    EXPECT_STATUS(&fixture, 0);
    cr_expect(strstr((char *)fixture.out.bytes, "\"signal_name\": \"SIGSEGV\""));
    cr_expect(strstr((char *)fixture.out.bytes, "\"file\": \"/source/crash.c\""));
    fixture_close(&fixture);
}

Test(jitctl, ends_as_the_program_ends)
{
    struct fixture fixture = fixture_open();
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
        put_object(&fixture, "end.o", rows[i].source);
        shell(&fixture, "$J run end.o");
        cr_expect(fixture.status == rows[i].status, "row %zu: %d instead of %d: %s", i, fixture.status, rows[i].status,
                  (char *)fixture.error.bytes);
    }
    fixture_close(&fixture);
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
static pid_t start_loop(struct fixture *fixture)
{
    char path[512];
    int ready[2];
    char byte;
    put_object(fixture, "loop.o", "#include <unistd.h>\nint main(void) { write(1, \"x\", 1); for (;;) pause(); }");
    temp_path(&fixture->temp, "loop.o", path);
    cr_assert(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        dup2(ready[1], 1);
        close(ready[0]);
        close(ready[1]);
        execl(fixture->jitctl, "jitctl", "run", path, (char *)NULL);
        _exit(99);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the program did not start");
    close(ready[0]);
    return pid;
}

Test(jitctl, control_c_ends_everything_with_130)
{
    struct fixture fixture = fixture_open();
    static const bool whole_group[] = {true, false};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = start_loop(&fixture);
        int status;
        kill(whole_group[i] ? -pid : pid, SIGINT);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 130, "wait status 0x%x", (unsigned)status);
        cr_expect_not(group_lives(pid));
    }
    fixture_close(&fixture);
}

Test(jitctl, killing_it_leaves_no_process_behind)
{
    struct fixture fixture = fixture_open();
    pid_t pid = start_loop(&fixture);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_expect_not(group_lives(pid));
    fixture_close(&fixture);
}

Test(jitctl, link_prints_the_map)
{
    struct fixture fixture = fixture_open();
    put_object(&fixture, "two.o", "int counter = 1; int next(void) { return counter++; }");
    shell(&fixture, "$J link two.o");
    EXPECT_STATUS(&fixture, 0);
    cr_expect(strstr((char *)fixture.out.bytes, "two.o\n"));
    cr_expect(strstr((char *)fixture.out.bytes, "  next\n"));
    cr_expect(strstr((char *)fixture.out.bytes, "  counter\n"));
    shell(&fixture, "$J link --json two.o");
    EXPECT_STATUS(&fixture, 0);
    cr_expect(strstr((char *)fixture.out.bytes, "\"name\": \"counter\""));
    fixture_close(&fixture);
}

Test(jitctl, helps)
{
    struct fixture fixture = fixture_open();
    static const char *const commands[] = {"--help", "help", "help run", "run --help", "--version", "help link"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        shell(&fixture, "$J %s", commands[i]);
        EXPECT_STATUS(&fixture, 0);
        cr_expect(fixture.out.length > 10 && fixture.error.length == 0, "%s", commands[i]);
    }
    shell(&fixture, "$J frobnicate");
    EXPECT_STATUS(&fixture, 125);
    EXPECT_ERROR(&fixture, "no command 'frobnicate'");
    fixture_close(&fixture);
}
