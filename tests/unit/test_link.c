#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/removal.h"
#include "tests/lib/leaks.h"
#include "tests/unit/linker_fixture.h"

#define SOURCES(...)                                                                                                   \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }

static struct linker_fixture fixture;

static void expect_zones(const struct linker_fixture *f, const uint64_t digests[ZONE_COUNT])
{
    for (int z = 0; z < ZONE_COUNT; z++)
        cr_expect_eq(arena_digest(f->linker.arena, (enum zone)z), digests[z], "zone %s has changed", zone_names[z]);
}

static void take_digests(const struct linker_fixture *f, uint64_t digests[ZONE_COUNT])
{
    for (int z = 0; z < ZONE_COUNT; z++)
        digests[z] = arena_digest(f->linker.arena, (enum zone)z);
}

Test(link, makes_a_self_contained_unit_ready_at_once)
{
    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 3; }")), 0);
    cr_assert_eq(fixture.event_count, 2);
    cr_expect_eq(fixture.events[0].state, UNIT_RESOLVED);
    cr_expect_eq(fixture.events[1].state, UNIT_READY);
    cr_expect_eq(linker_fixture_address(&fixture, "f"), FIXTURE_BASE + ARENA_FIRST);
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

Test(link, a_unit_waits_for_what_comes_later_and_holds_traps_until_then)
{
    linker_fixture_open(&fixture);
    cr_assert_eq(
        linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int g(void); int f(void) { return g() + 1; }")), 0);
    cr_expect_eq(linker_fixture_state(&fixture, 1), UNIT_RESOLVED);
    cr_expect_eq(*arena_bytes(fixture.linker.arena, ZONE_X, ARENA_FIRST), 0xcc);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int g(void) { return 1; }")), 0);
    cr_expect_eq(linker_fixture_state(&fixture, 1), UNIT_READY);
    cr_expect_eq(linker_fixture_state(&fixture, 2), UNIT_READY);
    cr_expect_neq(*arena_bytes(fixture.linker.arena, ZONE_X, ARENA_FIRST), 0xcc);
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

Test(link, a_cycle_across_batches_becomes_ready_together)
{
    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int b(void); int a(void) { return b(); }")),
                 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int c(void); int b(void) { return c(); }")),
                 0);
    cr_expect_eq(linker_fixture_state(&fixture, 1), UNIT_RESOLVED);
    fixture.hold = true;
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int a(void); int c(void) { return a(); }")),
                 0);
    cr_assert_eq(fixture.held_count, 1, "one component");
    for (uint64_t unit = 1; unit <= 3; unit++)
        cr_expect_eq(linker_fixture_state(&fixture, unit), UNIT_LINKED);
    link_ready(&fixture.linker, fixture.held[0]);
    for (uint64_t unit = 1; unit <= 3; unit++)
        cr_expect_eq(linker_fixture_state(&fixture, unit), UNIT_READY);
    linker_fixture_close(&fixture);
}

Test(link, a_closed_batch_reports_what_is_missing_and_leaves_no_trace)
{
    uint64_t before[ZONE_COUNT];
    char text[512];

    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int here(void) { return 0; }")), 0);
    take_digests(&fixture, before);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, text,
                                         SOURCES("int data = 7; int gone(void); int f(void) { return gone(); }")),
                 ERROR_SYMBOL_MISSING);
    cr_expect_not_null(strstr(text, "0.o:.text+0x"), "%s", text);
    cr_expect_not_null(strstr(text, "undefined symbol 'gone'"), "%s", text);
    expect_zones(&fixture, before);
    cr_expect_eq(fixture.linker.units.count, 1);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 1; }")), 0,
                 "the refused batch's names are free");
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

