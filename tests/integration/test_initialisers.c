/*
 * Initialisers and finalisers: their order, their failures, and that every life of the runner begins with them.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/lib/elf_build.h"

TestSuite(initialisers, .timeout = 60);

/* Each digit of `seen` is an initialiser; a life in which one ran twice would show more digits. */
static const char ordered_source[] = "long seen;\n"
                                     "static void note(long digit) { seen = seen * 10 + digit; }\n"
                                     "__attribute__((constructor)) static void plain(void) { note(3); }\n"
                                     "__attribute__((constructor(102))) static void second(void) { note(2); }\n"
                                     "__attribute__((constructor(101))) static void first(void) { note(1); }\n"
                                     "__attribute__((constructor)) static void plain_too(void) { note(4); }\n"
                                     "long seen_so_far(long x) { return seen; }\n"
                                     "long crash(long x) { return *(volatile long *)8; }\n";

Test(initialisers, run_once_by_priority_and_again_in_each_life)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "ordered.o", ordered_source);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 1234);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 1234);
    harness_close(harness);
}

static const char late_source[] = "long seen;\n"
                                  "__attribute__((constructor(101))) static void a(void) { seen = seen * 10 + 1; }\n"
                                  "__attribute__((constructor(103))) static void c(void) { seen = seen * 10 + 3; }\n"
                                  "long seen_so_far(long x) { return seen + needed(); }\n"
                                  "long crash(long x) { return *(volatile long *)8; }\n";
static const char early_source[] = "extern long seen; long needed(void) { return 0; }\n"
                                   "__attribute__((constructor(102))) static void b(void) { seen = seen * 10 + 2; }\n";

Test(initialisers, of_one_component_are_ordered_by_priority_across_its_units)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "late.o", late_source);
    harness_add_c(harness, "early.o", early_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123, "the second life has another order than the first");
    harness_close(harness);
}

/* A unit that notes NUMBER in the log, with a PRIORITY where one is given, and needs another one. */
static void add_noting(struct harness *harness, const char *name, const char *flags)
{
    struct object_bytes object = compile_c("#ifndef PRIORITY\n#define PRIORITY\n#endif\n"
                                           "extern long seen; extern void *other;\n"
                                           "void *ITSELF = &other;\n"
                                           "__attribute__((constructor PRIORITY)) static void note(void)\n"
                                           "{ seen = seen * 10 + NUMBER; }\n",
                                           flags);
    harness_add(harness, name, &object);
    object_free(&object);
}

static const char log_source[] = "long seen; long seen_so_far(long x) { return seen; }\n"
                                 "long crash(long x) { return *(volatile long *)8; }\n";

Test(initialisers, of_one_component_and_priority_run_in_the_order_of_submission)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "log.o", log_source);
    add_noting(harness, "one.o", "-O1 -fPIC -DITSELF=one -Dother=two -DNUMBER=1");
    add_noting(harness, "two.o", "-O1 -fPIC -DITSELF=two -Dother=three -DNUMBER=2");
    add_noting(harness, "three.o", "-O1 -fPIC -DITSELF=three -Dother=one -DNUMBER=3");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    harness_close(harness);
}

Test(initialisers, of_one_batch_run_by_priority_whoever_needs_whom)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "log.o", log_source);
    add_noting(harness, "one.o", "-O1 -fPIC -DITSELF=one -Dother=one '-DPRIORITY=(103)' -DNUMBER=3");
    add_noting(harness, "two.o", "-O1 -fPIC -DITSELF=two -Dother=two '-DPRIORITY=(101)' -DNUMBER=1");
    add_noting(harness, "three.o", "-O1 -fPIC -DITSELF=three -Dother=one '-DPRIORITY=(102)' -DNUMBER=2");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "seen_so_far", 0), 123);
    harness_close(harness);
}

