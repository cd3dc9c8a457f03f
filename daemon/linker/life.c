/*
 * The lives of the runner: how one ends, whose fault that was, and what the next one begins with.
 *
 * Whose fault: that of the task which the thread was carrying out that crashed or called exit, by the runner's own
 * word; a runner that lies about it harms its own session. Without a word, as after a kill, it is the task that was
 * under way. An initialiser or action that exits has made up its mind and is not asked again; one that crashes gets a
 * second chance, since what other code had left of the process may have been the reason. A unit whose initialisers or
 * actions were running on other threads is innocent and gets another try; not without end, where lives end again and
 * again and nothing is used up by it: no call, no chance, no removal.
 *
 * In the next life actions and initialisers of everything that is ready run again first, then publications start over,
 * then calls go on, a call that had been sent and had not begun among them.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/linker/publication.h"
#include "daemon/linker/session.h"

#define LOG_TAG "life"

/* After so many lives in a row that end before they begin, as in constructors of libraries, nothing is tried again. */
#define STARTS 2

/* A unit whose initialisers or actions end the runner's life this often without calling exit is given up... */
#define CHANCES 2

/* ...and so is one during whose initialisers or actions others have ended it so often in a row. */
#define INTERRUPTIONS 8

/* What is known of the end of a life. */
struct ending {
    int status; /* of wait(2) */
    bool has_culprit, call_begun;
    bool told;           /* the runner has said in what it ended */
    struct task culprit; /* what the life ended in, where something was under way there */
    struct crash_suspects suspects;
    struct unit *innocent[RUNNER_QUEUES]; /* units that were being initialised on other threads */
    uint32_t innocent_count;
};

static bool is_initialising(const struct task *task)
{
    return task->kind == CHANNEL_INITIALISE || task->kind == CHANNEL_ACTIONS;
}

/* ---- the end ---- */

void life_end(struct session *session)
{
    const struct lifecycle message = {.kind = LIFECYCLE_END_RUNNER, .epoch = runner_epoch(session->runner)};
    struct error error;

    if (session->ended_epoch == message.epoch)
        return;
    session->ended_epoch = message.epoch;
    if (descriptor_send(FD_LIFECYCLE, &message, sizeof message, NULL, 0) == (ssize_t)sizeof message)
        return;
    error_set(&error, ERROR_DISCONNECTED, "the runner's template cannot be told to end a life");
    session_end(session, &error);
}

/* The deadline for which the life has been ended; 0: none. */
static uint32_t late_ms(const struct session *session)
{
    const struct publication *expired = publish_expired(session);

    return expired ? expired->expired_ms : call_late_ms(session);
}

/* An action that went well in former lives and now did not has ended the life by itself. What was too late has been
   ended by us, unless the runner says that it ended otherwise before. */
static const struct task *find_culprit(const struct session *session, struct crash_suspects *suspects, bool *told)
{
    const struct publication *expired = publish_expired(session);
    const struct task *task = runner_culprit(session->runner, told);

    if (session->replay_failure.unit) {
        suspects->acting = session->replay_failure.unit;
        return NULL;
    }
    if (*told)
        return task;
    suspects->deadline_ms = late_ms(session);
    if (expired)
        return &expired->late;
    return suspects->deadline_ms ? runner_under_way(session->runner, RUNNER_MAIN) : task;
}

static void name_suspect(const struct task *task, struct crash_suspects *suspects)
{
    switch (task->kind) {
    case CHANNEL_INITIALISE:
        suspects->initialising = task->unit;
        break;
    case CHANNEL_FINALISE:
    case CHANNEL_FINALISE_OBJECT:
        suspects->finalising = task->unit;
        break;
    case CHANNEL_ACTIONS:
    case CHANNEL_UNDO_ACTIONS:
        suspects->acting = task->unit;
        break;
    default:
        break;
    }
}

/* One that ended in the constructors of its libraries has not come to any of its tasks. */
static void judge(const struct session *session, struct ending *ending)
{
    if (!runner_has_begun(session->runner)) {
        ending->suspects.deadline_ms = late_ms(session);
        return;
    }
    const struct task *culprit = find_culprit(session, &ending->suspects, &ending->told);
    const struct task *first = runner_under_way(session->runner, RUNNER_MAIN);

    ending->call_begun = first && first->purpose == TASK_CALL;
    ending->has_culprit = culprit != NULL;
    if (culprit) {
        ending->culprit = *culprit;
        name_suspect(culprit, &ending->suspects);
    }
    for (int queue = 0; queue < RUNNER_QUEUES; queue++) {
        const struct task *task = runner_under_way(session->runner, (enum runner_queue)queue);

        if (task && is_initialising(task) && !(culprit && culprit->unit == task->unit))
            ending->innocent[ending->innocent_count++] = task->unit;
    }
}

/* ---- whose fault ---- */

/* It has called exit, or one of its kind. */
static bool has_left(const struct ending *ending)
{
    return ending->told && WIFEXITED(ending->status);
}

static void give_up(struct session *session, const struct ending *ending)
{
    const struct task *task = &ending->culprit;
    bool action = task->kind == CHANNEL_ACTIONS;
    int code = action ? ERROR_ACTION_FAILED : ERROR_INITIALISER_FAILED, status = ending->status;
    const char *what = action ? "one of its actions" : "its initialiser";
    char times[16] = "";
    struct error error;

    if (!has_left(ending))
        snprintf(times, sizeof times, ", %d times", CHANCES);
    if (WIFSIGNALED(status))
        error_set(&error, code, "%s: %s was killed by signal %d (%s)%s", task->unit->name, what, WTERMSIG(status),
                  strsignal(WTERMSIG(status)), times);
    else
        error_set(&error, code, "%s: %s ended the program with status %d%s", task->unit->name, what,
                  WEXITSTATUS(status), times);
    link_fail(&session->linker, task->unit, &error);
}

