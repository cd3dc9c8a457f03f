/*
 * From linked to ready.
 *
 * A component whose bytes are in place needs the runner only where it has data to bring in, actions to make or
 * initialisers to run: then it is a publication until all its tasks have been answered. They are all sent at once;
 * where an action fails the runner itself takes back what was done and passes over what follows. When a life of the
 * runner ends (life.c), actions and initialisers of everything that is ready run again first in the next one, in
 * publish order, then publications start over.
 *
 * A publication with a deadline is not sent while code of the program is ahead of it in its queue. So when its time is
 * up, either the runner has not been asked for it, and it fails as any unit that waits does, or what has not returned
 * is its own: that can be had back only by ending the life.
 */
#include <stdlib.h>

#include "common/bytes.h"
#include "daemon/linker/publication.h"
#include "daemon/linker/session.h"

/* How many threads that wait may be in initialisers that nobody is known to wait for. A controller may wait for any
   unit before it answers; but each of these may come to wait, too, and waiters must be left for what is needed. */
#define INITIALISERS_BESIDE 16

static void end_without_memory(struct session *session)
{
    struct error error;

    error_set(&error, ERROR_NO_MEMORY, "no memory for the runner's tasks");
    session_end(session, &error);
}

static bool is_busy(const struct session *session, enum runner_queue queue)
{
    return runner_queue_may_wait(session->runner, queue);
}

/* The main thread may be in a call, or wait in an initialiser: what must happen meanwhile is done by the agent, or by a
   thread of the program that waits. Never by one that waits in an initialiser: what began on top of that could come to
   wait for it. */
enum runner_queue publish_queue(const struct session *session)
{
    for (uint32_t i = session->waiter_count; i-- > 0;) {
        uint32_t waiter = session->waiters[i];

        if (waiter < CHANNEL_NESTED && !is_busy(session, RUNNER_WAITER + waiter))
            return RUNNER_WAITER + waiter;
    }
    return session->calling || call_is_held(session) || (session->waiter_count && is_busy(session, RUNNER_MAIN))
               ? RUNNER_AGENT
               : RUNNER_MAIN;
}

void publish_send_task(struct session *session, enum runner_queue queue, const struct task *task)
{
    if (runner_send(session->runner, queue, task) != 0)
        end_without_memory(session);
}

static struct publication *first_unsent(struct publication *publication)
{
    while (publication && publication->outstanding)
        publication = publication->next;
    return publication;
}

static void send_publication(struct session *session, struct publication *publication, enum runner_queue queue)
{
    publication->outstanding = publication->task_count;
    for (uint32_t i = 0; i < publication->task_count; i++)
        publish_send_task(session, queue, &publication->tasks[i]);
    session->unsent = first_unsent(session->unsent);
}

/* What a thread waits for, those that came last first, and a queue for it: the thread's own, on which it may begin
   whatever else that thread is in, since the thread cannot go on without it. */
static struct publication *find_needed(struct session *session, enum runner_queue *queue)
{
    for (uint32_t i = session->waiter_count; i-- > 0;) {
        const struct unit *root = materialize_needed(session, session->waiters[i]);
        struct publication *needed = root ? root->pending->publication : NULL;

        *queue = RUNNER_WAITER + session->waiters[i];
        if (is_busy(session, *queue))
            *queue = publish_queue(session);
        if (needed && !needed->outstanding && !is_busy(session, *queue))
            return needed;
    }
    return NULL;
}

static bool is_room_beside(const struct session *session)
{
    uint32_t busy = 0;

    for (uint32_t i = 0; i < session->waiter_count; i++)
        busy += is_busy(session, RUNNER_WAITER + session->waiters[i]);
    return busy < INITIALISERS_BESIDE;
}

/* Where functions are lazy an initialiser may wait for any publication, and one that stands behind that initialiser in
   its queue would wait for ever: it is kept until the queue is free, or another one is there. So is one that may not
   wait for ever. */
static struct publication *next_publication(struct session *session, enum runner_queue *queue)
{
    struct publication *needed = find_needed(session, queue);
    bool lazy = session->linker.lazies.by_name.count > 0;

    if (needed)
        return needed;
    *queue = publish_queue(session);
    if ((lazy || session->unsent->has_deadline) && is_busy(session, *queue))
        return NULL;
    return lazy && !is_room_beside(session) ? NULL : session->unsent;
}

/* Sends what has not been sent and may be. */
void publish_send(struct session *session)
{
    struct publication *publication;
    enum runner_queue queue;

    while (session->unsent && runner_is_live(session->runner) && (publication = next_publication(session, &queue)))
        send_publication(session, publication, queue);
}

