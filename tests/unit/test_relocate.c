/*
 * linker/relocate with arch_x86_64: each type at the edges of its field, stubs, slots, relaxation, refusals.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/lib/elf_build.h"
#include "tests/unit/object_fixture.h"

#define PLACE 0x10000000ull

/* One relocation at .data + 8 whose type the tests choose; the bytes around it are 0xaa. */
static const char one_field[] = ".data\n.fill 8, 1, 0xaa\n.quad foo\n.fill 8, 1, 0xaa\n";

static void make_field(struct object_fixture *fixture, uint32_t type)
{
    fixture_make(fixture, compile_assembly(one_field, NULL));
    Elf64_Rela *relocation = elf_relocation(&fixture->bytes, ".data", 0);
    relocation->r_info = ELF64_R_INFO(ELF64_R_SYM(relocation->r_info), type);
    fixture_open_section(fixture, ".data");
}

/* Sets all that an expression may read so that it comes to `value`; the place is PLACE + 8. */
static void aim(struct object_fixture *fixture, enum relocation_expression expression, uint64_t value)
{
    struct relocation_target *target = fixture_target(fixture, "foo");
    uint64_t P = PLACE + 8;
    uint64_t GOT = fixture->context.got;
    *target = (struct relocation_target){.address = 0x5555, .bytes = 0x6666, .slot = 0x7777};
    switch (expression) {
    case RELOCATE_S_A:
        target->address = value;
        break;
    case RELOCATE_S_A_P:
    case RELOCATE_L_A_P:
        target->address = value + P;
        break;
    case RELOCATE_G_GOT_A_P:
        target->slot = value + P;
        break;
    case RELOCATE_G_A:
        target->slot = value + GOT;
        break;
    case RELOCATE_GOT_A_P:
        fixture->context.got = value + P;
        break;
    case RELOCATE_S_A_GOT:
        target->address = value + GOT;
        break;
    case RELOCATE_Z_A:
        target->bytes = value;
        break;
    case RELOCATE_UNSUPPORTED:
    case RELOCATE_NOTHING:
        break;
    }
}

struct edge {
    uint32_t type;
    enum relocation_expression expression;
    unsigned bytes;
    int64_t low;
    int64_t high;
};

