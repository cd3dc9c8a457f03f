/*
 * Exports pthread_create and thrd_create, so that each thread of the program begins in thread_entry. Threads that libc
 * makes for itself, and those of clone, do not: they have no alternate stack and do not count.
 *
 * A thread ends in a destructor of thread-specific data, the first key's in the last round of those, however it ends:
 * by then the program's own destructors, which are its code as well, have run.
 *
 * Nothing here calls malloc or free on the new thread: the first such call of a thread makes it an arena of its own, at
 * several system calls, which a thread that never allocates should not pay for.
 */
#include "daemon/runner/threads.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <threads.h>

#include "common/delay.h"
#include "daemon/runner/alternates.h"
#include "daemon/runner/boundary.h"
#include "daemon/runner/entry.h"
#include "daemon/runner/futex.h"
#include "daemon/runner/stage.h"

#define STARTS 64 /* threads between pthread_create and their first step, before malloc must help */

typedef int create_function(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                            void *argument);

/* What a thread runs: one of the two. */
struct thread_work {
    void *(*function)(void *);
    thrd_start_t function11; /* of thrd_create (C11 7.26.5.1) */
    void *argument;
};

/* What a new thread copies before anything else. */
struct thread_start {
    struct thread_work work;
    unsigned char *alternate; /* owned until the thread has begun */
    bool counted;             /* it is the program's */
    _Atomic bool *taken;      /* of its slot; NULL: it came from malloc */
};

/* A thread's own, until it ends. */
struct thread_own {
    unsigned char *alternate; /* owned */
    bool counted;
    unsigned rounds; /* of destructors that have begun */
};

static struct thread_start thread_starts[STARTS];
static _Atomic bool thread_starts_taken[STARTS];
static pthread_key_t thread_key;
static _Thread_local struct thread_own thread_own;
static _Atomic uint32_t thread_count_at_first;
static _Atomic uint32_t *thread_count = &thread_count_at_first; /* of the program's threads, the main one not among
                                                                   them; futex */

void threads_count_in(_Atomic uint32_t *count)
{
    thread_count = count;
}

static struct thread_start *start_allocate(void)
{
    for (size_t i = 0; i < STARTS; i++) {
        if (atomic_exchange_explicit(&thread_starts_taken[i], true, memory_order_acquire))
            continue;
        thread_starts[i].taken = &thread_starts_taken[i];
        return &thread_starts[i];
    }
    return calloc(1, sizeof(struct thread_start));
}

static void start_free(struct thread_start *start)
{
    if (start->taken != NULL)
        atomic_store_explicit(start->taken, false, memory_order_release);
    else
        free(start);
}

static create_function *threads_next(void)
{
    static create_function *_Atomic next;
    create_function *function = atomic_load_explicit(&next, memory_order_relaxed);
    if (function == NULL) {
        function = (create_function *)dlsym(RTLD_NEXT, "pthread_create");
        atomic_store_explicit(&next, function, memory_order_relaxed);
    }
    return function;
}

static void thread_count_out(bool counted)
{
    DELAY();
    if (counted && atomic_fetch_sub(thread_count, 1) == 1)
        futex_wake(thread_count);
}

ENTERED static void thread_end(void *argument)
{
    struct thread_own *own = argument;
    if (++own->rounds < PTHREAD_DESTRUCTOR_ITERATIONS && pthread_setspecific(thread_key, own) == 0)
        return;
    alternate_leave();
    alternate_release(own->alternate);
    thread_count_out(own->counted);
}

static void thread_begin(const struct thread_start *start)
{
    thread_own = (struct thread_own){.alternate = start->alternate, .counted = start->counted};
    alternate_use(start->alternate);
    pthread_setspecific(thread_key, &thread_own); /* of the first keys, for which libc needs no memory */
}

/* Its frame is all that is the runner's on the stack of a thread. */
ENTERED static void *thread_entry(void *argument)
{
    struct thread_start *start = argument;
    struct thread_work work = start->work;
    thread_begin(start);
    start_free(start);
    DELAY();
    boundary_set((uintptr_t)__builtin_frame_address(0));
    if (work.function11 != NULL)
        return (void *)(intptr_t)work.function11(work.argument);
    return work.function(work.argument);
}

static int thread_create(pthread_t *thread, const pthread_attr_t *attributes, const struct thread_work *work,
                         bool counted)
{
    struct thread_start *start = start_allocate();
    if (start == NULL)
        return EAGAIN;
    start->work = *work;
    start->counted = counted;
    start->alternate = alternate_take();
    if (counted)
        atomic_fetch_add(thread_count, 1);
    int code = start->alternate == NULL ? EAGAIN : threads_next()(thread, attributes, thread_entry, start);
    if (code == 0)
        return 0;
    thread_count_out(counted);
    if (start->alternate != NULL)
        alternate_release(start->alternate);
    start_free(start);
    return code;
}

EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                          void *(*function)(void *), void *restrict argument)
{
    return thread_create(thread, attributes, &(struct thread_work){.function = function, .argument = argument}, true);
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    int code = thread_create(thread, NULL, &(struct thread_work){.function11 = function, .argument = argument}, true);
    if (code == 0)
        return thrd_success;
    return code == ENOMEM ? thrd_nomem : thrd_error; /* as libc has it */
}

int threads_create_agent(void *(*function)(void *), void *argument)
{
    pthread_t agent;
    int code = thread_create(&agent, NULL, &(struct thread_work){.function = function, .argument = argument}, false);
    return code != 0 ? code : pthread_detach(agent);
}

_Noreturn void threads_exit_after_others(void)
{
    for (uint32_t count; (count = atomic_load(thread_count)) != 0;)
        futex_wait(thread_count, count);
    exit(0);
}

int threads_open(struct error *error)
{
    unsigned char *alternate = alternate_take();
    if (alternate == NULL)
        return stage_failed(error, "make the alternate stack");
    alternate_use(alternate);
    errno = pthread_key_create(&thread_key, thread_end);
    if (errno != 0)
        return stage_failed(error, "make the key of threads");
    threads_next();
    return 0;
}