void publish_component(struct session *session, struct unit *root)
{
    struct publication *publication;

    if (!publication_is_needed(root)) {
        link_ready(&session->linker, root);
        return;
    }
    publication = publication_new(&session->linker, root, ++session->publication_count);
    if (!publication) {
        end_without_memory(session);
        return;
    }
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        unit->exposed = true;
    root->pending->publication = publication;
    if (session->publication_last)
        session->publication_last->next = publication;
    else
        session->publications = publication;
    session->publication_last = publication;
    if (!session->unsent)
        session->unsent = publication;
    publish_send(session);
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
        session->unsent = first_unsent(publication->next);
    if (session->publication_last == publication)
        session->publication_last = previous;
    if (publication->root->pending)
        publication->root->pending->publication = NULL;
    publication_free(publication);
}

/* A new process sees the pristine data. */
static bool is_done_again(uint32_t kind)
{
    return kind == CHANNEL_ACTIONS || kind == CHANNEL_FINALISERS || kind == CHANNEL_INITIALISE;
}

/* What every new life must do again, in the order in which it was first done. */
static int remember(struct session *session, const struct publication *publication)
{
    for (uint32_t i = 0; i < publication->task_count; i++) {
        if (!is_done_again(publication->tasks[i].kind))
            continue;
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
        task->c = 0;
    }
    return 0;
}

void publish_visit_gone(struct session *session, struct removal *removal,
                        void (*undo)(struct session *session, struct removal *removal, const struct task *done))
{
    static const uint32_t kinds[] = {CHANNEL_FINALISERS, CHANNEL_ACTIONS};

    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++)
        for (uint32_t i = session->replay_count; i-- > 0;)
            if (session->replay[i].unit->state == UNIT_REMOVED && session->replay[i].kind == kinds[k])
                undo(session, removal, &session->replay[i]);
}

void publish_forget_gone(struct session *session)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < session->replay_count; i++)
        if (session->replay[i].unit->state == UNIT_READY)
            session->replay[kept++] = session->replay[i];
    session->replay_count = kept;
}

/* Where an action fails that went well in a former life, the runner ends its own: no call may begin in it. */
static void replay_answered(struct session *session, const struct task *task, const struct channel_record *reply)
{
    if (task->kind == CHANNEL_ACTIONS && (reply->status || reply->a)) {
        session->replay_failure = (struct action_failure){task->unit, *reply};
        return;
    }
    if (--session->replaying > 0)
        return;
    remove_replayed(session);
    call_next(session);
}

void publish_fail_actions(struct session *session, const struct action_failure *failure)
{
    struct error error;

    if (actions_read_reply(failure->unit, &failure->reply, &error) == ERROR_RUNNER_PROTOCOL)
        session_end(session, &error);
    else
        link_fail(&session->linker, failure->unit, &error);
}

static void fail_publication(struct session *session, struct publication *publication)
{
    const struct action_failure failure = publication->failure;

    remove_publication(session, publication);
    publish_fail_actions(session, &failure);
}

/* An action that went wrong, or memory that is not to be had. */
static bool has_failed(const struct task *task, const struct channel_record *reply)
{
    switch (task->kind) {
    case CHANNEL_ACTIONS:
        return reply->status || reply->a;
    case CHANNEL_COPY_DATA:
    case CHANNEL_ZERO:
        return reply->status;
    default:
        return false;
    }
}

static void publication_answered(struct session *session, const struct task *task, const struct channel_record *reply)
{
    struct publication *publication = task->publication;
    struct unit *root;

    if (publication->expired_ms)
        return;
    if ((task->kind == CHANNEL_ZERO || task->kind == CHANNEL_COPY_DATA) && !reply->status)
        arena_is_writable_to(session->arena, task->kind == CHANNEL_ZERO ? ZONE_Z : ZONE_D, task->a + task->b);
    if (has_failed(task, reply) && !publication->failure.unit)
        publication->failure = (struct action_failure){task->unit, *reply};
    if (--publication->outstanding > 0)
        return;
    if (publication->failure.unit) {
        fail_publication(session, publication);
        return;
    }
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
    struct error error;
    int code = runner_look(session->runner, &error);

    for (;;) {
        struct channel_record reply;
        struct task task;
        bool got;

        if (!code)
            code = runner_take_reply(session->runner, &task, &reply, &got, &error);
        if (code) {
            session_end(session, &error);
            return;
        }
        if (!got)
            return;
        remove_reclaim(session);
        if (task.unit)
            task.unit->interruptions = 0;
        if (task.kind == CHANNEL_LAZY) {
            if (materialize_called(session, &reply) != 0)
                return;
        } else if (task.purpose == TASK_CALL)
            call_replied(session, &task, &reply);
        else if (task.purpose == TASK_REMOVE)
            remove_task_answered(session, &task, &reply);
        else if (task.purpose == TASK_REPLAY)
            replay_answered(session, &task, &reply);
        else
            publication_answered(session, &task, &reply);
        materialize_resume(session);
        call_next(session);
        publish_send(session);
    }
}

