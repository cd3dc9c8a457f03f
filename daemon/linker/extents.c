/*
 * Adelson-Velsky and Landis, 1962. The height stays below 1.45 log2(n + 2), which for all grains of the largest zone is
 * less than 40; so the recursion, which goes down one path, is bounded too.
 */
#include "daemon/linker/extents.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/error.h"

/* A stretch can be long enough and yet, aligned, too short. How many such are passed before one that cannot be. */
#define CANDIDATES 8

static uint32_t height(const struct extent *node)
{
    return node ? node->height : 0;
}

static uint64_t longest(const struct extent *node)
{
    return node ? node->longest : 0;
}

static void update(struct extent *node)
{
    uint32_t left = height(node->left), right = height(node->right);

    node->height = 1 + (left > right ? left : right);
    node->longest = max_u64(node->bytes, max_u64(longest(node->left), longest(node->right)));
}

static struct extent *rotate_left(struct extent *node)
{
    struct extent *top = node->right;

    node->right = top->left;
    top->left = node;
    update(node);
    update(top);
    return top;
}

static struct extent *rotate_right(struct extent *node)
{
    struct extent *top = node->left;

    node->left = top->right;
    top->right = node;
    update(node);
    update(top);
    return top;
}

/* The subtrees' heights differ by two at most. Returns the new top. */
static struct extent *balance(struct extent *node)
{
    if (height(node->left) > height(node->right) + 1) {
        if (height(node->left->right) > height(node->left->left))
            node->left = rotate_left(node->left);
        return rotate_right(node);
    }
    if (height(node->right) > height(node->left) + 1) {
        if (height(node->right->left) > height(node->right->right))
            node->right = rotate_right(node->right);
        return rotate_left(node);
    }
    update(node);
    return node;
}

static struct extent *attach(struct extent *node, struct extent *added)
{
    if (!node)
        return added;
    if (added->offset < node->offset)
        node->left = attach(node->left, added);
    else
        node->right = attach(node->right, added);
    return balance(node);
}

static struct extent *detach_lowest(struct extent *node, struct extent **lowest)
{
    if (!node->left) {
        *lowest = node;
        return node->right;
    }
    node->left = detach_lowest(node->left, lowest);
    return balance(node);
}

static struct extent *detach(struct extent *node, const struct extent *gone)
{
    if (gone->offset < node->offset) {
        node->left = detach(node->left, gone);
    } else if (gone->offset > node->offset) {
        node->right = detach(node->right, gone);
    } else {
        struct extent *heir;

        if (!node->right)
            return node->left;
        struct extent *right = detach_lowest(node->right, &heir);
        heir->left = node->left;
        heir->right = right;
        node = heir;
    }
    return balance(node);
}

/* The stretch has grown or shrunk without passing another: its ancestors learn of it. */
static void refresh(struct extent *node, const struct extent *changed)
{
    if (changed->offset < node->offset)
        refresh(node->left, changed);
    else if (changed->offset > node->offset)
        refresh(node->right, changed);
    update(node);
}

/* The lowest stretch at or above `from` of that length. Goes astray along one path at most, since `longest` tells
   beforehand whether a subtree that lies above `from` as a whole has one. */
static struct extent *find_lowest(struct extent *node, uint64_t from, uint64_t bytes)
{
    if (!node || node->longest < bytes)
        return NULL;
    if (node->offset >= from) {
        struct extent *found = find_lowest(node->left, from, bytes);

        if (found)
            return found;
        if (node->bytes >= bytes)
            return node;
    }
    return find_lowest(node->right, from, bytes);
}

static struct extent *find_before(const struct extents *extents, uint64_t offset)
{
    struct extent *found = NULL;

    for (struct extent *node = extents->root; node; node = node->offset < offset ? node->right : node->left)
        if (node->offset < offset)
            found = node;
    return found;
}

static void remove_node(struct extents *extents, struct extent *node)
{
    extents->root = detach(extents->root, node);
    free(node);
}

static struct extent *make_node(uint64_t offset, uint64_t bytes)
{
    struct extent *node = malloc(sizeof *node);

    if (node)
        *node = (struct extent){.offset = offset, .bytes = bytes, .longest = bytes, .height = 1};
    return node;
}

void extents_clear(struct extents *extents)
{
    while (extents->root)
        remove_node(extents, extents->root);
}

int extents_add(struct extents *extents, uint64_t offset, uint64_t bytes)
{
    struct extent *before = find_before(extents, offset), *after = find_lowest(extents->root, offset, 0);

    if (after && after->offset == offset + bytes) {
        bytes += after->bytes;
        if (before && before->offset + before->bytes == offset) {
            remove_node(extents, after);
        } else {
            after->offset = offset;
            after->bytes = bytes;
            refresh(extents->root, after);
            return 0;
        }
    }
    if (before && before->offset + before->bytes == offset) {
        before->bytes += bytes;
        refresh(extents->root, before);
        return 0;
    }
    struct extent *node = make_node(offset, bytes);
    if (!node)
        return ERROR_NO_MEMORY;
    extents->root = attach(extents->root, node);
    return 0;
}

/* How far into the stretch aligned room begins; UINT64_MAX where there is none. */
static uint64_t room_within(const struct extent *node, uint64_t bytes, uint64_t alignment)
{
    uint64_t skipped = align_up(node->offset, alignment) - node->offset;

    return skipped <= node->bytes && node->bytes - skipped >= bytes ? skipped : UINT64_MAX;
}

static struct extent *choose(const struct extents *extents, uint64_t bytes, uint64_t alignment)
{
    uint64_t from = 0;

    for (int i = 0; i < CANDIDATES; i++) {
        struct extent *node = find_lowest(extents->root, from, bytes);

        if (!node || room_within(node, bytes, alignment) != UINT64_MAX)
            return node;
        from = node->offset + 1;
    }
    return find_lowest(extents->root, from, bytes + (alignment - 1));
}

/* Takes `bytes` at `skipped` bytes into the stretch; what is before and behind stays free. */
static bool carve(struct extents *extents, struct extent *node, uint64_t skipped, uint64_t bytes)
{
    uint64_t end = node->offset + node->bytes, taken_end = node->offset + skipped + bytes;
    struct extent *rest = NULL;

    if (skipped == 0 && taken_end == end) {
        remove_node(extents, node);
        return true;
    }
    if (skipped > 0 && taken_end < end) {
        rest = make_node(taken_end, end - taken_end);
        if (!rest)
            return false;
    }
    if (skipped > 0) {
        node->bytes = skipped;
    } else {
        node->offset = taken_end;
        node->bytes = end - taken_end;
    }
    refresh(extents->root, node);
    if (rest)
        extents->root = attach(extents->root, rest);
    return true;
}

bool extents_take(struct extents *extents, uint64_t bytes, uint64_t alignment, uint64_t *offset)
{
    struct extent *node = extents->root ? choose(extents, bytes, alignment) : NULL;

    if (!node)
        return false;
    uint64_t skipped = room_within(node, bytes, alignment), at = node->offset + skipped;
    if (!carve(extents, node, skipped, bytes))
        return false;
    *offset = at;
    return true;
}

bool extents_take_last(struct extents *extents, uint64_t end, uint64_t *offset)
{
    struct extent *last = find_before(extents, end);

    if (!last || last->offset + last->bytes != end)
        return false;
    *offset = last->offset;
    remove_node(extents, last);
    return true;
}