/* Before, each name was compared with all that had been listed, and the object searched for each. */
Test(link, names_that_are_missing_are_counted_once_each_however_many, .timeout = 20)
{
    const uint32_t names = 100000;
    struct report report = {0};
    char *source = malloc(names * 24u + 64), *at = source;

    at += sprintf(at, ".section .note.GNU-stack,\"\"\n.text\n");
    for (uint32_t i = 0; i < names; i++)
        at += sprintf(at, ".quad missing_%u\n", i);
    struct object_bytes object = compile_assembly(source, NULL);
    linker_fixture_open(&fixture);
    struct batch *batch = batch_new(NULL, MIB(1024));
    batch->closed = true;
    const struct link_input inputs[] = {
        {.name = "a.o", .name_length = 3, .object = object.bytes, .object_bytes = object.length},
        {.name = "b.o", .name_length = 3, .object = object.bytes, .object_bytes = object.length},
    };
    cr_expect_eq(link_submit(&fixture.linker, batch, inputs, 2, &report), ERROR_SYMBOL_MISSING);
    cr_assert_eq(report.count, LIMIT_ERRORS_PER_REPLY);
    cr_expect_eq(report.omitted, names - LIMIT_ERRORS_PER_REPLY);
    cr_expect_eq(report.entries[2].reference_count, 2);
    cr_expect_str_eq(report.entries[2].references[1].unit, "b.o");
    cr_expect_eq(report.entries[2].references[1].offset, 16);
    report_fini(&report);
    linker_fixture_close(&fixture);
    object_free(&object);
    free(source);
    expect_no_leaks();
}

/* Defined and undefined; what may be meant by them is nobody's but their own. */
Test(link, odd_versions_and_bounds_in_names_are_names)
{
    static const char *const names[] = {"@",    "@@",      "@@@",       "@@V",        "@V",         "a@",
                                        "a@@",  "a@@@",    "a@@@@V",    "a@@V@W",     "__start_",   "__stop_",
                                        "__st", "__start", "__start_9", "__stop_a.b", "__start_@@V"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct object_bytes objects[2] = {
            compile_c("int abcdefghijklmnop(void) { return 1; }", "-O1 -fPIC"),
            compile_c("int abcdefghijklmnop(void); int user(void) { return abcdefghijklmnop(); }", "-O1 -fPIC")};
        for (int o = 0; o < 2; o++)
            strcpy(memmem(objects[o].bytes, objects[o].length, "abcdefghijklmnop", 16), names[i]);
        linker_fixture_open(&fixture);
        cr_expect_eq(linker_fixture_submit(&fixture, &objects[1], 1, true, NULL), ERROR_SYMBOL_MISSING, "%s", names[i]);
        cr_expect_eq(linker_fixture_submit(&fixture, objects, 2, false, NULL), 0, "%s", names[i]);
        cr_expect_eq(fixture.events[0].state, UNIT_RESOLVED);
        linker_fixture_close(&fixture);
        object_free(&objects[0]);
        object_free(&objects[1]);
    }
    expect_no_leaks();
}

Test(link, a_strong_definition_repeated_is_an_error_in_one_batch_and_across_batches)
{
    char text[512];

    linker_fixture_open(&fixture);
    cr_expect_eq(linker_fixture_submit_c(&fixture, true, text,
                                         SOURCES("int f(void) { return 1; }", "int f(void) { return 2; }")),
                 ERROR_SYMBOL_DUPLICATE);
    cr_expect_str_eq(text, "1.o: duplicate definition of 'f', first defined in 0.o");
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 1; }")), 0);
    cr_expect_eq(linker_fixture_submit_c(&fixture, true, text, SOURCES("int f(void) { return 1; }")),
                 ERROR_SYMBOL_DUPLICATE);
    linker_fixture_close(&fixture);
}

Test(link, inside_a_batch_strong_beats_common_beats_weak)
{
    static const struct {
        const char *first, *second;
        int winner;
    } cases[] = {
        {"__attribute__((weak)) int v = 1;", "int v = 2;", 1},
        {"int v = 1;", "__attribute__((weak)) int v = 2;", 0},
        {"__attribute__((weak)) int v = 1;", "__attribute__((weak)) int v = 2;", 0},
        {"__attribute__((common)) int v;", "int v = 2;", 1},
        {"int v = 1;", "__attribute__((common)) int v;", 0},
        {"__attribute__((weak)) int v = 1;", "__attribute__((common)) int v;", 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        linker_fixture_open(&fixture);
        cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES(cases[i].first, cases[i].second)), 0);
        struct symbol *symbol = symbols_find(fixture.linker.symbols, SPACE_EXPORTED(LIBRARY_MAIN), "v", 1);
        cr_expect_eq(symbol->definer->id, (uint64_t)cases[i].winner + 1, "case %zu", i);
        linker_fixture_close(&fixture);
    }
}

