/*
 * Exports pthread_create, so that each thread of the program begins in thread_entry.
 *
 * A thread's alternate signal stack lies at the top of its own stack: it needs no mapping, ends with the thread, and is
 * far from the end that overflows. Threads with a stack too small for that go without; so do those made by thrd_create
 * or clone, which libc does not send through here.
 *
 * Nothing here calls malloc or free on the new thread: the first such call of a thread makes it an arena of its own, at
 * several system calls, which a thread that never allocates should not pay for.
 */
#include "daemon/runner/threads.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/delay.h"
#include "daemon/runner/boundary.h"
#include "daemon/runner/futex.h"
#include "daemon/runner/stage.h"
#include "proto/limits.h"

#define EXPORT                __attribute__((visibility("default")))
#define ALTERNATE_STACK_BYTES KIB(64)
#define SMALL_STACK_BYTES     KIB(256)
#define WARM_PAGES            2  /* of the alternate stack: the signal frame and the unwinder */
#define STARTS                64 /* threads between pthread_create and their first step, before malloc must help */

typedef int create_function(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                            void *argument);

/* What a new thread copies before anything else. */
struct thread_start {
    void *(*function)(void *);
    void *argument;
    bool counted;        /* it is the program's */
    bool alternate;      /* its stack has room for an alternate one */
    _Atomic bool *taken; /* of its slot; NULL: it came from malloc */
};

static struct thread_start thread_starts[STARTS];
static _Atomic bool thread_starts_taken[STARTS];
static size_t thread_default_stack;
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

static void thread_ended(void *start)
{
    DELAY();
    if (((struct thread_start *)start)->counted && atomic_fetch_sub(thread_count, 1) == 1)
        futex_wake(thread_count);
}

static void *thread_entry(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    start_free(argument);
    DELAY();
    void *result = NULL;
    unsigned char alternate[ALTERNATE_STACK_BYTES];
    if (start.alternate)
        sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL);
    boundary_set((uintptr_t)__builtin_frame_address(0));
    pthread_cleanup_push(thread_ended, &start);
    result = start.function(start.argument);
    pthread_cleanup_pop(1);
    return result;
}

static bool has_room_for_alternate(const pthread_attr_t *attributes)
{
    size_t bytes = thread_default_stack;
    if (attributes != NULL && pthread_attr_getstacksize(attributes, &bytes) != 0)
        return false;
    return bytes >= SMALL_STACK_BYTES;
}

static int thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *argument,
                         bool counted)
{
    struct thread_start *start = start_allocate();
    if (start == NULL)
        return EAGAIN;
    start->function = function;
    start->argument = argument;
    start->counted = counted;
    start->alternate = has_room_for_alternate(attributes);
    if (counted)
        atomic_fetch_add(thread_count, 1);
    int code = threads_next()(thread, attributes, thread_entry, start);
    if (code != 0) {
        thread_ended(start);
        start_free(start);
    }
    return code;
}

EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                          void *(*function)(void *), void *restrict argument)
{
    return thread_create(thread, attributes, function, argument, true);
}

int threads_create_agent(void *(*function)(void *), void *argument)
{
    pthread_t agent;
    int code = thread_create(&agent, NULL, function, argument, false);
    return code != 0 ? code : pthread_detach(agent);
}

_Noreturn void threads_exit_after_others(void)
{
    for (uint32_t count; (count = atomic_load(thread_count)) != 0;)
        futex_wait(thread_count, count);
    exit(0);
}

void threads_warm_alternate(void)
{
    stack_t alternate;
    if (sigaltstack(NULL, &alternate) != 0 || (alternate.ss_flags & SS_DISABLE) != 0)
        return;
    volatile unsigned char *top = (unsigned char *)alternate.ss_sp + alternate.ss_size;
    for (size_t page = (size_t)getpagesize(), i = 1; i <= WARM_PAGES; i++)
        top[-(ptrdiff_t)(i * page)] = 0;
}

int threads_open(struct error *error)
{
    size_t page = (size_t)getpagesize();
    unsigned char *alternate =
        mmap(NULL, page + ALTERNATE_STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (alternate == MAP_FAILED || mprotect(alternate + page, ALTERNATE_STACK_BYTES, PROT_READ | PROT_WRITE) != 0 ||
        sigaltstack(&(stack_t){.ss_sp = alternate + page, .ss_size = ALTERNATE_STACK_BYTES}, NULL) != 0)
        return stage_failed(error, "make the alternate stack");

    pthread_attr_t attributes;
    if (pthread_getattr_default_np(&attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &thread_default_stack);
        pthread_attr_destroy(&attributes);
    }
    threads_next();
    return 0;
}
