/*
 * common/pool: alignment, zeroing, the budget, reuse.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "common/pool.h"
#include "tests/lib/leaks.h"

Test(pool, memory_is_aligned_and_zeroed_also_after_a_reset)
{
    struct pool pool;
    pool_init(&pool, 1 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 2000; size += 37) {
            unsigned char *memory = pool_allocate(&pool, size);
            cr_assert(memory);
            cr_expect_eq((uintptr_t)memory % 16, 0);
            for (size_t i = 0; i < size; i++)
                cr_assert_eq(memory[i], 0);
            memset(memory, 0xaa, size);
        }
        pool_reset(&pool);
        cr_expect_eq(pool.used, 0);
    }
    pool_fini(&pool);
    expect_no_leaks();
}

Test(pool, allocations_do_not_overlap)
{
    struct pool pool;
    pool_init(&pool, 16 << 20);
    enum { COUNT = 300 };
    unsigned char *memory[COUNT];
    size_t sizes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = i % 50 == 49 ? 100000 : 1 + i * 13 % 5000;
        memory[i] = pool_allocate(&pool, sizes[i]);
        cr_assert(memory[i]);
        memset(memory[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t at = 0; at < sizes[i]; at++)
            cr_assert_eq(memory[i][at], (unsigned char)i);
    pool_fini(&pool);
    expect_no_leaks();
}

Test(pool, refuses_what_is_over_the_budget)
{
    struct pool pool;
    pool_init(&pool, 160);
    cr_expect_null(pool_allocate(&pool, 161));
    cr_expect_null(pool_allocate(&pool, SIZE_MAX));
    cr_expect_null(pool_allocate(&pool, SIZE_MAX - 8));
    cr_expect(pool_allocate(&pool, 80));
    cr_expect(pool_allocate(&pool, 80));
    cr_expect_null(pool_allocate(&pool, 1));
    pool_reset(&pool);
    cr_expect(pool_allocate(&pool, 160));
    pool_fini(&pool);
}

Test(pool, empty_allocations_count_too)
{
    struct pool pool;
    pool_init(&pool, 1 << 16);
    size_t given = 0;
    while (given < 100000 && pool_allocate(&pool, 0))
        given++;
    cr_expect_leq(given, (1 << 16) / 16 + 1);
    pool_fini(&pool);
}

Test(pool, an_unlimited_budget_survives_huge_sizes)
{
    struct pool pool;
    pool_init(&pool, SIZE_MAX);
    cr_expect_null(pool_allocate(&pool, SIZE_MAX));
    cr_expect_null(pool_allocate(&pool, SIZE_MAX / 2 + 1));
    cr_expect_null(pool_copy_string(&pool, "", SIZE_MAX));
    cr_expect(pool_allocate(&pool, 10));
    pool_fini(&pool);
}

Test(pool, arrays_are_checked_for_overflow)
{
    struct pool pool;
    pool_init(&pool, SIZE_MAX);
    cr_expect_null(pool_allocate_array(&pool, SIZE_MAX / 4, 8));
    cr_expect_null(pool_allocate_array(&pool, (size_t)1 << 60, 16));
    uint64_t *array = pool_allocate_array(&pool, 100, sizeof *array);
    cr_expect(array && array[99] == 0);
    pool_fini(&pool);
}

Test(pool, strings_are_copied_and_terminated)
{
    struct pool pool;
    pool_init(&pool, 1 << 16);
    char *copy = pool_copy_string(&pool, "mainXXXX", 4);
    cr_expect_str_eq(copy, "main");
    cr_expect_str_eq(pool_copy_string(&pool, NULL, 0), "");
    pool_fini(&pool);
}

Test(pool, a_reset_keeps_the_largest_block)
{
    struct pool pool;
    pool_init(&pool, 1 << 22);
    pool_allocate(&pool, 100);
    void *large = pool_allocate(&pool, 1 << 20);
    pool_allocate(&pool, 3000);
    pool_reset(&pool);
    cr_expect_eq(pool_allocate(&pool, 1 << 20), large);
    pool_fini(&pool);
    pool_fini(&pool);
    expect_no_leaks();
}

Test(pool, resetting_an_empty_pool_is_nothing)
{
    struct pool pool;
    pool_init(&pool, 100);
    pool_reset(&pool);
    pool_reset(&pool);
    pool_fini(&pool);
}

Test(pool, knows_how_much_memory_it_has_taken)
{
    struct pool pool;
    pool_init(&pool, 1 << 22);
    cr_expect_eq(pool_memory(&pool), 0);
    pool_allocate(&pool, 1);
    size_t least = pool_memory(&pool);
    cr_expect_gt(least, 1);
    pool_allocate(&pool, 1 << 20);
    cr_expect(pool_memory(&pool) >= least + (1 << 20) && pool_memory(&pool) < least + (1 << 20) + 4096);
    pool_fini(&pool);
    cr_expect_eq(pool_memory(&pool), 0);
}
