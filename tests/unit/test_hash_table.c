#include "daemon/linker/hash_table.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/lib/leaks.h"

#define ITEMS 1000u

struct item {
    struct hash_entry entry;
    uint32_t number;
};

static struct item items[ITEMS];

/* Several numbers to a hash, and hashes that differ in their upper bits alone. */
static uint32_t hash_of(uint32_t number)
{
    return (number % 100) << 24 | (number % 100) % 10;
}

static const struct item *find(const struct hash_table *table, uint32_t number)
{
    const struct item *item = hash_table_find(table, hash_of(number));

    while (item && item->number != number)
        item = hash_table_next(&item->entry);
    return item;
}

static struct hash_table fill(void)
{
    struct hash_table table = {0};

    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].number = i;
        cr_assert_eq(hash_table_reserve(&table, 1), 0);
        hash_table_add(&table, &items[i].entry, hash_of(i));
    }
    return table;
}

Test(hash_table, that_is_empty_has_nothing)
{
    struct hash_table table = {0};

    cr_expect_null(hash_table_find(&table, 0));
    cr_expect_null(hash_table_after(&table, NULL));
    hash_table_close(&table, free);
}

Test(hash_table, finds_by_hash_and_goes_on_to_the_others_of_that_hash_alone)
{
    struct hash_table table = fill();

    for (uint32_t i = 0; i < ITEMS; i++)
        cr_assert_eq(find(&table, i), &items[i], "item %u", i);
    cr_expect_null(find(&table, ITEMS));
    cr_expect_null(hash_table_find(&table, hash_of(1) ^ 1u << 30));
    uint32_t of_one_hash = 0;
    for (const struct item *item = hash_table_find(&table, hash_of(5)); item;
         item = hash_table_next(&item->entry), of_one_hash++)
        cr_expect_eq(item->number % 100, 5);
    cr_expect_eq(of_one_hash, ITEMS / 100);
    hash_table_close(&table, NULL);
    expect_no_leaks();
}

Test(hash_table, adds_into_reserved_room_without_growing)
{
    struct hash_table table = {0};

    cr_assert_eq(hash_table_reserve(&table, ITEMS), 0);
    struct hash_entry **buckets = table.buckets;
    cr_expect_geq(table.bucket_count, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++)
        hash_table_add(&table, &items[i].entry, i);
    cr_expect_eq(hash_table_reserve(&table, 0), 0);
    cr_expect_eq(table.buckets, buckets);
    cr_expect_eq(table.count, ITEMS);
    hash_table_close(&table, NULL);
}

Test(hash_table, a_walk_meets_each_once_though_the_current_one_be_removed)
{
    struct hash_table table = fill();
    uint32_t met = 0;

    for (struct item *item = hash_table_after(&table, NULL), *next; item; item = next, met++) {
        next = hash_table_after(&table, &item->entry);
        if (item->number % 3)
            hash_table_remove(&table, &item->entry);
    }
    cr_expect_eq(met, ITEMS);
    cr_expect_eq(table.count, (ITEMS + 2) / 3);
    for (uint32_t i = 0; i < ITEMS; i++)
        cr_assert_eq(find(&table, i), i % 3 ? NULL : &items[i], "item %u", i);
    hash_table_close(&table, NULL);
}

Test(hash_table, releases_what_is_left_when_it_is_closed)
{
    struct hash_table table = {0};

    cr_assert_eq(hash_table_reserve(&table, ITEMS), 0);
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item *item = calloc(1, sizeof *item);
        hash_table_add(&table, &item->entry, hash_of(i));
    }
    hash_table_close(&table, free);
    cr_expect_eq(table.count, 0);
    cr_expect_null(hash_table_find(&table, hash_of(0)));
    expect_no_leaks();
}
