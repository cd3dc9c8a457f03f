/*
 * Whose code an offset of zone X is in, held against a look at every unit.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daemon/linker/code_pages.h"
#include "daemon/linker/unit.h"
#include "tests/lib/leaks.h"
#include "tests/lib/zone_sizes.h"

enum { UNITS = 2000 };

static struct unit *units;
static struct code_pages pages;

static void open_pages(void)
{
    units = calloc(UNITS, sizeof *units);
    cr_assert(units);
    cr_assert_eq(code_pages_open(&pages, ZONE_X_BYTES), 0);
}

static void close_pages(void)
{
    code_pages_close(&pages);
    free(units);
    expect_no_leaks();
}

TestSuite(code_pages, .init = open_pages, .fini = close_pages, .timeout = 20);

/* Mostly small blocks; now and then one of several pages, one of none at all, and a gap. */
static void place(void)
{
    uint32_t at = 64;

    for (size_t i = 0; i < UNITS; i++) {
        uint32_t bytes = i % 97 == 0 ? 20000 : i % 31 == 0 ? 0 : 16 + 16 * (uint32_t)(i % 7);

        units[i].block.extent[ZONE_X] = (struct arena_extent){.offset = at, .bytes = bytes};
        at += bytes + (i % 41 == 0 ? 9000 : 0);
    }
}

static struct unit *look_everywhere(uint64_t offset, const bool *there)
{
    for (size_t i = 0; i < UNITS; i++) {
        const struct arena_extent *code = &units[i].block.extent[ZONE_X];

        if (there[i] && offset >= code->offset && offset - code->offset < code->bytes)
            return &units[i];
    }
    return NULL;
}

static void expect_right(const bool *there)
{
    const struct arena_extent *last = &units[UNITS - 1].block.extent[ZONE_X];

    for (uint64_t offset = 0; offset < last->offset + last->bytes + 100000; offset += 104)
        cr_assert_eq(code_pages_find(&pages, offset), look_everywhere(offset, there), "at %llu",
                     (unsigned long long)offset);
}

Test(code_pages, know_the_unit_of_each_offset_while_units_come_and_go)
{
    static bool there[UNITS];

    place();
    expect_right(there);
    for (size_t i = 0; i < UNITS; i++) {
        size_t scattered = i * 7 % UNITS; /* 7 is no divisor */

        code_pages_add(&pages, &units[scattered]);
        there[scattered] = true;
    }
    expect_right(there);
    for (size_t i = 0; i < UNITS; i += 3) {
        code_pages_remove(&pages, &units[i]);
        code_pages_remove(&pages, &units[i]);
        there[i] = false;
    }
    expect_right(there);
    for (size_t i = 0; i < UNITS; i += 6) {
        code_pages_add(&pages, &units[i]);
        there[i] = true;
    }
    expect_right(there);
}

Test(code_pages, know_the_first_and_the_last_byte_of_the_zone)
{
    units[0].block.extent[ZONE_X] = (struct arena_extent){.offset = 0, .bytes = 1};
    units[1].block.extent[ZONE_X] = (struct arena_extent){.offset = ZONE_X_BYTES - 1, .bytes = 1};
    code_pages_add(&pages, &units[0]);
    code_pages_add(&pages, &units[1]);
    cr_expect_eq(code_pages_find(&pages, 0), &units[0]);
    cr_expect_null(code_pages_find(&pages, 1));
    cr_expect_null(code_pages_find(&pages, ZONE_X_BYTES - 2));
    cr_expect_eq(code_pages_find(&pages, ZONE_X_BYTES - 1), &units[1]);
}
