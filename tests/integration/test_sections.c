/*
 * What a section is for: from its flags, and from its name as ld's default script knows it; and what else of an object
 * ld takes and an assembler makes, which a compiler would not.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/lib/elf_build.h"

TestSuite(sections, .timeout = 60);

Test(sections, of_a_variable_whose_name_begins_as_relocated_constants_do_is_data)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_c("extern int shared; int *root = &shared; int shared = 1;\n"
                                           "long store(long x) { static int mine; mine = (int)x; root = &mine;\n"
                                           "    return *root; }\n",
                                           "-O1 -fPIC -fdata-sections");
    elf_section_named(&object, ".data.rel.root");
    harness_link(harness, "root.o", &object);
    cr_expect_eq(harness_value(harness, "store", 5), 5);
    object_free(&object);
    harness_close(harness);
}

Test(sections, of_relocated_constants_cannot_be_written)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "constant.o",
                   "int target; int *const place = &target;\n"
                   "long store(long x) { *(int *volatile *)&place = 0; return 0; }\n");
    cr_expect_eq(harness_call(harness, "store", 0).end.signal, 11);
    harness_close(harness);
}

/* As nasm and yasm write sections of which they know nothing but the name: read-only, not executable. */
static const char bare[] = "    .section .text.x, \"ax\"\n    .globl count\n    .type count, @function\n"
                           "count: addl $2, d(%rip)\n    addl $3, b(%rip)\n"
                           "    movslq d(%rip), %rax\n    movslq b(%rip), %rcx\n    add %rcx, %rax\n"
                           "    movslq r(%rip), %rcx\n    add %rcx, %rax\n    ret\n"
                           "    .section .data.x, \"aw\"\nd:  .long 100\n"
                           "    .section .bss.x, \"aw\", @progbits\nb:  .long 0\n"
                           "    .section .rodata.x, \"a\"\nr:  .long 1000\n";

Test(sections, without_flags_have_those_of_the_section_they_are_linked_into)
{
    static const char *const names[] = {".text.x", ".data.x", ".bss.x", ".rodata.x"};
    static const uint64_t flags[] = {SHF_ALLOC, 0};
    for (size_t f = 0; f < 2; f++) {
        struct harness *harness = harness_open(NULL);
        struct object_bytes object = compile_assembly(bare, NULL);
        for (size_t i = 0; i < 4; i++)
            elf_section_named(&object, names[i])->sh_flags = flags[f];
        harness_link(harness, "bare.o", &object);
        cr_expect_eq(harness_value(harness, "count", 0), 1105);
        cr_expect_eq(harness_value(harness, "count", 0), 1110);
        object_free(&object);
        harness_close(harness);
    }
}

/* ---- labels ---- */

static const char labels[] = "    .globl answer\nanswer: mov $42, %eax\n    ret\n"
                             "    .globl other\nother: mov $43, %eax\n    ret\n"
                             "    .data\n    .globl datum\ndatum: .long 1\n";

static struct object_bytes make_labels(void)
{
    struct object_bytes object = compile_assembly(labels, NULL);
    cr_assert_eq(ELF64_ST_TYPE(elf_symbol_named(&object, "answer")->st_info), STT_NOTYPE);
    return object;
}

Test(sections, labels_of_code_can_be_called_and_those_of_data_cannot)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = make_labels();
    harness_link(harness, "labels.o", &object);
    cr_expect_eq(harness_value(harness, "answer", 0), 42);
    struct harness_call call = harness_call(harness, "datum", 0);
    cr_expect_eq(call.code, JITD_ERROR_NOT_CALLABLE, "%s", call.text);
    object_free(&object);
    harness_close(harness);
}

Test(sections, labels_of_code_can_be_redirected)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = make_labels();
    const struct jitd_manifest manifest = {
        DEFINITIONS({.local = "answer", .flags = JITD_DEFINITION_REDIRECTABLE}, {.local = "other"})};
    harness_add_object(harness, &(struct jitd_unit_input){.name = "labels.o", .manifest = &manifest}, &object);
    harness_link_batch(harness, 0);
    cr_expect_eq(harness_value(harness, "answer", 0), 42);
    cr_expect_eq(harness_redirect(harness, "answer", "other"), 0);
    cr_expect_eq(harness_value(harness, "answer", 0), 43);
    object_free(&object);
    harness_close(harness);
}