/* ---- what does not become ready ---- */

/* What is said of a task that has not returned. */
static const struct {
    uint32_t kind;
    const char *own, *another;
} running[] = {
    {CHANNEL_INITIALISE, "its initialiser", "the initialiser"},
    {CHANNEL_ACTIONS, "one of its actions", "an action"},
    {CHANNEL_FINALISE, "its finaliser", "the finaliser"},
    {CHANNEL_FINALISE_OBJECT, "its finaliser", "the finaliser"},
    {CHANNEL_UNDO_ACTIONS, "one of its removal actions", "a removal action"},
};

/* The unit has not been initialised in time; `task` is what was under way, or NULL. */
static void fail_late(struct session *session, struct unit *unit, uint32_t milliseconds, const struct task *task)
{
    char why[sizeof(struct error)] = "";
    struct error error;

    for (size_t i = 0; i < ARRAY_LENGTH(running) && task; i++)
        if (running[i].kind == task->kind && task->unit == unit)
            snprintf(why, sizeof why, ": %s had not returned", running[i].own);
        else if (running[i].kind == task->kind)
            snprintf(why, sizeof why, ": %s of %.80s had not returned", running[i].another, task->unit->name);
    error_set(&error, ERROR_TIMEOUT, "%s: was not initialised within %u ms%s", unit->name, milliseconds, why);
    error_set_unit(&error, unit->name);
    link_fail(&session->linker, unit, &error);
}

/* What the runner is doing for the publication; NULL: nothing yet. */
static const struct task *find_task(const struct session *session, const struct publication *publication)
{
    for (int queue = 0; queue < RUNNER_QUEUES; queue++) {
        const struct task *task = runner_under_way(session->runner, (enum runner_queue)queue);

        if (task && task->publication == publication)
            return task;
    }
    return NULL;
}

void publish_expire(struct session *session, struct unit *unit, uint32_t milliseconds)
{
    struct publication *publication = graph_root(unit)->pending->publication;

    if (!publication || publication->expired_ms)
        return;
    if (publication->outstanding) {
        const struct task *task = find_task(session, publication);

        publication->expired_ms = milliseconds;
        publication->late = task ? *task : (struct task){.unit = unit};
        life_end(session);
        return;
    }
    remove_publication(session, publication);
    fail_late(session, unit, milliseconds, runner_under_way(session->runner, publish_queue(session)));
}

const struct publication *publish_expired(const struct session *session)
{
    const struct publication *publication = session->publications;

    while (publication && !publication->expired_ms)
        publication = publication->next;
    return publication;
}

/* One whose last replies have not come, or are too late. */
static struct publication *find_lost(const struct session *session)
{
    struct publication *publication = session->publications;

    while (publication && !publication->failure.unit && !publication->expired_ms)
        publication = publication->next;
    return publication;
}

void publish_fail_lost(struct session *session)
{
    for (struct publication *lost; (lost = find_lost(session));) {
        const struct publication copy = *lost;

        if (!copy.expired_ms) {
            fail_publication(session, lost);
            continue;
        }
        remove_publication(session, lost);
        fail_late(session, copy.late.unit, copy.expired_ms, &copy.late);
    }
}

void publish_take_back(struct session *session)
{
    publish_forget_gone(session);
    for (struct publication *publication = session->publications, *next; publication; publication = next) {
        next = publication->next;
        publication->outstanding = 0;
        if (publication->root->state == UNIT_FAILED)
            remove_publication(session, publication);
    }
    session->unsent = session->publications;
}

void publish_replay(struct session *session)
{
    for (uint32_t i = 0; i < session->replay_count; i++) {
        if (session->replay[i].unit->state != UNIT_READY)
            continue;
        session->replaying++;
        publish_send_task(session, RUNNER_MAIN, &session->replay[i]);
    }
}

void publish_refuse(struct session *session, const struct error *why)
{
    while (session->publications) {
        struct unit *root = session->publications->root;
        struct error error;

        remove_publication(session, session->publications);
        error_set(&error, why->code, "%s: was not initialised: %s", root->name, why->text);
        error_set_unit(&error, root->name);
        link_fail(&session->linker, root, &error);
    }
}

void publish_close(struct session *session)
{
    while (session->publications)
        remove_publication(session, session->publications);
    free(session->replay);
}
