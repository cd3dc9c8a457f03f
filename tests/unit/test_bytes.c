/*
 * common/bytes: the arithmetic at its edges.
 */
#include <criterion/criterion.h>

#include "common/bytes.h"

Test(bytes, a_range_lies_within_without_wrapping)
{
    static const struct {
        uint64_t offset, length, total;
        bool within;
    } rows[] = {
        {0, 0, 0, true},
        {0, 10, 10, true},
        {10, 0, 10, true},
        {9, 1, 10, true},
        {0, 11, 10, false},
        {10, 1, 10, false},
        {11, 0, 10, false},
        {UINT64_MAX, 1, 10, false},
        {1, UINT64_MAX, 10, false},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, false},
        {8, UINT64_MAX - 4, 10, false},
        {0, UINT64_MAX, UINT64_MAX, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        cr_expect_eq(range_within(rows[i].offset, rows[i].length, rows[i].total), rows[i].within, "row %zu", i);
}

Test(bytes, powers_of_two)
{
    cr_expect(is_power_of_two(1));
    cr_expect(is_power_of_two(1ull << 63));
    cr_expect_not(is_power_of_two(0));
    cr_expect_not(is_power_of_two(3));
    cr_expect_not(is_power_of_two(UINT64_MAX));
}

Test(bytes, align_up_rounds)
{
    cr_expect_eq(align_up(0, 16), 0);
    cr_expect_eq(align_up(1, 16), 16);
    cr_expect_eq(align_up(16, 16), 16);
    cr_expect_eq(align_up(17, 1), 17);
    cr_expect_eq(align_up(0x1001, 0x1000), 0x2000);
}

Test(bytes, minimum_and_maximum)
{
    cr_expect_eq(min_u64(1, UINT64_MAX), 1);
    cr_expect_eq(max_u64(1, UINT64_MAX), UINT64_MAX);
}

Test(bytes, little_endian_fields_survive_the_way_there_and_back)
{
    uint8_t bytes[9] = {0};
    store_le16(bytes + 1, 0xfedc);
    cr_expect_eq(bytes[1], 0xdc);
    cr_expect_eq(load_le16(bytes + 1), 0xfedc);
    store_le32(bytes + 1, 0xfedcba98u);
    cr_expect_eq(bytes[1], 0x98);
    cr_expect_eq(load_le32(bytes + 1), 0xfedcba98u);
    store_le64(bytes + 1, 0xfedcba9876543210ull);
    cr_expect_eq(bytes[1], 0x10);
    cr_expect_eq(bytes[8], 0xfe);
    cr_expect_eq(load_le64(bytes + 1), 0xfedcba9876543210ull);
    cr_expect_eq(bytes[0], 0);
}