Test(initialisers, of_what_a_unit_uses_run_before_its_own_in_each_life)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "user.o",
                  "extern long table(void); long found = -1;\n"
                  "__attribute__((constructor)) static void look(void) { found = table(); }\n"
                  "long what_was_found(long x) { return found; }\n"
                  "long crash(long x) { return *(volatile long *)8; }\n");
    harness_accept(harness, 0);
    harness_link_c(harness, "table.o",
                   "static long value; long table(void) { return value; }\n"
                   "__attribute__((constructor)) static void fill(void) { value = 42; }\n");
    cr_assert_eq(harness_unit(harness, "user.o")->state, JITD_UNIT_READY);
    cr_expect_eq(harness_value(harness, "what_was_found", 0), 42);
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "what_was_found", 0), 42, "units are initialised in the order of submission");
    harness_close(harness);
}

Test(initialisers, see_arguments_and_environment)
{
    const struct jitd_options options = {.arguments = (const char *const[]){"program", "one", NULL},
                                         .environment = (const char *const[]){"COLOUR=blue", NULL}};
    struct harness *harness = harness_open(&options);
    harness_link_c(
        harness, "arguments.o",
        "#include <stdlib.h>\n#include <string.h>\nlong right;\n"
        "__attribute__((constructor)) static void look(int argc, char **argv, char **envp) {\n"
        "    right = argc == 2 && !strcmp(argv[1], \"one\") && !argv[2] && !strcmp(envp[0], \"COLOUR=blue\")\n"
        "        && !strcmp(getenv(\"COLOUR\"), \"blue\"); }\n"
        "long was_right(long x) { return right; }\n");
    cr_expect_eq(harness_value(harness, "was_right", 0), 1);
    harness_close(harness);
}

/* ---- as assemblers and old compilers have them ---- */

/* Functions f1 to f20 that append a letter each to the program's output, and what was appended. */
static const char letters_source[] =
    "#include <unistd.h>\n"
    "static char seen[64]; static int count;\n"
    "static void note(char letter) { seen[count++] = letter; write(1, &letter, 1); }\n"
    "#define F(n) void f##n(void) { note('a' + n - 1); }\n"
    "F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)\n"
    "long seen_at(long i) { return seen[i]; }\n"
    "long crash(long x) { return *(volatile long *)8; }\n";

static void expect_seen(struct harness *harness, const char *letters)
{
    char seen[64] = "";
    size_t count = 0;
    for (; count + 1 < sizeof seen; count++) {
        seen[count] = (char)harness_value(harness, "seen_at", (int64_t)count);
        if (!seen[count])
            break;
    }
    cr_expect_str_eq(seen, letters);
}

static struct harness *open_letters(void)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_c(harness, "letters.o", letters_source);
    return harness;
}

#define ARRAY(name, words) "    .section " name ", \"aw\"\n    .p2align 3\n    .quad " words "\n"

