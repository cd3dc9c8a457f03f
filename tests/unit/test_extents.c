/*
 * linker/extents against a map of bits, one for each grain.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/extents.h"
#include "tests/lib/leaks.h"

#define GRAINS 2048
#define GRAIN  16ull

struct model {
    struct extents extents;
    bool is_free[GRAINS + 1];
};

/* Returns the height and checks order, balance, merging and what is known of subtrees. */
static uint32_t check_subtree(const struct extent *node, uint64_t low, uint64_t high)
{
    if (!node)
        return 0;
    uint64_t end = node->offset + node->bytes, longest = node->bytes;
    cr_assert(node->offset >= low && end <= high && node->bytes > 0, "%#lx out of order", (long)node->offset);
    uint32_t left = check_subtree(node->left, low, node->offset - 1), right = check_subtree(node->right, end + 1, high);
    cr_assert(left <= right + 1 && right <= left + 1, "out of balance");
    longest = max_u64(longest, node->left ? node->left->longest : 0);
    longest = max_u64(longest, node->right ? node->right->longest : 0);
    cr_assert(node->longest == longest && node->height == 1 + (left > right ? left : right));
    return node->height;
}

static uint64_t count_stretches(const struct extent *node)
{
    return node ? 1 + count_stretches(node->left) + count_stretches(node->right) : 0;
}

static void check(const struct model *model)
{
    uint64_t stretches = 0;
    check_subtree(model->extents.root, 0, GRAINS * GRAIN);
    for (size_t i = 0; i < GRAINS; i++)
        stretches += model->is_free[i] && (i == 0 || !model->is_free[i - 1]);
    cr_assert_eq(count_stretches(model->extents.root), stretches);
}

static void give(struct model *model, uint64_t offset, uint64_t bytes)
{
    cr_assert_eq(extents_add(&model->extents, offset, bytes), 0);
    for (uint64_t i = offset / GRAIN; i < (offset + bytes) / GRAIN; i++) {
        cr_assert(!model->is_free[i]);
        model->is_free[i] = true;
    }
}

static bool is_free(const struct model *model, uint64_t offset, uint64_t bytes)
{
    for (uint64_t i = offset / GRAIN; i < (offset + bytes) / GRAIN; i++)
        if (!model->is_free[i])
            return false;
    return offset + bytes <= GRAINS * GRAIN;
}

static bool take(struct model *model, uint64_t bytes, uint64_t alignment, uint64_t *offset)
{
    if (!extents_take(&model->extents, bytes, alignment, offset))
        return false;
    cr_assert(*offset % alignment == 0 && is_free(model, *offset, bytes), "%#lx is not free", (long)*offset);
    memset(model->is_free + *offset / GRAIN, 0, bytes / GRAIN);
    return true;
}

/* Where first fit would be; UINT64_MAX for nowhere. */
static uint64_t first_fit(const struct model *model, uint64_t bytes, uint64_t alignment)
{
    for (uint64_t at = 0; at < GRAINS * GRAIN; at += alignment)
        if (is_free(model, at, bytes))
            return at;
    return UINT64_MAX;
}

Test(extents, is_first_fit_where_alignment_does_not_matter)
{
    static struct model model;
    static uint64_t taken[GRAINS], lengths[GRAINS];
    unsigned seed = 11, count = 0;

    give(&model, 0, GRAINS * GRAIN);
    for (int round = 0; round < 20000; round++) {
        if (count > 0 && rand_r(&seed) % 2) {
            unsigned i = (unsigned)rand_r(&seed) % count;
            give(&model, taken[i], lengths[i]);
            taken[i] = taken[--count];
            lengths[i] = lengths[count];
        } else {
            uint64_t bytes = GRAIN * (1 + (unsigned)rand_r(&seed) % 24), at;
            uint64_t expected = first_fit(&model, bytes, GRAIN);
            bool found = take(&model, bytes, GRAIN, &at);
            cr_assert_eq(found, expected != UINT64_MAX);
            cr_assert(!found || at == expected, "%#lx instead of %#lx", (long)at, (long)expected);
            if (found)
                taken[count] = at, lengths[count++] = bytes;
        }
        if (round % 64 == 0)
            check(&model);
    }
    extents_clear(&model.extents);
    expect_no_leaks();
}

Test(extents, aligned_room_is_found_behind_stretches_that_alignment_spoils)
{
    static struct model model;
    uint64_t at;

    /* Many stretches of 64 bytes that begin off a multiple of 64, then one that does not, then a longer one. */
    for (uint64_t i = 0; i < 5; i++)
        give(&model, 128 * i + GRAIN, 64);
    give(&model, 128 * 5, 64);
    cr_assert(take(&model, 64, 64, &at));
    cr_expect_eq(at, 128 * 5);
    for (uint64_t i = 6; i < 12; i++)
        give(&model, 128 * i + GRAIN, 64);
    cr_expect_not(take(&model, 64, 64, &at));
    give(&model, 128 * 13 + GRAIN, 128);
    cr_assert(take(&model, 64, 64, &at));
    cr_expect_eq(at, 128 * 13 + 64);
    check(&model);
    cr_expect(model.is_free[(128 * 13 + GRAIN) / GRAIN] && model.is_free[(128 * 14) / GRAIN], "the rest stays free");
    extents_clear(&model.extents);
}

Test(extents, the_last_is_taken_only_where_it_ends)
{
    static struct model model;
    uint64_t at = 5;

    cr_expect_not(extents_take_last(&model.extents, 64, &at));
    give(&model, 0, 32);
    give(&model, 64, 32);
    cr_expect_not(extents_take_last(&model.extents, 112, &at));
    cr_expect_eq(at, 5);
    cr_expect(extents_take_last(&model.extents, 96, &at) && at == 64);
    give(&model, 32, 32);
    cr_expect(extents_take_last(&model.extents, 64, &at) && at == 0, "neighbours are one");
    cr_expect_null(model.extents.root);
    expect_no_leaks();
}

Test(extents, heights_stay_logarithmic)
{
    struct extents extents = {0};

    for (uint64_t i = 0; i < 100000; i++)
        cr_assert_eq(extents_add(&extents, 32 * i, 16), 0);
    cr_expect_leq(check_subtree(extents.root, 0, UINT64_MAX), 24, "1.45 log2(100,002)");
    extents_clear(&extents);
}