Test(link, common_symbols_of_one_name_get_the_largest_size_and_alignment)
{
    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL,
                                         SOURCES("__attribute__((common)) char v[10];",
                                                 "__attribute__((common, aligned(256))) char v[300];",
                                                 "__attribute__((common)) char v[20];")),
                 0);
    struct symbol *symbol = symbols_find(fixture.linker.symbols, SPACE_EXPORTED(LIBRARY_MAIN), "v", 1);
    cr_expect_eq(symbol->bytes, 300);
    cr_expect_eq(symbol->address % 256, 0);
    cr_expect_geq(arena_used(fixture.linker.arena, ZONE_Z), 300);
    linker_fixture_close(&fixture);
}

Test(link, against_earlier_batches_the_first_definition_stands)
{
    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("__attribute__((weak)) int v = 1;")), 0);
    uint64_t first = linker_fixture_address(&fixture, "v");
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int v = 2; int *p(void) { return &v; }")), 0);
    cr_expect_eq(linker_fixture_address(&fixture, "v"), first);
    linker_fixture_close(&fixture);
}

Test(link, weak_undefined_symbols_wait_for_nobody)
{
    linker_fixture_open(&fixture);
    cr_assert_eq(
        linker_fixture_submit_c(&fixture, true, NULL,
                                SOURCES("__attribute__((weak)) int w(void); int f(void) { return w ? w() : 5; }")),
        0);
    cr_expect_eq(linker_fixture_state(&fixture, 1), UNIT_READY);
    linker_fixture_close(&fixture);
}

Test(link, of_two_comdat_groups_the_first_is_kept_and_the_other_takes_no_room)
{
    const char *source =
        "inline __attribute__((noinline)) int shared(int x) { __asm__(\".skip 256, 0x90\"); return x; }"
        "int NAME(int x) { return shared(x); }";
    struct object_bytes objects[2] = {compile_cxx(source, "-O1 -fPIC -DNAME=one"),
                                      compile_cxx(source, "-O1 -fPIC -DNAME=two")};

    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit(&fixture, objects, 2, true, NULL), 0);
    struct symbol *shared = symbols_find(fixture.linker.symbols, SPACE_EXPORTED(LIBRARY_MAIN), "_Z6sharedi", 10);
    cr_expect_eq(shared->definer->id, 1);
    cr_expect_lt(link_unit(&fixture.linker, 2)->block.extent[ZONE_X].bytes,
                 link_unit(&fixture.linker, 1)->block.extent[ZONE_X].bytes);
    linker_fixture_close(&fixture);
    object_free(&objects[0]);
    object_free(&objects[1]);
    expect_no_leaks();
}

static uint64_t loaded_bytes(const struct object_bytes *bytes)
{
    struct pool pool;
    struct object object;
    struct error error;
    uint64_t sum = 0;

    pool_init(&pool, 1 << 20);
    cr_assert_eq(object_open(&object, &pool, bytes->bytes, bytes->length, EM_X86_64, &error), 0);
    for (uint32_t i = 1; i < object.section_count; i++)
        sum += object_section_is_loaded(&object.sections[i]) ? object.sections[i].bytes : 0;
    pool_fini(&pool);
    return sum;
}

