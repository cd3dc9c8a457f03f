/*
 * Free stretches of a zone, in address order, neighbours always merged: a balanced tree (AVL) in which each node knows
 * the longest stretch below it. Every operation takes O(log n) steps for n stretches, whatever a controller adds and
 * removes, and what is given out depends on which stretches are free alone, not on how they came to be.
 */
#ifndef LINKER_EXTENTS_H
#define LINKER_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

struct extent {
    struct extent *left, *right; /* owned */
    uint64_t offset;
    uint64_t bytes;
    uint64_t longest; /* of the stretches of this subtree */
    uint32_t height;  /* of this subtree; 1 for a leaf */
};

/* All zero: no stretch is free. */
struct extents {
    struct extent *root; /* owned */
};

void extents_clear(struct extents *extents);

/* Adds a stretch that overlaps none. ERROR_NO_MEMORY: nothing has changed; cannot happen where it touches another. */
int extents_add(struct extents *extents, uint64_t offset, uint64_t bytes);

/* Takes `bytes` (not 0) at a multiple of `alignment` (a power of two). Nearly first fit: the first of the lowest eight
   stretches of that length in which alignment leaves room, else the lowest that has room however it is aligned. False
   where none is found or memory for what remains of it is missing. */
bool extents_take(struct extents *extents, uint64_t bytes, uint64_t alignment, uint64_t *offset);

/* Where the last stretch ends at `end`: takes it all and gives its beginning. */
bool extents_take_last(struct extents *extents, uint64_t end, uint64_t *offset);

#endif