static const struct edge edges[] = {
    {R_X86_64_8, RELOCATE_S_A, 1, -256, 255},
    {R_X86_64_PC8, RELOCATE_S_A_P, 1, -128, 127},
    {R_X86_64_16, RELOCATE_S_A, 2, -65536, 65535},
    {R_X86_64_PC16, RELOCATE_S_A_P, 2, -65536, 65535},
    {R_X86_64_32, RELOCATE_S_A, 4, 0, UINT32_MAX},
    {R_X86_64_32S, RELOCATE_S_A, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_PC32, RELOCATE_S_A_P, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_PLT32, RELOCATE_L_A_P, 4, INT32_MIN, INT32_MAX},
    {39 /* PC32_BND */, RELOCATE_S_A_P, 4, INT32_MIN, INT32_MAX},
    {40 /* PLT32_BND */, RELOCATE_L_A_P, 4, INT32_MIN, INT32_MAX},
    {43 /* CODE_4_GOTPCRELX */, RELOCATE_G_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {46 /* CODE_5_GOTPCRELX */, RELOCATE_G_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {49 /* CODE_6_GOTPCRELX */, RELOCATE_G_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_GOT32, RELOCATE_G_A, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_GOTPCREL, RELOCATE_G_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_GOTPCRELX, RELOCATE_G_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_REX_GOTPCRELX, RELOCATE_G_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_GOTPC32, RELOCATE_GOT_A_P, 4, INT32_MIN, INT32_MAX},
    {R_X86_64_SIZE32, RELOCATE_Z_A, 4, 0, UINT32_MAX},
    {R_X86_64_64, RELOCATE_S_A, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_PC64, RELOCATE_S_A_P, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_GOTOFF64, RELOCATE_S_A_GOT, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_PLTOFF64, RELOCATE_S_A_GOT, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_GOT64, RELOCATE_G_A, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_GOTPLT64, RELOCATE_G_A, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_GOTPCREL64, RELOCATE_G_GOT_A_P, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_GOTPC64, RELOCATE_GOT_A_P, 8, INT64_MIN, INT64_MAX},
    {R_X86_64_SIZE64, RELOCATE_Z_A, 8, INT64_MIN, INT64_MAX},
};

static void expect_stored(const struct object_fixture *fixture, const struct edge *edge, int64_t value)
{
    uint8_t expected[24];
    memset(expected, 0xaa, sizeof expected);
    memset(expected + 8, 0, 8);
    uint8_t little_endian[8];
    store_le64(little_endian, (uint64_t)value);
    memcpy(expected + 8, little_endian, edge->bytes);
    cr_expect_arr_eq(fixture->copy, expected, sizeof expected, "%s, value %" PRId64,
                     arch_x86_64.howtos[edge->type].name, value);
}

Test(relocate, values_at_the_edges_of_each_field_are_stored)
{
    for (size_t i = 0; i < ARRAY_LENGTH(edges); i++) {
        struct object_fixture fixture;
        make_field(&fixture, edges[i].type);
        const int64_t values[] = {edges[i].low, 0, 1, edges[i].high};
        for (size_t v = 0; v < ARRAY_LENGTH(values); v++) {
            fixture_open_section(&fixture, ".data");
            aim(&fixture, edges[i].expression, (uint64_t)values[v]);
            cr_expect_eq(fixture_relocate(&fixture, PLACE), 0, "%s", fixture.error.text);
            expect_stored(&fixture, &edges[i], values[v]);
        }
        fixture_free(&fixture);
    }
}

static void expect_out_of_range(struct object_fixture *fixture, const struct edge *edge, int64_t value)
{
    fixture_open_section(fixture, ".data");
    aim(fixture, edge->expression, (uint64_t)value);
    cr_expect_eq(fixture_relocate(fixture, PLACE), ERROR_RELOCATION_RANGE);
    char expected[256];
    const char *name = arch_x86_64.howtos[edge->type].name;
    snprintf(expected, sizeof expected,
             "unit.o:.data+0x8: %s against 'foo': value %" PRId64 " not in [%" PRId64 ", %" PRId64 "]", name, value,
             edge->low, edge->high);
    cr_expect_str_eq(fixture->error.text, expected);
    cr_expect_str_eq(fixture->error.relocation, name);
    cr_expect_str_eq(fixture->error.symbol, "foo");
    cr_expect_str_eq(fixture->error.section, ".data");
    cr_expect_eq(fixture->error.offset, 8);
}

Test(relocate, values_one_past_the_edges_are_refused)
{
    for (size_t i = 0; i < ARRAY_LENGTH(edges); i++) {
        if (edges[i].bytes == 8)
            continue;
        struct object_fixture fixture;
        make_field(&fixture, edges[i].type);
        expect_out_of_range(&fixture, &edges[i], edges[i].low - 1);
        expect_out_of_range(&fixture, &edges[i], edges[i].high + 1);
        fixture_free(&fixture);
    }
}

Test(relocate, every_row_of_the_table_is_tested_or_unsupported)
{
    for (uint32_t type = 1; type < arch_x86_64.howto_count; type++) {
        const struct relocation_howto *howto = &arch_x86_64.howtos[type];
        bool tested = howto->expression == RELOCATE_UNSUPPORTED || howto->expression == RELOCATE_NOTHING;
        for (size_t i = 0; i < ARRAY_LENGTH(edges); i++)
            tested = tested || edges[i].type == type;
        cr_expect(tested, "%s", howto->name);
    }
}

static int check_only(struct object_fixture *fixture)
{
    uint8_t *referenced = pool_allocate(&fixture->pool, fixture->object.symbol_count);
    return relocate_check(&arch_x86_64, &fixture->object, fixture->section, referenced, "unit.o", &fixture->error);
}

Test(relocate, refuses_types_that_it_cannot_link_by_name)
{
    static const uint32_t types[] = {R_X86_64_COPY,      R_X86_64_TPOFF32,    R_X86_64_TLSGD,
                                     R_X86_64_IRELATIVE, R_X86_64_RELATIVE64, 44 /* CODE_4_GOTTPOFF */};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct object_fixture fixture;
        make_field(&fixture, types[i]);
        cr_expect_eq(check_only(&fixture), ERROR_RELOCATION_UNSUPPORTED);
        cr_expect_str_eq(fixture.error.relocation, arch_x86_64.howtos[types[i]].name);
        fixture_free(&fixture);
    }
    static const uint32_t unknown[] = {52, 249, 252, 255, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        struct object_fixture fixture;
        make_field(&fixture, unknown[i]);
        cr_expect_eq(check_only(&fixture), ERROR_RELOCATION_UNSUPPORTED);
        cr_expect(strstr(fixture.error.text, "no such type is known"), "%s", fixture.error.text);
        fixture_free(&fixture);
    }
}

Test(relocate, refuses_fields_that_leave_the_section)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_PC32);
    Elf64_Rela *relocation = elf_relocation(&fixture.bytes, ".data", 0);
    relocation->r_offset = 20;
    cr_expect_eq(check_only(&fixture), 0);
    static const uint64_t offsets[] = {21, 23, 24, 25, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 3};
    for (size_t i = 0; i < ARRAY_LENGTH(offsets); i++) {
        relocation->r_offset = offsets[i];
        cr_expect_eq(check_only(&fixture), ERROR_OBJECT_RELOCATION, "offset %#" PRIx64, offsets[i]);
    }
    fixture_free(&fixture);
}

