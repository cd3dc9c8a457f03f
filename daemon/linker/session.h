/*
 * One session: the process's event loop and everything that it owns. What happens to it is in the files around it:
 *
 *   hello.c     from the controller's first message to Welcome     request.c  the requests after that
 *   publish.c   components to the runner           life.c     lives of the runner
 *   call.c      calls, one at a time               crash.c    what a report says
 *   deadline.c  batches that have waited long enough   cancel.c   what is not wanted any more
 *   lookup.c    addresses, now or when they are ready  inspect.c  what the session holds
 *   submit.c    batches                                remove.c   units on their way out
 *   run_once.c  a unit, a call, and gone               observer.c others who ask what it holds
 *   event.c     news to the controller             materialize.c  functions that are called before they are there
 *   adapt.c     ways from one calling convention to another
 *
 * Data flows one way: frames in -> request -> linker -> (hooks) publish -> runner, and events out.
 */
#ifndef LINKER_SESSION_H
#define LINKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/pool.h"
#include "daemon/linker/actions.h"
#include "daemon/linker/link.h"
#include "daemon/linker/removal.h"
#include "daemon/linker/runner.h"
#include "proto/connection.h"
#include "proto/control.h"
#include "proto/message.h"

enum session_state {
    SESSION_NEW,      /* nothing but Hello is answered */
    SESSION_STARTING, /* Hello has been taken; the template is on its way; nothing is read */
    SESSION_OPEN,
    SESSION_ENDING /* the loop is being left */
};

/* What the daemon allows, from the command line. */
struct session_configuration {
    uint32_t disabled_layers; /* bits 1 << Layer */
    uint64_t waiting_bytes;   /* that units which are not ready may hold */
    uint64_t arena_bytes;     /* that all zones may have together */
    const char *const *libraries;
    uint32_t library_count;
    unsigned link_threads; /* beside the session's own, for large batches */
};

struct deadline; /* deadline.c: a batch that may not wait for ever */
struct lookup;   /* lookup.c: one that waits */
struct observer; /* observer.c: a connection that may look in */
struct removal;  /* remove.c: units on their way out */
struct run_once; /* run_once.c: a unit that is gone after one call */
struct unit_waiter;
struct publication; /* publication.h: a component on its way to ready */

struct session {
    const struct session_configuration *configuration; /* borrowed */
    enum session_state state;
    int status; /* of the process */

    uv_loop_t loop;
    uv_poll_t controller_poll, control_poll, lifecycle_poll, wake_poll;
    uv_idle_t warm_idle;
    uv_timer_t deadline_timer, trim_timer;
    short controller_events; /* what controller_poll is armed for */

    struct connection *connection; /* owned */
    struct arena *arena;           /* owned until link_open */
    struct workers *workers;       /* owned; NULL where there are none */
    struct linker linker;
    struct runner *runner; /* owned */
    struct pool decode;    /* the request being handled */
    struct pool encode;    /* the message being built */
    struct pool events;    /* news not yet sent */

    uint64_t hello_request;
    struct zone_sizes zones; /* from Hello on; Z may become less when the template is ready */
    uint32_t layers;         /* bits of what is on */

    Jitd__Proto__UnitEvent **event_list; /* in the events pool */
    size_t event_count, event_capacity;
    size_t event_bytes; /* about what they take in a message */

