/*
 * A futex that nobody wakes is what every process's filter lets it sleep on.
 */
#include "common/delay.h"

#ifdef JITD_DELAYS

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAUSES_ONCE_IN 6
#define LONGEST_NS     1000000

static _Atomic uint64_t delay_threads;
static _Thread_local uint64_t delay_state; /* 0: this thread has not been here */

static uint64_t delay_seed(void)
{
    const char *text = getenv("JITD_DELAYS");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    return (seed ^ (uint64_t)getpid() << 32) + 2 * atomic_fetch_add(&delay_threads, 1) + 1;
}

/* SplitMix64, as in tests/stress/random.h. */
static uint64_t delay_draw(uint64_t below)
{
    uint64_t x = delay_state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) % below;
}

void delay_at_random(void)
{
    int error = errno;
    uint32_t word = 0;
    if (delay_state == 0)
        delay_state = delay_seed();
    if (delay_draw(PAUSES_ONCE_IN) == 0) {
        /* Short ones let another thread by, long ones a whole exchange. */
        const struct timespec time = {.tv_nsec = (long)delay_draw(delay_draw(4) == 0 ? LONGEST_NS : LONGEST_NS / 50)};
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0);
    }
    errno = error;
}

#endif
