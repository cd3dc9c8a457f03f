/*
 * The session's shared libraries: each life initialises them, as ld.so does in a program that was linked with them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/shell.h"

TestSuite(shared_libraries, .timeout = 60);

/* ---- as jitctl runs a program ---- */

static void put(struct shell *shell, const char *name, const char *source)
{
    char path[512];
    FILE *file = fopen(temp_path(&shell->temp, name, path), "w");
    cr_assert(file && fputs(source, file) >= 0 && fclose(file) == 0);
}

/* The same program natively and with jitctl, in the same environment. */
static void expect_as_natively(const char *library, const char *program, const char *options, const char *arguments)
{
    struct shell shell = shell_open();
    put(&shell, "library.c", library);
    put(&shell, "program.c", program);
    shell_run(&shell, "cc -w -fPIC -shared -pthread -o liblib.so library.c && cc -w -fPIC -c program.c && "
                      "cc -o program program.o -L. -llib -Wl,-rpath,$PWD -pthread");
    cr_assert_eq(shell.status, 0, "%s", (const char *)shell.error.bytes);
    int wanted = shell_run(&shell, "env -i COLOUR=blue ./program %s", arguments);
    char *output = strdup((const char *)shell.out.bytes);
    int got = shell_run(&shell, "env -i COLOUR=blue $J run --argv0 ./program %s program.o -L. -llib -- %s", options,
                        arguments);
    cr_expect_eq(got, wanted, "%s", (const char *)shell.error.bytes);
    cr_expect_str_eq((const char *)shell.out.bytes, output);
    free(output);
    shell_close(&shell);
}

Test(shared_libraries, see_arguments_and_environment_of_the_program_in_their_constructors)
{
    static const char library[] =
        "#define _GNU_SOURCE\n#include <errno.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
        "extern char **environ; int library_value;\n"
        "__attribute__((constructor)) static void begin(int argc, char **argv, char **envp) {\n"
        "    printf(\"%d:\", argc); for (char **a = argv; *a; a++) printf(\" %s\", *a);\n"
        "    printf(\" of %s, %s, %s;\", program_invocation_name, program_invocation_short_name, getenv(\"COLOUR\"));\n"
        "    for (char **e = envp; *e; e++) printf(\" %s\", *e);\n"
        "    printf(\" %d\\n\", environ == envp);\n"
        "    setenv(\"MADE\", \"by the library\", 1); unsetenv(\"COLOUR\"); library_value = 5; }\n";
    static const char program[] = "#include <stdio.h>\n#include <stdlib.h>\nextern int library_value;\n"
                                  "int main(int argc, char **argv) { printf(\"%d %s\\n\", argc, getenv(\"MADE\"));\n"
                                  "    return library_value + !!getenv(\"COLOUR\"); }\n";
    expect_as_natively(library, program, "--env-all", "");
    expect_as_natively(library, program, "--env-all", "one 'two and' three");
}

Test(shared_libraries, have_threads_that_live)
{
    expect_as_natively(
        "#include <pthread.h>\n#include <semaphore.h>\nstatic sem_t asked, answered; static long value;\n"
        "static void *serve(void *x) { for (;;) { sem_wait(&asked); value *= 2; sem_post(&answered); } }\n"
        "__attribute__((constructor)) static void begin(void) { pthread_t thread;\n"
        "    sem_init(&asked, 0, 0); sem_init(&answered, 0, 0); pthread_create(&thread, 0, serve, 0); }\n"
        "long doubled(long x) { value = x; sem_post(&asked); sem_wait(&answered); return value; }\n",
        "long doubled(long); int main(void) { return (int)doubled(21); }\n", "", "");
}

Test(shared_libraries, that_end_the_program_before_main_have_ended_it)
{
    static const char *const ends[] = {
        "exit(3)", "_exit(4)", "quick_exit(5)", "abort()", "*(volatile int *)8 = 1", "kill(getpid(), SIGTERM)"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char library[512];
        snprintf(library, sizeof library,
                 "#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
                 "__attribute__((constructor)) static void begin(void) { write(1, \"L\", 1); %s; }\n"
                 "__attribute__((destructor)) static void end(void) { write(1, \"l\", 1); } int value;\n",
                 ends[i]);
        expect_as_natively(library, "extern int value; int main(void) { return value; }\n", "", "");
    }
}

/* ---- in a session that is kept ---- */

struct kept {
    struct shell shell;
    struct harness *harness;
};

static struct kept open_with_library(const char *library)
{
    struct kept kept = {.shell = shell_open()};
    char path[512];
    put(&kept.shell, "library.c", library);
    shell_run(&kept.shell, "cc -w -fPIC -shared -o liblib.so library.c");
    cr_assert_eq(kept.shell.status, 0, "%s", (const char *)kept.shell.error.bytes);
    temp_path(&kept.shell.temp, "liblib.so", path);
    kept.harness = harness_open_with_output(
        &(struct jitd_options){.libraries = (const char *const[]){path, NULL},
                               .daemon_arguments = (const char *const[]){"--library", path, NULL}});
    return kept;
}

