/*
 * What this program does for bench/run beside measuring: work for strace to count the system calls of, and trees as
 * files for the peers that take files.
 */
#ifndef BENCH_ERRANDS_H
#define BENCH_ERRANDS_H

#include <stddef.h>

/* Submits a tree to a session of its own, leaves first and each batch waited for. */
void errand_submit(const char *daemon, size_t units, size_t batch);

/* Writes DIRECTORY/0.o and so on, a tree whose root is s_0. */
void errand_write(const char *directory, size_t units);

#endif
