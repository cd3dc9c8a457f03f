/*
 * Input that cannot be linked: refused with a code and words that name the place, and the session goes on.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/lib/elf_build.h"

TestSuite(bad_input, .timeout = 60);

#define NO_STACK "\t.section .note.GNU-stack,\"\",@progbits\n"

/* A session that proves after each refusal that it still links and runs. */
struct fixture {
    struct harness *harness;
    struct object_bytes good; /* defines good_NNN */
    int proofs;
};

static struct fixture fixture_open(void)
{
    return (struct fixture){.harness = harness_open(NULL),
                            .good = compile_c("long good_000(long x) { return x + 1; }\n", HARNESS_FLAGS)};
}

static void fixture_close(struct fixture *fixture)
{
    object_free(&fixture->good);
    harness_close(fixture->harness);
}

static void expect_works(struct fixture *fixture)
{
    char name[16];
    struct object_bytes good = object_copy(&fixture->good);
    snprintf(name, sizeof name, "good_%03d", fixture->proofs++);
    memcpy(memmem(good.bytes, good.length, "good_000", 8), name, 8);
    harness_link(fixture->harness, "good.o", &good);
    cr_expect_eq(harness_value(fixture->harness, name, 41), 42);
    object_free(&good);
}

/* The batch that was put together is refused with this code and words, and nothing of it stays but its errors. */
static void expect_refused(struct fixture *fixture, int code, const char *words)
{
    struct harness *harness = fixture->harness;
    size_t units = harness->unit_count;
    int got = harness_submit(harness, JITD_BATCH_CLOSED);
    size_t error_count = harness->error_count;
    struct harness_error errors[HARNESS_ERRORS];
    memcpy(errors, harness->errors, sizeof errors);
    cr_expect(got == code, "%s instead of %s: %s", jitd_error_name(got), jitd_error_name(code),
              harness->errors[0].text);
    cr_expect(strstr(harness->errors[0].text, words), "'%s' is not in '%s'", words, harness->errors[0].text);
    cr_expect_eq(harness->unit_count, units);
    expect_works(fixture);
    memcpy(harness->errors, errors, sizeof errors);
    harness->error_count = error_count;
}

static void expect_object_refused(struct fixture *fixture, const struct object_bytes *object, int code,
                                  const char *words)
{
    harness_add(fixture->harness, "bad.o", object);
    expect_refused(fixture, code, words);
    cr_expect_str_eq(fixture->harness->errors[0].unit, "bad.o");
}

/* ---- formats ---- */

Test(bad_input, of_other_formats_is_refused_and_named)
{
    static const struct {
        const char *bytes;
        size_t length;
        int code;
        const char *words;
    } rows[] = {
        {"", 0, JITD_ERROR_OBJECT_TRUNCATED, "0 bytes are too few"},
        {"#include <stdio.h>\nint main(void) { return 0; }\n", 48, JITD_ERROR_OBJECT_FORMAT, "not an ELF object"},
        {"!<arch>\n/               0           0     0     0       4         `\n", 68, JITD_ERROR_OBJECT_FORMAT,
         "archive"},
        {"BC\xc0\xde\x35\x14\0\0\x05\0\0\0\x62\x0c\x30\x24", 16, JITD_ERROR_OBJECT_FORMAT, "bitcode"},
        {"\x7f"
         "ELF\2\1\1",
         7, JITD_ERROR_OBJECT_TRUNCATED, "too few"},
    };
    struct fixture fixture = fixture_open();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct object_bytes object = {.bytes = (uint8_t *)rows[i].bytes, .length = rows[i].length};
        expect_object_refused(&fixture, &object, rows[i].code, rows[i].words);
    }
    fixture_close(&fixture);
}

