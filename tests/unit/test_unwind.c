/*
 * linker/unwind: the header against the .eh_frame it was built from, and against records made to break it.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/unwind.h"
#include "tests/lib/elf_build.h"
#include "tests/unit/object_fixture.h"

#define CODE   0x10000000ull
#define FRAMES 0x20000000ull
#define HEADER 0x20010000ull
#define CIE    0x1ffff000ull

/* Functions in sections of their own, so that the table need not come out sorted; as many as need none, then more. */
static const char functions[] = "extern int g(int);\n"
                                "__attribute__((section(\".text.c\"))) int c(int x) { return g(x) + 3; }\n"
                                "__attribute__((section(\".text.a\"))) int a(int x) { return g(x) + 1; }\n"
                                "__attribute__((section(\".text.b\"))) int b(int x) { return g(x) + 2; }\n"
                                "#ifdef MORE\n"
                                "__attribute__((section(\".text.e\"))) int e(int x) { return g(x) + 5; }\n"
                                "__attribute__((section(\".text.d\"))) int d(int x) { return g(x) + 4; }\n"
                                "#endif\n";
#define FEW  "-O1 -fPIC -fasynchronous-unwind-tables"
#define MANY FEW " -DMORE"

static void make_functions(struct object_fixture *fixture, const char *flags)
{
    static const char *const sections[] = {".text.a", ".text.b", ".text.c", ".text.d", ".text.e"};
    fixture_make(fixture, compile_c(functions, flags));
    fixture_open_section(fixture, ".eh_frame");
    for (size_t i = 0; i < (strcmp(flags, MANY) == 0 ? 5 : 3); i++)
        fixture_target(fixture, sections[i])->address = CODE + 0x100 * i;
    cr_assert_eq(fixture_relocate(fixture, FRAMES), 0, "%s", fixture->error.text);
}

static struct unwind_frames describe(const struct object_fixture *fixture, uint8_t *header, uint32_t count)
{
    return (struct unwind_frames){
        .bytes = fixture->copy,
        .length = fixture->object.sections[fixture->section].bytes,
        .address = FRAMES,
        .cie_address = CIE,
        .code_low = CODE,
        .code_high = CODE + 0x500,
        .fde_count = count,
        .header = header,
        .header_address = HEADER,
    };
}

/* As describe, with the common CIE gone: what lies there is somebody else's, and looks like nothing. */
static struct unwind_frames describe_omitted(struct object_fixture *fixture, uint8_t *header, uint32_t count)
{
    struct unwind_frames frames = describe(fixture, header, count);
    frames.omitted = arch_x86_64.common_cie_bytes;
    memset(fixture->copy, 0xee, frames.omitted);
    return frames;
}

/* Of one section. */
static int build(struct unwind_frames *frames, struct error *error)
{
    frames->built = frames->seen = frames->listed = 0;
    int code = unwind_build(frames, error);
    if (!code)
        unwind_finish(frames);
    return code;
}

static struct unwind_shape check(struct object_fixture *fixture)
{
    const struct object_section *section = &fixture->object.sections[fixture->section];
    struct unwind_shape shape;
    cr_assert_eq(unwind_check(&arch_x86_64, section->content, section->bytes, &shape, &fixture->error), 0);
    return shape;
}

static uint64_t relative(const uint8_t *at, uint64_t base)
{
    return base + (uint64_t)(int64_t)(int32_t)load_le32(at);
}

/* Reads an entry as libgcc does: the code address, and the FDE behind it must begin with the same. */
static uint64_t entry_code(const struct object_fixture *fixture, const uint8_t *header, uint32_t index)
{
    const uint8_t *entry = header + 12 + 8 * index;
    uint64_t code = relative(entry, HEADER);
    uint64_t record = relative(entry + 4, HEADER) - FRAMES;
    cr_assert_lt(record + 12, fixture->object.sections[fixture->section].bytes);
    cr_expect_neq(load_le32(fixture->copy + record + 4), 0, "an FDE, not a CIE");
    cr_expect_eq(relative(fixture->copy + record + 8, FRAMES + record + 8), code);
    return code;
}

