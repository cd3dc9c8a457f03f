/*
 * Parts are claimed by counting up. A thread that wakes when all have been claimed finds the run closed and goes back
 * to sleep: the caller waits for those that are inside, not for those that were called, since on a busy machine a
 * sleeper may take longer to come than its work is worth.
 */
#include "daemon/linker/workers.h"

#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/bytes.h"

/* Half of this many symbols are done by another thread in about 0.3 ms; one that sleeps is there after 0.05 to 0.15. */
#define SYMBOLS_THAT_PAY 16384

#define STACK_BYTES    MIB(1) /* mostly never touched; ThreadSanitizer has use for 0.9 MiB */
#define GUARD_BYTES    KIB(4)
#define SCRATCH_BUDGET MIB(512)

struct run {
    workers_function *function;
    void *data;
    uint32_t count;
    _Atomic uint32_t next; /* the first part that nobody has claimed */
};

struct worker {
    struct workers *workers;
    struct pool scratch;
    pthread_t thread;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t begun, left;
    struct run *run; /* that may be entered; NULL where there is none. Guarded by the lock, as are the next three */
    uint64_t runs;
    unsigned inside; /* threads in it beside the caller's */
    bool closing;
    unsigned reserved, started; /* stacks; threads */
    bool refused;               /* a thread could not be started: not tried again */
    uint8_t *stacks;            /* owned; a guard below each */
    struct pool scratch;
    struct worker worker[WORKERS_MOST];
};

static int reserve_stacks(struct workers *workers, struct error *error)
{
    const size_t each = GUARD_BYTES + STACK_BYTES;
    void *stacks =
        mmap(NULL, workers->reserved * each, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (stacks == MAP_FAILED)
        return error_system(error, "reserving stacks for %u threads", workers->reserved);
    workers->stacks = stacks;
    for (unsigned i = 0; i < workers->reserved; i++)
        if (mprotect(workers->stacks + i * each + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) != 0)
            return error_system(error, "reserving a thread's stack");
    return 0;
}

int workers_open(unsigned count, struct workers **out, struct error *error)
{
    struct workers *workers = NULL;
    int code = 0;

    assert(count <= WORKERS_MOST);
    *out = NULL;
    if (count == 0)
        return 0;
    workers = calloc(1, sizeof *workers);
    if (!workers)
        return error_set(error, ERROR_NO_MEMORY, "no memory for threads");
    /* A heap of a thread's own would grow by mprotect, which the filter refuses. */
    mallopt(M_ARENA_MAX, 1);
    workers->reserved = count;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->begun, NULL);
    pthread_cond_init(&workers->left, NULL);
    pool_init(&workers->scratch, SCRATCH_BUDGET);
    code = reserve_stacks(workers, error);
    if (code)
        workers_close(workers);
    else
        *out = workers;
    return code;
}

void workers_close(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    pthread_cond_broadcast(&workers->begun);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->started; i++) {
        pthread_join(workers->worker[i].thread, NULL);
        pool_fini(&workers->worker[i].scratch);
    }
    if (workers->stacks)
        munmap(workers->stacks, workers->reserved * (GUARD_BYTES + STACK_BYTES));
    pool_fini(&workers->scratch);
    pthread_cond_destroy(&workers->begun);
    pthread_cond_destroy(&workers->left);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

bool workers_pay(const struct workers *workers, uint64_t symbols)
{
    return workers && symbols >= SYMBOLS_THAT_PAY;
}

static void work(struct run *run, struct pool *scratch)
{
    for (;;) {
        uint32_t index = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed);

        if (index >= run->count)
            return;
        run->function(run->data, index, scratch);
    }
}

static void *thread_body(void *argument)
{
    struct worker *worker = argument;
    struct workers *workers = worker->workers;
    uint64_t seen = 0;

    pthread_mutex_lock(&workers->lock);
    while (!workers->closing) {
        struct run *run = workers->run;

        if (!run || workers->runs == seen) {
            pthread_cond_wait(&workers->begun, &workers->lock);
            continue;
        }
        seen = workers->runs;
        workers->inside++;
        pthread_mutex_unlock(&workers->lock);
        work(run, &worker->scratch);
        pthread_mutex_lock(&workers->lock);
        if (--workers->inside == 0)
            pthread_cond_signal(&workers->left);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static bool start_thread(struct workers *workers, unsigned index)
{
    struct worker *worker = &workers->worker[index];
    pthread_attr_t attributes;

    worker->workers = workers;
    pool_init(&worker->scratch, SCRATCH_BUDGET);
    pthread_attr_init(&attributes);
    int code = pthread_attr_setstack(&attributes, workers->stacks + index * (GUARD_BYTES + STACK_BYTES) + GUARD_BYTES,
                                     STACK_BYTES);
    if (!code)
        code = pthread_create(&worker->thread, &attributes, thread_body, worker);
    pthread_attr_destroy(&attributes);
    return code == 0;
}

static void start_threads(struct workers *workers)
{
    while (workers->started < workers->reserved && !workers->refused) {
        workers->refused = !start_thread(workers, workers->started);
        workers->started += !workers->refused;
    }
}

void workers_run(struct workers *workers, uint32_t count, workers_function *function, void *data)
{
    struct run run = {.function = function, .data = data, .count = count};

    start_threads(workers);
    pthread_mutex_lock(&workers->lock);
    workers->run = &run;
    workers->runs++;
    pthread_cond_broadcast(&workers->begun);
    pthread_mutex_unlock(&workers->lock);
    work(&run, &workers->scratch);
    pthread_mutex_lock(&workers->lock);
    workers->run = NULL;
    while (workers->inside > 0)
        pthread_cond_wait(&workers->left, &workers->lock);
    pthread_mutex_unlock(&workers->lock);
}
