/*
 * Futexes on words shared between processes (never FUTEX_PRIVATE: the linker is another process).
 */
#ifndef RUNNER_FUTEX_H
#define RUNNER_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word == value; may return early, so callers look again. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

/* As futex_wait, but not past `deadline` of CLOCK_MONOTONIC. */
static inline void futex_wait_until(_Atomic uint32_t *word, uint32_t value, const struct timespec *deadline)
{
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

static inline void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#endif
