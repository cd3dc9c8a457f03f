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

/* Three functions in three sections, so that the table need not come out sorted. */
static const char functions[] = "extern int g(int);\n"
                                "__attribute__((section(\".text.c\"))) int c(int x) { return g(x) + 3; }\n"
                                "__attribute__((section(\".text.a\"))) int a(int x) { return g(x) + 1; }\n"
                                "__attribute__((section(\".text.b\"))) int b(int x) { return g(x) + 2; }\n";

static void make_functions(struct object_fixture *fixture, const char *flags)
{
    fixture_make(fixture, compile_c(functions, flags));
    fixture_open_section(fixture, ".eh_frame");
    fixture_target(fixture, ".text.a")->address = CODE;
    fixture_target(fixture, ".text.b")->address = CODE + 0x100;
    fixture_target(fixture, ".text.c")->address = CODE + 0x200;
    cr_assert_eq(fixture_relocate(fixture, FRAMES), 0, "%s", fixture->error.text);
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

Test(unwind, a_header_leads_to_each_description_in_order_of_addresses)
{
    struct object_fixture fixture;
    make_functions(&fixture, "-O1 -fPIC -fasynchronous-unwind-tables");
    const struct object_section *section = &fixture.object.sections[fixture.section];
    uint32_t count = 0;
    cr_assert_eq(unwind_check(section->content, section->bytes, &count, &fixture.error), 0);
    cr_assert_eq(count, 3);
    cr_assert_eq(unwind_header_bytes(count), 36);
    uint8_t header[36];
    cr_assert_eq(
        unwind_build(fixture.copy, section->bytes, FRAMES, CODE, CODE + 0x300, header, HEADER, count, &fixture.error),
        0, "%s", fixture.error.text);
    static const uint8_t start[4] = {1, 0x1b, 0x03, 0x3b};
    cr_expect_arr_eq(header, start, sizeof start);
    cr_expect_eq(relative(header + 4, HEADER + 4), FRAMES);
    cr_expect_eq(load_le32(header + 8), 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_expect_eq(entry_code(&fixture, header, i), CODE + 0x100 * i);
    fixture_free(&fixture);
}

Test(unwind, descriptions_of_code_that_is_not_there_are_left_out)
{
    struct object_fixture fixture;
    make_functions(&fixture, "-O1 -fPIC -fasynchronous-unwind-tables");
    const struct object_section *section = &fixture.object.sections[fixture.section];
    uint8_t header[36];
    cr_assert_eq(unwind_build(fixture.copy, section->bytes, FRAMES, CODE + 0x100, CODE + 0x200, header, HEADER, 3,
                              &fixture.error),
                 0);
    cr_expect_eq(load_le32(header + 8), 1);
    cr_expect_eq(entry_code(&fixture, header, 0), CODE + 0x100);
    fixture_free(&fixture);
}

Test(unwind, a_table_never_grows_past_its_room)
{
    struct object_fixture fixture;
    make_functions(&fixture, "-O1 -fPIC -fasynchronous-unwind-tables");
    const struct object_section *section = &fixture.object.sections[fixture.section];
    uint8_t header[28];
    cr_expect_eq(
        unwind_build(fixture.copy, section->bytes, FRAMES, CODE, CODE + 0x300, header, HEADER, 2, &fixture.error),
        ERROR_OBJECT_SECTION);
    fixture_free(&fixture);
}

Test(unwind, code_out_of_reach_of_the_table_is_refused)
{
    struct object_fixture fixture;
    make_functions(&fixture, "-O1 -fPIC -fasynchronous-unwind-tables");
    const struct object_section *section = &fixture.object.sections[fixture.section];
    uint8_t header[36];
    cr_expect_eq(unwind_build(fixture.copy, section->bytes, FRAMES, CODE, CODE + 0x300, header,
                              HEADER + ((uint64_t)1 << 32), 3, &fixture.error),
                 ERROR_OBJECT_SECTION);
    fixture_free(&fixture);
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
        uint32_t count = 0;
        int code = unwind_check(frames, sizeof frames, &count, &error);
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
    uint32_t count = 0;
    cr_expect_eq(unwind_check(frames, sizeof frames, &count, &error), ERROR_OBJECT_SECTION);
    cr_expect(strstr(error.text, "alignment factors do not end"), "%s", error.text);
}

Test(unwind, personality_routines_are_skipped_by_their_encoding)
{
    /* "zPR", personality in 4 bytes, code pointers 0x1b. */
    uint8_t frames[] = {21, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'P', 'R', 0, 1, 0x78, 0x10, 6, 0x9b, 0, 0, 0, 0, 0x1b, 0, 0};
    uint32_t count = 0;
    cr_expect_eq(unwind_check(frames, sizeof frames, &count, NULL), 0);
    static const uint8_t unknown[] = {0x01, 0x50, 0x0d, 0x9c}; /* 0x9c: 8 bytes are too many */
    for (size_t i = 0; i < sizeof unknown; i++) {
        frames[17] = unknown[i];
        cr_expect_eq(unwind_check(frames, sizeof frames, &count, NULL), ERROR_OBJECT_SECTION);
    }
    frames[17] = 0xff; /* none */
    frames[18] = 0x1b;
    cr_expect_eq(unwind_check(frames, sizeof frames, &count, NULL), 0);
}

Test(unwind, a_section_that_ends_anywhere_is_refused_unless_a_record_ends_there)
{
    for (size_t length = 0; length <= sizeof sample; length++) {
        uint8_t *frames = malloc(length);
        memcpy(frames, sample, length);
        uint32_t count = 0;
        int code = unwind_check(frames, length, &count, NULL);
        bool whole = length == 0 || length == 20 || length == 40 || length == sizeof sample;
        cr_expect_eq(code == 0, whole, "%zu bytes", length);
        free(frames);
    }
}

Test(unwind, a_section_without_contents_is_refused)
{
    uint32_t count = 0;
    cr_expect_eq(unwind_check(NULL, 8, &count, NULL), ERROR_OBJECT_SECTION);
    cr_expect_eq(unwind_check(NULL, 0, &count, NULL), 0);
}

Test(unwind, bytes_behind_a_terminator_are_ignored)
{
    uint8_t frames[sizeof sample + 4];
    memcpy(frames, sample, sizeof sample);
    memset(frames + sizeof sample, 0xff, 4);
    uint32_t count = 0;
    cr_expect_eq(unwind_check(frames, sizeof frames, &count, NULL), 0);
    cr_expect_eq(count, 1);
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
        uint8_t frames[sizeof sample], header[20];
        memcpy(frames, sample, sizeof frames);
        frames[16] = pointer_cases[i].encoding;
        uint64_t code = pointer_cases[i].code;
        cr_assert_eq(unwind_build(frames, sizeof frames, FRAMES, code, code + 1, header, HEADER, 1, NULL), 0);
        cr_expect_eq(load_le32(header + 8), 1, "encoding %#x", pointer_cases[i].encoding);
    }
}

Test(unwind, tables_survive_random_changes, .timeout = 60)
{
    uint64_t state = 0x2545f4914f6cdd1d;
    for (int i = 0; i < 20000; i++) {
        size_t length = 20 + fixture_random(&state) % (sizeof sample - 19);
        uint8_t *frames = malloc(length);
        memcpy(frames, sample, length);
        for (int flips = 0; flips < 2; flips++)
            frames[fixture_random(&state) % length] = (uint8_t)fixture_random(&state);
        uint32_t count;
        if (unwind_check(frames, length, &count, NULL) == 0) {
            frames[fixture_random(&state) % length] = (uint8_t)fixture_random(&state);
            uint8_t *header = malloc(unwind_header_bytes(count));
            unwind_build(frames, length, FRAMES, 0, UINT64_MAX, header, HEADER, count, NULL);
            free(header);
        }
        free(frames);
    }
}
