/*
 * What the linker does with an object, in the small: open, check, scan, apply, unwind tables; memory from one pool.
 */
#include "tests/unit/object_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "daemon/linker/unwind.h"

void fixture_make(struct object_fixture *fixture, struct object_bytes bytes)
{
    *fixture = (struct object_fixture){.bytes = bytes};
    pool_init(&fixture->pool, 256 << 20);
}

int fixture_open(struct object_fixture *fixture)
{
    pool_reset(&fixture->pool);
    fixture->error = (struct error){0};
    return object_open(&fixture->object, &fixture->pool, fixture->bytes.bytes, fixture->bytes.length, EM_X86_64,
                       &fixture->error);
}

void fixture_free(struct object_fixture *fixture)
{
    pool_fini(&fixture->pool);
    object_free(&fixture->bytes);
}

uint32_t fixture_section(const struct object_fixture *fixture, const char *name)
{
    for (uint32_t i = 0; i < fixture->object.section_count; i++)
        if (strcmp(fixture->object.sections[i].name, name) == 0)
            return i;
    cr_assert_fail("no section %s", name);
    return 0;
}

struct relocation_target *fixture_target(struct object_fixture *fixture, const char *symbol)
{
    for (uint32_t i = 0; i < fixture->object.symbol_count; i++)
        if (strcmp(object_symbol_name(&fixture->object, i), symbol) == 0)
            return &fixture->targets[i];
    cr_assert_fail("no symbol %s", symbol);
    return NULL;
}

static void choose_section(struct object_fixture *fixture, uint32_t section)
{
    const struct object_section *source = &fixture->object.sections[section];
    fixture->section = section;
    fixture->copy = pool_allocate(&fixture->pool, source->bytes);
    cr_assert(fixture->copy);
    if (source->content)
        memcpy(fixture->copy, source->content, source->bytes);
}

static void make_targets(struct object_fixture *fixture)
{
    fixture->targets = pool_allocate_array(&fixture->pool, fixture->object.symbol_count, sizeof *fixture->targets);
    fixture->context = (struct relocation_context){.arch = &arch_x86_64,
                                                   .object = &fixture->object,
                                                   .targets = fixture->targets,
                                                   .got = 0x50000000,
                                                   .unit = "unit.o"};
}

void fixture_open_section(struct object_fixture *fixture, const char *section)
{
    cr_assert_eq(fixture_open(fixture), 0, "%s", fixture->error.text);
    make_targets(fixture);
    choose_section(fixture, fixture_section(fixture, section));
}

static int check_section(struct object_fixture *fixture)
{
    uint8_t *referenced = pool_allocate(&fixture->pool, fixture->object.symbol_count);
    return relocate_check(&arch_x86_64, &fixture->object, fixture->section, referenced, "unit.o", &fixture->error);
}

int fixture_relocate(struct object_fixture *fixture, uint64_t place)
{
    cr_assert_eq(check_section(fixture), 0, "%s", fixture->error.text);
    relocate_scan(&fixture->context, fixture->section, place);
    return relocate_apply(&fixture->context, fixture->section, fixture->copy, place, &fixture->error);
}

static void exercise_unwinding(struct object_fixture *fixture)
{
    const struct object_section *section = &fixture->object.sections[fixture->section];
    struct unwind_shape shape;
    if (unwind_check(&arch_x86_64, section->content, section->bytes, &shape, &fixture->error) != 0)
        return;
    struct unwind_frames frames = {
        .bytes = fixture->copy,
        .length = section->bytes,
        .address = 0x40000000,
        .omitted = shape.common_cie ? arch_x86_64.common_cie_bytes : 0,
        .cie_address = 0x3f000000,
        .code_low = 0x10000000,
        .code_high = 0x20000000,
        .fde_count = shape.fde_count,
        .header = pool_allocate(&fixture->pool, unwind_header_bytes(shape.fde_count, 1)),
        .header_address = 0x40100000,
    };
    cr_assert(frames.header);
    if (unwind_build(&frames, &fixture->error) == 0)
        unwind_finish(&frames);
}

void fixture_exercise(struct object_fixture *fixture)
{
    if (fixture_open(fixture) != 0) {
        cr_assert(fixture->error.code != 0 && fixture->error.text[0] != '\0');
        return;
    }
    make_targets(fixture);
    for (uint32_t i = 0; i < fixture->object.symbol_count; i++) {
        cr_assert(strlen(object_symbol_name(&fixture->object, i)) < fixture->bytes.length);
        fixture->targets[i] = (struct relocation_target){
            .address = 0x10000000 + i, .slot = 0x50000000 + 8 * i, .stub = 0x10010000, .function = i & 1};
    }
    for (uint32_t i = 1; i < fixture->object.section_count; i++) {
        const struct object_section *section = &fixture->object.sections[i];
        if (!section->loaded || !section->content)
            continue;
        choose_section(fixture, i);
        if (check_section(fixture) == 0) {
            relocate_scan(&fixture->context, i, 0x10000000);
            relocate_apply(&fixture->context, i, fixture->copy, 0x10000000, &fixture->error);
        }
        if (strcmp(section->name, ".eh_frame") == 0)
            exercise_unwinding(fixture);
    }
}

uint64_t fixture_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}
