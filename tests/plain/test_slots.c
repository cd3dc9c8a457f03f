/*
 * A slot is stored while threads call through it: whoever sees the new address sees all that was written before, as
 * code and data are before a function is offered. The load stands for the jump, which the sanitizer does not see.
 */
#include <criterion/criterion.h>
#include <pthread.h>

#include "daemon/linker/trampoline.h"
#include "tests/unit/linker_fixture.h"

#define THREADS 4
#define STORES  20000

static struct callee {
    unsigned version; /* written before the slot is, and never after */
} callees[STORES];

static void *call_until_the_last(void *argument)
{
    const uint64_t *slot = argument;
    unsigned seen = 0;

    while (seen < STORES - 1) {
        const struct callee *callee = (const void *)(uintptr_t)__atomic_load_n(slot, __ATOMIC_ACQUIRE);

        cr_assert(callee->version >= seen);
        seen = callee->version;
    }
    return NULL;
}

Test(slots, lead_to_what_was_written_before)
{
    struct linker linker = {.arena = linker_fixture_arena()};
    struct trampoline trampoline = {.kind = TRAMPOLINE_REDIRECTABLE};
    struct unit unit = {.trampolines = &trampoline, .trampoline_count = 1};
    pthread_t threads[THREADS];
    void *slot = arena_bytes(linker.arena, ZONE_S, 0);

    trampoline.unit = &unit;
    trampoline.body = (uintptr_t)&callees[0];
    trampoline_lead(&linker, &trampoline);
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_until_the_last, slot), 0);
    for (unsigned i = 1; i < STORES; i++) {
        callees[i].version = i;
        trampoline.body = (uintptr_t)&callees[i];
        trampoline_lead(&linker, &trampoline);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    arena_close(linker.arena);
}
