/*
 * Alternate signal stacks: what a thread's crash handler stands on when the thread has run over its own stack.
 */
#ifndef RUNNER_ALTERNATES_H
#define RUNNER_ALTERNATES_H

/* One, in memory of its own; NULL where there is no memory. Any thread. */
unsigned char *alternate_take(void);

/* The calling thread's handlers run on it from now on. */
void alternate_use(unsigned char *alternate);

/* Gives one back that no thread uses. */
void alternate_release(unsigned char *alternate);

/* The calling thread uses none any more. */
void alternate_leave(void);

/* Touches what a crash of the calling thread will need of its alternate stack. Not while a handler runs on that. */
void alternate_warm(void);

#endif