static bool is_there(const struct unit *unit)
{
    return unit->state != UNIT_REMOVED && unit->state != UNIT_FAILED;
}

static void interrupt(struct session *session, struct unit *unit)
{
    struct error error;

    if (!is_there(unit) || ++unit->interruptions < INTERRUPTIONS)
        return;
    error_set(&error, ERROR_INITIALISER_FAILED,
              "%s: other threads have ended the program %d times in a row while it was being initialised", unit->name,
              INTERRUPTIONS);
    link_fail(&session->linker, unit, &error);
}

/* Whether the next life has less to do than this one had, so that lives cannot end in this way for ever. */
static bool has_used_something_up(const struct session *session, const struct ending *ending)
{
    return ending->call_begun || session->replay_failure.unit || publish_expired(session) ||
           (ending->has_culprit && (is_initialising(&ending->culprit) || ending->culprit.purpose == TASK_REMOVE));
}

/* Units that the next life will be without. */
static void fail_culprits(struct session *session, const struct ending *ending)
{
    const struct action_failure failure = session->replay_failure;
    const struct task *culprit = &ending->culprit;
    bool used_up = has_used_something_up(session, ending), late = ending->suspects.deadline_ms > 0;

    publish_fail_lost(session);
    if (ending->has_culprit && is_initialising(culprit) && !late && is_there(culprit->unit) &&
        (++culprit->unit->chances_lost >= CHANCES || has_left(ending)))
        give_up(session, ending);
    for (uint32_t i = 0; i < ending->innocent_count && !used_up; i++)
        interrupt(session, ending->innocent[i]);
    session->replay_failure.unit = NULL;
    if (failure.unit && failure.unit->state == UNIT_READY)
        publish_fail_actions(session, &failure);
    publish_take_back(session);
}

/* Everything that needs a life fails. */
static void refuse(struct session *session, const char *why)
{
    struct error error;

    error_set(&error, ERROR_RUNNER_ENDED, "%s", why);
    publish_refuse(session, &error);
    call_refuse(session, &error);
}

static void count_start(struct session *session, bool begun)
{
    session->false_starts = begun ? 0 : session->false_starts + 1;
    if (session->false_starts >= STARTS)
        refuse(session, "the program ends before it begins, in constructors of the session's libraries or for want of "
                        "memory for its units' data");
}

static void ended(struct session *session, int status)
{
    Jitd__Proto__Ended message = JITD__PROTO__ENDED__INIT;
    Jitd__Proto__RunnerEnded event = JITD__PROTO__RUNNER_ENDED__INIT;
    struct ending ending = {.status = status};
    bool begun = runner_has_begun(session->runner);

    publish_drain(session);
    if (!runner_is_live(session->runner))
        return;
    judge(session, &ending);
    runner_end(session->runner);
    pool_reset(&session->encode);
    crash_describe(session, status, &ending.suspects, &session->encode, &message);
    event_flush(session);
    if (session->calling)
        call_life_ended(session, ending.call_begun ? &message : NULL);
    event.ended = &message;
    session->over = session->one_life;
    event.next_epoch = session->over ? 0 : message.epoch + 1;
    session_send(session, MESSAGE_RUNNER_ENDED, 0, &event.base);
    fail_culprits(session, &ending);
    materialize_runner_ended(session);
    session->replaying = 0;
    remove_runner_ended(session);
    count_start(session, begun);
}

/* ---- the beginning ---- */

/* Everything that the former life knew and the new one does not. */
static void begin(struct session *session, uint32_t epoch)
{
    publish_replay(session);
    runner_set_writable(session->runner, arena_writable_at_first(session->arena, ZONE_D),
                        arena_writable_at_first(session->arena, ZONE_Z));
    runner_begin(session->runner, epoch);
    publish_send(session);
    call_next(session);
}

/* Whether the next life has anything to do: a call, or a publication that needs the runner. Initialisers that ran in
   the former life have effects that others see, so that they run again for a reason only. A removal is none, since what
   has not begun in a life is not finalised in it; and functions are called lazily, and threads wait, in a life that has
   begun. */
static bool is_wanted(const struct session *session)
{
    return session->calls || session->unsent;
}

/* Code that ends its own life again and again is heard of each time: with a controller that does not read, that would
   be output without end. */
void life_resume(struct session *session)
{
    uint32_t epoch = session->next_epoch;

    if (epoch == 0 || session->over || !is_wanted(session) || !session_is_read(session))
        return;
    session->next_epoch = 0;
    begin(session, epoch);
}

void life_refuse(struct session *session)
{
    if (session->over)
        refuse(session, "the program has ended, and the session was opened for one life");
}

void life_message(struct session *session, const struct lifecycle *message)
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
        ended(session, message->value);
        break;
    default:
        error_set(&error, ERROR_SETUP, "the runner could not be set up: %.*s%s%s", (int)sizeof message->stage,
                  message->stage, message->value ? ": " : "", message->value ? strerror(message->value) : "");
        if (session->state == SESSION_STARTING)
            hello_refused(session, &error);
        session_end(session, &error);
    }
}