Test(relocate, refuses_symbols_that_do_not_exist)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_PC32);
    Elf64_Rela *relocation = elf_relocation(&fixture.bytes, ".data", 0);
    const uint32_t indices[] = {fixture.object.symbol_count, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(indices); i++) {
        relocation->r_info = ELF64_R_INFO((uint64_t)indices[i], R_X86_64_PC32);
        cr_expect_eq(check_only(&fixture), ERROR_OBJECT_RELOCATION);
    }
    fixture_free(&fixture);
}

Test(relocate, without_a_symbol_there_is_a_value_but_no_slot)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_64);
    Elf64_Rela *relocation = elf_relocation(&fixture.bytes, ".data", 0);
    *relocation = (Elf64_Rela){.r_offset = 8, .r_info = R_X86_64_64, .r_addend = 0x1234};
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0, "%s", fixture.error.text);
    cr_expect_eq(load_le64(fixture.copy + 8), 0x1234);
    static const uint32_t types[] = {R_X86_64_GOTPCREL, R_X86_64_GOT64, R_X86_64_REX_GOTPCRELX};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        relocation->r_info = types[i];
        cr_expect_eq(check_only(&fixture), ERROR_OBJECT_RELOCATION);
    }
    fixture_free(&fixture);
}

Test(relocate, refuses_symbols_of_sections_that_are_not_loaded)
{
    struct object_fixture fixture;
    fixture_make(&fixture, compile_assembly(".section .here\nfoo: .long 1\n.data\n.quad foo\n", NULL));
    fixture_open_section(&fixture, ".data");
    cr_expect_eq(check_only(&fixture), ERROR_OBJECT_RELOCATION);
    cr_expect(strstr(fixture.error.text, "section '.here', which is not loaded"), "%s", fixture.error.text);
    fixture_free(&fixture);
}

Test(relocate, extreme_addends_are_values_like_others)
{
    static const int64_t addends[] = {INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(addends); i++) {
        struct object_fixture fixture;
        make_field(&fixture, R_X86_64_PC32);
        elf_relocation(&fixture.bytes, ".data", 0)->r_addend = addends[i];
        fixture_target(&fixture, "foo")->address = PLACE;
        cr_expect_eq(fixture_relocate(&fixture, PLACE), ERROR_RELOCATION_RANGE);
        fixture_free(&fixture);
    }
}

Test(relocate, a_relocation_that_is_none_does_nothing)
{
    static const uint32_t types[] = {R_X86_64_NONE, 250 /* GNU_VTINHERIT */, 251 /* GNU_VTENTRY */};
    for (size_t t = 0; t < ARRAY_LENGTH(types); t++) {
        struct object_fixture fixture;
        make_field(&fixture, types[t]);
        uint8_t referenced[16] = {0};
        cr_expect_eq(relocate_check(&arch_x86_64, &fixture.object, fixture.section, referenced, "unit.o", NULL), 0);
        for (size_t i = 0; i < fixture.object.symbol_count; i++)
            cr_expect_eq(referenced[i], 0);
        cr_expect_eq(fixture_relocate(&fixture, PLACE), 0);
        cr_expect_eq(fixture_target(&fixture, "foo")->needs, 0);
        fixture_free(&fixture);
    }
}

Test(relocate, a_function_out_of_reach_is_reached_through_its_stub)
{
    static const uint32_t types[] = {R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_32, R_X86_64_32S};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct object_fixture fixture;
        make_field(&fixture, types[i]);
        struct relocation_target *target = fixture_target(&fixture, "foo");
        *target = (struct relocation_target){.address = 0x7fff00001000, .function = true};
        relocate_scan(&fixture.context, fixture.section, PLACE);
        cr_expect_eq(target->needs, NEEDS_STUB);
        target->stub = PLACE + 0x1000;
        cr_expect_eq(fixture_relocate(&fixture, PLACE), 0, "%s", fixture.error.text);
        uint64_t relative = i < 2 ? PLACE + 8 : 0;
        cr_expect_eq(load_le32(fixture.copy + 8), (uint32_t)(target->stub - relative));
        fixture_free(&fixture);
    }
}