Test(link, small_units_take_at_most_a_fifth_more_than_their_contents)
{
    static const char *const sources[] = {
        "int NAME(void) { return 1; }",
        "int g(void); int NAME(void) { return 1 + g(); }",
        "int g(void); int h(void); int NAME(void) { return 1 + g() + h(); }",
        "int v = 7; long w[4]; int NAME(int x) { return x + v; } int second(int x) { return x * NAME(x); }",
    };
    struct object_bytes helpers = compile_c("int g(void) { return 1; } int h(void) { return 2; }", "-O2 -fPIC");
    char flags[64];

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        linker_fixture_open(&fixture);
        cr_assert_eq(linker_fixture_submit(&fixture, &helpers, 1, true, NULL), 0);
        uint64_t before = 0, after = 0;
        for (int z = 0; z < ZONE_COUNT; z++)
            before += arena_used(fixture.linker.arena, (enum zone)z);
        sprintf(flags, "-O2 -fno-pic -DNAME=f%zu", i);
        struct object_bytes object = compile_c(sources[i], flags);
        cr_assert_eq(linker_fixture_submit(&fixture, &object, 1, true, NULL), 0);
        cr_assert_eq(linker_fixture_state(&fixture, 2), UNIT_READY);
        for (int z = 0; z < ZONE_COUNT; z++)
            after += arena_used(fixture.linker.arena, (enum zone)z);
        uint64_t content = loaded_bytes(&object);
        cr_expect_leq(5 * (after - before), 6 * content, "source %zu: %llu bytes for %llu", i,
                      (unsigned long long)(after - before), (unsigned long long)content);
        object_free(&object);
        linker_fixture_close(&fixture);
    }
    object_free(&helpers);
    expect_no_leaks();
}

static const char strange_frames[] = ".globl f\nf: ret\n"
                                     ".section .eh_frame,%s\n"
                                     "start: .long 20, 0\n.byte 1\n.string \"zR\"\n.byte 1, 0x78, 16, 1, 0x1b\n"
                                     ".byte 12, 7, 8, 0x90, 1, 0, 0\n"
                                     "fde: .long 16, 28\n.long f - .\n.long 1\n.long 0\n"
                                     ".section .rodata\n.globl where\nwhere: .quad start\n"
                                     ".section .init_array,\"aw\"\n.quad f\n";

static uint32_t first_cie_pointer(struct linker_fixture *f, const uint8_t **frames)
{
    const struct arena_extent *code = &link_unit(&f->linker, 1)->block.extent[ZONE_X];
    uint64_t header = 4ull * load_le32(arena_bytes(f->linker.arena, ZONE_R, code->offset / GRANULE_BYTES * 4));
    const uint8_t *records = arena_bytes(f->linker.arena, ZONE_R, header + 8);

    cr_assert_neq(header, 0);
    *frames = records;
    return load_le32(records + 4);
}

Test(link, an_eh_frame_that_somebody_points_to_is_copied_whole_and_is_constant_whatever_its_flags)
{
    static const char *const flags[] = {"\"a\"", "\"aw\"", "\"aw\",@init_array"};

    for (size_t i = 0; i < 3; i++) {
        char source[sizeof strange_frames + 32];
        const uint8_t *records;

        sprintf(source, strange_frames, flags[i]);
        struct object_bytes object = compile_assembly(source, NULL);
        linker_fixture_open(&fixture);
        cr_assert_eq(linker_fixture_submit(&fixture, &object, 1, true, NULL), 0);
        cr_expect_eq(first_cie_pointer(&fixture, &records), 0, "a CIE of its own comes first");
        cr_expect_eq(memcmp(records, arch_x86_64.common_cie, 24), 0);
        cr_expect_eq(arena_used(fixture.linker.arena, ZONE_D), 0);
        cr_expect_eq(link_unit(&fixture.linker, 1)->array_count, 1, "%s", flags[i]);
        object_free(&object);
        linker_fixture_close(&fixture);
    }
}

Test(link, units_share_the_common_cie_which_lies_below_them)
{
    const uint8_t *records;

    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 1; }")), 0);
    uint32_t back = first_cie_pointer(&fixture, &records);
    cr_expect_eq(memcmp(records + 4 - back, arch_x86_64.common_cie, 24), 0);
    cr_expect_eq(records + 4 - back, arena_bytes(fixture.linker.arena, ZONE_R, arena_cie(fixture.linker.arena)));
    linker_fixture_close(&fixture);
}

