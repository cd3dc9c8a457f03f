/*
 * The channel between a session's linker and its live runner: one shared memfd, mapped read-write by the linker, the
 * template and every live runner.
 *
 * Requests go to one of two queues: MAIN, served by the runner's main thread, and AGENT, served by its agent thread
 * while the main thread is busy in a call. Both are single-producer single-consumer rings. Replies come back in one
 * ring; the runner serialises its writers, and writes to FD_WAKE after each group of replies.
 *
 *   waiting: the reader of a request queue sleeps in FUTEX_WAIT (shared) on `head` while head == tail;
 *            the linker stores records, then `head` with release order, then wakes one sleeper.
 *   epochs:  a live runner does nothing with the rings until channel.epoch equals its own number, and does not look
 *            at that before the template has reaped the former runner and cleared what it left there. The linker
 *            drains and resets the rings when the template has told it that the former runner has ended, then stores
 *            the next epoch and wakes its sleepers. So nothing of one life is ever read as another's.
 *
 * TRUST: the runner executes hostile code and can write every byte here at any time. The linker reads each word once
 * into a local, masks indices, bounds counts, and believes nothing; a ring whose head runs more than its size ahead is
 * a broken rule that ends the session. The runner trusts the linker.
 */
#ifndef PROTO_CHANNEL_H
#define PROTO_CHANNEL_H

#include <stdint.h>

#include "proto/limits.h"

#define CHANNEL_QUEUE_RECORDS 256u /* a power of two */

enum channel_request {
    /* Have bytes of zone D writable, and copy them from its pristine image: a = offset in D, b = bytes. Sent for
       every unit with initialised data: a page that the runner has written no longer sees the linker's stores. */
    CHANNEL_COPY_DATA = 1,
    /* Call each pointer of an array in zone R, in order, as an initialiser (argc, argv, envp): a = address, b = count.
       Passed over where c is a publication whose actions have failed. */
    CHANNEL_INITIALISE,
    /* Remember an array of finalisers to be called in reverse at exit, later arrays first: a = address, b = count.
       Passed over where c is a publication whose actions have failed. */
    CHANNEL_FINALISERS,
    /* Call main: a = address; the runner exits with what it returns. No reply but the end of its life. */
    CHANNEL_MAIN,
    /* Call a function: a = address, b = result type, c = count of arguments, which lie in channel.call. */
    CHANNEL_CALL,
    /* Run an array of finalisers now and forget it: a = address, b = count. */
    CHANNEL_FINALISE,
    /* Run and forget what was registered with __cxa_atexit for an object: a = its __dso_handle. With a publication in c
       only where its actions have failed. */
    CHANNEL_FINALISE_OBJECT,
    /* Fill bytes of zone Z with zeros, which a removed unit has used before, and have them writable: a = offset in Z, b
       = bytes. As with CHANNEL_COPY_DATA, status is NO_MEMORY where they cannot be; the rest of publication c is passed
       over then. */
    CHANNEL_ZERO,
    /* Make the publishing calls of a unit's actions in order, and remember them to be undone at exit, after finalisers:
       a = address of an array of struct channel_action in zone R, b = count, c = the publication, a number other than 0
       that its requests have in common; they stand behind one another in one queue. Where a call returns other than 0,
       the removing calls of those that went well are made in reverse, through all of the publication, whose further
       actions are passed over; the reply's a is the number of the action in its array, from 1 on, b what it returned, c
       how many of the removing calls returned other than 0. With c = 0, of what a former life did, the process ends
       then (SIGABRT) when it has replied. */
    CHANNEL_ACTIONS,
    /* Make the removing calls of actions that went well in reverse and forget them: a = address of the array. Of the
       calls that returned other than 0 the reply tells of the first (a, b) and how many there were (c). */
    CHANNEL_UNDO_ACTIONS,
    /* To a waiter alone: its thread goes on: a = address of the function that it has called; 0: nobody supplies it, and
       the thread ends the process as a crash does (SIGABRT, with a record). No reply. */
    CHANNEL_RESUME,
    /* In the ring of replies, though nothing was asked: a thread has called a function that is not there. id = its
       waiter, or CHANNEL_WAITERS; a = the number of the slot through which it called (offset in zone S / 8). */
    CHANNEL_LAZY
};

/* One call of an action, in zone R: int function(const void *argument, size_t bytes). */
struct channel_action_call {
    uint64_t function; /* 0: none */
    uint64_t argument; /* 0 where there are no bytes */
    uint64_t bytes;
};

struct channel_action {
    struct channel_action_call publish, remove;
};