/* Walks the records as libgcc does where there is no table; gives the code addresses, 0 for what it would pass over. */
static uint32_t walk_records(const struct unwind_frames *frames, const uint8_t *header, uint64_t codes[8])
{
    uint64_t at = relative(header + 4, HEADER + 4) - FRAMES;
    uint32_t count = 0;
    for (; at < frames->length; at += 4 + load_le32(frames->bytes + at)) {
        uint64_t field = at + 8, cie = FRAMES + at + 4 - load_le32(frames->bytes + at + 4);
        if (load_le32(frames->bytes + at + 4) == 0)
            continue;
        cr_expect_eq(cie, frames->omitted ? CIE : FRAMES);
        cr_assert_lt(count, 8);
        codes[count++] = load_le32(frames->bytes + field) ? relative(frames->bytes + field, FRAMES + field) : 0;
    }
    cr_expect_eq(at, frames->length);
    return count;
}

Test(unwind, a_table_leads_to_each_description_in_order_of_addresses)
{
    for (int omitted = 0; omitted < 2; omitted++) {
        struct object_fixture fixture;
        uint8_t header[52];
        make_functions(&fixture, MANY);
        uint32_t count = check(&fixture).fde_count;
        cr_assert_eq(count, 5);
        cr_assert_eq(unwind_header_bytes(count, 1), sizeof header);
        struct unwind_frames frames =
            omitted ? describe_omitted(&fixture, header, count) : describe(&fixture, header, count);
        cr_assert_eq(build(&frames, &fixture.error), 0, "%s", fixture.error.text);
        static const uint8_t start[4] = {1, 0x1b, 0x03, 0x3b};
        cr_expect_arr_eq(header, start, sizeof start);
        cr_expect_eq(relative(header + 4, HEADER + 4), FRAMES + frames.omitted);
        cr_expect_eq(load_le32(header + 8), 5);
        for (uint32_t i = 0; i < 5; i++)
            cr_expect_eq(entry_code(&fixture, header, i), CODE + 0x100 * i);
        fixture_free(&fixture);
    }
}

Test(unwind, few_descriptions_need_no_table)
{
    for (int omitted = 0; omitted < 2; omitted++) {
        struct object_fixture fixture;
        uint8_t header[8];
        uint64_t codes[8];
        make_functions(&fixture, FEW);
        struct unwind_shape shape = check(&fixture);
        cr_expect_eq(shape.fde_count, 3);
        cr_expect(shape.common_cie, "the compiler's CIE is not the common one");
        cr_assert_eq(unwind_header_bytes(3, 1), sizeof header);
        struct unwind_frames frames = omitted ? describe_omitted(&fixture, header, 3) : describe(&fixture, header, 3);
        cr_assert_eq(build(&frames, &fixture.error), 0, "%s", fixture.error.text);
        static const uint8_t start[4] = {1, 0x1b, 0xff, 0xff};
        cr_expect_arr_eq(header, start, sizeof start);
        cr_assert_eq(walk_records(&frames, header, codes), 3);
        cr_expect(codes[0] == CODE + 0x200 && codes[1] == CODE && codes[2] == CODE + 0x100);
        fixture_free(&fixture);
    }
}

/* Each of several sections may end with a terminator, at which nobody may stop. */
Test(unwind, descriptions_of_several_sections_are_in_one_table_however_few)
{
    struct object_fixture first, second;
    uint8_t header[12 + 8 * 6];
    make_functions(&first, FEW);
    make_functions(&second, FEW);
    cr_assert_eq(unwind_header_bytes(6, 2), sizeof header);
    cr_assert_eq(unwind_header_bytes(2, 2), 12 + 8 * 2);
    cr_assert_eq(unwind_header_bytes(0, 1), 8);
    struct unwind_frames frames = describe(&first, header, 6);
    frames.sections = 2;
    cr_assert_eq(unwind_build(&frames, &first.error), 0, "%s", first.error.text);
    frames.bytes = second.copy;
    frames.length = second.object.sections[second.section].bytes;
    cr_assert_eq(unwind_build(&frames, &second.error), 0, "%s", second.error.text);
    unwind_finish(&frames);
    cr_expect_eq(header[2], 0x03);
    cr_expect_eq(relative(header + 4, HEADER + 4), FRAMES);
    cr_expect_eq(load_le32(header + 8), 6);
    for (uint32_t i = 0; i < 6; i++)
        cr_expect_eq(entry_code(&first, header, i), CODE + 0x100 * (i / 2));
    fixture_free(&first);
    fixture_free(&second);
}