static void close_kept(struct kept *kept)
{
    harness_close(kept->harness);
    shell_close(&kept->shell);
}

static const char noting[] = "#include <unistd.h>\n"
                             "__attribute__((constructor)) static void begin(void) { write(1, \"L\", 1); }\n"
                             "__attribute__((destructor)) static void end(void) { write(1, \"l\", 1); }\n";

static const char ways_source[] = "#include <stdlib.h>\n#include <unistd.h>\n"
                                  "__attribute__((constructor)) static void begin(void) { write(1, \"c\", 1); }\n"
                                  "__attribute__((destructor)) static void end(void) { write(1, \"d\", 1); }\n"
                                  "long stay(long x) { return x; }\nlong leave(long x) { exit((int)x); }\n"
                                  "long crash(long x) { return *(volatile long *)8; }\n";

Test(shared_libraries, are_initialised_in_each_life_and_in_none_that_is_not_needed)
{
    struct kept kept = open_with_library(noting);
    struct harness *harness = kept.harness;
    usleep(20000);
    harness_expect_output(harness, "");
    harness_link_c(harness, "plain.o", "long plain(long x) { return x; }");
    harness_address(harness, "plain");
    usleep(20000);
    harness_expect_output(harness, "");
    harness_link_c(harness, "ways.o", ways_source);
    harness_expect_output(harness, "Lc");
    cr_expect_eq(harness_call(harness, "leave", 3).end.exit_status, 3);
    usleep(20000);
    harness_expect_output(harness, "Lcdl");
    cr_expect(harness_call(harness, "crash", 0).ended);
    usleep(20000);
    harness_expect_output(harness, "LcdlLc");
    cr_expect_eq(harness_value(harness, "stay", 4), 4);
    harness_expect_output(harness, "LcdlLcLc");
    close_kept(&kept);
}

Test(shared_libraries, are_confined_in_their_constructors)
{
    struct kept kept =
        open_with_library("#include <errno.h>\n#include <fcntl.h>\n#include <sys/socket.h>\nlong file, network;\n"
                          "__attribute__((constructor)) static void begin(void) { file = open(\"/etc/passwd\", "
                          "O_RDONLY) < 0 ? errno : 0;\n"
                          "    network = socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0; }\n");
    harness_link_c(kept.harness, "ask.o",
                   "extern long file, network; long of_file(long x) { return file; }\n"
                   "long of_network(long x) { return network; }\n");
    cr_expect_eq(harness_value(kept.harness, "of_file", 0), EACCES);
    cr_expect_neq(harness_value(kept.harness, "of_network", 0), 0);
    close_kept(&kept);
}

Test(shared_libraries, that_end_each_life_before_it_begins_fail_what_needs_one_and_no_unit_is_blamed)
{
    struct kept kept = open_with_library("#include <unistd.h>\n__attribute__((constructor)) static void begin(void)\n"
                                         "{ write(1, \"L\", 1); *(volatile int *)8 = 1; }\n");
    struct harness *harness = kept.harness;
    harness_link_c(harness, "plain.o", "long plain(long x) { return x; }");
    cr_expect_eq(harness_call(harness, "plain", 0).code, JITD_ERROR_RUNNER_ENDED);
    cr_expect_eq(harness->runner_ends, 2);
    cr_expect(harness->last_end.signal == SIGSEGV && harness->last_end.record && harness->last_end.frame_count > 0);
    harness_add_c(harness, "ways.o", ways_source);
    harness_link_batch(harness, 0);
    const struct harness_error *error = &harness_unit(harness, "ways.o")->error;
    cr_expect_eq(error->code, JITD_ERROR_RUNNER_ENDED, "%s", error->text);
    cr_expect(strstr(error->text, "constructors of the session's libraries"), "%s", error->text);
    cr_expect_str_eq(harness->last_end.initialiser_of, "");
    cr_expect_eq(harness->runner_ends, 3);
    harness_expect_output(harness, "LLL");
    close_kept(&kept);
}

/* The second life begins as the first did. */
Test(shared_libraries, that_end_one_life_leave_what_needs_one_to_the_next)
{
    struct kept kept =
        open_with_library("#include <unistd.h>\n__attribute__((constructor)) static void begin(void)\n"
                          "{ write(1, \"L\", 1); if (lseek(1, 0, SEEK_CUR) == 1) *(volatile int *)8 = 1; }\n");
    struct harness *harness = kept.harness;
    harness_link_c(harness, "ways.o", ways_source);
    cr_expect_eq(harness_value(harness, "stay", 4), 4);
    cr_expect_eq(harness->runner_ends, 1);
    harness_expect_output(harness, "LLc");
    close_kept(&kept);
}