struct channel_record {
    uint32_t kind;   /* requests: enum channel_request; replies: the kind that is being answered */
    uint32_t status; /* replies: 0, or an enum error_code */
    uint64_t id;     /* the linker's; echoed */
    uint64_t a;      /* replies: the result's bits of CHANNEL_CALL; with b and c, what has become of actions */
    uint64_t b;
    uint64_t c;
    uint64_t spare[3];
};

struct channel_queue {
    _Alignas(64) _Atomic uint32_t head; /* count of records ever written; futex */
    _Alignas(64) _Atomic uint32_t tail; /* count of records ever taken */
    _Alignas(64) struct channel_record records[CHANNEL_QUEUE_RECORDS];
};

/* A thread that has called a function which is not there yet. It takes a free waiter, tells the linker with
   CHANNEL_LAZY, and then does what it is asked, one request at a time, until it is asked to resume: the initialisers of
   the unit that brings the function run on it. A request is answered as those of the queues are; its id has the
   waiter's number plus 2 in its high half.

   Initialisers that call such a function themselves have waiters of their own, from CHANNEL_NESTED on: what they
   initialise may be what all others wait for. A thread for which none becomes free in startup.patience_ms sends the
   notice with CHANNEL_WAITERS for a number, and ends the process. */
#define CHANNEL_WAITERS 64u
#define CHANNEL_NESTED  32u

struct channel_waiter {
    _Alignas(64) _Atomic uint32_t head; /* count of requests ever written; futex; the linker's */
    _Atomic uint32_t taken;             /* 1 while a thread has it; the runner's */
    struct channel_record request;      /* written before `head` */
};

/* The arguments of the one call under way. */
struct channel_call {
    uint32_t types[LIMIT_CALL_ARGUMENTS]; /* enum ValueType of jitd.proto */
    uint64_t values[LIMIT_CALL_ARGUMENTS];
};

/* What the crash handler saw; claimed by the runner, attested by nobody. */
enum channel_crash_state { CRASH_NONE, CRASH_WRITING, CRASH_COMPLETE };

/* Which thread ended the life, by a crash or by exit: not known, as where it was killed from outside; one that carried
   out a request; one that carried out none. */
enum channel_end { END_UNKNOWN, END_REQUEST, END_OTHER };

#define CRASH_REGISTERS 18 /* rax rbx rcx rdx rsi rdi rbp rsp r8..r15 rip eflags: in this order */

struct channel_crash {
    _Atomic uint32_t state; /* enum channel_crash_state; the first crashing thread takes it by compare-and-swap */
    int32_t signal;
    int32_t code; /* si_code */
    uint32_t stack_overflow;
    uint64_t address; /* si_addr */
    uint64_t thread;
    uint64_t registers[CRASH_REGISTERS];
    uint32_t frame_count;
    _Atomic uint32_t end;                    /* enum channel_end; there without a crash, too; written after... */
    uint64_t request;                        /* ...the id of the request, of several inside one another the innermost */
    uint64_t frames[LIMIT_BACKTRACE_FRAMES]; /* program counters, innermost (the faulting one) first */
    uint8_t exact[LIMIT_BACKTRACE_FRAMES];   /* not 0: of an interrupted instruction, not where a call returns */
};

/* Written by the linker before CONTROL_START, read by the template once. Strings lie NUL-terminated, back to back, in
   `bytes`: the arguments, then the environment, then the working directory (empty: the daemon's own). */
struct channel_startup {
    uint32_t profile;
    uint32_t patience_ms; /* how long a thread waits for a waiter */
    uint32_t argument_count;
    uint32_t environment_count;
    uint32_t used;
    char bytes[LIMIT_STARTUP_BYTES];
};

struct channel {
    _Alignas(64) _Atomic uint32_t epoch; /* futex; the linker's; the template clears it between lives */
    _Atomic uint32_t threads;            /* of the program's own, the main one not among them: the runner's word */
    _Atomic uint64_t
        writable[2];        /* how much of D and of Z a life is to be able to write when it begins; the linker's */
    _Atomic uint32_t begun; /* 1: the constructors of the libraries have returned: the runner's word */
    _Alignas(64) struct channel_queue main;
    struct channel_queue agent;
    struct channel_queue replies;
    struct channel_waiter waiters[CHANNEL_WAITERS];
    _Atomic uint32_t waiters_released[2]; /* how often one became free, of the nested ones the second; futex of threads
                                             that find none; the runner's */
    struct channel_call call;
    struct channel_crash crash;
    struct channel_startup startup;
};

#endif