Test(link, a_failure_reaches_every_dependent_with_the_chain_of_causes)
{
    struct error error;

    linker_fixture_open(&fixture);
    fixture.hold = true;
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int c(void) { return 1; }")), 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int c(void); int b(void) { return c(); }")),
                 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int b(void); int a(void) { return b(); }")),
                 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int other(void) { return 1; }")), 0);
    error_set(&error, ERROR_INITIALISER_FAILED, "its initialiser failed");
    link_fail(&fixture.linker, link_unit(&fixture.linker, 1), &error);
    for (uint64_t unit = 1; unit <= 3; unit++)
        cr_expect_eq(linker_fixture_state(&fixture, unit), UNIT_FAILED);
    cr_expect_eq(linker_fixture_state(&fixture, 4), UNIT_LINKED);
    cr_expect_eq(fixture.events[fixture.event_count - 1].code, ERROR_DEPENDENCY_FAILED);
    cr_expect_not_null(strstr(fixture.events[fixture.event_count - 1].text, "needs 'b'"));
    cr_expect_eq(symbols_find(fixture.linker.symbols, SPACE_EXPORTED(LIBRARY_MAIN), "a", 1)->binding, SYMBOL_UNBOUND);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int c(void) { return 2; }")), 0,
                 "the name is free again");
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

/* Each is told of once, by the first way that leads to it. */
Test(link, a_failure_of_a_ready_unit_reaches_all_who_have_come_to_use_it)
{
    static const char *const sources[] = {"int a(void) { return 1; } int also_a(void) { return 2; }",
                                          "int a(void); int b(void) { return a(); }",
                                          "int b(void); int also_a(void); int c(void) { return b() + also_a(); }",
                                          "int b(void); int d(void) { return b(); }",
                                          "int other(void) { return 1; }",
                                          "int other(void); int e(void) { return other(); }"};
    static const char *const texts[] = {"crashed", "needs 'a' of 0.o, which failed: crashed",
                                        "needs 'also_a' of 0.o, which failed: crashed",
                                        "needs 'b' of 0.o, which needs 'a' of 0.o, which failed: crashed"};
    struct error error;

    linker_fixture_open(&fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++)
        cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL, SOURCES(sources[i])), 0);
    fixture.event_count = 0;
    error_set(&error, ERROR_INITIALISER_FAILED, "crashed");
    link_fail(&fixture.linker, link_unit(&fixture.linker, 1), &error);
    cr_assert_eq(fixture.event_count, ARRAY_LENGTH(texts));
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        cr_expect_eq(fixture.events[i].unit, i + 1);
        cr_expect(strstr(fixture.events[i].text, texts[i]), "%s", fixture.events[i].text);
    }
    cr_expect_eq(linker_fixture_state(&fixture, 6), UNIT_READY);
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

Test(link, a_weak_user_of_a_unit_that_fails_fails_once_and_is_not_linked)
{
    struct error error;

    linker_fixture_open(&fixture);
    cr_assert_eq(
        linker_fixture_submit_c(&fixture, false, NULL, SOURCES("int later(void); int c(void) { return later(); }")), 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL,
                                         SOURCES("__attribute__((weak)) int c(void);"
                                                 "int b(void) { return c ? c() : 0; }")),
                 0);
    error_set(&error, ERROR_TIMEOUT, "too late");
    link_fail(&fixture.linker, link_unit(&fixture.linker, 1), &error);
    cr_expect_eq(linker_fixture_state(&fixture, 1), UNIT_FAILED);
    cr_expect_eq(linker_fixture_state(&fixture, 2), UNIT_FAILED);
    cr_expect_eq(fixture.event_count, 4, "two resolved, two failed");
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

