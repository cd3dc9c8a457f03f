#include <criterion/criterion.h>
#include <stdlib.h>

#include "daemon/linker/unit.h"
#include "daemon/linker/units.h"
#include "tests/lib/leaks.h"

static struct unit *add(struct units *units)
{
    struct unit *unit = calloc(1, sizeof *unit + 1);

    cr_assert(unit);
    cr_assert_eq(units_reserve(units, 1), 0);
    units_add(units, unit);
    return unit;
}

static void drop(struct units *units, struct unit *unit)
{
    units_remove(units, unit);
    free(unit);
}

Test(units, are_found_by_ids_that_count_up_and_are_never_used_again)
{
    struct units units = {0};
    struct unit *first = add(&units), *second = add(&units);

    cr_expect_eq(first->id, 1);
    cr_expect_eq(second->id, 2);
    cr_expect_eq(units_find(&units, 2), second);
    drop(&units, second);
    cr_expect_null(units_find(&units, 2));
    second = add(&units);
    cr_expect_eq(second->id, 3);
    drop(&units, first);
    drop(&units, second);
    cr_expect_eq(units.count, 0);
    first = add(&units);
    cr_expect_eq(first->id, 4, "an empty table begins again");
    drop(&units, first);
    units_close(&units);
    expect_no_leaks();
}

Test(units, are_not_found_by_numbers_that_are_none)
{
    static const uint64_t numbers[] = {0, 2, 1024, 1025, 1u << 20, UINT64_MAX};
    struct units units = {0};
    struct unit *unit = add(&units);

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cr_expect_null(units_find(&units, numbers[i]));
    drop(&units, unit);
    units_close(&units);
}

Test(units, are_walked_in_the_order_of_their_ids_over_all_that_have_gone)
{
    enum { UNITS = 10000 };
    static struct unit *made[UNITS];
    struct units units = {0};
    uint64_t seen = 0, last = 0;

    for (int i = 0; i < UNITS; i++)
        made[i] = add(&units);
    for (int i = 0; i < UNITS; i++)
        if (i % 4000 != 5)
            drop(&units, made[i]);
    for (struct unit *unit = units_after(&units, 0); unit; unit = units_after(&units, unit->id)) {
        cr_expect_gt(unit->id, last);
        cr_expect_eq(unit, made[unit->id - 1]);
        last = unit->id;
        seen++;
    }
    cr_expect_eq(seen, 3);
    cr_expect_eq(units.count, 3);
    cr_expect_null(units_after(&units, UNITS));
    for (int i = 5; i < UNITS; i += 4000)
        drop(&units, made[i]);
    units_close(&units);
    expect_no_leaks();
}

Test(units, that_have_gone_leave_no_memory_but_for_a_pointer_in_a_thousand)
{
    struct units units = {0};

    for (int i = 0; i < 300000; i++)
        drop(&units, add(&units));
    cr_expect_leq(units.chunk_capacity, 512);
    for (size_t i = 0; i < units.chunk_capacity; i++)
        cr_expect_null(units.chunks[i]);
    units_close(&units);
    expect_no_leaks();
}
