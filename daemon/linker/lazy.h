/*
 * Lazy symbols: functions that are called before anybody has supplied them.
 *
 * One struct for each symbol that lazy uses or lazy definitions wait for. While it is not there its trampolines lead to
 * the runner's entry for that; the first thread that comes through is reported, the controller is asked once, and all
 * threads that came are told where to go on when a unit that defines it is ready. When that unit goes, the trampolines
 * lead back.
 */
#ifndef LINKER_LAZY_H
#define LINKER_LAZY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/linker/hash_table.h"
#include "daemon/linker/trampoline.h"
#include "proto/channel.h"

struct lazy {
    struct hash_entry entry;
    struct symbol *wanted; /* borrowed, and counted in its `lazies` */
    uint32_t library;
    bool exact;
    struct trampoline *trampolines; /* borrowed; those that wait for it, or lead to it */
    struct symbol *bound;           /* borrowed; what they lead to; NULL: nothing yet */
    uint64_t waiters;               /* bits: threads of the runner that wait */
    uint64_t ask;                   /* the number of the question that the controller has not answered; 0: none */
};

/* A thread of the runner. */
struct lazy_waiter {
    struct lazy *lazy;                   /* borrowed; what it waits for; NULL: it does not wait */
    const struct trampoline *trampoline; /* borrowed; that it came through; NULL once that is gone */
    uint64_t convention;                 /* by which it calls */
    uint64_t deadline;                   /* milliseconds of the owner's clock */
};

struct lazies {
    struct hash_table by_name;   /* struct lazy, owned; by the name alone */
    struct hash_table by_number; /* struct trampoline, borrowed; by its number */
    struct lazy_waiter waiters[CHANNEL_WAITERS];
    uint64_t asked; /* questions so far */
};

void lazies_close(struct linker *linker);

/* The unit has been linked: its lazy trampolines lead to what is ready, the others wait. NO_MEMORY. */
int lazy_link(struct linker *linker, struct unit *unit, struct error *error);

/* The unit goes: so do its trampolines. */
void lazy_unlink(struct linker *linker, struct unit *unit);

/* A symbol's unit has become ready; or the symbol has been taken away again, ready or not. */
void lazy_offered(struct linker *linker, const struct symbol *symbol);
void lazy_withdrawn(struct linker *linker, const struct symbol *symbol, const struct error *why);

/* A thread of the runner came through the trampoline of that number and waits, at most until the deadline, of which
   only lazy_soonest makes use. Anything may be claimed. */
int lazy_called(struct linker *linker, uint32_t waiter, uint64_t number, uint64_t deadline, struct error *error);

/* The name of what is called through the trampoline of that number; NULL where there is none. */
const char *lazy_name(const struct linker *linker, uint64_t number);

/* The unit that is there, but not ready, and will bring what the thread waits for; NULL where none is, or the thread
   does not wait. */
struct unit *lazy_coming(struct linker *linker, uint32_t waiter);

/* The trampoline leads to another function: the threads that came through it go on there. */
void lazy_redirected(struct linker *linker, const struct trampoline *trampoline, uint64_t address);

/* A redirection of the trampoline's has been undone: what it is bound to may lead to it by now, and then no more is. */
void lazy_led_back(struct linker *linker, const struct trampoline *trampoline);

/* Search orders have changed: what threads wait for may be there. */
void lazy_search_again(struct linker *linker);

/* The controller will not supply it: its threads are told so. False where no such question is open. */
bool lazy_refuse(struct linker *linker, uint64_t ask, const struct error *why);

/* All that waited has ended with its process. */
void lazy_runner_ended(struct linker *linker);

/* It has taken too long, or will not come: all its threads are told so. */
void lazy_give_up(struct linker *linker, struct lazy *lazy, const struct error *why);

/* What the thread with the earliest deadline waits for, or NULL. */
struct lazy *lazy_soonest(const struct linker *linker, uint64_t *deadline);

#endif
