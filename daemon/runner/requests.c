/*
 * The request queues, the waiters and the reply ring of the channel.
 *
 * Each queue and each waiter has one server at a time; the reply ring has all of them as writers and a lock. Replies
 * are announced with one write to FD_WAKE when there is nothing left to do, or before a call that may take long: waking
 * the linker costs far more than a record. The linker's fields are trusted, but a mistake in them is answered, not
 * followed.
 */
#include "daemon/runner/requests.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/delay.h"
#include "daemon/runner/actions.h"
#include "daemon/runner/boundary.h"
#include "daemon/runner/call.h"
#include "daemon/runner/crash_handler.h"
#include "daemon/runner/finalisers.h"
#include "daemon/runner/futex.h"

#define COMPARE_BYTES   4096
#define PAGE_BYTES      4096
#define GIVE_BACK_BYTES KIB(64) /* from here on clearing costs more than faults on what is touched again */

/* Itanium C++ ABI 3.3.6.3; no header declares it. */
void __cxa_finalize(void *handle);

typedef void initialiser_function(int argc, char **argv, char **envp);
typedef int main_function(int argc, char **argv, char **envp);

/* What is performing a request needs to know. */
struct server {
    const struct runner *runner;
    bool is_main;
    bool unannounced; /* replies were put since the linker was last woken */
    uint64_t failed;  /* the publication whose actions have failed last; 0: none */
};

static pthread_mutex_t reply_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local const struct channel_record *requests_current;

static void server_announce(struct server *server)
{
    static const uint64_t one = 1;
    if (!server->unannounced)
        return;
    server->unannounced = false;
    /* The counter of an eventfd cannot reach its end by ones, so the write neither blocks nor fails. */
    DELAY();
    ssize_t written = write(FD_WAKE, &one, sizeof one);
    (void)written;
}