Test(link, a_relocation_out_of_range_fails_its_unit_and_leaves_the_arena_as_it_was)
{
    struct object_bytes good = compile_c("int ok(void) { return 1; }", "-O1 -fPIC");
    struct object_bytes bad = compile_assembly(".globl f\nf: lea far(%rip), %rax\nret\n.globl far\n.set far, 0x1234\n"
                                               ".section .note.GNU-stack,\"\"\n",
                                               NULL);
    uint64_t before[ZONE_COUNT];

    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit(&fixture, &good, 1, true, NULL), 0);
    take_digests(&fixture, before);
    cr_assert_eq(linker_fixture_submit(&fixture, &bad, 1, true, NULL), 0, "out of range is known when addresses are");
    cr_expect_eq(linker_fixture_state(&fixture, 2), UNIT_FAILED);
    cr_expect_eq(fixture.events[fixture.event_count - 1].code, ERROR_RELOCATION_RANGE);
    cr_expect_not_null(
        strstr(fixture.events[fixture.event_count - 1].text, "0.o:.text+0x3: R_X86_64_PC32 against 'far'"), "%s",
        fixture.events[fixture.event_count - 1].text);
    expect_zones(&fixture, before);
    linker_fixture_close(&fixture);
    object_free(&good);
    object_free(&bad);
    expect_no_leaks();
}

Test(link, the_same_submissions_give_the_same_bytes_at_the_same_offsets)
{
    uint64_t first[ZONE_COUNT];

    for (int round = 0; round < 2; round++) {
        linker_fixture_open(&fixture);
        cr_assert_eq(linker_fixture_submit_c(&fixture, false, NULL,
                                             SOURCES("extern int v; int g(void); int f(void) { return g() + v; }")),
                     0);
        cr_assert_eq(
            linker_fixture_submit_c(&fixture, false, NULL,
                                    SOURCES("int v = 3; const int table[] = {1, 2}; int g(void) { return table[v]; }")),
            0);
        if (round == 0)
            take_digests(&fixture, first);
        else
            expect_zones(&fixture, first);
        linker_fixture_close(&fixture);
    }
}

Test(link, a_chain_of_units_that_ends_last_becomes_ready_as_a_loop)
{
    struct object_bytes pattern = {0};
    char source[128];

    linker_fixture_open(&fixture);
    /* One object, patched: the names are of equal length, so that only the string table changes. */
    for (int i = 0; i < 2000; i++) {
        sprintf(source, ".globl n%05d\nn%05d: jmp n%05d@PLT\n", i, i, i + 1);
        if (i == 0)
            pattern = compile_assembly(source, NULL);
        struct object_bytes copy = object_copy(&pattern);
        for (size_t at = 0; at + 6 <= copy.length; at++) {
            if (memcmp(copy.bytes + at, "n00000", 6) == 0)
                memcpy(copy.bytes + at, source + 7, 6);
            else if (memcmp(copy.bytes + at, "n00001", 6) == 0) {
                char next[8];
                sprintf(next, "n%05d", i + 1);
                memcpy(copy.bytes + at, next, 6);
            }
        }
        cr_assert_eq(linker_fixture_submit(&fixture, &copy, 1, false, NULL), 0);
        object_free(&copy);
    }
    cr_expect_eq(linker_fixture_state(&fixture, 1), UNIT_RESOLVED);
    struct object_bytes last = compile_assembly(".globl n02000\nn02000: ret\n", NULL);
    cr_assert_eq(linker_fixture_submit(&fixture, &last, 1, false, NULL), 0);
    for (uint64_t unit = 1; unit <= 2001; unit++)
        cr_assert_eq(linker_fixture_state(&fixture, unit), UNIT_READY);
    object_free(&last);
    object_free(&pattern);
    linker_fixture_close(&fixture);
}