Test(unwind, sections_together_have_no_more_descriptions_than_there_were)
{
    struct object_fixture fixture;
    uint8_t header[12 + 8 * 5];
    make_functions(&fixture, FEW);
    struct unwind_frames frames = describe(&fixture, header, 5);
    frames.sections = 2;
    cr_assert_eq(unwind_build(&frames, &fixture.error), 0);
    cr_expect_eq(unwind_build(&frames, &fixture.error), ERROR_OBJECT_SECTION);
    fixture_free(&fixture);
}

Test(unwind, descriptions_of_code_that_is_not_there_are_left_out_of_the_table)
{
    struct object_fixture fixture;
    uint8_t header[52];
    make_functions(&fixture, MANY);
    struct unwind_frames frames = describe(&fixture, header, 5);
    frames.code_low = CODE + 0x100;
    frames.code_high = CODE + 0x200;
    cr_assert_eq(build(&frames, &fixture.error), 0);
    cr_expect_eq(load_le32(header + 8), 1);
    cr_expect_eq(entry_code(&fixture, header, 0), CODE + 0x100);
    for (size_t i = 20; i < sizeof header; i++)
        cr_expect_eq(header[i], 0, "the room of those left out");
    fixture_free(&fixture);
}

Test(unwind, descriptions_of_code_that_is_not_there_are_cleared_where_there_is_no_table)
{
    struct object_fixture fixture;
    uint8_t header[8];
    uint64_t codes[8];
    make_functions(&fixture, FEW);
    struct unwind_frames frames = describe_omitted(&fixture, header, 3);
    frames.code_low = CODE + 0x100;
    frames.code_high = CODE + 0x200;
    cr_assert_eq(build(&frames, &fixture.error), 0);
    cr_assert_eq(walk_records(&frames, header, codes), 3);
    cr_expect(codes[0] == 0 && codes[1] == 0 && codes[2] == CODE + 0x100);
    fixture_free(&fixture);
}

Test(unwind, relocations_can_make_no_more_descriptions_than_there_were)
{
    struct object_fixture fixture;
    uint8_t header[44];
    make_functions(&fixture, MANY);
    struct unwind_frames frames = describe(&fixture, header, 4);
    cr_expect_eq(build(&frames, &fixture.error), ERROR_OBJECT_SECTION);
    fixture_free(&fixture);
}

Test(unwind, code_out_of_reach_of_the_table_is_refused)
{
    struct object_fixture fixture;
    uint8_t header[52];
    make_functions(&fixture, MANY);
    struct unwind_frames frames = describe(&fixture, header, 5);
    frames.header_address = HEADER + ((uint64_t)1 << 32);
    cr_expect_eq(build(&frames, &fixture.error), ERROR_OBJECT_SECTION);
    fixture_free(&fixture);
}

/* Where the CIE is elsewhere, records that relocations have changed may lead nowhere else, least of all into the bytes
   in front of them. Offsets are of the first FDE's record. */
static const struct {
    uint8_t at;
    uint8_t bytes[4];
    const char *wrong;
} changes[] = {
    {4, {0}, "CIE: relocations made it"},
    {4, {4}, "leads to no CIE"},
    {4, {27}, "leads to no CIE"},
    {4, {29}, "leads out of the section"},
    {0, {0xff, 0xff, 0xff, 0xff}, "64-bit form"},
    {0, {3}, "too short for a CIE pointer"},
    {0, {11}, "too short for its code range"},
    {0, {0xff, 0xff, 0xff, 0x7f}, "past the end of the section"},
    {16, {0xff}, "augmentation data"},
};

