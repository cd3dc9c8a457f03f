/*
 * Which definition stands: ld's rules, asked of cc itself. Each case is a program of two files or three, in assembly,
 * and a main that calls f1 and f2: where cc links it, jitctl's program ends with the same status, and where cc refuses
 * it, jitctl does.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/shell.h"

TestSuite(definitions, .timeout = 60);

#define F(n)          ".text\n.globl f" n "\n.type f" n ",@function\nf" n ": "
#define VALUE(v)      "mov $" v ",%eax\nret\n"
#define IN(section)   ".section " section "\n"
#define HELPER(value) ".globl helper\n.type helper,@function\nhelper: " VALUE(value)
#define ONCE          ".gnu.linkonce.t.helper,\"ax\",@progbits"
#define GROUP(key)    ".text.helper,\"axG\",@progbits," key ",comdat"

static const char main_source[] = "int f1(void), f2(void); int main(void) { return f1() * 16 + f2(); }";

static void put_source(const struct shell *shell, const char *name, const char *text)
{
    char path[512];
    FILE *file = fopen(temp_path(&shell->temp, name, path), "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static const char script[] = "cc -fPIC -c m.c && as -o a.o a.s && as -o b.o b.s || exit 3\n"
                             "rm -f native\n"
                             "cc m.o a.o b.o -o native 2>ld.txt && { ./native; n=$?; } || n=125\n"
                             "$J run m.o a.o b.o 2>j.txt; j=$?\n"
                             "test $n = $j || { echo cc $n, jitctl $j; cat ld.txt j.txt; exit 1; }\n";

static void check(const char *what, const char *a, const char *b)
{
    struct shell shell = shell_open();
    put_source(&shell, "m.c", main_source);
    put_source(&shell, "a.s", a);
    put_source(&shell, "b.s", b);
    put_source(&shell, "run.sh", script);
    /* A program may have the status that jitctl has for a refusal, but these do not. */
    cr_expect_eq(shell_run(&shell, "J=$J; export J; sh run.sh"), 0, "%s: %s", what, (char *)shell.out.bytes);
    shell_close(&shell);
}

struct program {
    const char *what, *a, *b;
};

static void check_all(const struct program *programs, size_t count)
{
    static const char stack[] = "\n.section .note.GNU-stack,\"\",@progbits\n";
    for (size_t i = 0; i < count; i++) {
        char a[2048], b[2048];
        snprintf(a, sizeof a, "%s%s", programs[i].a, stack);
        snprintf(b, sizeof b, "%s%s", programs[i].b, stack);
        check(programs[i].what, a, b);
    }
}

#define CHECK_ALL(programs) check_all(programs, sizeof programs / sizeof programs[0])

Test(definitions, of_linkonce_sections_the_first_stands_against_groups_too)
{
    static const struct program programs[] = {
        {"twice", IN(ONCE) HELPER("3") F("1") "jmp helper", IN(ONCE) HELPER("5") F("2") "jmp helper"},
        {"before a group", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(GROUP("helper")) HELPER("5") F("2") "jmp helper"},
        {"after a group", IN(GROUP("helper")) HELPER("3") F("1") "jmp helper",
         IN(ONCE) HELPER("5") F("2") "jmp helper"},
        {"before a group of two", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(GROUP("helper")) HELPER("5")
             IN(".rodata.helper,\"aG\",@progbits,helper,comdat") ".long 1\n" F("2") "jmp helper"},
        {"after a group of two",
         IN(GROUP("helper")) HELPER("5")
             IN(".rodata.helper,\"aG\",@progbits,helper,comdat") ".long 1\n" F("1") "jmp helper",
         IN(ONCE) HELPER("3") F("2") "jmp helper"},
        {"other letters are other keys", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(".gnu.linkonce.d.helper,\"ax\",@progbits") HELPER("5") F("2") "jmp helper"},
        {"a group whose key is the whole name", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(GROUP(".gnu.linkonce.t.helper")) HELPER("5") F("2") "jmp helper"},
        {"what only the loser defines is missing", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(ONCE) ".globl extra\nextra: " VALUE("5") F("2") "jmp extra"},
        {"a kept section refers into the loser", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(ONCE) "own: " VALUE("5") F("2") "jmp own"},
        {"constants go with code that is elsewhere", IN(ONCE) HELPER("3") F("1") "jmp helper",
         IN(ONCE) HELPER("5")
             IN(".gnu.linkonce.r.helper,\"a\",@progbits") ".globl c\nc: .long 1\n" F("2") "jmp helper"},
        {"descriptions of the loser are left out",
         IN(ONCE) ".globl helper\nhelper: .cfi_startproc\n" VALUE("3") ".cfi_endproc\n" F("1") "jmp helper",
         IN(ONCE) ".globl helper\nhelper: .cfi_startproc\n" VALUE("5") ".cfi_endproc\n" F("2") "jmp helper"},
    };
    CHECK_ALL(programs);
}

Test(definitions, numbers_may_be_defined_twice_if_they_are_the_same)
{
    static const struct program programs[] = {
        {"the same", ".globl N\nN=7\n" F("1") "mov $N,%eax\nret", ".globl N\nN=7\n" F("2") "mov $N,%eax\nret"},
        {"another", ".globl N\nN=7\n" F("1") "mov $N,%eax\nret", ".globl N\nN=8\n" F("2") "mov $N,%eax\nret"},
        {"an address", ".globl N\nN=7\n" F("1") "mov $N,%eax\nret", F("2") "mov $0,%eax\nret\n.globl N\nN: ret"},
    };
    CHECK_ALL(programs);
}