Test(link, counts_what_waiting_units_hold_and_gives_it_back)
{
    char text[512] = "";
    struct error error;

    linker_fixture_open(&fixture);
    const struct waiting *waiting = &fixture.linker.waiting;
    struct object_bytes needy = compile_c("int late(void); int needy(void) { return late(); }\n", "-O1 -fPIC");
    cr_assert_eq(linker_fixture_submit(&fixture, &needy, 1, false, NULL), 0);
    uint64_t one = waiting->bytes;
    cr_expect(waiting->units == 1 && one > needy.length, "%lu bytes, %lu units", waiting->bytes, waiting->units);

    fixture.linker.waiting.limit = one + one / 2;
    uint64_t used = arena_used(fixture.linker.arena, ZONE_X);
    struct object_bytes other = compile_c("int late(void); int other(void) { return late(); }\n", "-O1 -fPIC");
    cr_expect_eq(linker_fixture_submit(&fixture, &other, 1, false, text), ERROR_LIMIT);
    cr_expect(strstr(text, "1 units"), "%s", text);
    cr_expect(waiting->units == 1 && waiting->bytes == one && fixture.linker.units.count == 1);
    cr_expect_eq(arena_used(fixture.linker.arena, ZONE_X), used);

    fixture.linker.waiting.limit = 4 * one;
    cr_expect_eq(linker_fixture_submit(&fixture, &other, 1, false, NULL), 0);
    error_set(&error, ERROR_TIMEOUT, "time is up");
    link_fail(&fixture.linker, link_unit(&fixture.linker, 2), &error);
    cr_expect(waiting->units == 1 && waiting->bytes == one);
    cr_expect_eq(
        linker_fixture_submit_c(&fixture, true, NULL, (const char *[]){"int late(void) { return 1; }\n", NULL}), 0);
    cr_expect(waiting->units == 0 && waiting->bytes == 0);
    object_free(&needy);
    object_free(&other);
    linker_fixture_close(&fixture);
    expect_no_leaks();
}

Test(link, a_lookup_leaves_no_trace)
{
    struct link_found found;

    linker_fixture_open(&fixture);
    size_t count = symbols_count(fixture.linker.symbols);
    cr_expect(!link_lookup(&fixture.linker, LIBRARY_MAIN, "nobody", 6, &found));
    cr_expect(!link_lookup(&fixture.linker, LIBRARY_MAIN, "", 0, &found));
    cr_expect_eq(symbols_count(fixture.linker.symbols), count);
    linker_fixture_close(&fixture);
}

/* ---- removal ---- */

/* As a session does where nothing runs: what is to go has gone when it returns. */
static int remove_units(struct linker_fixture *f, const uint64_t *ids, size_t count, bool cascade,
                        struct report *report)
{
    struct removal_set set = {0};

    report_fini(report);
    *report = (struct report){0};
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(removal_set_add(&set, link_unit(&f->linker, ids[i])), 0);
    if (cascade)
        cr_assert_eq(removal_add_users(&f->linker, &set), 0);
    int code = removal_check(&f->linker, &set, report);
    if (!code)
        removal_withdraw(&f->linker, &set);
    for (size_t i = 0; i < set.count && !code; i++)
        removal_release(&f->linker, set.units[i]);
    if (!code)
        set.count = 0;
    removal_set_free(&set);
    return code;
}

Test(link, a_removed_unit_leaves_nothing_once_its_memory_is_reclaimed)
{
    uint64_t before[ZONE_COUNT], during[ZONE_COUNT];
    struct report report = {0};

    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int base(void) { return 1; }")), 0);
    take_digests(&fixture, before);
    uint64_t kept = fixture.linker.kept_bytes;
    for (uint64_t id = 2; id < 5; id++) {
        cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL,
                                             SOURCES("int base(void); int data = 1; int zero; const int c[9] = {3};\n"
                                                     "int f(void) { return base() + data + zero; }")),
                     0);
        uint64_t address = linker_fixture_address(&fixture, "f");
        take_digests(&fixture, during);
        cr_assert_eq(remove_units(&fixture, &id, 1, false, &report), 0);
        expect_zones(&fixture, during);
        cr_expect_eq(fixture.linker.units.count, 1);
        cr_expect_eq(fixture.linker.kept_bytes, kept);
        cr_expect(removal_age(&fixture.linker));
        removal_reclaim(&fixture.linker);
        expect_zones(&fixture, before);
        cr_expect_not(removal_age(&fixture.linker));
        cr_expect_eq(address, FIXTURE_BASE + ARENA_FIRST + 16, "memory is used again");
    }
    linker_fixture_close(&fixture);
    report_fini(&report);
    expect_no_leaks();
}

