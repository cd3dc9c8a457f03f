#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "tests/lib/leaks.h"
#include "tests/unit/linker_fixture.h"

static struct arena_block take(struct arena *arena, uint64_t x, uint64_t r, uint64_t d)
{
    const struct arena_need needs[ZONE_COUNT] = {[ZONE_X] = {x, 16}, [ZONE_R] = {r, 8}, [ZONE_D] = {d, 8}};
    struct arena_block block;
    struct error error;

    cr_assert_eq(arena_allocate(arena, needs, &block, &error), 0, "%s", error.text);
    return block;
}

Test(arena, seals_the_zones_so_that_no_second_writable_view_can_be_made)
{
    int fds[ZONE_COUNT] = {-1, -1, -1, -1, -1}, kept;
    struct arena *arena;
    struct error error;

    for (unsigned z = 0; z < ZONE_Z; z++)
        cr_assert_eq(descriptor_create_memfd("zone", zones_most(z, ARENA_BYTES), &fds[z], &error), 0);
    kept = dup(fds[ZONE_X]);
    cr_assert_eq(arena_open(fds, ARENA_BYTES, 0xcc, &arena, &error), 0);
    const int wanted = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    cr_expect_eq(fcntl(kept, F_GET_SEALS) & wanted, wanted);
    cr_expect_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0), MAP_FAILED);
    cr_expect_eq(pwrite(kept, "x", 1, 0), -1);
    cr_expect_eq(ftruncate(kept, 4096), -1);
    cr_expect_eq(fcntl(fds[ZONE_X], F_GETFD), -1, "the zone's descriptor is still open");
    close(kept);
    arena_close(arena);
    expect_no_leaks();
}

Test(arena, packs_blocks_side_by_side)
{
    struct arena *arena = linker_fixture_arena();
    struct arena_block first = take(arena, 17, 1, 64), second = take(arena, 65, 9, 1), third = take(arena, 1, 0, 0);

    cr_expect_eq(second.extent[ZONE_X].offset - first.extent[ZONE_X].offset, 32);
    cr_expect_eq(third.extent[ZONE_X].offset - second.extent[ZONE_X].offset, 80);
    cr_expect_eq(second.extent[ZONE_R].offset - first.extent[ZONE_R].offset, 8, "the second asks for 8");
    cr_expect_eq(second.extent[ZONE_R].bytes, 12);
    cr_expect_eq(second.extent[ZONE_D].offset - first.extent[ZONE_D].offset, 64);
    cr_expect_eq(third.extent[ZONE_R].bytes, 0);
    cr_expect_eq(arena_used(arena, ZONE_X), 128);
    cr_expect_eq(arena_used(arena, ZONE_R), 20 + 128 / GRANULE_BYTES * 4, "the granule map counts");
    arena_close(arena);
}

static uint32_t granule(const struct arena *arena, uint64_t offset)
{
    return load_le32(arena_bytes(arena, ZONE_R, offset / GRANULE_BYTES * 4));
}

Test(arena, a_freed_block_leaves_traps_and_no_granule_and_its_neighbours_alone)
{
    struct arena *arena = linker_fixture_arena();
    struct arena_block blocks[3];
    uint64_t digest = 0, at[3];

    for (int i = 0; i < 3; i++) {
        if (i == 2)
            digest = arena_digest(arena, ZONE_R);
        blocks[i] = take(arena, 20, 12, 0);
        at[i] = blocks[i].extent[ZONE_X].offset;
        memset(arena_bytes(arena, ZONE_X, at[i]), 0x90, 20);
        memset(arena_bytes(arena, ZONE_R, blocks[i].extent[ZONE_R].offset), 0x90, 12);
        arena_map_granules(arena, &blocks[i].extent[ZONE_X], blocks[i].extent[ZONE_R].offset);
    }
    arena_free(arena, &blocks[1]);
    for (uint64_t i = 0; i < 32; i++) {
        cr_expect_eq(*arena_bytes(arena, ZONE_X, at[1] + i), 0xcc);
        cr_expect_eq(*arena_bytes(arena, ZONE_X, at[0] + i), i < 20 ? 0x90 : 0xcc);
        cr_expect_eq(*arena_bytes(arena, ZONE_X, at[2] + i), i < 20 ? 0x90 : 0xcc);
    }
    for (uint64_t i = 0; i < 32; i += GRANULE_BYTES) {
        cr_expect_eq(granule(arena, at[0] + i), blocks[0].extent[ZONE_R].offset / 4);
        cr_expect_eq(granule(arena, at[1] + i), 0);
        cr_expect_eq(granule(arena, at[2] + i), blocks[2].extent[ZONE_R].offset / 4);
    }
    cr_expect_eq(granule(arena, at[2] + 32), 0);
    arena_free(arena, &blocks[2]);
    struct arena_block again = take(arena, 20, 12, 0);
    cr_expect_eq(again.extent[ZONE_X].offset, at[1]);
    memset(arena_bytes(arena, ZONE_R, again.extent[ZONE_R].offset), 0x90, 12);
    cr_expect_eq(arena_digest(arena, ZONE_R), digest);
    arena_close(arena);
    expect_no_leaks();
}