Test(unwind, records_without_their_cie_are_checked_like_others)
{
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        struct object_fixture fixture;
        uint8_t header[8];
        make_functions(&fixture, FEW);
        struct unwind_frames frames = describe_omitted(&fixture, header, 3);
        memcpy(fixture.copy + frames.omitted + changes[i].at, changes[i].bytes, 4);
        cr_expect_eq(build(&frames, &fixture.error), ERROR_OBJECT_SECTION, "row %zu", i);
        cr_expect(strstr(fixture.error.text, changes[i].wrong), "row %zu: %s", i, fixture.error.text);
        fixture_free(&fixture);
    }
}

Test(unwind, the_common_cie_is_what_parsing_it_gives)
{
    uint8_t frames[64] = {0};
    struct unwind_shape common, other;
    memcpy(frames, arch_x86_64.common_cie, arch_x86_64.common_cie_bytes);
    store_le32(frames + 24, 20);
    store_le32(frames + 28, 28);
    cr_assert_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &common, NULL), 0);
    cr_expect(common.common_cie && common.fde_count == 1);
    frames[22] = 0x44; /* an instruction more: the same CIE, but not the common one */
    cr_assert_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &other, NULL), 0);
    cr_expect(!other.common_cie && other.fde_count == 1);
}

/* The common CIE, FDEs of 16 bytes with the given CIE pointers (0: the common CIE again). */
static bool is_common(const uint32_t *pointers, size_t count)
{
    uint8_t frames[24 + 4 * 24] = {0};
    struct unwind_shape shape;
    uint64_t at = 24;
    memcpy(frames, arch_x86_64.common_cie, 24);
    for (size_t i = 0; i < count; i++, at += 24) {
        memcpy(frames + at, arch_x86_64.common_cie, 24);
        if (pointers[i] == 0)
            continue;
        memset(frames + at, 0, 24);
        store_le32(frames + at, 20);
        store_le32(frames + at + 4, pointers[i]);
    }
    cr_assert_eq(unwind_check(&arch_x86_64, frames, at, &shape, NULL), 0);
    return shape.common_cie;
}

Test(unwind, one_cie_for_all_is_told_from_several)
{
    cr_expect(is_common((const uint32_t[]){28, 52}, 2));
    cr_expect_not(is_common((const uint32_t[]){28, 0}, 2), "a second CIE");
    cr_expect_not(is_common((const uint32_t[]){0, 52}, 2), "a second CIE that nobody uses");
    cr_expect_not(is_common((const uint32_t[]){0, 28}, 2), "a second CIE that is used");
}

/* A CIE "zR" with the encoding at byte 16, and one FDE behind it at 20. */
static const uint8_t sample[] = {
    16, 0, 0, 0, 0,  0, 0, 0, 1,    'z', 'R', 0, 1, 0x78, 0x10, 1, 0x1b, 0, 0, 0, /* CIE */
    16, 0, 0, 0, 24, 0, 0, 0, 0x10, 0,   0,   0, 8, 0,    0,    0, 0,    0, 0, 0, /* FDE, code at +0x10 */
    0,  0, 0, 0,                                                                  /* terminator */
};

struct patch {
    uint8_t at;
    uint8_t bytes[4];
    uint8_t count;
    const char *wrong; /* part of the text; NULL where it is accepted */
};

