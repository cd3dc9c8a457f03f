/*
 * Stacks that are given back are kept for the threads to come, up to a number of them; keeping and taking are exchanges
 * of one word, so that a process that the program forks meets no lock that is held.
 *
 * None lies on the stack of its thread: all of that is the program's, who may have asked for as little as libc takes,
 * or have supplied it. A page below each catches a handler that needs too much.
 */
#include "daemon/runner/alternates.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/limits.h"

#define ALTERNATE_BYTES KIB(64)
#define GUARD_BYTES     KIB(4) /* a page, on x86-64 */
#define KEPT            256
#define WARM_PAGES      2 /* the signal frame and the unwinder */

static unsigned char *_Atomic alternates_kept[KEPT];

static unsigned char *alternate_map(void)
{
    unsigned char *memory =
        mmap(NULL, GUARD_BYTES + ALTERNATE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (mprotect(memory + GUARD_BYTES, ALTERNATE_BYTES, PROT_READ | PROT_WRITE) == 0)
        return memory + GUARD_BYTES;
    munmap(memory, GUARD_BYTES + ALTERNATE_BYTES);
    return NULL;
}

unsigned char *alternate_take(void)
{
    for (size_t i = 0; i < KEPT; i++) {
        if (atomic_load_explicit(&alternates_kept[i], memory_order_relaxed) == NULL)
            continue;
        unsigned char *kept = atomic_exchange_explicit(&alternates_kept[i], NULL, memory_order_acquire);
        if (kept != NULL)
            return kept;
    }
    return alternate_map();
}

void alternate_release(unsigned char *alternate)
{
    for (size_t i = 0; i < KEPT; i++) {
        unsigned char *none = NULL;
        if (atomic_load_explicit(&alternates_kept[i], memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong_explicit(&alternates_kept[i], &none, alternate, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    munmap(alternate - GUARD_BYTES, GUARD_BYTES + ALTERNATE_BYTES);
}

void alternate_use(unsigned char *alternate)
{
    sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = ALTERNATE_BYTES}, NULL);
}

void alternate_leave(void)
{
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

void alternate_warm(void)
{
    stack_t alternate;
    if (sigaltstack(NULL, &alternate) != 0 || (alternate.ss_flags & SS_DISABLE) != 0)
        return;
    volatile unsigned char *top = (unsigned char *)alternate.ss_sp + alternate.ss_size;
    for (size_t page = (size_t)getpagesize(), i = 1; i <= WARM_PAGES; i++)
        top[-(ptrdiff_t)(i * page)] = 0;
}