Test(arena, holds_traps_in_all_code_memory_that_is_handed_out)
{
    struct arena *arena = linker_fixture_arena();
    struct arena_block block = take(arena, 100000, 0, 0);
    const uint8_t *bytes = arena_bytes(arena, ZONE_X, block.extent[ZONE_X].offset);

    for (uint64_t i = 0; i < block.extent[ZONE_X].bytes; i++)
        cr_assert_eq(bytes[i], 0xcc);
    arena_close(arena);
}

Test(arena, a_freed_block_leaves_every_zone_as_it_was)
{
    struct arena *arena = linker_fixture_arena();
    struct arena_block kept = take(arena, 500, 500, 500);
    uint64_t used[ZONE_COUNT], digests[ZONE_COUNT];

    memset(arena_bytes(arena, ZONE_X, kept.extent[ZONE_X].offset), 0x90, 500);
    for (int z = 0; z < ZONE_COUNT; z++) {
        used[z] = arena_used(arena, (enum zone)z);
        digests[z] = arena_digest(arena, (enum zone)z);
    }
    const struct arena_need needs[ZONE_COUNT] = {
        [ZONE_X] = {300, 4096}, [ZONE_S] = {8, 8}, [ZONE_D] = {9, 256}, [ZONE_Z] = {5, 1}};
    struct arena_block block;
    struct error error;
    cr_assert_eq(arena_allocate(arena, needs, &block, &error), 0);
    cr_expect_eq(arena_address(arena, ZONE_X, block.extent[ZONE_X].offset) % 4096, 0);
    memset(arena_bytes(arena, ZONE_X, block.extent[ZONE_X].offset), 0x90, 300);
    memset(arena_bytes(arena, ZONE_D, block.extent[ZONE_D].offset), 1, 9);
    arena_free(arena, &block);
    for (int z = 0; z < ZONE_COUNT; z++) {
        cr_expect_eq(arena_used(arena, (enum zone)z), used[z], "zone %s", zone_names[z]);
        cr_expect_eq(arena_digest(arena, (enum zone)z), digests[z], "zone %s", zone_names[z]);
    }
    arena_close(arena);
    expect_no_leaks();
}

Test(arena, takes_all_zones_or_none)
{
    struct arena *arena = linker_fixture_arena();
    const struct arena_need needs[ZONE_COUNT] = {[ZONE_X] = {64, 1}, [ZONE_Z] = {ZONE_Z_BYTES, 1}};
    struct arena_block block;
    struct error error;

    cr_expect_eq(arena_allocate(arena, needs, &block, &error), ERROR_ARENA_FULL);
    cr_expect_not_null(strstr(error.text, "zone Z"));
    cr_expect_eq(arena_used(arena, ZONE_X), 0);
    arena_close(arena);
}

static int take_zeros(struct arena *arena, uint64_t bytes, struct error *error)
{
    const struct arena_need needs[ZONE_COUNT] = {[ZONE_Z] = {bytes, 1}};
    struct arena_block block;

    return arena_allocate(arena, needs, &block, error);
}

Test(arena, fills_a_zone_to_the_last_byte_and_says_how_large_it_would_have_to_be)
{
    struct arena *arena = linker_fixture_arena();
    struct error error;

    cr_expect_eq(take_zeros(arena, ZONE_Z_BYTES - ARENA_FIRST + 1, &error), ERROR_ARENA_FULL);
    cr_expect(strstr(error.text, "zone Z is full: 268435393 bytes wanted, 268435392 of 268435456 left"), "%s",
              error.text);
    cr_expect(strstr(error.text, "jitctl --arena Z=258M"), "%s", error.text);
    cr_expect_eq(take_zeros(arena, ZONE_Z_BYTES - ARENA_FIRST, &error), 0);
    cr_expect_eq(take_zeros(arena, 1, &error), ERROR_ARENA_FULL);
    cr_expect(strstr(error.text, "1 bytes wanted, 0 of 268435456 left"), "%s", error.text);
    arena_close(arena);
}

/* The other four have something in their first 2 MiB, R in its first 66. */
Test(arena, says_that_no_size_of_a_zone_would_do)
{
    struct arena *arena = linker_fixture_arena();
    struct error error;

    cr_expect_eq(take_zeros(arena, ARENA_BYTES - MIB(72) - ARENA_FIRST, &error), ERROR_ARENA_FULL);
    cr_expect(strstr(error.text, "jitctl --arena Z=952M"), "%s", error.text);
    cr_expect_eq(take_zeros(arena, ARENA_BYTES - MIB(72) - ARENA_FIRST + 1, &error), ERROR_ARENA_FULL);
    cr_expect(strstr(error.text, "no size of it would do") &&
                  strstr(error.text, "together 1024 MiB (see jitd --arena-max)"),
              "%s", error.text);
    cr_expect_null(strstr(error.text, "jitctl --arena"));
    cr_expect_eq(take_zeros(arena, UINT64_MAX, &error), ERROR_ARENA_FULL);
    cr_expect(strstr(error.text, "no size of it would do"), "%s", error.text);
    arena_close(arena);
}

