/*
 * From linked to ready, and the lives of the runner.
 *
 * A component whose bytes are in place needs the runner only where it has data to bring in or initialisers to run: then
 * it is a publication until all its tasks have been answered. When a life of the runner ends, the task it was busy with
 * tells whose fault that was; in the next life the initialisers of everything that is ready run again first, in publish
 * order, then publications start over, then calls go on.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/log.h"
#include "daemon/linker/session.h"

#define LOG_TAG "publish"

/* A unit whose initialiser ends the runner's life this often is given up. */
#define INITIALISER_CHANCES 2

struct publication {
    struct publication *next;
    struct unit *root;
    struct task *tasks; /* owned; in the order in which the runner carries them out */
    uint32_t task_count;
    uint32_t outstanding; /* tasks not answered; 0: not sent */
};

static void end_without_memory(struct session *session)
{
    struct error error;

    error_set(&error, ERROR_NO_MEMORY, "no memory for the runner's tasks");
    session_end(session, &error);
}

/* The main thread is in a call, or in an initialiser that has called a function which is not there: what must happen
   meanwhile is done by a thread that waits, or by the agent. */
static enum runner_queue next_queue(const struct session *session)
{
    if (session->waiter_count)
        return RUNNER_WAITER + session->waiters[session->waiter_count - 1];
    return session->calling ? RUNNER_AGENT : RUNNER_MAIN;
}

void publish_send_task(struct session *session, const struct task *task)
{
    enum runner_queue queue = next_queue(session);

    /* Finalisers come after the initialisers that run again. */
    if (session->replaying && task->purpose == TASK_REMOVE)
        queue = session->calling ? RUNNER_AGENT : RUNNER_MAIN;
    if (runner_send(session->runner, queue, task) != 0)
        end_without_memory(session);
}

struct ordered_array {
    const struct call_array *array;
    struct unit *unit;
    uint32_t position;
};