Test(sections, labels_name_the_frames_of_a_crash)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_assembly("    .globl before\nbefore: ret\n    .globl crash\ncrash: nop\n"
                                                  "    mov 8, %eax\n    ret\n"
                                                  "    .section .text.z, \"ax\"\n    nop\n",
                                                  NULL);
    harness_link(harness, "labels.o", &object);
    struct harness_call call = harness_call(harness, "crash", 0);
    cr_assert(call.ended && call.end.frame_count > 0);
    cr_expect_str_eq(call.end.frames[0].function, "crash");
    cr_expect_eq(call.end.frames[0].function_offset, 1);
    object_free(&object);
    harness_close(harness);
}

Test(sections, symbols_may_lie_outside_of_their_sections)
{
    struct harness *harness = harness_open(NULL);
    struct object_bytes object = compile_assembly("    .globl distance\n    .type distance, @function\n"
                                                  "distance: lea end(%rip), %rax\n    lea before(%rip), %rcx\n"
                                                  "    sub %rcx, %rax\n    ret\n"
                                                  "    .data\n    .globl end\n    .globl before\n"
                                                  "d:  .long 1\nend = d + 100\nbefore = d - 40\n",
                                                  NULL);
    harness_link(harness, "outside.o", &object);
    cr_expect_eq(harness_value(harness, "distance", 0), 140);
    cr_expect_eq(harness_address(harness, "end") - harness_address(harness, "before"), 140);
    object_free(&object);
    harness_close(harness);
}

/* ---- unwind tables ---- */

#define CIE(n)                                                                                                         \
    "c" n ": .long e" n " - b" n "\nb" n ": .long 0\n    .byte 1\n    .asciz \"zR\"\n    .uleb128 1\n"                 \
    "    .sleb128 -8\n    .byte 16\n    .uleb128 1\n    .byte 0x1b, 12, 7, 8, 0x90, 1\n    .balign 8\ne" n ":\n"
#define FDE(n, function, length, state)                                                                                \
    "    .long f" n " - d" n "\nd" n ": .long d" n " - c" n "\n    .long " function " - .\n    .long " length "\n"     \
    "    .uleb128 0\n    .byte " state "\n    .balign 8\nf" n ":\n"
#define FUNCTION(name, section, stack)                                                                                 \
    "    .section " section ", \"ax\"\n    .globl " name "\n    .type " name ", @function\n" name ": sub $" stack      \
    ", %rsp\n    call *%rdi\n    add $" stack ", %rsp\n    ret\n"

/* Three tables, of which the first has a terminator, as crtend.o has. */
static const char three_tables[] = FUNCTION("first", ".text.a", "24") FUNCTION("second", ".text.b", "40")
    FUNCTION("third", ".text.c", "56") "    .section .eh_frame, \"a\", @progbits\n" CIE("1")
        FDE("1", "first", "11",
            "0x44, 14, 32") "    .long 0\n"
                            "    .section .eh_frame, \"aG\", @progbits, group, comdat\n" CIE("2")
                                FDE("2", "second", "11",
                                    "0x44, 14, 48") "    .section .eh_frame.more, \"a\", @progbits\n" CIE("3")
                                    FDE("3", "third", "11", "0x44, 14, 64");

static const char throwing[] =
    "extern \"C\" { long first(void (*)()), second(void (*)()), third(void (*)());\n"
    "static void thrower() { throw 1L; }\n"
    "static long pass(long (*f)(void (*)())) { try { f(thrower); } catch (long x) { return x; } return 0; }\n"
    "long caught(long x) { return pass(first) + 10 * pass(second) + 100 * pass(third); } }\n";

Test(sections, several_with_unwind_tables_are_all_found_by_exceptions)
{
    struct harness *harness = harness_open_with_libstdcxx();
    struct object_bytes tables = compile_assembly(three_tables, NULL), thrower = compile_cxx(throwing, "-O1 -fPIC");
    harness_add(harness, "tables.o", &tables);
    harness_add(harness, "thrower.o", &thrower);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "caught", 0), 111);
    object_free(&tables);
    object_free(&thrower);
    harness_close(harness);
}
