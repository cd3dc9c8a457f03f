/*
 * Conditions that a kernel, a container or whoever starts a program can impose, each made here for one command.
 *
 * What is imposed holds for the command and all its descendants and for nobody else: filters, limits, namespaces and
 * their own sysctls, never a setting of the whole machine.
 */
#ifndef TESTS_KERNELS_UNDER_H
#define TESTS_KERNELS_UNDER_H

#include <stddef.h>

#define STATUS_CANNOT 77 /* the condition cannot be made here: a test under it is skipped, with the reason printed */

struct condition {
    const char *name; /* "limit=": takes the value behind it */
    const char *text; /* what it is like */
    /* `value` is "" where the name takes none. Does not return where the condition cannot be made. */
    void (*impose)(const char *name, const char *value);
};

/* Ends the program with STATUS_CANNOT and the reason, with errno's words where `number` is not 0. */
_Noreturn void cannot(int number, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lists of conditions, each ended by a name that is NULL. */
extern const struct condition call_conditions[];  /* calls.c: system calls that are refused */
extern const struct condition space_conditions[]; /* spaces.c: mounts and namespaces */
extern const struct condition start_conditions[]; /* start.c: limits, descriptors, users, environment */

/* landlock.c */
void impose_landlock_version(const char *name, const char *value);

/* Forks; the parent waits for the child, passes its status on and never returns. */
void go_on_in_child(void);

#endif
