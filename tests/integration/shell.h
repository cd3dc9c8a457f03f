/*
 * jitctl as a shell meets it: commands run in a directory of the test's own, and what they print and end with.
 */
#ifndef TESTS_INTEGRATION_SHELL_H
#define TESTS_INTEGRATION_SHELL_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/lib/compile.h"
#include "tests/lib/temp.h"

struct shell {
    struct temp temp;
    char jitctl[512];
    int status;                     /* of the last command; -1: it was killed */
    struct object_bytes out, error; /* owned; strings */
};

struct shell shell_open(void);
void shell_close(struct shell *shell); /* with the directory */

/* Runs a command in the directory, with $J for jitctl. Gives its status. */
int shell_run(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A file whole, as a string; to be freed with object_free. */
struct object_bytes shell_read_text(const char *path);

/* Skips a test that has another program look at what is printed. */
#define SKIP_WITHOUT(program)                                                                                          \
    do {                                                                                                               \
        if (system("command -v " program " >/dev/null") != 0)                                                          \
            cr_skip_test(program " is not installed");                                                                 \
    } while (0)

#endif
