/*
 * One session under stress: a program whose threads call functions, and a controller that brings, exchanges, refuses
 * and removes these meanwhile, at random.
 *
 * What must hold is known of each function (struct function): in which of its states the program may ask for it, and
 * which ends of the program's life were asked for. The program itself looks at what its calls return.
 */
#ifndef TESTS_STRESS_STRESS_H
#define TESTS_STRESS_STRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/jitd.h"

/* As tests/objects/stress_program.c has them. */
#define LAZIES    16
#define SWITCHES  4
#define ALTS      4
#define FUNCTIONS (LAZIES + ALTS)
#define THREADS   40

enum function_state {
    FUNCTION_ABSENT,
    FUNCTION_SENT,   /* submitted; the daemon has not answered */
    FUNCTION_COMING, /* not ready yet */
    FUNCTION_READY,
    FUNCTION_LEAVING /* its removal has been sent */
};

/* What the program may call: lazy_00 and so on, then alt_000 and so on. */
struct function {
    enum function_state state;
    uint64_t unit;
    uint32_t version; /* of the unit that was submitted last */
    uint64_t ask;     /* the question that is open; 0: none */
    uint64_t due;     /* when it is answered: nanoseconds of CLOCK_MONOTONIC */
    uint32_t leading; /* switches that have been led there, or may have been */
};

/* What the program may come to in this round, beside returning. */
struct allowed {
    bool crash;   /* one of its threads crashes on purpose */
    bool refusal; /* a question is refused */
    bool timeout; /* answers come later than the deadline */
};

struct stress {
    struct jitd_session *session;
    uint64_t random;
    struct function functions[FUNCTIONS];
    struct allowed allowed;
    bool calling; /* the program runs */
    uint64_t round_began;
    uint64_t rounds, calls, questions, ends, removals, redirections; /* so far */
    uint64_t used;                                                   /* of all zones, with the program alone */
    uint64_t slowest_answer;                                         /* nanoseconds that a question may have to wait */
    char text[512];                                                  /* what went wrong; "": nothing */
};

/* ---- stress.c ---- */

/* A session, with the program in it. */
void stress_open(struct stress *stress, uint64_t seed);
void stress_close(struct stress *stress);

/* One run of the program. False: `text` says what went wrong. */
bool stress_round(struct stress *stress);

/* The first thing that goes wrong is kept. */
void stress_fail(struct stress *stress, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t stress_now(void); /* nanoseconds of CLOCK_MONOTONIC */

/* ---- supply.c ---- */

/* Compiles what is submitted, once. */
void supply_prepare(void);
void supply_close(void);

/* Submits the program, without waiting. */
void supply_program(struct stress *stress);

/* Submits the next version of a function that is absent. */
void supply_function(struct stress *stress, uint32_t index);
const char *supply_name(uint32_t index, char out[8]);

/* ---- act.c ---- */

/* Does something to a function, or to none. */
void act(struct stress *stress);

/* Answers the questions that are due; all of them where `at_once`. */
void act_answer(struct stress *stress, bool at_once);

/* Takes everything away that is there. True when nothing is left, and nothing asked for. */
bool act_clear(struct stress *stress);

#endif