static int compare_arrays(const void *left, const void *right)
{
    const struct ordered_array *a = left, *b = right;

    if (a->array->priority != b->array->priority)
        return a->array->priority < b->array->priority ? -1 : 1;
    if (a->unit->id != b->unit->id)
        return a->unit->id < b->unit->id ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

/* Initialisers and finalisers of all the component's units, by priority, then in the units' order (gABI,
   "Initialization and Termination Functions"): finalisers are remembered in the order in which initialisers run, and
   run backwards. */
static uint32_t order_arrays(const struct publication *publication, struct ordered_array *arrays)
{
    uint32_t count = 0;

    for (struct unit *unit = publication->root; unit; unit = graph_next_member(unit))
        for (uint32_t i = 0; i < unit->array_count; i++, count++)
            if (arrays)
                arrays[count] = (struct ordered_array){&unit->arrays[i], unit, count};
    if (arrays)
        qsort(arrays, count, sizeof *arrays, compare_arrays);
    return count;
}

static void add_array_tasks(struct publication *publication, const struct ordered_array *arrays, uint32_t count,
                            bool finalisers)
{
    for (uint32_t i = 0; i < count; i++)
        if (arrays[i].array->finalisers == finalisers)
            publication->tasks[publication->task_count++] =
                (struct task){.purpose = TASK_PUBLISH,
                              .kind = finalisers ? CHANNEL_FINALISERS : CHANNEL_INITIALISE,
                              .unit = arrays[i].unit,
                              .publication = publication,
                              .a = arrays[i].array->address,
                              .b = arrays[i].array->count};
}

static void add_memory_task(struct publication *publication, struct unit *unit, uint32_t kind, uint64_t offset,
                            uint64_t bytes)
{
    publication->tasks[publication->task_count++] = (struct task){
        .purpose = TASK_PUBLISH, .kind = kind, .unit = unit, .publication = publication, .a = offset, .b = bytes};
}

/* Data of all units first, which any of the initialisers may use. */
static int plan(struct publication *publication)
{
    uint32_t arrays = order_arrays(publication, NULL), units = 0;
    struct ordered_array *ordered = calloc(arrays + 1u, sizeof *ordered);

    for (struct unit *unit = publication->root; unit; unit = graph_next_member(unit))
        units++;
    publication->tasks = calloc(arrays + 2 * units, sizeof *publication->tasks);
    if (!ordered || !publication->tasks) {
        free(ordered);
        return ERROR_NO_MEMORY;
    }
    for (struct unit *unit = publication->root; unit; unit = graph_next_member(unit)) {
        const struct arena_extent *zeros = &unit->block.extent[ZONE_Z];

        if (unit->pending->data_bytes)
            add_memory_task(publication, unit, CHANNEL_COPY_DATA, unit->pending->data_offset,
                            unit->pending->data_bytes);
        if (unit->pending->stale_zeros)
            add_memory_task(publication, unit, CHANNEL_ZERO, zeros->offset, zeros->bytes);
    }
    order_arrays(publication, ordered);
    add_array_tasks(publication, ordered, arrays, true);
    add_array_tasks(publication, ordered, arrays, false);
    free(ordered);
    return 0;
}

static void send_publication(struct session *session, struct publication *publication)
{
    publication->outstanding = publication->task_count;
    for (uint32_t i = 0; i < publication->task_count; i++)
        publish_send_task(session, &publication->tasks[i]);
}

/* Sends what has not been sent. Where functions are lazy an initialiser may wait for any of it, and what stands behind
   that initialiser in its queue would wait for ever: it is kept until the queue is free, or until the initialiser says
   that it waits and another queue is there. */
static void send_publications(struct session *session)
{
    while (session->unsent && runner_is_live(session->runner)) {
        if (session->linker.lazies.count && runner_queue_may_wait(session->runner, next_queue(session)))
            return;
        send_publication(session, session->unsent);
        session->unsent = session->unsent->next;
    }
}

static bool needs_runner(const struct unit *root)
{
    for (const struct unit *unit = root; unit; unit = graph_next_member(unit))
        if (unit->pending->data_bytes || unit->pending->stale_zeros || unit->array_count)
            return true;
    return false;
}

void publish_component(struct session *session, struct unit *root)
{
    struct publication *publication;

    if (!needs_runner(root)) {
        link_ready(&session->linker, root);
        return;
    }
    publication = calloc(1, sizeof *publication);
    if (publication)
        publication->root = root;
    if (!publication || plan(publication) != 0) {
        free(publication);
        end_without_memory(session);
        return;
    }
    if (session->publication_last)
        session->publication_last->next = publication;
    else
        session->publications = publication;
    session->publication_last = publication;
    if (!session->unsent)
        session->unsent = publication;
    send_publications(session);
}

/* Mostly the oldest: the runner answers in order. */
static void remove_publication(struct session *session, struct publication *publication)
{
    struct publication **link = &session->publications, *previous = NULL;

    while (*link != publication) {
        previous = *link;
        link = &previous->next;
    }
    *link = publication->next;
    if (session->unsent == publication)
        session->unsent = publication->next;
    if (session->publication_last == publication)
        session->publication_last = previous;
    free(publication->tasks);
    free(publication);
}

/* What every new life must do again, in the order in which it was first done. */
static int remember(struct session *session, const struct publication *publication)
{
    for (uint32_t i = 0; i < publication->task_count; i++) {
        if (publication->tasks[i].kind == CHANNEL_COPY_DATA || publication->tasks[i].kind == CHANNEL_ZERO)
            continue; /* a new process sees the pristine data */
        if (session->replay_count == session->replay_capacity) {
            uint32_t capacity = session->replay_capacity ? session->replay_capacity * 2 : 64;
            struct task *replay = realloc(session->replay, capacity * sizeof *replay);

            if (!replay)
                return ERROR_NO_MEMORY;
            session->replay = replay;
            session->replay_capacity = capacity;
        }
        struct task *task = &session->replay[session->replay_count++];
        *task = publication->tasks[i];
        task->purpose = TASK_REPLAY;
        task->publication = NULL;
    }
    return 0;
}

void publish_forget_gone(struct session *session, struct removal *removal,
                         void (*finalise)(struct session *session, struct removal *removal, const struct task *array))
{
    uint32_t kept = 0;

    for (uint32_t i = session->replay_count; i-- > 0 && finalise;)
        if (session->replay[i].unit->state == UNIT_REMOVED && session->replay[i].kind == CHANNEL_FINALISERS)
            finalise(session, removal, &session->replay[i]);
    for (uint32_t i = 0; i < session->replay_count; i++)
        if (session->replay[i].unit->state == UNIT_READY)
            session->replay[kept++] = session->replay[i];
    session->replay_count = kept;
}

static void replay_answered(struct session *session)
{
    if (--session->replaying > 0)
        return;
    remove_replayed(session);
    call_next(session);
}

static void publication_answered(struct session *session, const struct task *task)
{
    struct publication *publication = task->publication;
    struct unit *root;

    if (--publication->outstanding > 0)
        return;
    root = publication->root;
    if (remember(session, publication) != 0) {
        end_without_memory(session);
        return;
    }
    remove_publication(session, publication);
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        unit->state = UNIT_INITIALISED;
    link_ready(&session->linker, root);
}

void publish_drain(struct session *session)
{
    for (;;) {
        struct channel_record reply;
        struct task task;
        struct error error;
        bool got;

        if (runner_take_reply(session->runner, &task, &reply, &got, &error) != 0) {
            session_end(session, &error);
            return;
        }
        if (!got)
            return;
        remove_reclaim(session);
        if (task.kind == CHANNEL_LAZY) {
            if (materialize_called(session, &reply) != 0)
                return;
        } else if (task.purpose == TASK_CALL)
            call_replied(session, &task, &reply);
        else if (task.purpose == TASK_REMOVE)
            remove_task_answered(session, task.removal);
        else if (task.purpose == TASK_REPLAY)
            replay_answered(session);
        else
            publication_answered(session, &task);
        materialize_resume(session);
        send_publications(session);
    }
}

/* ---- lives of the runner ---- */

static void give_up(struct session *session, struct unit *unit, int status)
{
    struct error error;

    if (WIFSIGNALED(status))
        error_set(&error, ERROR_INITIALISER_FAILED, "%s: its initialiser was killed by signal %d (%s), %d times",
                  unit->name, WTERMSIG(status), strsignal(WTERMSIG(status)), INITIALISER_CHANCES);
    else
        error_set(&error, ERROR_INITIALISER_FAILED, "%s: its initialiser ended the program with status %d, %d times",
                  unit->name, WEXITSTATUS(status), INITIALISER_CHANCES);
    link_fail(&session->linker, unit, &error);
}

static void forget_failed_publications(struct session *session)
{
    for (struct publication *publication = session->publications, *next; publication; publication = next) {
        next = publication->next;
        if (publication->root->state == UNIT_FAILED)
            remove_publication(session, publication);
    }
}

static struct unit *finalising(const struct session *session)
{
    for (int queue = 0; queue < RUNNER_QUEUES; queue++) {
        const struct task *task = runner_under_way(session->runner, (enum runner_queue)queue);

        if (task && task->purpose == TASK_REMOVE)
            return task->unit;
    }
    return NULL;
}

static void runner_ended(struct session *session, const struct lifecycle *message)
{
    Jitd__Proto__Ended ended = JITD__PROTO__ENDED__INIT;
    Jitd__Proto__RunnerEnded event = JITD__PROTO__RUNNER_ENDED__INIT;
    struct unit *initialising = NULL;
    struct task task;

    publish_drain(session);
    if (!runner_is_live(session->runner))
        return;
    struct crash_suspects suspects = {.finalising = finalising(session)};
    bool busy = runner_end(session->runner, &task);
    if (busy && task.kind == CHANNEL_INITIALISE)
        suspects.initialising = initialising = task.unit;
    pool_reset(&session->encode);
    crash_describe(session, message->value, &suspects, &session->encode, &ended);
    event_flush(session);
    if (session->calling)
        call_ended(session, &ended);
    event.ended = &ended;
    event.next_epoch = ended.epoch + 1;
    session_send(session, MESSAGE_RUNNER_ENDED, 0, &event.base);
    if (initialising && initialising->state != UNIT_REMOVED &&
        ++initialising->initialiser_failures >= INITIALISER_CHANCES)
        give_up(session, initialising, message->value);
    publish_forget_gone(session, NULL, NULL);
    forget_failed_publications(session);
    session->unsent = session->publications;
    materialize_runner_ended(session);
    session->replaying = 0;
    remove_runner_ended(session);
}

/* Everything that the former life knew and the new one does not. */
static void runner_started(struct session *session, uint32_t epoch)
{
    for (uint32_t i = 0; i < session->replay_count; i++) {
        if (session->replay[i].unit->state != UNIT_READY)
            continue;
        session->replaying++;
        publish_send_task(session, &session->replay[i]);
    }
    runner_begin(session->runner, epoch);
    send_publications(session);
    call_next(session);
}

/* Code that ends its own life again and again is heard of each time: with a controller that does not read, that would
   be output without end. */
void publish_resume(struct session *session)
{
    uint32_t epoch = session->next_epoch;

    if (epoch == 0 || !session_is_read(session))
        return;
    session->next_epoch = 0;
    runner_started(session, epoch);
}

void publish_lifecycle(struct session *session, const struct lifecycle *message)
{
    struct error error;

    switch (message->kind) {
    case LIFECYCLE_TEMPLATE_READY:
        hello_template_ready(session, message);
        break;
    case LIFECYCLE_RUNNER_STARTED:
        session->next_epoch = message->epoch; /* begun at the end of the turn */
        break;
    case LIFECYCLE_RUNNER_ENDED:
        runner_ended(session, message);
        break;
    default:
        error_set(&error, ERROR_SETUP, "the runner could not be set up: %.*s%s%s", (int)sizeof message->stage,
                  message->stage, message->value ? ": " : "", message->value ? strerror(message->value) : "");
        if (session->state == SESSION_STARTING)
            hello_refused(session, &error);
        session_end(session, &error);
    }
}

void publish_close(struct session *session)
{
    while (session->publications)
        remove_publication(session, session->publications);
    free(session->replay);
}