    struct publication *publications; /* owned list, oldest first */
    struct publication *publication_last;
    struct publication *unsent; /* borrowed; the first of them that the runner has not been asked for */
    struct task *replay;        /* owned; actions and initialisers of all that is ready, in the order they ran */
    uint32_t replay_count, replay_capacity;
    uint32_t replaying;                   /* of them are to run in this life before any call */
    struct action_failure replay_failure; /* of an action that did not go well again: the life is ending */
    uint64_t publication_count;           /* ever */
    struct call *calls;                   /* owned list, oldest first; the first one is under way if `calling` */
    uint32_t call_count;
    bool calling;
    uint64_t call_expiry;     /* of the loop's clock: not before then has a call's deadline passed; 0: none has one */
    struct removal *removals; /* owned list; whose finalisers are running */
    struct runner_moment reclaim_at; /* when the memory in linker.aged may be used again */
    struct removal *leaving;         /* owned list; to be begun when the turn is over */
    uint64_t *staying;               /* owned; ids of units that go when nobody uses them any more */
    uint32_t staying_count, staying_capacity;
    uint64_t departures;   /* the linker's, when that was looked at last */
    struct run_once *runs; /* owned list; those whose call has not been queued */
    uint32_t run_count;
    struct lookup *lookups;            /* owned list; those that wait */
    uint32_t waiters[CHANNEL_WAITERS]; /* threads of the runner that wait, those that came last at the end */
    uint32_t waiter_count;
    bool resuming[CHANNEL_WAITERS];         /* it may go on when it has answered all that it was asked... */
    uint64_t resume_at[CHANNEL_WAITERS];    /* ...at this address; 0: it ends its process... */
    struct error refusals[CHANNEL_WAITERS]; /* ...for this reason */
    uv_timer_t lazy_timer;
    uint32_t lazy_deadline_ms;
    struct error lazy_refusal;  /* of the last thread that was told to end the process; code 0: none in this life */
    uint32_t next_epoch;        /* a life that begins when it is needed, and the controller has read; 0: none */
    bool one_life;              /* there is one life... */
    bool over;                  /* ...and it has ended */
    uint32_t false_starts;      /* lives in a row that have ended in the constructors of their libraries */
    uint32_t ended_epoch;       /* the last one that the template was told to end */
    struct deadline *deadlines; /* owned list, soonest first */
    struct deadline *deadline_last;
    struct observer *observers; /* owned list */
    uint32_t observer_count;
};

int session_open(struct session *session, const struct session_configuration *configuration, struct error *error);
void session_close(struct session *session);

/* Runs until the session has ended; gives the exit status of the process. */
int session_run(struct session *session);

/* Ends the session with a line in the log. `error` may be NULL: an orderly end. */
void session_end(struct session *session, const struct error *error);

/* Queues a reply or an event. A failure to queue ends the session. */
void session_send(struct session *session, enum message_type type, uint64_t request, const ProtobufCMessage *message);

/* Whether the controller reads: less than LIMIT_OUTPUT_BYTES wait for it. */
bool session_is_read(const struct session *session);

/* Sends what has been queued and what has happened to units: at the end of every turn. */
void session_send_news(struct session *session);

/* Answers a request with one error, or with a report. */
void session_fail(struct session *session, uint64_t request, const struct error *error);
void session_fail_report(struct session *session, uint64_t request, const struct report *report);

/* ---- hello.c ---- */
void hello_request(struct session *session, struct frame *frame, const Jitd__Proto__Hello *hello);
void hello_control_answer(struct session *session, const struct control_answer *answer);
void hello_template_ready(struct session *session, const struct lifecycle *message);
void hello_refused(struct session *session, const struct error *error);

/* ---- request.c ---- */
void request_handle(struct session *session, struct frame *frame);

/* ---- define_library.c ---- */
void define_library_request(struct session *session, uint64_t request, const Jitd__Proto__DefineLibrary *message);

/* ---- submit.c ---- */
void submit_request(struct session *session, struct frame *frame, const Jitd__Proto__Submit *submit);

/* Who made a unit that the controller does not know of, and is told of it in the place of the controller. */
struct unit_waiter {
    void (*changed)(struct session *session, struct unit_waiter *waiter, const struct unit *unit,
                    const struct report *report);
    struct unit *unit; /* borrowed; set before it is told of */
};

/* A closed batch of one unit of a message, with a deadline or 0; false with a report. The waiter may be gone when this
   returns. */
bool submit_one(struct session *session, struct frame *frame, Jitd__Proto__Unit *unit, Jitd__Proto__Entries *entries,
                uint32_t deadline_ms, struct unit_waiter *waiter, struct report *report);

