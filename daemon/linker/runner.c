#include "daemon/linker/runner.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/delay.h"
#include "common/descriptor.h"
#include "common/log.h"

/* Tasks not answered yet, oldest first: `sent` of them are in the shared ring. */
struct task_queue {
    struct task *tasks; /* owned ring; capacity is a power of two */
    uint32_t capacity;
    uint32_t first; /* of the oldest, modulo capacity */
    uint32_t count;
    uint32_t sent;
    uint32_t running;              /* of all of them, those that run the program's code */
    struct channel_queue *ring;    /* in the channel; NULL for that of... */
    struct channel_waiter *waiter; /* ...a thread that waits, which takes one request at a time */
    uint32_t head;                 /* ours: the shared word is only written */
    uint64_t number;               /* of the queue, in the high half of its requests' ids */
    uint64_t answered;             /* tasks ever, or lost with their life */
};

struct runner {
    struct channel *channel; /* owned mapping */
    bool live;
    uint32_t epoch;
    uint32_t replies_seen; /* head of the ring of replies, as it was last looked at */
    uint32_t replies_taken;
    struct task_queue queues[RUNNER_QUEUES];
};

int runner_open(int fd, struct runner **out, struct error *error)
{
    struct runner *runner = calloc(1, sizeof *runner);
    void *view = mmap(NULL, sizeof *runner->channel, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (!runner || view == MAP_FAILED) {
        error_system(error, "mapping the channel");
        descriptor_close(&fd);
        free(runner);
        return ERROR_SYSTEM;
    }
    descriptor_close(&fd);
    runner->channel = view;
    runner->queues[RUNNER_MAIN].ring = &runner->channel->main;
    runner->queues[RUNNER_AGENT].ring = &runner->channel->agent;
    for (uint32_t i = 0; i < CHANNEL_WAITERS; i++)
        runner->queues[RUNNER_WAITER + i].waiter = &runner->channel->waiters[i];
    for (uint64_t q = 0; q < RUNNER_QUEUES; q++)
        runner->queues[q].number = q << 32;
    *out = runner;
    return 0;
}

void runner_close(struct runner *runner)
{
    if (!runner)
        return;
    munmap(runner->channel, sizeof *runner->channel);
    for (int q = 0; q < RUNNER_QUEUES; q++)
        free(runner->queues[q].tasks);
    free(runner);
}

struct channel_startup *runner_startup(struct runner *runner)
{
    return &runner->channel->startup;
}

struct channel_call *runner_call(struct runner *runner)
{
    return &runner->channel->call;
}

bool runner_is_live(const struct runner *runner)
{
    return runner->live;
}

uint32_t runner_epoch(const struct runner *runner)
{
    return runner->epoch;
}

static void wake(_Atomic uint32_t *word, int sleepers)
{
    syscall(SYS_futex, word, FUTEX_WAKE, sleepers, NULL, NULL, 0);
}

static const struct task *task_at(const struct task_queue *queue, uint32_t position)
{
    return &queue->tasks[(queue->first + position) & (queue->capacity - 1)];
}

static struct channel_record request_of(const struct task_queue *queue, const struct task *task)
{
    return (struct channel_record){
        .kind = task->kind, .id = queue->number | queue->head, .a = task->a, .b = task->b, .c = task->c};
}

static void trace_request(const struct task_queue *queue, const struct task *task)
{
    log_trace(TRACE_CHANNEL, "-> request %u kind %u a 0x%llx b 0x%llx", queue->head, task->kind,
              (unsigned long long)task->a, (unsigned long long)task->b);
}

static void send_to_ring(struct task_queue *queue)
{
    uint32_t before = queue->head;

    while (queue->sent < queue->count && queue->sent < CHANNEL_QUEUE_RECORDS) {
        const struct task *task = task_at(queue, queue->sent);

        trace_request(queue, task);
        queue->ring->records[queue->head % CHANNEL_QUEUE_RECORDS] = request_of(queue, task);
        queue->head++;
        queue->sent++;
    }
    if (queue->head == before)
        return;
    atomic_store_explicit(&queue->ring->head, queue->head, memory_order_release);
    DELAY();
    wake(&queue->ring->head, 1);
}

static void send_to_waiter(struct task_queue *queue, const struct task *task)
{
    trace_request(queue, task);
    DELAY();
    queue->waiter->request = request_of(queue, task);
    queue->head++;
    atomic_store_explicit(&queue->waiter->head, queue->head, memory_order_release);
    DELAY();
    wake(&queue->waiter->head, 1);
}

/* Moves waiting tasks to the runner. What may be unanswered is bounded, so nothing the runner says about its own
   progress is needed to know that a record is free. */
static void send_waiting(struct task_queue *queue)
{
    if (queue->ring) {
        send_to_ring(queue);
        return;
    }
    if (queue->sent > 0 || queue->count == 0)
        return;
    send_to_waiter(queue, task_at(queue, 0));
    queue->sent++;
}

void runner_resume(struct runner *runner, uint32_t waiter, uint64_t address)
{
    const struct task task = {.kind = CHANNEL_RESUME, .a = address};

    send_to_waiter(&runner->queues[RUNNER_WAITER + waiter], &task);
}

bool runner_queue_is_empty(const struct runner *runner, enum runner_queue queue)
{
    return runner->queues[queue].count == 0;
}

static bool runs_program(uint32_t kind)
{
    return kind != CHANNEL_COPY_DATA && kind != CHANNEL_ZERO && kind != CHANNEL_FINALISERS;
}

bool runner_queue_may_wait(const struct runner *runner, enum runner_queue queue)
{
    return runner->queues[queue].running > 0;
}

void runner_set_writable(struct runner *runner, uint64_t data, uint64_t zeros)
{
    atomic_store(&runner->channel->writable[0], data);
    atomic_store(&runner->channel->writable[1], zeros);
}

void runner_begin(struct runner *runner, uint32_t epoch)
{
    struct channel *channel = runner->channel;

    runner->live = true;
    runner->epoch = epoch;
    runner->replies_seen = runner->replies_taken = 0;
    atomic_store(&channel->replies.head, 0);
    atomic_store(&channel->replies.tail, 0);
    atomic_store(&channel->crash.state, CRASH_NONE);
    atomic_store(&channel->crash.end, END_UNKNOWN);
    atomic_store(&channel->threads, 0);
    atomic_store(&channel->begun, 0);
    for (int q = 0; q < RUNNER_QUEUES; q++) {
        struct task_queue *queue = &runner->queues[q];

        queue->head = 0;
        queue->sent = 0;
        if (queue->waiter) {
            atomic_store(&queue->waiter->head, 0);
            atomic_store(&queue->waiter->taken, 0);
            continue;
        }
        atomic_store(&queue->ring->head, 0);
        atomic_store(&queue->ring->tail, 0);
        send_waiting(queue);
    }
    DELAY();
    atomic_store_explicit(&channel->epoch, epoch, memory_order_release);
    wake(&channel->epoch, INT_MAX);
}

static int make_room(struct task_queue *queue)
{
    uint32_t capacity = queue->capacity ? queue->capacity * 2 : 16;

    if (queue->count < queue->capacity)
        return 0;
    struct task *tasks = malloc(capacity * sizeof *tasks);
    if (!tasks)
        return ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < queue->count; i++)
        tasks[i] = *task_at(queue, i);
    free(queue->tasks);
    queue->tasks = tasks;
    queue->first = 0;
    queue->capacity = capacity;
    return 0;
}