/* The linker has at most both queues' worth of requests under way, which is more than the ring holds. */
static void reply_wait_for_room(struct server *server, const struct channel_queue *replies, uint32_t head)
{
    while (head - atomic_load_explicit(&replies->tail, memory_order_acquire) >= CHANNEL_QUEUE_RECORDS) {
        server_announce(server);
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

/* A signal handler may call what is not there, and then wants the lock itself: none may run while it is held. */
static void server_reply(struct server *server, const struct channel_record *reply)
{
    struct channel_queue *replies = &server->runner->channel->replies;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_mutex_lock(&reply_lock);
    uint32_t head = atomic_load_explicit(&replies->head, memory_order_relaxed);
    reply_wait_for_room(server, replies, head);
    replies->records[head % CHANNEL_QUEUE_RECORDS] = *reply;
    DELAY();
    atomic_store_explicit(&replies->head, head + 1, memory_order_release);
    server->unannounced = true;
    pthread_mutex_unlock(&reply_lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Address `address` of `count` elements in zone R, or NULL where they do not lie in it. */
static const void *array_in_r(const struct runner *runner, uint64_t address, uint64_t count, size_t size)
{
    const struct arena *arena = &runner->arena;
    uint64_t offset = address - arena_zone(arena, ZONE_R);
    if (count > arena->sizes.bytes[ZONE_R] / size || offset % sizeof(void *) != 0 ||
        !arena_has(arena, ZONE_R, offset, count * size))
        return NULL;
    return (const void *)(uintptr_t)address;
}

static const void *pointer_array(const struct runner *runner, uint64_t address, uint64_t count)
{
    return array_in_r(runner, address, count, sizeof(void *));
}

/* Whether the request is of a publication whose actions have failed. */
static bool server_has_failed(const struct server *server, const struct channel_record *request)
{
    return request->c != 0 && request->c == server->failed;
}

/* What follows in the request's publication is passed over. */
static int server_fail(struct server *server, const struct channel_record *request, int code)
{
    server->failed = request->c;
    return code;
}

/* Pages that are equal stay shared with the image: it is only those the runner has written that do not follow it. */
static int perform_copy_data(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    (void)reply;
    const struct arena *arena = &server->runner->arena;
    uint64_t offset = request->a, end = offset + request->b;
    if (!arena_has(arena, ZONE_D, offset, request->b))
        return ERROR_INVALID;
    if (arena_let_write(arena, ZONE_D, end) != 0)
        return server_fail(server, request, ERROR_NO_MEMORY);
    while (offset < end) {
        size_t piece = min_u64(end - offset, COMPARE_BYTES - offset % COMPARE_BYTES);
        unsigned char *data = (unsigned char *)(arena_zone(arena, ZONE_D) + offset);
        if (memcmp(data, arena->data_image + offset, piece) != 0)
            memcpy(data, arena->data_image + offset, piece);
        offset += piece;
    }
    return 0;
}

static int perform_initialise(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    (void)reply;
    const struct startup *startup = &server->runner->startup;
    initialiser_function *const *array = pointer_array(server->runner, request->a, request->b);
    if (array == NULL)
        return ERROR_INVALID;
    if (server_has_failed(server, request))
        return 0;
    for (uint64_t i = 0; i < request->b; i++)
        array[i](startup->argument_count, startup->arguments, environ);
    return 0;
}

static int perform_finalisers(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    (void)reply;
    finaliser_function *const *array = pointer_array(server->runner, request->a, request->b);
    if (array == NULL)
        return ERROR_INVALID;
    return server_has_failed(server, request) ? 0 : finalisers_add(array, request->b);
}

static int perform_finalise(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    (void)reply;
    finaliser_function *const *array = pointer_array(server->runner, request->a, request->b);
    if (array == NULL)
        return ERROR_INVALID;
    finalisers_run_now(array);
    return 0;
}

/* The object's handle is an address of its own, so that libc knows its destructors from all others. */
static int perform_finalise_object(struct server *server, const struct channel_record *request,
                                   struct channel_record *reply)
{
    (void)reply;
    if (request->a == 0)
        return ERROR_INVALID; /* would mean every object's */
    if (request->c == 0 || server_has_failed(server, request))
        __cxa_finalize((void *)(uintptr_t)request->a);
    return 0;
}

/* Whole pages of anonymous memory become zeros by being given back, and nobody pays for those that are not used again.
 */
static void clear(uintptr_t from, uintptr_t to)
{
    uintptr_t first = align_up(from, PAGE_BYTES), last = to & ~(uintptr_t)(PAGE_BYTES - 1);
    if (to - from < GIVE_BACK_BYTES || madvise((void *)first, last - first, MADV_DONTNEED) != 0) {
        memset((void *)from, 0, to - from);
        return;
    }
    memset((void *)from, 0, first - from);
    memset((void *)last, 0, to - last);
}

/* What no life could write yet is zero. */
static int perform_zero(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    (void)reply;
    const struct arena *arena = &server->runner->arena;
    uint64_t end = request->a + request->b, written = min_u64(arena_writable(ZONE_Z), end);
    if (!arena_has(arena, ZONE_Z, request->a, request->b))
        return ERROR_INVALID;
    if (arena_let_write(arena, ZONE_Z, end) != 0)
        return server_fail(server, request, ERROR_NO_MEMORY);
    uintptr_t zeros = arena_zone(arena, ZONE_Z);
    if (written > request->a)
        clear(zeros + request->a, zeros + written);
    return 0;
}

static int perform_main(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    (void)reply;
    const struct startup *startup = &server->runner->startup;
    if (!server->is_main)
        return ERROR_INVALID;
    server_announce(server);
    main_function *function = (main_function *)(uintptr_t)request->a;
    exit(function(startup->argument_count, startup->arguments, environ));
}

static int perform_call(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    server_announce(server);
    return call_invoke(request->a, request->b, request->c, &server->runner->channel->call, &reply->a);
}

static const struct channel_action *action_array(const struct server *server, const struct channel_record *request)
{
    return array_in_r(server->runner, request->a, request->b, sizeof(struct channel_action));
}

/* Nothing may run on in a life that could not be made what the former one was. */
static int perform_actions(struct server *server, const struct channel_record *request, struct channel_record *reply)
{
    const struct channel_action *array = action_array(server, request);
    if (array == NULL)
        return ERROR_INVALID;
    if (server_has_failed(server, request))
        return 0;
    reply->status = (uint32_t)actions_publish(array, request->b, request->c, reply);
    if (reply->status == 0 && reply->a == 0)
        return 0;
    server->failed = request->c;
    if (request->c != 0)
        return (int)reply->status;
    server_reply(server, reply);
    server_announce(server);
    crash_handler_die(SIGABRT);
}

static int perform_undo_actions(struct server *server, const struct channel_record *request,
                                struct channel_record *reply)
{
    const struct channel_action *array = action_array(server, request);
    if (array == NULL)
        return ERROR_INVALID;
    actions_undo(array, reply);
    return 0;
}

typedef int perform_function(struct server *server, const struct channel_record *request, struct channel_record *reply);

static perform_function *const performers[] = {
    [CHANNEL_COPY_DATA] = perform_copy_data,
    [CHANNEL_INITIALISE] = perform_initialise,
    [CHANNEL_FINALISERS] = perform_finalisers,
    [CHANNEL_MAIN] = perform_main,
    [CHANNEL_CALL] = perform_call,
    [CHANNEL_FINALISE] = perform_finalise,
    [CHANNEL_FINALISE_OBJECT] = perform_finalise_object,
    [CHANNEL_ZERO] = perform_zero,
    [CHANNEL_ACTIONS] = perform_actions,
    [CHANNEL_UNDO_ACTIONS] = perform_undo_actions,
};

const struct channel_record *requests_under_way(void)
{
    return requests_current;
}

/* Nobody but the controller waits for calls. */
bool requests_are_performed(void)
{
    const struct channel_record *current = requests_current;
    return current != NULL && current->kind != CHANNEL_CALL && current->kind != CHANNEL_MAIN;
}

static void server_perform(struct server *server, const struct channel_record *request)
{
    struct channel_record reply = {.kind = request->kind, .id = request->id, .status = ERROR_INVALID};
    const struct channel_record *outer = requests_current;
    requests_current = request;
    if (request->kind < ARRAY_LENGTH(performers) && performers[request->kind] != NULL)
        reply.status = (uint32_t)performers[request->kind](server, request, &reply);
    requests_current = outer;
    server_reply(server, &reply);
}

_Noreturn void requests_serve(const struct runner *runner, struct channel_queue *queue)
{
    struct server server = {.runner = runner, .is_main = queue == &runner->channel->main};
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    boundary_set((uintptr_t)__builtin_frame_address(0));
    for (;;) {
        uint32_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
        if (head == tail) {
            server_announce(&server);
            DELAY();
            futex_wait(&queue->head, head);
            continue;
        }
        struct channel_record request = queue->records[tail % CHANNEL_QUEUE_RECORDS];
        atomic_store_explicit(&queue->tail, ++tail, memory_order_release);
        DELAY();
        server_perform(&server, &request);
    }
}

uint64_t requests_serve_waiter(const struct runner *runner, uint32_t number, uint64_t slot)
{
    struct channel_waiter *waiter = &runner->channel->waiters[number];
    struct server server = {.runner = runner};
    uint32_t head = atomic_load_explicit(&waiter->head, memory_order_acquire);
    server_reply(&server, &(struct channel_record){.kind = CHANNEL_LAZY, .id = number, .a = slot});
    for (;; head++) {
        server_announce(&server);
        DELAY();
        while (atomic_load_explicit(&waiter->head, memory_order_acquire) == head)
            futex_wait(&waiter->head, head);
        struct channel_record request = waiter->request;
        DELAY();
        if (request.kind == CHANNEL_RESUME)
            return request.a;
        server_perform(&server, &request);
    }
}

void requests_give_up(const struct runner *runner, uint64_t slot)
{
    struct server server = {.runner = runner};
    server_reply(&server, &(struct channel_record){.kind = CHANNEL_LAZY, .id = CHANNEL_WAITERS, .a = slot});
    server_announce(&server);
}