Test(bad_input, for_other_machines_is_refused_and_named)
{
    static const struct {
        size_t offset;
        uint8_t value;
        int code;
        const char *words;
    } rows[] = {
        {EI_CLASS, ELFCLASS32, JITD_ERROR_OBJECT_FORMAT, "EI_CLASS"},
        {EI_DATA, ELFDATA2MSB, JITD_ERROR_OBJECT_FORMAT, "EI_DATA"},
        {offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, JITD_ERROR_OBJECT_MACHINE, "183"},
        {offsetof(Elf64_Ehdr, e_machine), EM_386, JITD_ERROR_OBJECT_MACHINE, "machine is 3"},
        {offsetof(Elf64_Ehdr, e_type), ET_CORE, JITD_ERROR_OBJECT_TYPE, "core"},
    };
    struct fixture fixture = fixture_open();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct object_bytes object = object_copy(&fixture.good);
        object.bytes[rows[i].offset] = rows[i].value;
        expect_object_refused(&fixture, &object, rows[i].code, rows[i].words);
        object_free(&object);
    }
    fixture_close(&fixture);
}

Test(bad_input, that_is_an_executable_says_what_to_do_instead)
{
    struct fixture fixture = fixture_open();
    struct object_bytes executable = object_read(harness_daemon_path());
    expect_object_refused(&fixture, &executable, JITD_ERROR_OBJECT_TYPE, "executable");
    cr_expect(strstr(fixture.harness->errors[0].text, "cc -c"));
    object_free(&executable);
    fixture_close(&fixture);
}

/* Strong definitions would be refused as duplicates before later phases see them. */
static const char small_source[] = "extern int other(void) __attribute__((weak));\n"
                                   "__attribute__((weak)) int data = 3;\n"
                                   "__attribute__((weak)) int small(void) { return &other ? other() : data; }\n";

Test(bad_input, truncated_at_any_byte_is_refused)
{
    struct fixture fixture = fixture_open();
    struct object_bytes small = compile_c(small_source, HARNESS_FLAGS);
    for (size_t length = 0; length < small.length; length++) {
        const struct object_bytes cut = {.bytes = small.bytes, .length = length};
        harness_add(fixture.harness, "cut.o", &cut);
        int code = harness_submit(fixture.harness, JITD_BATCH_CLOSED);
        cr_assert(code == JITD_ERROR_OBJECT_TRUNCATED || code == JITD_ERROR_OBJECT_FORMAT ||
                      code == JITD_ERROR_OBJECT_SECTION,
                  "%zu of %zu bytes: %s", length, small.length, fixture.harness->errors[0].text);
    }
    cr_expect_eq(fixture.harness->unit_count, 0);
    expect_works(&fixture);
    object_free(&small);
    fixture_close(&fixture);
}

Test(bad_input, with_any_byte_changed_does_not_end_the_session)
{
    struct fixture fixture = fixture_open();
    struct object_bytes small = compile_c(small_source, HARNESS_FLAGS);
    static const uint8_t changes[] = {0xff, 0x80, 0x01};
    for (size_t i = 0; i < small.length; i++)
        for (size_t change = 0; change < sizeof changes; change++) {
            small.bytes[i] ^= changes[change];
            harness_add(fixture.harness, "changed.o", &small);
            harness_submit(fixture.harness, JITD_BATCH_CLOSED);
            small.bytes[i] ^= changes[change];
            cr_assert_not(fixture.harness->disconnected, "byte %zu changed by %#x", i, changes[change]);
        }
    harness_settle(fixture.harness);
    expect_works(&fixture);
    object_free(&small);
    fixture_close(&fixture);
}

/* ---- symbols ---- */

static const struct harness_error *error_about(const struct harness *harness, const char *symbol)
{
    for (size_t i = 0; i < harness->error_count; i++)
        if (strcmp(harness->errors[i].symbol, symbol) == 0)
            return &harness->errors[i];
    cr_assert_fail("no error is about %s", symbol);
    return NULL;
}