/* The same of a batch that is there. Takes it over. */
bool submit_internal(struct session *session, struct batch *batch, const struct link_input *input,
                     struct unit_waiter *waiter, struct report *report);

/* ---- run_once.c ---- */
void run_once_request(struct session *session, struct frame *frame, const Jitd__Proto__Run *message);
bool run_once_cancel(struct session *session, uint64_t request); /* one whose unit waits for others */
void run_once_close(struct session *session);

/* ---- materialize.c ---- */
void materialize_wanted(void *session, struct lazy *lazy);
void materialize_resumed(void *session, uint32_t waiter, uint64_t address, const struct lazy *lazy,
                         const struct error *why);

/* A thread of the runner says that it waits. Non-zero: it broke a rule, and the session ends. */
int materialize_called(struct session *session, const struct channel_record *notice);

/* The component that has been linked, and must be initialised before the waiter's thread can go on; NULL: none. */
const struct unit *materialize_needed(struct session *session, uint32_t waiter);

/* Lets threads go on that have nothing left to do for others. */
void materialize_resume(struct session *session);
void materialize_runner_ended(struct session *session);
void refuse_request(struct session *session, uint64_t request, const Jitd__Proto__Refuse *message);
void redirect_request(struct session *session, uint64_t request, const Jitd__Proto__Redirect *message);

/* ---- adapt.c ---- */
void adapt_request(struct session *session, uint64_t request, const Jitd__Proto__Adapt *message);

/* ---- remove.c ---- */
void remove_request(struct session *session, uint64_t request, const Jitd__Proto__Remove *message);

/* Removes a unit when this turn of the loop is over; one that is used when the last of its users goes. */
void remove_later(struct session *session, struct unit *unit);
void remove_turn_ended(struct session *session);
void remove_task_answered(struct session *session, const struct task *task, const struct channel_record *reply);
void remove_replayed(struct session *session); /* all initialisers have run again */
void remove_runner_ended(struct session *session);

/* Gives back the memory of removed units in which no thread can be any more: whenever the runner has answered. */
void remove_reclaim(struct session *session);
void remove_close(struct session *session);

/* ---- lookup.c ---- */
void lookup_request(struct session *session, uint64_t request, const Jitd__Proto__Lookup *message);
bool lookup_cancel(struct session *session, uint64_t request);
void lookup_close(struct session *session);

/* ---- cancel.c ---- */
void cancel_request(struct session *session, uint64_t request, const Jitd__Proto__Cancel *message);

/* ---- inspect.c ---- */
void inspect_request(struct session *session, uint64_t request, const Jitd__Proto__Inspect *message);

/* Fills *reply from the pool; the list of units is cut off where the reply would exceed about `bytes`. Errors:
   NO_MEMORY, LIMIT. */
int inspect_answer(struct session *session, const Jitd__Proto__Inspect *message, struct pool *pool, size_t bytes,
                   Jitd__Proto__Inspection *reply, struct error *error);

/* ---- observer.c ---- */

/* Takes the socket over. What it asks before the session is open waits; observer_begin says that it is. */
void observer_open(struct session *session, int socket);
void observer_begin(struct session *session);
void observer_close(struct session *session);

/* ---- event.c ---- */
extern const struct link_hooks event_hooks;
void event_flush(struct session *session);
Jitd__Proto__Error **event_errors(struct pool *pool, const struct report *report, size_t *count);
Jitd__Proto__Definition **event_definitions(struct pool *pool, const struct unit *unit, size_t *count);

/* ---- publish.c ---- */
void publish_component(struct session *session, struct unit *root);

/* The thread for code that nobody is known to wait for; all that must keep its order goes to one that was asked for
   once. */
enum runner_queue publish_queue(const struct session *session);
void publish_send_task(struct session *session, enum runner_queue queue, const struct task *task);

/* Has `undo` called for each array of finalisers of units that have been removed and that further lives are to bring
   back, the one first that was remembered last; and then for their arrays of actions in the same way. */
