/*
 * What this program does for bench/run and bench/instructions beside measuring: work for strace and callgrind to count
 * what it costs, and trees as files for the peers that take files.
 *
 * What is counted in this program itself, and nothing else, happens inside errand_drive_units and errand_drive_calls.
 */
#ifndef BENCH_ERRANDS_H
#define BENCH_ERRANDS_H

#include <stdbool.h>
#include <stddef.h>

/* Submits a tree to a session of its own, leaves first and each batch waited for; with `local` its objects' names are
   their own and each has a manifest. */
void errand_submit(const char *daemon, size_t units, size_t batch, bool local);

/* Calls a function that returns 1, again and again. */
void errand_call(const char *daemon, size_t calls);

/* A shape of shapes.h, in the order of its arrival, each batch sent when the socket has taken the last. */
void errand_shape(const char *daemon, const char *name, size_t units, size_t batch);

/* Copies of one object, each batch waited for. In each copy every "000000", part of names, is another number. */
void errand_copies(const char *daemon, const char *object, size_t units, size_t batch);

/* So many units that are ready, each using the one before it and the first; that is of the object, which defines
   `base`, writes to the standard output when it is initialised and crashes then if that is not empty. A call crashes,
   and in a later life all of them fail. */
void errand_fail(const char *daemon, const char *object, size_t units, size_t batch);

/* Writes DIRECTORY/0.o and so on, a tree whose root is s_0. */
void errand_write(const char *directory, size_t units);

#endif
