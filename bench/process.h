/*
 * Other processes as /proc shows them: those of a session below the daemon that this process spawned, and what memory
 * a process holds.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* Of the only session that is open on a daemon spawned by this process. */
struct session_processes {
    pid_t linker;
    pid_t runner; /* the live one, a child of the template */
};

void process_find_session(struct session_processes *out);

/* Bytes of RAM: private anonymous memory, and shared memory (memfds) as far as this process has touched it. */
struct process_memory {
    size_t anonymous;
    size_t shared;
};

struct process_memory process_measure(pid_t process);

#endif
