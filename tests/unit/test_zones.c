/*
 * How the arena is shared out between its zones: proto/zones.h.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/zones.h"

static struct zone_sizes sizes;
static uint64_t least_zeros;
static struct error error;

static int choose(uint64_t most, uint64_t x, uint64_t s, uint64_t r, uint64_t d, uint64_t z)
{
    const uint64_t asked[ZONE_COUNT] = {x, s, r, d, z};

    error = (struct error){0};
    return zones_choose(asked, most, &sizes, &least_zeros, &error);
}

static void expect_sizes(uint64_t x, uint64_t s, uint64_t r, uint64_t d, uint64_t z)
{
    const uint64_t wanted[ZONE_COUNT] = {x, s, r, d, z};

    for (int i = 0; i < ZONE_COUNT; i++)
        cr_expect_eq(sizes.bytes[i], MIB(wanted[i]), "zone %s has %llu MiB, not %llu", zone_names[i],
                     (unsigned long long)sizes.bytes[i] >> 20, (unsigned long long)wanted[i]);
}

Test(zones, have_room_for_the_largest_object_where_nobody_asks_and_zeros_get_the_rest)
{
    cr_assert_eq(choose(ARENA_REACH, 0, 0, 0, 0, 0), 0);
    expect_sizes(256, 64, 320, 256, 1136);
    cr_expect_eq(zones_total(&sizes), ARENA_REACH);
    cr_expect_eq(least_zeros, MIB(2));
    cr_assert_eq(choose(MIB(1024), 0, 0, 0, 0, 0), 0);
    expect_sizes(256, 64, 256, 192, 256);
    cr_assert_eq(choose(ARENA_LEAST, 0, 0, 0, 0, 0), 0);
    expect_sizes(16, 4, 16, 12, 16);
}

Test(zones, share_what_those_that_were_asked_for_leave)
{
    cr_assert_eq(choose(ARENA_REACH, 0, 0, 0, 0, MIB(800)), 0);
    expect_sizes(256, 64, 320, 256, 800);
    cr_expect_eq(least_zeros, MIB(800), "what was asked for is not taken back");
    cr_assert_eq(choose(ARENA_REACH, 0, 0, 0, 0, MIB(1500)), 0);
    expect_sizes(134, 32, 134, 100, 1500);
    cr_assert_eq(choose(ARENA_REACH, 0, 0, 0, MIB(600), 0), 0);
    expect_sizes(256, 64, 320, 600, 792);
    cr_assert_eq(choose(ARENA_REACH, MIB(1016), 0, 0, 0, 0), 0);
    expect_sizes(1016, 56, 426, 172, 362);
    cr_assert_eq(choose(ARENA_REACH, 0, 0, MIB(2), 0, 0), 0);
    cr_expect_eq(sizes.bytes[ZONE_X], MIB(4), "no more code than R can lead to the tables of");
}

Test(zones, are_rounded_up_to_what_can_be_mapped)
{
    cr_assert_eq(choose(ARENA_REACH, 1, MIB(2), MIB(2) + 1, MIB(4) - 1, 1), 0);
    expect_sizes(2, 2, 4, 4, 2);
}

Test(zones, may_have_all_there_is_and_not_a_byte_more)
{
    cr_expect_eq(choose(ARENA_REACH, MIB(2), MIB(2), MIB(4), MIB(2), MIB(2022)), 0);
    cr_expect_eq(choose(ARENA_REACH, MIB(2), MIB(2), MIB(4), MIB(2), MIB(2022) + 1), ERROR_LIMIT);
    cr_expect(strstr(error.text, "2, 2, 4, 2 and 2024 MiB make 2034 MiB"), "%s", error.text);
    cr_expect(strstr(error.text, "together may have 2032 MiB (32-bit displacements reach no further)"), "%s",
              error.text);
    cr_expect_eq(choose(MIB(512), MIB(256), 0, 0, 0, 0), 0);
    cr_expect_eq(choose(MIB(512), MIB(256) + 1, 0, 0, 0, 0), ERROR_LIMIT);
    cr_expect(strstr(error.text, "zone X of 268435457 bytes is too large: it may have 256 MiB"), "%s", error.text);
    cr_expect(strstr(error.text, "512 MiB (see jitd --arena-max)"), "%s", error.text);
    cr_expect_eq(choose(ARENA_REACH, 0, 0, 0, 0, ARENA_REACH), ERROR_LIMIT, "the others need something");
}

Test(zones, refuse_garbage)
{
    static const uint64_t garbage[] = {ARENA_REACH + 1,     MIB(2048),      UINT32_MAX, UINT64_MAX / 2,
                                       UINT64_MAX - MIB(2), UINT64_MAX - 1, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_LENGTH(garbage); i++)
        for (int z = 0; z < ZONE_COUNT; z++) {
            uint64_t asked[ZONE_COUNT] = {0};
            asked[z] = garbage[i];
            cr_expect_eq(zones_choose(asked, ARENA_REACH, &sizes, &least_zeros, &error), ERROR_LIMIT);
            cr_expect(strncmp(error.text, "zone ", 5) == 0 && error.text[5] == *zone_names[z], "%s", error.text);
        }
    cr_expect_eq(choose(ARENA_REACH, MIB(16), 0, MIB(4), 0, 0), ERROR_INVALID, "the granule map alone takes 4 MiB");
    cr_expect_eq(choose(ARENA_REACH, MIB(16), 0, MIB(4) + 1, 0, 0), 0);
}

/* Whatever is asked for, what is granted is what the supervisor takes, and what was asked for is in it. */
Test(zones, that_are_chosen_are_taken)
{
    unsigned seed = 1;
    int granted = 0;

    for (int round = 0; round < 200000; round++) {
        uint64_t most = ARENA_LEAST + (uint64_t)rand_r(&seed) % (ARENA_REACH - ARENA_LEAST) / MIB(2) * MIB(2);
        uint64_t asked[ZONE_COUNT];

        for (int z = 0; z < ZONE_COUNT; z++)
            asked[z] = rand_r(&seed) % 2 ? (uint64_t)rand_r(&seed) >> rand_r(&seed) % 12 : 0;
        if (zones_choose(asked, most, &sizes, &least_zeros, &error) != 0)
            continue;
        granted++;
        cr_assert_eq(zones_check(&sizes, least_zeros, most, &error), 0, "%s", error.text);
        for (int z = 0; z < ZONE_COUNT; z++)
            cr_assert(asked[z] == 0 || (sizes.bytes[z] >= asked[z] && sizes.bytes[z] < asked[z] + MIB(2)));
    }
    cr_expect_gt(granted, 20000, "%d", granted);
}