Test(bad_input, with_missing_symbols_lists_them_all_with_who_refers_to_each)
{
    struct fixture fixture = fixture_open();
    struct harness *harness = fixture.harness;
    harness_add_c(harness, "a.o", "extern long one(void), two(void); long a(long x) { return one() + two(); }\n");
    harness_add_c(harness, "b.o", "extern long one(void), three; long *p = &three; long b(long x) { return one(); }\n");
    expect_refused(&fixture, JITD_ERROR_SYMBOL_MISSING, "undefined symbol");
    cr_assert_eq(harness->error_count, 3);
    const struct harness_error *one = error_about(harness, "one");
    cr_expect_eq(one->reference_count, 2);
    cr_expect_str_eq(one->references[0], "a.o:.text");
    cr_expect_str_eq(one->references[1], "b.o:.text");
    cr_expect(strstr(one->text, "a.o:.text+0x") && strstr(one->text, "'one'"), "%s", one->text);
    cr_expect_str_eq(error_about(harness, "two")->references[0], "a.o:.text");
    cr_expect(strncmp(error_about(harness, "three")->references[0], "b.o:.data", 9) == 0);
    fixture_close(&fixture);
}

Test(bad_input, with_missing_symbols_tells_units_of_one_name_apart)
{
    struct fixture fixture = fixture_open();
    struct harness *harness = fixture.harness;
    harness_add_c(harness, "a.o", "long fine(long x) { return x; }\n");
    harness_add_c(harness, "a.o", "extern long gone(void); long user(long x) { return gone(); }\n");
    expect_refused(&fixture, JITD_ERROR_SYMBOL_MISSING, "undefined symbol");
    cr_expect_eq(error_about(harness, "gone")->reference_places[0], 2);
    fixture_close(&fixture);
}

Test(bad_input, with_a_definition_twice_in_a_batch_names_both_units)
{
    struct fixture fixture = fixture_open();
    harness_add_c(fixture.harness, "first.o", "int twice(void) { return 1; }\n");
    harness_add_c(fixture.harness, "second.o", "int twice(void) { return 2; }\n");
    expect_refused(&fixture, JITD_ERROR_SYMBOL_DUPLICATE, "second.o: duplicate definition of 'twice'");
    fixture_close(&fixture);
}

Test(bad_input, with_a_definition_of_an_earlier_batch_names_both_units)
{
    struct fixture fixture = fixture_open();
    harness_link_c(fixture.harness, "first.o", "long twice(long x) { return 1; }\n");
    harness_add_c(fixture.harness, "second.o", "int twice(void) { return 2; }\n");
    cr_expect_eq(harness_submit(fixture.harness, 0), JITD_ERROR_SYMBOL_DUPLICATE);
    cr_expect(strstr(fixture.harness->errors[0].text, "first.o"), "%s", fixture.harness->errors[0].text);
    cr_expect_str_eq(fixture.harness->errors[0].unit, "second.o");
    cr_expect_str_eq(fixture.harness->errors[0].symbol, "twice");
    cr_expect_eq(harness_value(fixture.harness, "twice", 0), 1);
    expect_works(&fixture);
    fixture_close(&fixture);
}

Test(bad_input, with_one_bad_object_takes_its_whole_batch_along)
{
    struct fixture fixture = fixture_open();
    const struct object_bytes noise = {.bytes = (uint8_t *)"noise", .length = 5};
    harness_add_c(fixture.harness, "innocent.o", "long innocent(long x) { return x; }\n");
    harness_add(fixture.harness, "noise.o", &noise);
    expect_refused(&fixture, JITD_ERROR_OBJECT_FORMAT, "noise.o");
    cr_expect_eq(harness_call(fixture.harness, "innocent", 1).code, JITD_ERROR_NOT_FOUND);
    fixture_close(&fixture);
}

/* ---- relocations ---- */

static const char calling_source[] = "extern long getpid(void); long calls(long x) { return getpid() + x; }\n";

static void expect_type_refused(struct fixture *fixture, uint32_t type, const char *words)
{
    struct object_bytes object = compile_c(calling_source, HARNESS_FLAGS);
    Elf64_Rela *relocation = elf_relocation(&object, ".text", 0);
    relocation->r_info = ELF64_R_INFO(ELF64_R_SYM(relocation->r_info), type);
    expect_object_refused(fixture, &object, JITD_ERROR_RELOCATION_UNSUPPORTED, words);
    cr_expect(strncmp(fixture->harness->errors[0].text, "bad.o:.text+0x", 14) == 0);
    cr_expect_str_eq(fixture->harness->errors[0].symbol, "getpid");
    object_free(&object);
}