void publish_visit_gone(struct session *session, struct removal *removal,
                        void (*undo)(struct session *session, struct removal *removal, const struct task *done));

/* Forgets what further lives must not do again, since its units have failed or been removed. */
void publish_forget_gone(struct session *session);

/* Handles every reply that the runner has written so far. */
void publish_drain(struct session *session);

/* Asks the runner for what it has not been asked for and may be. */
void publish_send(struct session *session);

/* The deadline of a unit that has been linked has passed: its component fails, now or when the life has ended that this
   begins to end. */
void publish_expire(struct session *session, struct unit *unit, uint32_t milliseconds);

/* The first publication that waits for that; NULL: none. */
const struct publication *publish_expired(const struct session *session);

/* What the runner says of actions that it could not make: their unit fails; breaking a rule ends the session. */
void publish_fail_actions(struct session *session, const struct action_failure *failure);

/* A life has ended. Publications that cannot go on in the next one fail, ... */
void publish_fail_lost(struct session *session);

/* ...the next one is asked for all others but those whose units have failed... */
void publish_take_back(struct session *session);

/* ...and before that for actions and initialisers of what is ready. */
void publish_replay(struct session *session);

/* There is no next one: all of them fail. */
void publish_refuse(struct session *session, const struct error *why);
void publish_close(struct session *session);

/* ---- life.c ---- */
void life_message(struct session *session, const struct lifecycle *message);

/* Begins the next life if something is to be done in it, and the controller reads. */
void life_resume(struct session *session);

/* Where no further life begins: what would need one fails. */
void life_refuse(struct session *session);

/* Has the template end the life. */
void life_end(struct session *session);

/* ---- call.c ---- */
void call_request(struct session *session, uint64_t request, const Jitd__Proto__Call *call);
void call_replied(struct session *session, const struct task *task, const struct channel_record *reply);
/* The life of the runner ended when a call had been sent: answers it; or, with NULL, it had not begun and waits. */
void call_life_ended(struct session *session, const Jitd__Proto__Ended *ended);
void call_next(struct session *session);

/* None of those that wait can begin any more. */
void call_refuse(struct session *session, const struct error *why);

/* The first one has a deadline and waits until no other code of the program is ahead of it on the main thread. */
bool call_is_held(const struct session *session);

/* A call that was made before its function was there: checked but for that. NULL may be freed. */
int call_new(const struct session *session, const Jitd__Proto__Call *message, uint64_t request, struct call **out,
             struct error *error);
void call_free(struct call *call);

/* Queues a call of a function of the unit, which is removed after it. Takes the call over. */
void call_queue(struct session *session, struct call *call, struct unit *unit);

/* The unit is being removed: calls of it that have not begun fail. */
void call_forget_unit(struct session *session, const struct unit *unit);
bool call_cancel(struct session *session, uint64_t request); /* one that has not begun */

/* Deadlines have passed: answers calls that have not begun, and ends the life for the one that has. */
void call_expire(struct session *session);

/* The deadline of the call for which the life has been ended; 0: it has not. */
uint32_t call_late_ms(const struct session *session);
void call_close(struct session *session);

/* ---- deadline.c ---- */
void deadline_add(struct session *session, uint64_t first, uint32_t count, uint32_t milliseconds);
void deadline_add_call(struct session *session, uint64_t at); /* by the loop's clock; call_expire is called then */
void deadline_close(struct session *session);

/* ---- trim.c ---- */
void trim_when_quiet(struct session *session); /* at the end of every turn */

/* ---- crash.c ---- */
/* What the thread was doing that ended the life; NULL: not that. */
struct crash_suspects {
    const struct unit *initialising, *finalising, *acting;
    uint32_t deadline_ms; /* other than 0: it had not returned when that had passed, and the life was ended */
};

void crash_describe(struct session *session, int wait_status, const struct crash_suspects *suspects, struct pool *pool,
                    Jitd__Proto__Ended *out);

#endif
