/*
 * The vocabulary of the filters' tables: rules_runner.h and rules_linker.h are written in it, generate.c compiles it.
 *
 * A table is an ordered list of rows. For one system call the rows of one role are tried from top to bottom and the
 * first one whose conditions all hold decides; where none holds, and for a system call without a row, the role's
 * default action does. So "these values, else an errno" is two rows, the second without conditions.
 *
 * A condition compares an argument at the width at which the kernel reads it: WORD for those it takes as int (their
 * upper halves are noise that the caller's compiler may leave there), LONG for those it takes as unsigned long.
 */
#ifndef SANDBOX_RULES_H
#define SANDBOX_RULES_H

#include <stdint.h>

#include "daemon/sandbox/filter.h"

#define ROLE(role) (1u << (role))

/* Stands for the process's own id in a condition until filter_install knows it; above every id the kernel gives. */
#define OWN_PID_PLACEHOLDER 0x6a697464u

enum rule_width { WIDTH_NONE, WIDTH_WORD, WIDTH_LONG };

/* Holds where (argument & mask) == value. */
struct rule_condition {
    enum rule_width width;
    uint32_t argument;
    uint64_t mask;
    uint64_t value;
};

#define RULE_CONDITIONS 3

struct rule {
    const char *name; /* "openat" */
    uint32_t number;
    uint32_t roles;  /* bits ROLE(enum filter_role) */
    uint32_t action; /* SECCOMP_RET_* */
    struct rule_condition conditions[RULE_CONDITIONS];
};

/* ALLOW(roles, call, condition...); DENY(roles, call, errno, condition...). */
#define ALLOW(roles, call, ...)        {#call, __NR_##call, (roles), SECCOMP_RET_ALLOW, {__VA_ARGS__}},
#define DENY(roles, call, number, ...) {#call, __NR_##call, (roles), SECCOMP_RET_ERRNO | (number), {__VA_ARGS__}},

#define WORD_MASKED(n, bits, wanted)                                                                                   \
    {                                                                                                                  \
        WIDTH_WORD, (n), (uint32_t)(bits), (uint32_t)(wanted)                                                          \
    }
#define LONG_MASKED(n, bits, wanted)                                                                                   \
    {                                                                                                                  \
        WIDTH_LONG, (n), (uint64_t)(bits), (uint64_t)(wanted)                                                          \
    }
#define WORD_IS(n, wanted)      WORD_MASKED(n, UINT32_MAX, wanted)
#define LONG_IS(n, wanted)      LONG_MASKED(n, UINT64_MAX, wanted)
#define WORD_WITHIN(n, allowed) WORD_MASKED(n, ~(uint32_t)(allowed), 0)
#define LONG_WITHIN(n, allowed) LONG_MASKED(n, ~(uint64_t)(allowed), 0)
#define IS_OWN_PID(n)           WORD_IS(n, OWN_PID_PLACEHOLDER)

/* The kernel's bit; libc's O_LARGEFILE is 0 on a 64-bit machine. */
#define RAW_O_LARGEFILE 0100000

#endif