Test(definitions, of_hidden_names_are_the_programs_own)
{
    static const struct program programs[] = {
        {"undefined", F("1") ".hidden getpid\ncall getpid\nret", F("2") VALUE("1")},
        {"undefined and internal", F("1") ".internal getpid\ncall getpid\nret", F("2") VALUE("1")},
        {"undefined and protected", F("1") ".protected getpid\ncall getpid\nret", F("2") VALUE("1")},
        {"undefined and weak",
         F("1") ".weak getpid\n.hidden getpid\nmov getpid@GOTPCREL(%rip),%rax\ntest %rax,%rax\nsetne %al\nmovzbl "
                "%al,%eax\nret",
         F("2") VALUE("1")},
        {"defined in the other file", F("1") ".hidden own\njmp own",
         F("2") VALUE("1") ".globl own\n.hidden own\nown: " VALUE("3")},
        {"defined with default visibility", F("1") ".hidden own\njmp own",
         F("2") VALUE("1") ".globl own\nown: " VALUE("3")},
        {"defined in place of a library's", F("1") "jmp getpid",
         F("2") VALUE("1") ".globl getpid\n.hidden getpid\ngetpid: " VALUE("3")},
    };
    CHECK_ALL(programs);
}

Test(definitions, strong_ones_stand_beside_groups_that_lost)
{
    static const struct program programs[] = {
        {"strong, then a group that stands", F("1") VALUE("1") HELPER("6"),
         IN(GROUP("helper")) HELPER("5") F("2") "jmp helper"},
        {"keys are names, whatever their binding", IN(GROUP("key")) ".globl r1\nr1: " VALUE("1") F("1") "jmp r1",
         IN(GROUP("key")) ".globl r2\nr2: " VALUE("2") F("2") "jmp r2"},
        {"data that refers into a discarded section", IN(GROUP("helper")) HELPER("4") F("1") "jmp helper",
         IN(GROUP("helper")) ".globl helper\nhelper:\nown: " VALUE("5") ".data\n.quad own\n" F("2") VALUE("1")},
        {"unique ones are strong", ".data\n.globl U\n.type U,@gnu_unique_object\nU: .long 3\n" F("1") VALUE("1"),
         ".data\n.globl U\n.type U,@gnu_unique_object\nU: .long 4\n" F("2") VALUE("1")},
        {"a common one that is larger than the strong one", ".comm C,40,32\n" F("1") VALUE("1"),
         ".data\n.globl C\n.type C,@object\n.size C,8\nC: .long 2,1\n" F("2") "mov C(%rip),%eax\nret"},
    };
    CHECK_ALL(programs);
}

/* ld takes libc's `optind` for the program's, and ld.so the program's `optarg` for libc's: each is one variable. */
Test(definitions, common_ones_of_a_librarys_data_are_the_librarys)
{
    static const struct program programs[] = {
        {"data", ".comm optind,4,4\n" F("1") "mov optind@GOTPCREL(%rip),%rax\nmov (%rax),%eax\nret", F("2") VALUE("1")},
        {"a name of a function", ".comm index,4,4\n" F("1") "mov index@GOTPCREL(%rip),%rax\nmov (%rax),%eax\nret",
         F("2") VALUE("1")},
        {"another file's own", ".comm optind,4,4\n" F("1") "mov optind@GOTPCREL(%rip),%rax\nmov (%rax),%eax\nret",
         ".data\n.globl optind\noptind: .long 5\n" F("2") VALUE("1")},
    };
    CHECK_ALL(programs);
    struct harness *harness = harness_open(NULL);
    struct object_bytes object =
        compile_c("int getopt(int, char **, const char *); char *optarg; struct { int is; long more[9]; } opterr;\n"
                  "long argument(long x) { char *a[] = {\"x\", \"-aq\", 0};\n"
                  "    return getopt(2, a, \"a:\") == 'a' && optarg ? *optarg : -1; }\n"
                  "long large(long x) { return opterr.is; }\n",
                  "-O1 -fPIC -fcommon -w");
    harness_link(harness, "arguments.o", &object);
    cr_expect_eq(harness_value(harness, "argument", 0), 'q');
    cr_expect_eq(harness_value(harness, "large", 0), 0, "one that is larger than the library's is the program's own");
    object_free(&object);
    harness_close(harness);
}

Test(definitions, across_batches_the_first_linkonce_section_and_the_same_number_stand)
{
    struct harness *harness = harness_open(NULL);
    static const char first[] =
        IN(ONCE) HELPER("3") ".globl N\nN=7\n" F("1") "jmp helper\n.section .note.GNU-stack,\"\"\n";
    static const char second[] =
        IN(ONCE) HELPER("5") ".globl N\nN=7\n" F("2") "jmp helper\n.section .note.GNU-stack,\"\"\n";
    static const char group[] = IN(GROUP("helper")) HELPER("6") F("3") "jmp helper\n.section .note.GNU-stack,\"\"\n";
    harness_add_assembly(harness, "first.o", first);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    harness_add_assembly(harness, "second.o", second);
    harness_add_assembly(harness, "group.o", group);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "f2", 0), 3);
    cr_expect_eq(harness_value(harness, "f3", 0), 3);
    harness_add_assembly(harness, "other.o", ".globl N\nN=8\n.section .note.GNU-stack,\"\"\n");
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_DUPLICATE);
    cr_expect_eq(harness_try_removing(harness, "first.o", true).count, 3);
    harness_add_assembly(harness, "second.o", second);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "f2", 0), 5, "who had the section is gone");
    harness_close(harness);
}
