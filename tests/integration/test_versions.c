/*
 * Versions that .symver puts into names: of the batch's own symbols, and of those of libraries.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/integration/shell.h"

TestSuite(versions, .timeout = 60);

#define REFER(name, to) "long " name "(long); __asm__(\".symver " name "," to "\");"

static const char defining_source[] = "long old_api(long x) { return 1; } long new_api(long x) { return 2; }\n"
                                      "__asm__(\".symver old_api,api@V1\"); __asm__(\".symver new_api,api@@V2\");";

Test(versions, the_default_one_has_the_plain_name_and_every_one_its_own)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "user.o",
                  REFER("v1", "api@V1")
                      REFER("v2", "api@V2") "long api(long);\n"
                                            "long user(long x) { return api(x) * 100 + v2(x) * 10 + v1(x); }");
    harness_add_c(harness, "defining.o", defining_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "user", 0), 221);
    cr_expect_eq(harness_value(harness, "api", 0), 2);
    cr_expect_eq(harness_value(harness, "api@V1", 0), 1);
    harness_link_c(harness, "later.o", REFER("v1", "api@V1") "long later(long x) { return v1(x); }");
    cr_expect_eq(harness_value(harness, "later", 0), 1);
    harness_close(harness);
}

Test(versions, that_nobody_has_are_missing_or_waited_for)
{
    static const char *const references[] = {"api@V3", "api@", "plain@V1"};
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "defining.o", defining_source);
    harness_add_c(harness, "plain.o", "long plain(long x) { return 7; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        char source[256];
        snprintf(source, sizeof source, "long f(long); __asm__(\".symver f,%s\"); long g(long x) { return f(x); }",
                 references[i]);
        harness_add_c(harness, "user.o", source);
        cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
        cr_expect_str_eq(harness->errors[0].symbol, references[i]);
    }
    harness_add_c(harness, "user.o", REFER("v3", "api@V3") "long user(long x) { return v3(x); }");
    harness_accept(harness, 0);
    harness_expect_state(harness, "user.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "third.o", "long third(long x) { return 3; } __asm__(\".symver third,api@V3\");");
    harness_expect_ready(harness, "user.o");
    cr_expect_eq(harness_value(harness, "user", 0), 3);
    harness_close(harness);
}

/* As ld has it: each of these is a second definition of `api`, of `api@V2` or of both. */
Test(versions, defined_twice_are_duplicates)
{
    static const struct {
        const char *source, *symbol;
    } cases[] = {
        {"long api(long x) { return 3; }", "api"},
        {"long f(long x) { return 3; } __asm__(\".symver f,api@@V3\");", "api"},
        {"long f(long x) { return 3; } __asm__(\".symver f,api@V2\");", "api@V2"},
        {"long f(long x) { return 3; } __asm__(\".symver f,api@V1\");", "api@V1"},
    };
    struct harness *harness = harness_open(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_add_c(harness, "defining.o", defining_source);
        harness_add_c(harness, "second.o", cases[i].source);
        cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_DUPLICATE);
        cr_expect_str_eq(harness->errors[0].symbol, cases[i].symbol);
    }
    harness_close(harness);
}

Test(versions, a_default_one_may_be_listed_by_its_plain_name)
{
    const struct jitd_manifest manifest = {
        DEFINITIONS({.local = "api", .global = "offered"}, {.local = "api@V1", .global = "old"})};
    struct harness *harness = harness_open(NULL);
    harness_link_named(harness, "defining.o", defining_source, &manifest);
    cr_expect_eq(harness_value(harness, "offered", 0), 2);
    cr_expect_eq(harness_value(harness, "old", 0), 1);
    harness_close(harness);
}

/* realpath of glibc 2.0 refuses to allocate; that of 2.3 does. */
Test(versions, of_libc_are_told_apart)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(
        harness, "paths.o",
        "#include <stdlib.h>\n#include <string.h>\n"
        "char *old(const char *, char *); __asm__(\".symver old,realpath@GLIBC_2.2.5\");\n"
        "char *new(const char *, char *); __asm__(\".symver new,realpath@GLIBC_2.3\");\n"
        "void *copy(void *, const void *, size_t); __asm__(\".symver copy,memcpy@GLIBC_2.2.5\");\n"
        "long paths(long x) { char c[4] = \"\"; copy(c, \"ab\", 3);\n"
        "    return (old(\"/\", 0) != 0) * 1000 + (new(\"/\", 0) != 0) * 100 + (realpath(\"/\", 0) != 0) * 10\n"
        "        + (strcmp(c, \"ab\") == 0); }");
    cr_expect_eq(harness_value(harness, "paths", 0), 111);
    cr_expect_eq(harness_address(harness, "memcpy@GLIBC_9.9"), 0);
    cr_expect_neq(harness_address(harness, "memcpy@GLIBC_2.2.5"), 0);
    cr_expect_eq(harness_address(harness, "getpid@GLIBC_2.2.5"), harness_address(harness, "getpid"));
    cr_expect_eq(harness_address(harness, "memcpy@libc.so.6"), 0, "the name of the library is no version");
    harness_close(harness);
}

/* The status is what cc's program ends with. */
Test(versions, of_shared_libraries_and_archives_are_as_cc_has_them)
{
    struct shell shell = shell_open();
    struct temp *temp = &shell.temp;
    char path[512];
    FILE *file = fopen(temp_path(temp, "make.sh", path), "w");
    cr_assert(file);
    fputs("set -e\n"
          "cat > lib.c <<'X'\n"
          "int old_api(void) { return 1; } int new_api(void) { return 2; } int gone(void) { return 4; }\n"
          "__asm__(\".symver old_api,api@V1\"); __asm__(\".symver new_api,api@@V2\"); __asm__(\".symver "
          "gone,gone@V1\");\n"
          "X\n"
          "echo 'V1 {}; V2 {};' > map\n"
          "cc -shared -fPIC lib.c -Wl,--version-script=map -o libv.so\n"
          "echo 'int r1(void), r2(void), api(void); __asm__(\".symver r1,api@V1\"); __asm__(\".symver r2,api@V2\");\n"
          "int main(void) { return api() * 16 + r2() * 4 + r1(); }' > all.c\n"
          "echo 'int api(void), gone(void); int main(void) { return api() * 8 + gone(); }' > late.c\n"
          "echo 'int gone(void) { return 5; }' > gone.c\n"
          "cc -fPIC -c all.c late.c lib.c gone.c && ar rcs liba.a lib.o && ar rcs libgone.a gone.o\n"
          "run() { cc \"$@\" -o native && ./native; n=$?; $J run \"$@\"; j=$?; test $n = $j || { echo $n $j; exit 1; "
          "}; }\n"
          "set +e\n"
          "run all.o ./libv.so; run all.o liba.a; run late.o ./libv.so libgone.a; run late.o liba.a libgone.a\n",
          file);
    fclose(file);
    cr_expect_eq(shell_run(&shell, "J=$J; export J; sh make.sh"), 0, "%s %s", (char *)shell.out.bytes,
                 (char *)shell.error.bytes);
    shell_close(&shell);
}