Test(arena, has_zones_of_any_size)
{
    const struct zone_sizes sizes = {{MIB(512), MIB(2), MIB(130), MIB(2), MIB(2)}};
    struct arena *arena = linker_fixture_arena();
    enum zone zone;
    uint64_t offset;

    arena_place(arena, FIXTURE_BASE, &sizes);
    cr_expect_eq(arena_cie(arena), MIB(128) + 16, "the granule map is as large as X demands");
    for (int i = 0; i < 2; i++) {
        struct arena_block block = take(arena, MIB(255), MIB(1) - 64, 0);

        arena_map_granules(arena, &block.extent[ZONE_X], block.extent[ZONE_R].offset);
        cr_expect_geq(block.extent[ZONE_R].offset, MIB(128) + ARENA_FIRST);
        cr_expect_eq(granule(arena, block.extent[ZONE_X].offset + MIB(255) - 16), block.extent[ZONE_R].offset / 4);
    }
    cr_expect(arena_find(arena, FIXTURE_BASE + MIB(646), &zone, &offset) && zone == ZONE_Z && offset == 0);
    cr_expect(arena_find(arena, FIXTURE_BASE + MIB(646) - 1, &zone, &offset) && zone == ZONE_D);
    cr_expect_not(arena_find(arena, FIXTURE_BASE + MIB(648), &zone, &offset));
    cr_expect_eq(arena_zone_bytes(arena, ZONE_R), MIB(130));
    arena_close(arena);
    expect_no_leaks();
}

Test(arena, refuses_a_size_that_would_wrap_when_rounded)
{
    struct arena *arena = linker_fixture_arena();
    struct arena_block block;
    struct error error;

    for (uint64_t bytes = UINT64_MAX - 64; bytes != 0; bytes++) {
        const struct arena_need needs[ZONE_COUNT] = {[ZONE_D] = {bytes, 1}};
        cr_assert_eq(arena_allocate(arena, needs, &block, &error), ERROR_ARENA_FULL);
    }
    const struct arena_need fits[ZONE_COUNT] = {[ZONE_Z] = {ZONE_Z_BYTES - ARENA_FIRST, 1}};
    cr_expect_eq(arena_allocate(arena, fits, &block, &error), 0, "all of a zone can be used");
    arena_close(arena);
}

Test(arena, reuses_freed_blocks_and_never_hands_out_bytes_twice)
{
    static struct arena_block blocks[256];
    struct arena *arena = linker_fixture_arena();
    unsigned seed = 7;
    uint64_t most = 0;

    for (int round = 0; round < 20000; round++) {
        struct arena_block *block = &blocks[rand_r(&seed) % 256];

        if (block->extent[ZONE_X].bytes) {
            const uint8_t *bytes = arena_bytes(arena, ZONE_X, block->extent[ZONE_X].offset);
            for (uint64_t i = 0; i < block->extent[ZONE_X].bytes; i += GRANULE_BYTES)
                cr_assert_eq(bytes[i], (uint8_t)(block - blocks), "somebody else wrote here");
            arena_free(arena, block);
            *block = (struct arena_block){0};
            continue;
        }
        *block = take(arena, 1u + (unsigned)rand_r(&seed) % 2000, 0, 0);
        memset(arena_bytes(arena, ZONE_X, block->extent[ZONE_X].offset), (int)(block - blocks),
               block->extent[ZONE_X].bytes);
        most = arena_used(arena, ZONE_X) > most ? arena_used(arena, ZONE_X) : most;
    }
    cr_expect_lt(most, 256 * 2048 * 2, "freed memory was not reused");
    arena_close(arena);
    expect_no_leaks();
}

Test(arena, finds_the_zone_of_an_address)
{
    struct arena *arena = linker_fixture_arena();
    enum zone zone;
    uint64_t offset;

    cr_expect(arena_find(arena, FIXTURE_BASE + ZONE_D_OFFSET + 5, &zone, &offset) && zone == ZONE_D && offset == 5);
    cr_expect(arena_find(arena, FIXTURE_BASE + ARENA_BYTES - 1, &zone, &offset) && zone == ZONE_Z);
    cr_expect_not(arena_find(arena, FIXTURE_BASE + ARENA_BYTES, &zone, &offset));
    cr_expect_not(arena_find(arena, FIXTURE_BASE - 1, &zone, &offset));
    arena_close(arena);
}
