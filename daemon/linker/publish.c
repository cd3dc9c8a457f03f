/*
 * From linked to ready, and the lives of the runner.
 *
 * A component whose bytes are in place needs the runner only where it has data to bring in, actions to make or
 * initialisers to run: then it is a publication until all its tasks have been answered. They are all sent at once;
 * where an action fails the runner itself takes back what was done and passes over what follows. When a life of the
 * runner ends, the task it was busy with tells whose fault that was; in the next life actions and initialisers of
 * everything that is ready run again first, in publish order, then publications start over, then calls go on.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/bytes.h"
#include "daemon/linker/publication.h"
#include "daemon/linker/session.h"

/* A unit whose initialisers or actions end the runner's life this often is given up. */
#define CHANCES 2

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
    return session->calling || (session->waiter_count && is_busy(session, RUNNER_MAIN)) ? RUNNER_AGENT : RUNNER_MAIN;
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
   its queue would wait for ever: it is kept until the queue is free, or another one is there. */
static struct publication *next_publication(struct session *session, enum runner_queue *queue)
{
    struct publication *needed = find_needed(session, queue);

    if (needed)
        return needed;
    *queue = publish_queue(session);
    if (session->linker.lazies.by_name.count && (is_busy(session, *queue) || !is_room_beside(session)))
        return NULL;
    return session->unsent;
}

/* Sends what has not been sent and may be. */
static void send_publications(struct session *session)
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

/* What the runner says of actions that it could not make; breaking a rule ends the session. */
static void fail_actions(struct session *session, const struct action_failure *failure)
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
    fail_actions(session, &failure);
}

static void publication_answered(struct session *session, const struct task *task, const struct channel_record *reply)
{
    struct publication *publication = task->publication;
    struct unit *root;

    if (task->kind == CHANNEL_ACTIONS && (reply->status || reply->a) && !publication->failure.unit)
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
        send_publications(session);
    }
}

/* ---- lives of the runner ---- */

static void give_up(struct session *session, const struct task *task, int status)
{
    bool action = task->kind == CHANNEL_ACTIONS;
    int code = action ? ERROR_ACTION_FAILED : ERROR_INITIALISER_FAILED;
    const char *what = action ? "one of its actions" : "its initialiser";
    struct error error;

    if (WIFSIGNALED(status))
        error_set(&error, code, "%s: %s was killed by signal %d (%s), %d times", task->unit->name, what,
                  WTERMSIG(status), strsignal(WTERMSIG(status)), CHANCES);
    else
        error_set(&error, code, "%s: %s ended the program with status %d, %d times", task->unit->name, what,
                  WEXITSTATUS(status), CHANCES);
    link_fail(&session->linker, task->unit, &error);
}

/* The next life is asked for all of them but those that have failed. */
static void take_publications_back(struct session *session)
{
    for (struct publication *publication = session->publications, *next; publication; publication = next) {
        next = publication->next;
        publication->outstanding = 0;
        if (publication->root->state == UNIT_FAILED)
            remove_publication(session, publication);
    }
    session->unsent = session->publications;
}

/* One whose last replies have not come. */
static struct publication *find_failed(const struct session *session)
{
    struct publication *publication = session->publications;

    while (publication && !publication->failure.unit)
        publication = publication->next;
    return publication;
}

/* What the life was busy with when it ended. True where that may be the fault of the task's unit, which is to be ready
   only if it goes better next time. */
static bool find_suspects(struct session *session, struct task *task, struct crash_suspects *suspects)
{
    bool busy;

    *suspects = (struct crash_suspects){.acting = session->replay_failure.unit};
    for (int queue = 0; queue < RUNNER_QUEUES; queue++) {
        const struct task *under_way = runner_under_way(session->runner, (enum runner_queue)queue);

        if (under_way && under_way->kind == CHANNEL_UNDO_ACTIONS)
            suspects->acting = under_way->unit;
        else if (under_way && (under_way->kind == CHANNEL_FINALISE || under_way->kind == CHANNEL_FINALISE_OBJECT))
            suspects->finalising = under_way->unit;
    }
    busy = runner_end(session->runner, task);
    if (!busy || session->replay_failure.unit)
        return false;
    if (task->kind == CHANNEL_INITIALISE)
        suspects->initialising = task->unit;
    else if (task->kind == CHANNEL_ACTIONS)
        suspects->acting = task->unit;
    return task->kind == CHANNEL_INITIALISE || task->kind == CHANNEL_ACTIONS;
}

/* Units that the next life will be without. */
static void fail_culprits(struct session *session, const struct task *blamed, int status)
{
    const struct action_failure failure = session->replay_failure;

    for (struct publication *failed; (failed = find_failed(session));)
        fail_publication(session, failed);
    if (blamed && blamed->unit->state != UNIT_REMOVED && ++blamed->unit->chances_lost >= CHANCES)
        give_up(session, blamed, status);
    session->replay_failure.unit = NULL;
    if (failure.unit && failure.unit->state == UNIT_READY)
        fail_actions(session, &failure);
    publish_forget_gone(session);
    take_publications_back(session);
}

static void runner_ended(struct session *session, const struct lifecycle *message)
{
    Jitd__Proto__Ended ended = JITD__PROTO__ENDED__INIT;
    Jitd__Proto__RunnerEnded event = JITD__PROTO__RUNNER_ENDED__INIT;
    struct crash_suspects suspects;
    struct task task;

    publish_drain(session);
    if (!runner_is_live(session->runner))
        return;
    bool blamed = find_suspects(session, &task, &suspects);
    pool_reset(&session->encode);
    crash_describe(session, message->value, &suspects, &session->encode, &ended);
    event_flush(session);
    if (session->calling)
        call_ended(session, &ended);
    event.ended = &ended;
    event.next_epoch = ended.epoch + 1;
    session_send(session, MESSAGE_RUNNER_ENDED, 0, &event.base);
    fail_culprits(session, blamed ? &task : NULL, message->value);
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
        publish_send_task(session, RUNNER_MAIN, &session->replay[i]);
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