Test(relocate, a_function_in_reach_and_data_out_of_reach_get_no_stub)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_PLT32);
    struct relocation_target *target = fixture_target(&fixture, "foo");
    *target = (struct relocation_target){.address = PLACE + 0x100, .function = true};
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0);
    cr_expect_eq(target->needs, 0);
    *target = (struct relocation_target){.address = 0x7fff00001000};
    cr_expect_eq(fixture_relocate(&fixture, PLACE), ERROR_RELOCATION_RANGE);
    cr_expect_eq(target->needs, 0);
    fixture_free(&fixture);
}

Test(relocate, a_missing_weak_symbol_out_of_reach_is_the_place_itself)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_PLT32);
    struct relocation_target *target = fixture_target(&fixture, "foo");
    *target = (struct relocation_target){.function = true, .weak_missing = true};
    uint64_t far = 0x7fff00000000;
    cr_expect_eq(fixture_relocate(&fixture, far), 0, "%s", fixture.error.text);
    cr_expect_eq(target->needs, 0);
    cr_expect_eq(load_le32(fixture.copy + 8), 0);
    /* Where 0 is in reach it is 0. */
    fixture_open_section(&fixture, ".data");
    *fixture_target(&fixture, "foo") = (struct relocation_target){.weak_missing = true};
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0);
    cr_expect_eq(load_le32(fixture.copy + 8), (uint32_t) - (PLACE + 8));
    fixture_free(&fixture);
}

Test(relocate, a_discarded_symbol_is_an_error_outside_of_unwind_tables)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_PC32);
    struct relocation_target *target = fixture_target(&fixture, "foo");
    *target = (struct relocation_target){.address = PLACE, .discarded = true};
    cr_expect_eq(fixture_relocate(&fixture, PLACE), ERROR_OBJECT_RELOCATION);
    cr_expect(strstr(fixture.error.text, "discarded"), "%s", fixture.error.text);
    fixture.object.sections[fixture.section].name = ".gcc_except_table";
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0);
    cr_expect_eq(load_le64(fixture.copy + 8), 0);
    fixture.object.sections[fixture.section].name = ".data";
    fixture.object.sections[fixture.section].kind = SECTION_EH_FRAME;
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0);
    cr_expect_eq(load_le64(fixture.copy + 8), 0);
    fixture_free(&fixture);
}

Test(relocate, control_bytes_in_names_are_escaped)
{
    struct object_fixture fixture;
    make_field(&fixture, R_X86_64_PC32);
    memcpy(elf_symbol_named(&fixture.bytes, "foo")->st_name + (char *)fixture.object.names, "\x1b[m", 3);
    fixture.targets[fixture.object.symbol_count - 1].address = 0x7fff00001000;
    cr_expect_eq(fixture_relocate(&fixture, PLACE), ERROR_RELOCATION_RANGE);
    cr_expect(strstr(fixture.error.text, "'\\x1b[m'"), "%s", fixture.error.text);
    fixture_free(&fixture);
}

/* Each instruction and what GNU ld 2.40 makes of it, with foo at section + 0x3c. */
static const char relaxable[] = ".text\n"
                                "mov foo@GOTPCREL(%rip), %rax\n"
                                "mov foo@GOTPCREL(%rip), %r15\n"
                                "mov foo@GOTPCREL(%rip), %ecx\n"
                                "call *foo@GOTPCREL(%rip)\n"
                                "jmp *foo@GOTPCREL(%rip)\n"
                                "test %rax, foo@GOTPCREL(%rip)\n"
                                "add foo@GOTPCREL(%rip), %rax\n"
                                "cmpq $1, foo@GOTPCREL(%rip)\n"
                                "push foo@GOTPCREL(%rip)\n";