static const struct patch patches[] = {
    {0, {0}, 0, NULL},
    {0, {0xff, 0xff, 0xff, 0xff}, 4, "64-bit form"},
    {0, {0xfe, 0xff, 0xff, 0xff}, 4, "past the end of the section"},
    {0, {41}, 1, "past the end of the section"},
    {0, {3}, 1, "too short for a CIE pointer"},
    {0, {4}, 1, "version"},
    {0, {17}, 1, ""},
    {8, {2}, 1, "version"},
    {8, {3}, 1, NULL},
    {9, {'z', 'x'}, 2, "augmentation is not known"},
    {9, {'e', 'h'}, 2, "augmentation is not known"},
    {9, {'z', 'P'}, 2, "augmentation data end early"},
    {11, {'R', 'R', 'R', 'R'}, 4, "augmentation does not end"},
    {11, {0, 0xff, 0xff, 0xff}, 4, "augmentation data"},
    {12, {0xff, 0xff, 0xff, 0xff}, 4, "augmentation data end early"},
    {15, {0}, 1, "augmentation data end early"},
    {15, {5}, 1, "augmentation data are past the end"},
    {16, {0x00}, 1, "too short for its code range"},
    {16, {0x01}, 1, "encoding of code pointers"},
    {16, {0x9b}, 1, "encoding of code pointers"},
    {16, {0x50}, 1, "encoding of code pointers"},
    {16, {0x02}, 1, "encoding of code pointers"},
    {16, {0x0b}, 1, NULL},
    {16, {0x03}, 1, NULL},
    {20, {11}, 1, "too short for its code range"},
    {20, {12}, 1, "augmentation data"},
    {20, {21}, 1, "past the end of the section"},
    {24, {25}, 1, "leads out of the section"},
    {24, {0xff, 0xff, 0xff, 0xff}, 4, "leads out of the section"},
    {24, {4}, 1, "leads to no CIE"},
    {24, {20}, 1, "CIE"},
    {36, {0xff, 0xff, 0xff, 0xff}, 4, "augmentation data"},
    {36, {4}, 1, "augmentation data"},
    {40, {1}, 1, "past the end of the section"},
};

Test(unwind, broken_records_are_refused_with_what_is_wrong)
{
    for (size_t i = 0; i < ARRAY_LENGTH(patches); i++) {
        uint8_t frames[sizeof sample];
        memcpy(frames, sample, sizeof frames);
        memcpy(frames + patches[i].at, patches[i].bytes, patches[i].count);
        struct error error = {0};
        struct unwind_shape shape;
        int code = unwind_check(&arch_x86_64, frames, sizeof frames, &shape, &error);
        cr_expect_eq(code, patches[i].wrong ? ERROR_OBJECT_SECTION : 0, "row %zu: %s", i, error.text);
        if (patches[i].wrong)
            cr_expect(strstr(error.text, patches[i].wrong), "row %zu: %s", i, error.text);
    }
}

Test(unwind, a_number_without_end_is_refused)
{
    uint8_t frames[64] = {60, 0, 0, 0, 0, 0, 0, 0, 1};
    memset(frames + 10, 0xff, sizeof frames - 10);
    struct error error = {0};
    struct unwind_shape shape;
    cr_expect_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &shape, &error), ERROR_OBJECT_SECTION);
    cr_expect(strstr(error.text, "alignment factors do not end"), "%s", error.text);
}

Test(unwind, personality_routines_are_skipped_by_their_encoding)
{
    /* "zPR", personality in 4 bytes, code pointers 0x1b. */
    uint8_t frames[] = {21, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'P', 'R', 0, 1, 0x78, 0x10, 6, 0x9b, 0, 0, 0, 0, 0x1b, 0, 0};
    struct unwind_shape shape;
    cr_expect_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &shape, NULL), 0);
    static const uint8_t unknown[] = {0x01, 0x50, 0x0d, 0x9c}; /* 0x9c: 8 bytes are too many */
    for (size_t i = 0; i < sizeof unknown; i++) {
        frames[17] = unknown[i];
        cr_expect_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &shape, NULL), ERROR_OBJECT_SECTION);
    }
    frames[17] = 0xff; /* none */
    frames[18] = 0x1b;
    cr_expect_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &shape, NULL), 0);
}

Test(unwind, a_section_that_ends_anywhere_is_refused_unless_a_record_ends_there)
{
    for (size_t length = 0; length <= sizeof sample; length++) {
        uint8_t *frames = malloc(length);
        memcpy(frames, sample, length);
        struct unwind_shape shape;
        int code = unwind_check(&arch_x86_64, frames, length, &shape, NULL);
        bool whole = length == 0 || length == 20 || length == 40 || length == sizeof sample;
        cr_expect_eq(code == 0, whole, "%zu bytes", length);
        free(frames);
    }
}

Test(unwind, a_section_without_contents_is_refused)
{
    struct unwind_shape shape;
    cr_expect_eq(unwind_check(&arch_x86_64, NULL, 8, &shape, NULL), ERROR_OBJECT_SECTION);
    cr_expect_eq(unwind_check(&arch_x86_64, NULL, 0, &shape, NULL), 0);
}