Test(link, memory_that_is_released_after_it_was_set_apart_waits_for_the_next_time)
{
    struct report report = {0};

    linker_fixture_open(&fixture);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 1; }")), 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int g(void) { return 1; }")), 0);
    cr_assert_eq(remove_units(&fixture, (const uint64_t[]){1}, 1, false, &report), 0);
    cr_expect(removal_age(&fixture.linker));
    cr_assert_eq(remove_units(&fixture, (const uint64_t[]){2}, 1, false, &report), 0);
    removal_reclaim(&fixture.linker);
    cr_expect_eq(*arena_bytes(fixture.linker.arena, ZONE_X, ARENA_FIRST), 0xcc);
    cr_expect_neq(*arena_bytes(fixture.linker.arena, ZONE_X, ARENA_FIRST + 16), 0xcc);
    linker_fixture_close(&fixture); /* frees what is left */
    report_fini(&report);
    expect_no_leaks();
}

Test(link, a_refused_removal_leaves_its_marks_nowhere)
{
    struct report report = {0};

    linker_fixture_open(&fixture);
    cr_assert_eq(
        linker_fixture_submit_c(&fixture, true, NULL,
                                SOURCES("int f(void) { return 1; }", "int f(void); int g(void) { return f(); }",
                                        "int g(void); int h(void) { return g(); }")),
        0);
    cr_expect_eq(remove_units(&fixture, (const uint64_t[]){1}, 1, false, &report), ERROR_DEPENDENTS);
    cr_assert_eq(report.count, 1);
    cr_expect_eq(report.entries[0].reference_count, 1);
    cr_expect_eq(remove_units(&fixture, (const uint64_t[]){2, 1}, 2, false, &report), ERROR_DEPENDENTS);
    for (uint64_t id = 1; id <= 3; id++)
        cr_expect_not(link_unit(&fixture.linker, id)->removing);
    cr_expect_eq(remove_units(&fixture, (const uint64_t[]){1}, 1, true, &report), 0);
    cr_expect_eq(fixture.linker.units.count, 0);
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 1; }")), 0);
    linker_fixture_close(&fixture);
    report_fini(&report);
    expect_no_leaks();
}

Test(link, a_unit_that_the_runner_has_is_not_removed)
{
    struct report report = {0};

    linker_fixture_open(&fixture);
    fixture.hold = true;
    cr_assert_eq(linker_fixture_submit_c(&fixture, true, NULL, SOURCES("int f(void) { return 1; }")), 0);
    cr_expect_eq(remove_units(&fixture, (const uint64_t[]){1}, 1, false, &report), ERROR_INVALID);
    link_ready(&fixture.linker, fixture.held[0]);
    cr_expect_eq(remove_units(&fixture, (const uint64_t[]){1}, 1, false, &report), 0);
    linker_fixture_close(&fixture);
    report_fini(&report);
    expect_no_leaks();
}

Test(link, names_that_are_defined_anew_each_time_are_forgotten)
{
    struct object_bytes object = compile_c("int name_0000000(void) { return 1; }", "-O1 -fPIC");
    struct report report = {0};
    char name[16];

    linker_fixture_open(&fixture);
    for (uint64_t id = 1; id <= 20000; id++) {
        uint8_t *place = memmem(object.bytes, object.length, "name_", 5);

        snprintf(name, sizeof name, "%07u", (unsigned)id);
        memcpy(place + 5, name, 7);
        fixture.event_count = 0;
        cr_assert_eq(linker_fixture_submit(&fixture, &object, 1, true, NULL), 0);
        cr_assert_eq(remove_units(&fixture, &id, 1, false, &report), 0);
        removal_reclaim(&fixture.linker);
        removal_age(&fixture.linker);
    }
    cr_expect_leq(symbols_count(fixture.linker.symbols), 4200);
    cr_expect_eq(fixture.linker.kept_bytes, 0);
    cr_expect_leq(arena_used(fixture.linker.arena, ZONE_X), 64);
    object_free(&object);
    linker_fixture_close(&fixture);
    report_fini(&report);
    expect_no_leaks();
}