int runner_send(struct runner *runner, enum runner_queue which, const struct task *task)
{
    struct task_queue *queue = &runner->queues[which];

    if (make_room(queue) != 0)
        return ERROR_NO_MEMORY;
    queue->tasks[(queue->first + queue->count) & (queue->capacity - 1)] = *task;
    queue->count++;
    queue->running += runs_program(task->kind);
    if (runner->live)
        send_waiting(queue);
    return 0;
}

static void drop_first(struct task_queue *queue)
{
    queue->running -= runs_program(task_at(queue, 0)->kind);
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    queue->sent--;
    queue->answered++;
}

/* A reply answers the oldest task of its queue: request numbers start again with each life. */
static struct task_queue *answered_queue(struct runner *runner, const struct channel_record *reply)
{
    uint64_t number = reply->id >> 32;
    struct task_queue *queue = number < RUNNER_QUEUES ? &runner->queues[number] : NULL;

    if (!queue || queue->sent == 0 || reply->id != (queue->number | (uint32_t)(queue->head - queue->sent)) ||
        reply->kind != task_at(queue, 0)->kind || reply->kind == CHANNEL_MAIN)
        return NULL;
    return queue;
}

int runner_look(struct runner *runner, struct error *error)
{
    uint32_t head = atomic_load_explicit(&runner->channel->replies.head, memory_order_acquire);
    uint32_t waiting = head - runner->replies_taken;

    if (!runner->live)
        return 0;
    if (waiting > CHANNEL_QUEUE_RECORDS)
        return error_set(error, ERROR_RUNNER_PROTOCOL, "the runner claims %u replies in a ring of %u", waiting,
                         CHANNEL_QUEUE_RECORDS);
    runner->replies_seen = head;
    return 0;
}

