/*
 * The linker's end of the channel (proto/channel.h): what has been asked of the runner, in order, and what came back.
 *
 * Every request is a task in one of two queues; the runner serves each queue in order, so the first task of a queue is
 * the one that is being carried out, and a reply must answer the first task of one of them. Tasks beyond the shared
 * ring's size wait here. Nothing that the runner writes is believed: each word is read once, and a reply that answers
 * nothing breaks the session.
 */
#ifndef LINKER_RUNNER_H
#define LINKER_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/channel.h"

struct unit;
struct call;
struct publication;
struct removal;
struct runner;

/* The main thread, the agent thread, and threads that wait for a function (proto/channel.h). */
enum runner_queue { RUNNER_MAIN, RUNNER_AGENT, RUNNER_WAITER, RUNNER_QUEUES = RUNNER_WAITER + CHANNEL_WAITERS };

enum task_purpose {
    TASK_PUBLISH, /* one step of making a component ready */
    TASK_REPLAY,  /* actions and initialisers of a ready unit, again, in a new life of the runner */
    TASK_REMOVE,  /* finalisers and removal actions of a unit that is being removed */
    TASK_CALL
};

struct task {
    enum task_purpose purpose;
    uint32_t kind;                   /* enum channel_request */
    struct unit *unit;               /* PUBLISH, REPLAY */
    struct publication *publication; /* PUBLISH */
    struct removal *removal;         /* REMOVE */
    struct call *call;               /* CALL */
    uint64_t a, b, c;
};

/* Maps the channel's memfd. Takes the descriptor over, also on failure. */
int runner_open(int fd, struct runner **out, struct error *error);
void runner_close(struct runner *runner); /* NULL is allowed */

struct channel_startup *runner_startup(struct runner *runner);

/* How much of D and Z the next life is to be able to write when it begins. */
void runner_set_writable(struct runner *runner, uint64_t data, uint64_t zeros);

/* A life of the runner begins: the rings are empty, tasks may be sent. Wakes it. */
void runner_begin(struct runner *runner, uint32_t epoch);
bool runner_is_live(const struct runner *runner);
uint32_t runner_epoch(const struct runner *runner);

/* Adds a task; it is sent now, or by runner_begin or runner_drain when there is room. NO_MEMORY. */
int runner_send(struct runner *runner, enum runner_queue queue, const struct task *task);

/* Where the arguments of the one call under way are put before runner_send. */
struct channel_call *runner_call(struct runner *runner);

/* The thread that waits goes on at the address; with 0 it ends its process. Nothing is asked of it any more. */
void runner_resume(struct runner *runner, uint32_t waiter, uint64_t address);

/* Whether everything that was asked in a queue has been answered. */
bool runner_queue_is_empty(const struct runner *runner, enum runner_queue queue);

/* Whether something was asked there that runs the program's code, which may wait for what comes after it. */
bool runner_queue_may_wait(const struct runner *runner, enum runner_queue queue);

/* Sees what replies there are. Those that come later are there at the next look, of which the runner tells in time (it
   writes to FD_WAKE behind them): hostile code could write them faster than they are taken. RUNNER_PROTOCOL. */
int runner_look(struct runner *runner, struct error *error);

/* Takes the next reply that has been seen: 0 with *task and *reply filled and *got true; *got false when there is none.
   A notice of CHANNEL_LAZY has no task: task->kind says so. RUNNER_PROTOCOL. */
int runner_take_reply(struct runner *runner, struct task *task, struct channel_record *reply, bool *got,
                      struct error *error);

/* The life has ended: in which task? The one of the thread that crashed or called exit, NULL where that had none: if
   the runner says which (then *told). Otherwise one that was under way, of those inside one another the innermost, or
   NULL. Valid until runner_end. */
const struct task *runner_culprit(const struct runner *runner, bool *told);

/* Whether the life has come to its tasks: the constructors of its libraries have returned, by its own word. */
bool runner_has_begun(const struct runner *runner);

/* Forgets all tasks. */
void runner_end(struct runner *runner);

/* The task that a queue is busy with, or NULL. Valid until the next call that changes the queue. */
const struct task *runner_under_way(const struct runner *runner, enum runner_queue queue);

/* All that has been asked so far, in whatever life; once it is past, no thread is in code that was called then: each
   task has been answered, or its life is over, and the runner says that the program has no threads. What is asked later
   does not matter, so that the moment comes under constant work, too. */
struct runner_moment {
    uint64_t asked[RUNNER_QUEUES];
};
struct runner_moment runner_now(const struct runner *runner);
bool runner_is_past(const struct runner *runner, const struct runner_moment *moment);

/* A copy of the crash record; false where the runner wrote none. Counts are bounded, nothing else is checked. */
bool runner_read_crash(const struct runner *runner, struct channel_crash *out);

#endif