static const uint8_t relaxed[] = {
    0x48, 0x8d, 0x05, 0x35, 0x00, 0x00, 0x00,       /* lea  0x35(%rip), %rax */
    0x4c, 0x8d, 0x3d, 0x2e, 0x00, 0x00, 0x00,       /* lea  0x2e(%rip), %r15 */
    0x8d, 0x0d, 0x28, 0x00, 0x00, 0x00,             /* lea  0x28(%rip), %ecx */
    0x67, 0xe8, 0x22, 0x00, 0x00, 0x00,             /* addr32 call foo */
    0xe9, 0x1d, 0x00, 0x00, 0x00, 0x90,             /* jmp foo; nop */
    0x48, 0x85, 0x05, 0xb9, 0x1f, 0x00, 0x00,       /* test %rax, slot */
    0x48, 0x03, 0x05, 0xb2, 0x1f, 0x00, 0x00,       /* add  slot, %rax */
    0x48, 0x83, 0x3d, 0xaa, 0x1f, 0x00, 0x00, 0x01, /* cmpq $1, slot */
    0xff, 0x35, 0xa4, 0x1f, 0x00, 0x00,             /* push slot */
};

static void make_relaxable(struct object_fixture *fixture)
{
    fixture_make(fixture, compile_assembly(relaxable, NULL));
    fixture_open_section(fixture, ".text");
    *fixture_target(fixture, "foo") =
        (struct relocation_target){.address = PLACE + 0x3c, .slot = PLACE + 0x1fe0, .function = true};
}

Test(relocate, instructions_are_relaxed_as_by_ld)
{
    struct object_fixture fixture;
    make_relaxable(&fixture);
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0, "%s", fixture.error.text);
    cr_expect_arr_eq(fixture.copy, relaxed, sizeof relaxed);
    fixture_free(&fixture);
}

/* What the code would read through slots: each field leads to the slot, each instruction is as it was. */
static void expect_unrelaxed(const struct object_fixture *fixture, const struct relocation_target *target)
{
    const struct object_section *section = &fixture->object.sections[fixture->section];
    uint8_t expected[sizeof relaxed];
    memcpy(expected, section->content, sizeof expected);
    for (uint32_t i = 0; i < section->relocation_count; i++) {
        const Elf64_Rela *relocation = &section->relocations[i];
        uint64_t P = PLACE + relocation->r_offset;
        store_le32(expected + relocation->r_offset, (uint32_t)(target->slot + (uint64_t)relocation->r_addend - P));
    }
    cr_expect_arr_eq(fixture->copy, expected, sizeof expected);
    cr_expect_eq(target->needs, NEEDS_SLOT);
}

Test(relocate, instructions_are_not_relaxed_out_of_reach_or_for_a_missing_weak_symbol)
{
    struct object_fixture fixture;
    make_relaxable(&fixture);
    struct relocation_target *target = fixture_target(&fixture, "foo");
    target->address = 0x7fff00001000;
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0, "%s", fixture.error.text);
    expect_unrelaxed(&fixture, target);

    fixture_open_section(&fixture, ".text");
    target = fixture_target(&fixture, "foo");
    *target = (struct relocation_target){.slot = PLACE + 0x1fe0, .weak_missing = true};
    cr_expect_eq(fixture_relocate(&fixture, PLACE), 0, "%s", fixture.error.text);
    expect_unrelaxed(&fixture, target);
    fixture_free(&fixture);
}

struct relax_case {
    uint32_t type;
    uint64_t offset;
    int64_t addend;
    int64_t distance; /* S - P */
    int expected;
    uint8_t content[8];
};

static const struct relax_case relax_cases[] = {
    {R_X86_64_GOTPCRELX, 2, -4, 0, 1, {0x8b, 0x05}},
    {R_X86_64_GOTPCRELX, 1, -4, 0, 0, {0x05}},                      /* no opcode in the section */
    {R_X86_64_GOTPCRELX, 0, -4, 0, 0, {0}},                         /* nor a ModRM byte */
    {R_X86_64_REX_GOTPCRELX, 2, -4, 0, 0, {0x8b, 0x05}},            /* nor a REX prefix */
    {R_X86_64_REX_GOTPCRELX, 3, -4, 0, 1, {0x48, 0x8b, 0x05}},      //
    {R_X86_64_REX_GOTPCRELX, 3, -4, 0, 0, {0x48, 0xff, 0x15}},      /* calls have no REX form */
    {R_X86_64_GOTPCRELX, 5, -4, 0, 0, {0, 0, 0, 0x8b, 0x05}},       /* the field leaves the section */
    {R_X86_64_GOTPCRELX, 2, 0, 0, 0, {0x8b, 0x05}},                 /* reads beside the slot */
    {R_X86_64_GOTPCRELX, 2, -4, 0, 0, {0x8b, 0x45}},                /* 8-bit displacement from %rbp */
    {R_X86_64_GOTPCRELX, 2, -4, 0, 0, {0xff, 0x35}},                /* push */
    {R_X86_64_GOTPCRELX, 2, -4, INT32_MAX + 4ll, 1, {0x8b, 0x05}},  //
    {R_X86_64_GOTPCRELX, 2, -4, INT32_MAX + 5ll, 0, {0x8b, 0x05}},  //
    {R_X86_64_GOTPCRELX, 2, -4, INT32_MIN + 4ll, 1, {0xff, 0x15}},  //
    {R_X86_64_GOTPCRELX, 2, -4, INT32_MIN + 3ll, 0, {0xff, 0x15}},  //
    {R_X86_64_GOTPCRELX, 2, -4, INT32_MIN + 3ll, 1, {0xff, 0x25}},  /* jmp ends a byte earlier */
    {R_X86_64_GOTPCRELX, 2, -4, INT32_MAX + 4ll, 0, {0xff, 0x25}},  //
    {R_X86_64_GOTPCRELX, 2, -4, (int64_t)1 << 62, 0, {0xff, 0x25}}, //
    {R_X86_64_GOTPCRELX, UINT64_MAX - 1, -4, 0, 0, {0x8b, 0x05}},   //
};