int runner_take_reply(struct runner *runner, struct task *task, struct channel_record *reply, bool *got,
                      struct error *error)
{
    struct channel_queue *ring = &runner->channel->replies;

    *got = false;
    if (!runner->live || runner->replies_taken == runner->replies_seen)
        return 0;
    DELAY();
    memcpy(reply, &ring->records[runner->replies_taken % CHANNEL_QUEUE_RECORDS], sizeof *reply);
    runner->replies_taken++;
    atomic_store_explicit(&ring->tail, runner->replies_taken, memory_order_release);
    if (reply->kind == CHANNEL_LAZY) {
        *task = (struct task){.kind = CHANNEL_LAZY};
        *got = true;
        return 0;
    }
    struct task_queue *queue = answered_queue(runner, reply);
    if (!queue)
        return error_set(error, ERROR_RUNNER_PROTOCOL,
                         "the runner answers request %llu of kind %u, which was not asked",
                         (unsigned long long)reply->id, reply->kind);
    *task = *task_at(queue, 0);
    drop_first(queue);
    send_waiting(queue);
    *got = true;
    log_trace(TRACE_CHANNEL, "<- reply %llu kind %u status %u", (unsigned long long)reply->id, reply->kind,
              reply->status);
    return 0;
}

/* By the runner's word: the oldest task of its queue, or none. */
static const struct task *named_task(const struct runner *runner, uint64_t request)
{
    uint64_t number = request >> 32;
    const struct task_queue *queue = number < RUNNER_QUEUES ? &runner->queues[number] : NULL;

    if (!queue || queue->sent == 0 || request != (queue->number | (uint32_t)(queue->head - queue->sent)))
        return NULL;
    return task_at(queue, 0);
}

/* What a waiting thread does, it does within what its own queue's task had called. */
static const struct task *innermost_task(const struct runner *runner)
{
    for (int i = 0; i < RUNNER_QUEUES; i++) {
        const struct task_queue *queue = &runner->queues[(i + RUNNER_WAITER) % RUNNER_QUEUES];

        if (queue->sent > 0)
            return task_at(queue, 0);
    }
    return NULL;
}

const struct task *runner_culprit(const struct runner *runner, bool *told)
{
    const struct channel_crash *crash = &runner->channel->crash;
    uint32_t end = atomic_load(&crash->end);

    *told = end == END_REQUEST || end == END_OTHER;
    if (!*told)
        return innermost_task(runner);
    return end == END_REQUEST ? named_task(runner, *(const volatile uint64_t *)&crash->request) : NULL;
}

bool runner_has_begun(const struct runner *runner)
{
    return atomic_load(&runner->channel->begun) != 0;
}

void runner_end(struct runner *runner)
{
    for (int q = 0; q < RUNNER_QUEUES; q++) {
        struct task_queue *queue = &runner->queues[q];

        queue->answered += queue->count;
        queue->count = queue->sent = queue->running = 0;
    }
    runner->live = false;
}

const struct task *runner_under_way(const struct runner *runner, enum runner_queue which)
{
    const struct task_queue *queue = &runner->queues[which];

    return queue->sent > 0 ? task_at(queue, 0) : NULL;
}

struct runner_moment runner_now(const struct runner *runner)
{
    struct runner_moment now;

    for (int q = 0; q < RUNNER_QUEUES; q++)
        now.asked[q] = runner->queues[q].answered + runner->queues[q].count;
    return now;
}

bool runner_is_past(const struct runner *runner, const struct runner_moment *moment)
{
    if (!runner->live)
        return true;
    for (int q = 0; q < RUNNER_QUEUES; q++)
        if (runner->queues[q].answered < moment->asked[q])
            return false;
    return atomic_load(&runner->channel->threads) == 0;
}

bool runner_read_crash(const struct runner *runner, struct channel_crash *out)
{
    memcpy(out, (const void *)&runner->channel->crash, sizeof *out);
    if (out->frame_count > LIMIT_BACKTRACE_FRAMES)
        out->frame_count = LIMIT_BACKTRACE_FRAMES;
    return out->state != CRASH_NONE;
}
