/*
 * daemon/linker/workers, and what is linked with them: the same bytes, the same news and the same errors in the same
 * order as without. Run under ThreadSanitizer by `make tsan`.
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/linker/workers.h"
#include "tests/lib/leaks.h"
#include "tests/unit/linker_fixture.h"

#define PARTS 5000

static struct workers *open_workers(unsigned count)
{
    struct workers *workers = NULL;
    struct error error;

    cr_assert_eq(workers_open(count, &workers, &error), 0, "%s", error.text);
    return workers;
}

static void count_part(void *data, uint32_t index, struct pool *scratch)
{
    uint8_t *called = data;

    pool_reset(scratch);
    char *text = pool_allocate(scratch, 100);
    snprintf(text, 100, "%u", index);
    called[index] += (uint8_t)(strtoul(text, NULL, 10) == index);
}

Test(workers, do_every_part_once)
{
    static uint8_t called[PARTS];

    for (unsigned threads = 1; threads <= WORKERS_MOST; threads += 2) {
        struct workers *workers = open_workers(threads);

        for (uint32_t run = 1; run <= 20; run++) {
            uint32_t parts = run * PARTS / 20;

            memset(called, 0, sizeof called);
            workers_run(workers, parts, count_part, called);
            for (uint32_t i = 0; i < PARTS; i++)
                cr_assert_eq(called[i], i < parts, "part %u of %u, %u threads", i, parts, threads);
        }
        workers_close(workers);
    }
    expect_no_leaks();
}

Test(workers, may_be_closed_unused_and_are_none_where_none_are_wanted)
{
    workers_close(open_workers(WORKERS_MOST));
    cr_expect_null(open_workers(0));
    cr_expect_not(workers_pay(NULL, UINT64_MAX));
    workers_close(NULL);
    expect_no_leaks();
}

/* ---- linking ---- */

/* More symbols than workers_pay asks for. Each unit's functions call the next unit's: one component. */
#define UNITS     24
#define FUNCTIONS 800

/* Code, slots, constants, data and unwind tables, all of them with relocations, and `extra` in the middle of it. */
static struct object_bytes make_unit(unsigned unit, const char *extra)
{
    unsigned next = (unit + 1) % UNITS;
    char *source = NULL;
    size_t length;
    FILE *file = open_memstream(&source, &length);

    for (unsigned i = 0; i < FUNCTIONS; i++)
        fprintf(file,
                ".text\n.globl f%u_%u\n.type f%u_%u, @function\nf%u_%u:\n.cfi_startproc\n"
                "call f%u_%u@PLT\nmov v%u_%u@GOTPCREL(%%rip), %%rax\npush v%u_%u@GOTPCREL(%%rip)\nret\n"
                ".cfi_endproc\n.size f%u_%u, . - f%u_%u\n"
                ".data\n.globl v%u_%u\nv%u_%u: .quad f%u_%u\n",
                unit, i, unit, i, unit, i, next, i, next, i, next, i, unit, i, unit, i, unit, i, unit, i, next, i);
    fprintf(file, ".section .rodata\n.quad f%u_0\n%s\n.section .note.GNU-stack,\"\",@progbits\n", next, extra);
    fclose(file);
    struct object_bytes object = compile_assembly(source, NULL);
    free(source);
    return object;
}

static struct object_bytes units[UNITS];

static void make_units(const char *extra_of_3, const char *extra_of_7, const char *extra_of_others)
{
    for (unsigned i = 0; i < UNITS; i++)
        units[i] = make_unit(i, i == 3 ? extra_of_3 : i == 7 ? extra_of_7 : extra_of_others);
}

static void free_units(void)
{
    for (unsigned i = 0; i < UNITS; i++)
        object_free(&units[i]);
}

struct outcome {
    int code;
    char text[512];
    uint64_t digests[ZONE_COUNT];
    uint64_t used[ZONE_COUNT];
    struct linker_fixture fixture;
};