Test(relocate, relaxing_looks_at_every_byte_it_relies_on)
{
    for (size_t i = 0; i < ARRAY_LENGTH(relax_cases); i++) {
        const struct relax_case *row = &relax_cases[i];
        int answer = arch_x86_64.relax(row->type, row->content, sizeof row->content, row->offset,
                                       PLACE + (uint64_t)row->distance, row->addend, PLACE, NULL);
        cr_expect_eq(answer, row->expected, "row %zu", i);
    }
}

Test(relocate, a_stub_jumps_through_its_slot)
{
    uint8_t bytes[STUB_BYTES];
    arch_x86_64.write_stub(bytes, 0x1000, 0x20000, 0x11223344, 0x800);
    static const uint8_t expected[STUB_BYTES] = {0xff, 0x25, 0xfa, 0xef, 0x01, 0x00, 0x68, 0x44,
                                                 0x33, 0x22, 0x11, 0xe9, 0xf0, 0xf7, 0xff, 0xff};
    cr_expect_arr_eq(bytes, expected, sizeof expected);
}

Test(relocate, finds_who_refers_to_a_symbol)
{
    struct object_fixture fixture;
    fixture_make(&fixture,
                 compile_assembly(".section .debug_x\n.quad foo\n.text\nnop\ncall foo\ncall bar\n.data\n.quad bar\n"
                                  ".globl unused\n.weak unused\n",
                                  NULL));
    fixture_open_section(&fixture, ".text");
    struct relocation_place places[32] = {0};
    cr_assert_leq(fixture.object.symbol_count, 32);
    relocate_find_places(&fixture.object, places);
    uint32_t foo = (uint32_t)(fixture_target(&fixture, "foo") - fixture.targets);
    uint32_t bar = (uint32_t)(fixture_target(&fixture, "bar") - fixture.targets);
    cr_expect_eq(places[foo].section, fixture.section);
    cr_expect_eq(places[foo].offset, 2);
    cr_expect_eq(places[bar].section, fixture.section, "the first one");
    cr_expect_eq(places[bar].offset, 7);
    cr_expect_eq(places[0].section, 0);
    fixture_free(&fixture);
}

Test(relocate, relocations_of_a_large_object_survive_random_changes, .timeout = 60)
{
    struct object_fixture fixture;
    fixture_make(&fixture, compile_c("extern int a[]; int g(int); int f(int i) { return g(a[i]) + g(i); }\n"
                                     "int (*p[])(int) = {f, g}; int h(int i) { return p[i](f(i)); }\n",
                                     "-O1 -fPIC"));
    Elf64_Shdr *table = elf_section_named(&fixture.bytes, ".rela.text");
    struct object_bytes pristine = object_copy(&fixture.bytes);
    uint64_t state = 0x9e3779b97f4a7c15;
    for (int i = 0; i < 4000; i++) {
        for (int flips = 0; flips < 3; flips++) {
            uint64_t at = table->sh_offset + fixture_random(&state) % table->sh_size;
            fixture.bytes.bytes[at] = (uint8_t)fixture_random(&state);
        }
        fixture_exercise(&fixture);
        memcpy(fixture.bytes.bytes, pristine.bytes, pristine.length);
    }
    object_free(&pristine);
    fixture_free(&fixture);
}
