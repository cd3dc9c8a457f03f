#include "tests/model/shrink.h"

#include <stdlib.h>
#include <string.h>

struct shrinking {
    struct operation *operations; /* borrowed; the smallest that differ */
    size_t count;
    struct operation *candidate; /* owned */
    char *text;                  /* borrowed; of the smallest */
    unsigned sessions;           /* that may still be tried */
};

/* Whether the candidate differs too: then it takes the place of what it was made of. */
static bool try_candidate(struct shrinking *shrinking, size_t count)
{
    char text[DRIVE_TEXT_BYTES];

    if (shrinking->sessions == 0)
        return false;
    shrinking->sessions--;
    if (drive_run(shrinking->candidate, count, DRIVE_PATIENCE_AGAIN, text))
        return false;
    memcpy(shrinking->operations, shrinking->candidate, count * sizeof *shrinking->operations);
    shrinking->count = count;
    memcpy(shrinking->text, text, sizeof text);
    return true;
}

static bool try_without(struct shrinking *shrinking, size_t from, size_t count)
{
    size_t behind = from + count;

    memcpy(shrinking->candidate, shrinking->operations, from * sizeof *shrinking->operations);
    memcpy(shrinking->candidate + from, shrinking->operations + behind,
           (shrinking->count - behind) * sizeof *shrinking->operations);
    return try_candidate(shrinking, shrinking->count - count);
}

/* From the end on, where most of what does not matter stands; by ever smaller pieces (Zeller's delta debugging, without
   its search for complements). */
static bool remove_operations(struct shrinking *shrinking)
{
    size_t before = shrinking->count;

    for (size_t piece = shrinking->count / 2 ? shrinking->count / 2 : 1; piece > 0; piece /= 2)
        for (size_t end = shrinking->count; end >= piece; end = end > shrinking->count ? shrinking->count : end) {
            try_without(shrinking, end - piece, piece);
            end -= piece;
        }
    return shrinking->count < before;
}

static bool simplify_operation(struct shrinking *shrinking, size_t index)
{
    bool changed = false;

    for (size_t step = 0;; step++) {
        struct operation simpler = shrinking->operations[index];

        if (!operation_simplify(&simpler, step))
            return changed;
        if (memcmp(&simpler, &shrinking->operations[index], sizeof simpler) == 0)
            continue;
        memcpy(shrinking->candidate, shrinking->operations, shrinking->count * sizeof *shrinking->operations);
        shrinking->candidate[index] = simpler;
        changed |= try_candidate(shrinking, shrinking->count);
    }
}

size_t shrink(struct operation *operations, size_t count, char text[DRIVE_TEXT_BYTES], unsigned sessions)
{
    struct shrinking shrinking = {.operations = operations,
                                  .count = count,
                                  .candidate = calloc(count, sizeof *operations),
                                  .text = text,
                                  .sessions = sessions};
    bool changed = shrinking.candidate != NULL;

    while (changed && shrinking.sessions > 0) {
        changed = remove_operations(&shrinking);
        for (size_t i = 0; i < shrinking.count; i++)
            changed |= simplify_operation(&shrinking, i);
    }
    free(shrinking.candidate);
    return shrinking.count;
}
