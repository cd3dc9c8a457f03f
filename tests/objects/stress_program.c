/*
 * Submitted by tests/stress: threads that call functions which are brought, exchanged and taken away meanwhile, and
 * look at what each call returns: 7 n more than the function's number and version, the number in the high half.
 */
#include <pthread.h>
#include <stddef.h>
#include <time.h>

#define LAZIES      16
#define SWITCHES    4
#define THREADS     40
#define BODY_NUMBER 100 /* of switch_0 itself */
#define ALT_NUMBER  200 /* of alt_000, to which any switch may lead */
#define ALTS        4

#define EACH_LAZY(apply)                                                                                               \
    apply(00) apply(01) apply(02) apply(03) apply(04) apply(05) apply(06) apply(07) apply(08) apply(09) apply(10)      \
        apply(11) apply(12) apply(13) apply(14) apply(15)
#define EACH_SWITCH(apply) apply(0) apply(1) apply(2) apply(3)

typedef long function(long n);

#define DECLARE_LAZY(number) long lazy_##number(long n);
#define DEFINE_SWITCH(number)                                                                                          \
    long switch_##number(long n)                                                                                       \
    {                                                                                                                  \
        return ((BODY_NUMBER + number##L) << 32) + 7 * n;                                                              \
    }
#define NAME_LAZY(number)   lazy_##number,
#define NAME_SWITCH(number) switch_##number,

EACH_LAZY(DECLARE_LAZY)
EACH_SWITCH(DEFINE_SWITCH)

static function *const lazies[LAZIES] = {EACH_LAZY(NAME_LAZY)};
static function *const switches[SWITCHES] = {EACH_SWITCH(NAME_SWITCH)};

struct caller {
    pthread_t thread;
    unsigned long random;
    long steps;
    long crash_at;         /* a step; -1: none */
    long versions[LAZIES]; /* that were seen last; what goes never comes back */
    long wrong;            /* the first result that should not be; 0: none */
};

/* Steele, Lea and Flood's SplitMix64. */
static unsigned long draw(unsigned long *state, unsigned long below)
{
    unsigned long x = *state += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) % below;
}

static void call_lazy(struct caller *caller, unsigned long i, long n)
{
    long seen = lazies[i](n) - 7 * n, version = seen & 0xffffffff;

    if (seen >> 32 != (long)i || version < caller->versions[i])
        caller->wrong = seen;
    caller->versions[i] = version;
}

static void call_switch(struct caller *caller, unsigned long i, long n)
{
    long seen = switches[i](n) - 7 * n, number = seen >> 32;

    if (number != BODY_NUMBER + (long)i && (number < ALT_NUMBER || number >= ALT_NUMBER + ALTS))
        caller->wrong = seen;
}

static void step(struct caller *caller)
{
    long n = (long)draw(&caller->random, 1000);

    switch (draw(&caller->random, 8)) {
    case 0:
        nanosleep(&(struct timespec){.tv_nsec = (long)draw(&caller->random, 300000)}, NULL);
        break;
    case 1:
    case 2:
        call_switch(caller, draw(&caller->random, SWITCHES), n);
        break;
    default:
        call_lazy(caller, draw(&caller->random, LAZIES), n);
    }
}

static void *run(void *argument)
{
    struct caller *caller = argument;

    for (long i = 0; i < caller->steps && !caller->wrong; i++) {
        if (i == caller->crash_at)
            *(volatile int *)16 = 0;
        step(caller);
    }
    return NULL;
}

/* The first wrong result, or 0. With `crash` one of the threads crashes on its way. */
long drive(long seed, long thread_count, long crash)
{
    static struct caller callers[THREADS + 1];
    unsigned long random = (unsigned long)seed;
    long wrong = 0;

    for (long i = 0; i <= thread_count; i++)
        callers[i] = (struct caller){.random = (unsigned long)seed * 1000 + (unsigned long)i,
                                     .steps = 20 + (long)draw(&random, 100),
                                     .crash_at = crash && i == thread_count / 2 ? 10 : -1};
    for (long i = 0; i < thread_count; i++)
        if (pthread_create(&callers[i].thread, NULL, run, &callers[i]) != 0)
            return -1;
    run(&callers[thread_count]);
    for (long i = 0; i < thread_count; i++)
        pthread_join(callers[i].thread, NULL);
    for (long i = 0; i <= thread_count && !wrong; i++)
        wrong = callers[i].wrong;
    return wrong;
}
