/*
 * The bare floors: two processes and nothing of jitd between them.
 *
 * An echo is a forked process at the other end of a Unix stream socket: it takes as many bytes as a request has, lays
 * them, where it was told to, into shared memory, and answers with as many as a reply has. A futex pair bounces a word
 * of shared memory. A crash pair is a process that forks a child, sees it crash, and forks the next.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct echo {
    int socket;
    pid_t process;
    size_t request_bytes;
    size_t reply_bytes;
    uint8_t *buffer; /* owned; of the larger of the two */
};

/* Ends with echo_stop. */
void echo_start(struct echo *echo, size_t request_bytes, size_t reply_bytes, bool copy);

/* One request and its reply; nanoseconds. */
uint64_t echo_round(struct echo *echo);
void echo_stop(struct echo *echo);

struct futex_pair {
    _Atomic uint32_t *words; /* shared; one to wake the other process by, one to be woken by */
    pid_t process;
    uint32_t rounds;
};

void futex_pair_start(struct futex_pair *pair);
uint64_t futex_pair_round(struct futex_pair *pair);
void futex_pair_stop(struct futex_pair *pair);

struct crash_pair {
    int socket;
    pid_t process;
};

void crash_pair_start(struct crash_pair *pair);

/* From the order to crash to the answer of the next child; nanoseconds. */
uint64_t crash_pair_round(struct crash_pair *pair);
void crash_pair_stop(struct crash_pair *pair);

/* posix_spawn of /bin/true to its end, as waitpid tells it. */
uint64_t spawn_round(void);

#endif