Test(unwind, bytes_behind_a_terminator_are_ignored)
{
    uint8_t frames[sizeof sample + 4];
    memcpy(frames, sample, sizeof sample);
    memset(frames + sizeof sample, 0xff, 4);
    struct unwind_shape shape;
    cr_expect_eq(unwind_check(&arch_x86_64, frames, sizeof frames, &shape, NULL), 0);
    cr_expect_eq(shape.fde_count, 1);
}

struct pointer_case {
    uint8_t encoding;
    uint64_t code;
};

/* The sample's first pointer field lies at FRAMES + 28 and holds 0x10; with 4 bytes of format. */
static const struct pointer_case pointer_cases[] = {
    {0x1b, FRAMES + 28 + 0x10},
    {0x13, FRAMES + 28 + 0x10},
    {0x0b, 0x10},
    {0x03, 0x10},
};

Test(unwind, code_pointers_are_read_by_their_encoding)
{
    for (size_t i = 0; i < ARRAY_LENGTH(pointer_cases); i++) {
        uint8_t bytes[sizeof sample], header[8];
        struct unwind_frames frames = {.bytes = bytes,
                                       .length = sizeof bytes,
                                       .address = FRAMES,
                                       .code_low = pointer_cases[i].code,
                                       .code_high = pointer_cases[i].code + 1,
                                       .fde_count = 1,
                                       .header = header,
                                       .header_address = HEADER};
        memcpy(bytes, sample, sizeof bytes);
        bytes[16] = pointer_cases[i].encoding;
        cr_assert_eq(build(&frames, NULL), 0);
        cr_expect_neq(load_le32(bytes + 28), 0, "encoding %#x", pointer_cases[i].encoding);
        frames.code_low++;
        frames.code_high++;
        cr_assert_eq(build(&frames, NULL), 0);
        cr_expect_eq(load_le32(bytes + 28), 0, "encoding %#x", pointer_cases[i].encoding);
    }
}

/* What the linker would do with such a section, the common CIE being left out or not; then once more after a change. */
static void build_after_change(const uint8_t *content, size_t length, uint64_t *state)
{
    struct unwind_shape shape;
    if (unwind_check(&arch_x86_64, content, length, &shape, NULL) != 0)
        return;
    uint32_t omitted = shape.common_cie ? arch_x86_64.common_cie_bytes : 0;
    uint8_t *bytes = malloc(length - omitted), *header = malloc(unwind_header_bytes(shape.fde_count, 1));
    memcpy(bytes, content + omitted, length - omitted);
    if (length > omitted)
        bytes[fixture_random(state) % (length - omitted)] = (uint8_t)fixture_random(state);
    struct unwind_frames frames = {.bytes = bytes - omitted,
                                   .length = length,
                                   .address = FRAMES,
                                   .omitted = omitted,
                                   .cie_address = CIE,
                                   .code_high = UINT64_MAX,
                                   .fde_count = shape.fde_count,
                                   .header = header,
                                   .header_address = HEADER};
    build(&frames, NULL);
    free(header);
    free(bytes);
}

Test(unwind, tables_survive_random_changes, .timeout = 60)
{
    uint64_t state = 0x2545f4914f6cdd1d;
    uint8_t shared[sizeof sample + 8];
    memcpy(shared, arch_x86_64.common_cie, 24);
    memcpy(shared + 24, sample + 20, sizeof sample - 20);
    store_le32(shared + 28, 28);
    memset(shared + sizeof sample + 4, 0, 4);
    for (int i = 0; i < 40000; i++) {
        bool common = i % 2;
        size_t least = common ? 24 : 20, length = least + fixture_random(&state) % (sizeof sample + 1 - 20);
        uint8_t *frames = malloc(length);
        memcpy(frames, common ? shared : sample, length);
        for (int flips = 0; flips < 2; flips++) {
            size_t from = common ? 24 : 0;
            if (length > from)
                frames[from + fixture_random(&state) % (length - from)] = (uint8_t)fixture_random(&state);
        }
        build_after_change(frames, length, &state);
        free(frames);
    }
}