/* The batch, and after it a unit whose place tells what was given back. */
static void link_all(struct outcome *outcome, unsigned threads)
{
    struct workers *workers = open_workers(threads);
    struct linker *linker = &outcome->fixture.linker;

    linker_fixture_open(&outcome->fixture);
    linker->workers = workers;
    outcome->code = linker_fixture_submit(&outcome->fixture, units, UNITS, true, outcome->text);
    cr_assert_eq(linker_fixture_submit_c(&outcome->fixture, true, NULL,
                                         (const char *const[]){"int after(void) { return 1; }", NULL}),
                 0);
    for (int z = 0; z < ZONE_COUNT; z++) {
        outcome->digests[z] = arena_digest(linker->arena, (enum zone)z);
        outcome->used[z] = arena_used(linker->arena, (enum zone)z);
    }
    linker_fixture_close(&outcome->fixture);
    workers_close(workers);
}

/* Links without threads and with some; the outcome of the former is kept for the test to look at. */
static const struct outcome *expect_same(void)
{
    static struct outcome alone, joint;
    static const unsigned threads[] = {1, 3};

    link_all(&alone, 0);
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        link_all(&joint, threads[t]);
        cr_expect_eq(joint.code, alone.code);
        cr_expect_str_eq(joint.text, alone.text);
        for (int z = 0; z < ZONE_COUNT; z++)
            cr_expect(joint.digests[z] == alone.digests[z] && joint.used[z] == alone.used[z], "zone %s", zone_names[z]);
        cr_assert_eq(joint.fixture.event_count, alone.fixture.event_count);
        for (size_t i = 0; i < alone.fixture.event_count; i++) {
            cr_expect_eq(joint.fixture.events[i].unit, alone.fixture.events[i].unit);
            cr_expect_eq(joint.fixture.events[i].state, alone.fixture.events[i].state);
            cr_expect_eq(joint.fixture.events[i].code, alone.fixture.events[i].code);
            cr_expect_str_eq(joint.fixture.events[i].text, alone.fixture.events[i].text);
        }
    }
    return &alone;
}

#define OUT_OF_RANGE ".text\nlea far(%rip), %rax\n.globl far\n.set far, 0x1234\n"

Test(workers, link_a_large_component_to_the_same_bytes)
{
    make_units("", "", "");
    const struct outcome *outcome = expect_same();
    cr_expect_eq(outcome->code, 0, "%s", outcome->text);
    cr_expect_eq(outcome->fixture.events[outcome->fixture.event_count - 1].state, UNIT_READY);
    free_units();
    expect_no_leaks();
}

Test(workers, name_the_unit_that_is_first_of_those_that_fail)
{
    make_units(".text\nlea far(%rip), %rax\n", OUT_OF_RANGE, "");
    const struct outcome *outcome = expect_same();
    cr_assert_eq(outcome->code, 0, "%s", outcome->text);
    cr_expect_eq(outcome->fixture.events[UNITS].state, UNIT_FAILED);
    cr_expect_eq(outcome->fixture.events[UNITS].code, ERROR_RELOCATION_RANGE);
    cr_expect_not_null(strstr(outcome->fixture.events[UNITS].text, "3.o:.text"), "%s",
                       outcome->fixture.events[UNITS].text);
    free_units();
    expect_no_leaks();
}

Test(workers, refuse_a_batch_for_the_first_unit_that_cannot_be_laid_out)
{
    make_units(".section .init,\"ax\"\n.globl _init\n_init: nop\n", ".section .fini,\"ax\"\n.globl _fini\n_fini: nop\n",
               "");
    const struct outcome *outcome = expect_same();
    cr_expect_eq(outcome->code, ERROR_UNSUPPORTED);
    cr_expect_not_null(strstr(outcome->text, "3.o: section .init"), "%s", outcome->text);
    free_units();
    expect_no_leaks();
}

/* An absolute symbol of another unit of the batch is out of reach of a call, which nobody could foresee: it takes a
   stub and a slot after all, and room is given on one thread alone. */
Test(workers, leave_to_one_thread_what_needs_more_room_than_was_foreseen)
{
    make_units("", ".globl beyond\n.type beyond, @function\n.set beyond, 0x1234\n", ".text\ncall beyond@PLT\n");
    const struct outcome *outcome = expect_same();
    cr_expect_eq(outcome->code, 0, "%s", outcome->text);
    cr_expect_eq(outcome->fixture.events[outcome->fixture.event_count - 1].state, UNIT_READY);
    free_units();
    expect_no_leaks();
}