Test(bad_input, with_an_unsupported_relocation_names_type_place_and_symbol)
{
    struct fixture fixture = fixture_open();
    expect_type_refused(&fixture, R_X86_64_COPY, "R_X86_64_COPY against 'getpid'");
    expect_type_refused(&fixture, 249, "relocation type 249");
    expect_type_refused(&fixture, 0xfffffff0, "relocation type 4294967280");
    fixture_close(&fixture);
}

Test(bad_input, with_thread_local_data_of_a_model_that_cannot_work_is_refused)
{
    struct fixture fixture = fixture_open();
    struct object_bytes object = compile_c("extern __thread int elsewhere; int reads(void) { return elsewhere; }\n",
                                           "-O1 -fPIC -ftls-model=local-exec");
    harness_add(fixture.harness, "bad.o", &object);
    int code = harness_submit(fixture.harness, JITD_BATCH_CLOSED);
    cr_expect(code == JITD_ERROR_RELOCATION_UNSUPPORTED || code == JITD_ERROR_SYMBOL_MISSING, "%s",
              fixture.harness->errors[0].text);
    cr_expect(strstr(fixture.harness->errors[0].text, "'elsewhere'"), "%s", fixture.harness->errors[0].text);
    object_free(&object);
    expect_works(&fixture);
    fixture_close(&fixture);
}

/* The unit was accepted, since its addresses are decided later; `words` begin with UNIT:SECTION+OFFSET. */
static void expect_out_of_range(struct fixture *fixture, const char *user, const char *words)
{
    struct harness *harness = fixture->harness;
    harness_add_assembly(harness, "range.o", user);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    const struct harness_unit *unit = harness_unit(harness, "range.o");
    cr_expect_eq(unit->state, JITD_UNIT_FAILED);
    cr_expect_eq(unit->error.code, JITD_ERROR_RELOCATION_RANGE);
    cr_expect(strncmp(unit->error.text, words, strlen(words)) == 0, "%s", unit->error.text);
    cr_expect(strstr(unit->error.text, " not in ["), "%s", unit->error.text);
    expect_works(fixture);
}

Test(bad_input, out_of_a_relocation_s_range_names_place_type_symbol_and_value)
{
    struct fixture fixture = fixture_open();
    harness_add_assembly(fixture.harness, "far.o",
                         "\t.globl far_away\nfar_away = 0x123456789abc\n"
                         "\t.data\n\t.globl near_by\nnear_by:\t.quad 1\n" NO_STACK);
    harness_link_batch(fixture.harness, JITD_BATCH_CLOSED);
    expect_out_of_range(&fixture, "\tnop\n\tlea far_away(%rip), %rax\n\tret\n" NO_STACK,
                        "range.o:.text+0x4: R_X86_64_PC32 against 'far_away': value ");
    expect_out_of_range(&fixture, "\tmov $near_by, %eax\n\tret\n" NO_STACK,
                        "range.o:.text+0x1: R_X86_64_32 against 'near_by': value ");
    expect_out_of_range(&fixture, "\tmov near_by, %eax\n\tret\n" NO_STACK,
                        "range.o:.text+0x3: R_X86_64_32S against 'near_by': value ");
    expect_out_of_range(&fixture, "\t.data\n\t.word 0, near_by\n" NO_STACK,
                        "range.o:.data+0x2: R_X86_64_16 against 'near_by': value ");
    fixture_close(&fixture);
}

/* ---- stacks ---- */

Test(bad_input, that_asks_for_an_executable_stack_is_refused_and_told_so)
{
    struct fixture fixture = fixture_open();
    harness_add_assembly(fixture.harness, "stack.o", "\tret\n\t.section .note.GNU-stack,\"x\",@progbits\n");
    expect_refused(&fixture, JITD_ERROR_EXECUTABLE_STACK, "executable stack");
    harness_add_c(fixture.harness, "nested.o",
                  "extern long apply(long (*)(long), long);\n"
                  "long outer(long n) { long add(long x) { return x + n; } return apply(add, 1); }\n");
    expect_refused(&fixture, JITD_ERROR_EXECUTABLE_STACK, "executable stack");
    fixture_close(&fixture);
}