/* The orders in this file are those in which programs of the same objects run, linked by GNU ld 2.40. */
Test(initialisers, of_all_kinds_run_in_the_order_of_a_static_linker_in_each_life)
{
    struct harness *harness = open_letters();
    harness_add_assembly(harness, "one.o",
                         ARRAY(".init_array", "f1, f2") ARRAY(".init_array.00101", "f3, f4") ARRAY(".ctors", "f5, f6")
                             ARRAY(".ctors.65434", "f7, f8"));
    harness_add_assembly(harness, "two.o",
                         ARRAY(".ctors.65434", "f9, f10") ARRAY(".init_array.101", "f11") ARRAY(".ctors", "f12, f13")
                             ARRAY(".init_array", "f14"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    expect_seen(harness, "hgjicdkabfemln");
    cr_expect(harness_call(harness, "crash", 0).ended);
    expect_seen(harness, "hgjicdkabfemln");
    harness_close(harness);
}

Test(initialisers, of_names_that_a_static_linker_does_not_gather_do_not_run)
{
    struct harness *harness = open_letters();
    harness_add_assembly(harness, "names.o",
                         "    .section .init_arrayx, \"aw\", @init_array\n    .quad f1\n"
                         "    .section .mine, \"aw\", @init_array\n    .quad f2\n"
                         "    .section .preinit_array.1, \"aw\", @preinit_array\n    .quad f3\n" ARRAY(".ctorsx", "f4")
                             ARRAY(".init_array.foo", "f5") ARRAY(".init_array.7", "f6"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    expect_seen(harness, "fe");
    harness_close(harness);
}

/* clang's assembler, yasm and Go write arrays as any other data; yasm without flags and alignment, too. */
Test(initialisers, are_known_by_the_name_of_their_section_whatever_its_type)
{
    static const uint64_t flags[] = {SHF_ALLOC | SHF_WRITE, SHF_ALLOC};
    for (size_t i = 0; i < 2; i++) {
        struct harness *harness = open_letters();
        struct object_bytes object =
            compile_assembly("    .byte 0\n" ARRAY(".init_array", "f1") ARRAY(".fini_array.5", "f2"), NULL);
        Elf64_Shdr *init = elf_section_named(&object, ".init_array");
        Elf64_Shdr *fini = elf_section_named(&object, ".fini_array.5");
        init->sh_type = fini->sh_type = SHT_PROGBITS;
        init->sh_flags = fini->sh_flags = flags[i];
        init->sh_addralign = fini->sh_addralign = 1;
        harness_link(harness, "arrays.o", &object);
        expect_seen(harness, "a");
        harness_remove_unit(harness, "arrays.o");
        harness_expect_output(harness, "ab");
        object_free(&object);
        harness_close(harness);
    }
}

Test(initialisers, have_finalisers_of_all_kinds_that_run_in_the_order_of_a_static_linker)
{
    struct harness *harness = open_letters();
    harness_add_assembly(harness, "one.o",
                         ARRAY(".fini_array", "f1, f2") ARRAY(".dtors", "f3, f4") ARRAY(".fini_array.5", "f5")
                             ARRAY(".dtors.65530", "f6, f7"));
    harness_add_assembly(harness, "two.o",
                         ARRAY(".dtors", "f8, f9") ARRAY(".fini_array", "f10") ARRAY(".dtors.65531", "f11"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    const uint64_t units[] = {harness_unit(harness, "one.o")->id, harness_unit(harness, "two.o")->id};
    cr_expect(harness_remove(harness, &(struct jitd_removal){.units = units, .unit_count = 2}).completed);
    harness_expect_output(harness, "jhicdbaefgk");
    harness_close(harness);
}

/* What a program's own crt files have are ends of lists that nobody walks. */
Test(initialisers, in_ctors_of_crt_files_are_left_out)
{
    struct harness *harness = open_letters();
    harness_add_assembly(harness, "a/crtbegin.o", ARRAY(".ctors", "f1") ARRAY(".ctors.5", "f2"));
    harness_add_assembly(harness, "crtendS.o", ARRAY(".ctors", "f3"));
    harness_add_assembly(harness, "crtbeginTT.o", ARRAY(".ctors", "f4"));
    harness_add_assembly(harness, "rtbegin.o", ARRAY(".ctors", "f5"));
    harness_add_assembly(harness, ".o", ARRAY(".ctors", "f6"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    expect_seen(harness, "bdef");
    harness_close(harness);
}

/* ---- pieces of _init and _fini ---- */

#define PIECE(name, alignment, function)                                                                               \
    "    .section " name ", \"ax\", @progbits\n    .p2align " alignment "\n    call " function "\n"

static void add_pieces(struct harness *harness)
{
    harness_add_assembly(
        harness, "one.o",
        PIECE(".init", "0", "f1") PIECE(".fini", "0", "f2") ARRAY(".init_array", "f3")
            ARRAY(".fini_array", "f4") "    .section .preinit_array, \"aw\", @preinit_array\n    .quad f5\n");
    harness_add_assembly(harness, "two.o",
                         PIECE(".init", "5", "f6") PIECE(".fini", "4", "f7") ARRAY(".init_array.0", "f8")
                             ARRAY(".fini_array.0", "f9"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
}

Test(initialisers, in_pieces_run_between_those_that_precede_them_and_the_arrays_in_each_life)
{
    struct harness *harness = open_letters();
    add_pieces(harness);
    expect_seen(harness, "eafhc");
    cr_expect(harness_call(harness, "crash", 0).ended);
    expect_seen(harness, "eafhc");
    harness_close(harness);
}

Test(initialisers, have_finalisers_in_pieces_that_run_after_the_arrays_when_units_are_removed)
{
    struct harness *harness = open_letters();
    add_pieces(harness);
    const uint64_t units[] = {harness_unit(harness, "one.o")->id, harness_unit(harness, "two.o")->id};
    cr_expect(harness_remove(harness, &(struct jitd_removal){.units = units, .unit_count = 2}).completed);
    harness_expect_output(harness, "eafhcdibg");
    harness_close(harness);
}

/* Sections of one name that have different flags or groups stay apart in an object. The stack is a function's. */
Test(initialisers, in_several_pieces_of_a_unit_are_one_function)
{
    struct harness *harness = open_letters();
    harness_add_assembly(
        harness, "pieces.o",
        PIECE(".init", "0", "f1") "    .section .init, \"axG\", @progbits, group, comdat\n    .p2align 6\n"
                                  "    movaps %xmm0, -16(%rsp)\n    call f2\n"
                                  "    .section .init, \"axG\", @progbits, third, comdat\n    call f3\n");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    expect_seen(harness, "abc");
    harness_close(harness);
}

Test(initialisers, in_pieces_that_crash_are_named_in_the_report)
{
    struct harness *harness = harness_open(NULL);
    harness_add_assembly(harness, "piece.o", "    .section .init, \"ax\", @progbits\n    nop\n    mov 8, %eax\n");
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_unit(harness, "piece.o")->state, JITD_UNIT_FAILED);
    cr_expect_str_eq(harness->last_end.initialiser_of, "piece.o");
    cr_assert_gt(harness->last_end.frame_count, 0);
    cr_expect_str_eq(harness->last_end.frames[0].unit, "piece.o");
    cr_expect_str_eq(harness->last_end.frames[0].function, "", "no symbol is there");
    harness_close(harness);
}

Test(initialisers, that_crt_files_begin_are_refused)
{
    struct harness *harness = harness_open(NULL);
    harness_add_assembly(harness, "crti.o", "    .section .init, \"ax\"\n    .globl _init\n_init: sub $8, %rsp\n");
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_UNSUPPORTED);
    cr_expect(strstr(harness->errors[0].text, "leave the crt files out"), "%s", harness->errors[0].text);
    harness_close(harness);
}

/* ---- failures ---- */

static const char good_source[] = "long good(long x) { return x + 1; }\n";

/* The dependents come first: units that need what has failed already would wait for another definition. */
static void expect_failure(const char *name, const char *source, int chances, const char *words)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "good.o", good_source);
    harness_add_c(harness, "user.o", "extern long failing(long); long user(long x) { return failing(x); }\n");
    harness_add_c(harness, "user_of_user.o", "extern long user(long); long outer(long x) { return user(x); }\n");
    harness_accept(harness, 0);
    harness_add_c(harness, name, source);
    harness_link_batch(harness, 0);

    const struct harness_unit *unit = harness_unit(harness, name);
    cr_expect_eq(unit->state, JITD_UNIT_FAILED);
    cr_expect_eq(unit->error.code, JITD_ERROR_INITIALISER_FAILED);
    cr_expect(strstr(unit->error.text, name) && strstr(unit->error.text, words), "%s", unit->error.text);
    const struct harness_unit *outer = harness_unit(harness, "user_of_user.o");
    cr_expect_eq(harness_unit(harness, "user.o")->state, JITD_UNIT_FAILED);
    cr_expect_eq(outer->state, JITD_UNIT_FAILED);
    cr_expect_eq(outer->error.code, JITD_ERROR_DEPENDENCY_FAILED);
    cr_expect(strstr(outer->error.text, words), "the cause is not named: %s", outer->error.text);
    cr_expect_eq(harness->runner_ends, chances);
    cr_expect_str_eq(harness->last_end.initialiser_of, name);

    cr_expect_eq(harness_value(harness, "good", 1), 2, "the session lives on");
    cr_expect_eq(harness_call(harness, "failing", 1).code, JITD_ERROR_NOT_FOUND);
    harness_link_c(harness, "another.o", "extern long good(long); long another(long x) { return good(x); }\n");
    cr_expect_eq(harness_value(harness, "another", 1), 2);
    harness_close(harness);
}

Test(initialisers, that_crash_twice_fail_their_unit_and_its_dependents)
{
    expect_failure("crashing.o",
                   "long failing(long x) { return x; }\n"
                   "__attribute__((constructor)) static void f(void) { *(volatile long *)8 = 1; }\n",
                   2, "signal 11 (Segmentation fault), 2 times");
}

/* They have decided, and what they have done before that is done once. */
static void expect_failure_by(const char *leaving)
{
    char source[512];
    snprintf(source, sizeof source,
             "#include <pthread.h>\n#include <stdlib.h>\n#include <unistd.h>\nlong failing(long x) { return x; }\n"
             "__attribute__((constructor)) static void f(void) { %s; }\n",
             leaving);
    expect_failure("leaving.o", source, 1, "ended the program with status");
}

Test(initialisers, that_exit_fail_their_unit_and_its_dependents_at_once)
{
    expect_failure_by("exit(3)");
    expect_failure_by("_exit(3)");
    expect_failure_by("_Exit(3)");
    expect_failure_by("quick_exit(3)");
#ifndef JITD_SANITIZED /* whose runtime takes what the frames that are left have poisoned for an error of its own */
    expect_failure_by("pthread_exit(0)");
#endif
}

Test(initialisers, whose_end_says_nothing_of_whose_it_is_get_a_second_chance)
{
    expect_failure("leaving.o",
                   "#include <sys/syscall.h>\n#include <unistd.h>\nlong failing(long x) { return x; }\n"
                   "__attribute__((constructor)) static void f(void) { syscall(SYS_exit_group, 3); }\n",
                   2, "status 3, 2 times");
}

Test(initialisers, of_an_unready_unit_that_fails_leave_its_names_free)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "first.o",
                  "long value(long x) { return 1; }\n"
                  "__attribute__((constructor)) static void f(void) { __builtin_trap(); }\n");
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_unit(harness, "first.o")->state, JITD_UNIT_FAILED);
    harness_link_c(harness, "second.o", "long value(long x) { return 2; }\n");
    cr_expect_eq(harness_value(harness, "value", 0), 2);
    harness_close(harness);
}

Test(initialisers, run_while_a_call_is_under_way)
{
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    harness_link_c(
        harness, "waiting.o",
        "#include <unistd.h>\nvolatile long flag;\n"
        "long wait_for_flag(long x) { write(1, \"waiting\", 7); while (!flag) usleep(1000); return flag; }\n");
    jitd_request request = harness_call_begin(harness, "wait_for_flag", 0, &call);
    harness_await_output(harness, "waiting");
    harness_link_c(harness, "raising.o",
                   "extern volatile long flag;\n"
                   "__attribute__((constructor)) static void f(void) { flag = 5; }\n");
    harness_wait(harness, request);
    cr_expect(call.returned);
    cr_expect_eq(call.value, 5);
    harness_close(harness);
}

/* ---- the end of a program ---- */

static const char program_source[] =
    "#include <stdio.h>\n#include <stdlib.h>\n"
    "static void one(void) { puts(\"atexit 1\"); }\n"
    "static void two(void) { puts(\"atexit 2\"); }\n"
    "__attribute__((constructor)) static void begin(void) { puts(\"constructor\"); }\n"
    "__attribute__((destructor)) static void end(void) { puts(\"destructor\"); }\n"
    "__attribute__((destructor(101))) static void end_101(void) { puts(\"destructor 101\"); }\n"
    "__attribute__((destructor(102))) static void end_102(void) { puts(\"destructor 102\"); }\n"
    "int main(void) { atexit(one); atexit(two); puts(\"main\"); return 6; }\n";

/* libc_nonshared.a's, which ld adds without being asked. */
static const char atexit_source[] = "extern int __cxa_atexit(void (*)(void *), void *, void *);\n"
                                    "int atexit(void (*f)(void)) { return __cxa_atexit((void (*)(void *))f, 0, 0); }\n";

Test(initialisers, finalisers_and_exit_handlers_run_at_the_end_of_main_as_in_a_program)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_c(harness, "program.o", program_source);
    harness_add_c(harness, "atexit.o", atexit_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    struct harness_call call = harness_main(harness);
    cr_assert(call.ended, "%s", call.text);
    cr_expect(call.end.exited);
    cr_expect_eq(call.end.exit_status, 6);
    char *output = harness_output(harness);
    cr_expect_str_eq(output, "constructor\nmain\natexit 2\natexit 1\ndestructor\ndestructor 102\ndestructor 101\n");
    free(output);
    harness_close(harness);
}
