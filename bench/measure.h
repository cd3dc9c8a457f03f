/*
 * Clocks, samples, and the one form in which every measuring program prints: a line of key, median, 99th percentile
 * ("-" for fewer than 100 samples) and number of samples, in microseconds unless the key is one of bytes or counts. The
 * median of what was left out is "skipped".
 * bench/run gathers these lines over runs.
 *
 * A benchmark that cannot do what it measures has nothing to say: measure_die ends the program.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; freed by samples_report. */
struct samples {
    double *values; /* microseconds; owned */
    size_t count;
    size_t capacity;
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t measure_now(void);

void measure_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* malloc that does not return NULL. */
void *measure_allocate(size_t bytes);

/* Where processes run: as the scheduler likes, all on one CPU, or this one on another CPU than those it started. What
   the scheduler likes differs between the things that are compared, and a wake-up across CPUs can cost more than all
   the rest; so round trips are measured in all three ways. */
enum placement { PLACEMENT_FREE, PLACEMENT_ONE_CPU, PLACEMENT_APART };

/* Whether there are CPUs enough. */
bool measure_can_place(enum placement placement);

/* Call the first before starting others and the second after it.
   PLACEMENT_FREE, for children, gives all CPUs back. */
void measure_place_children(enum placement placement);
void measure_place_self(enum placement placement);

/* Adds a duration, divided by `parts`: the units, say, that it was spent on. */
void samples_add(struct samples *samples, uint64_t nanoseconds, size_t parts);

/* The value below which that part of the samples lies (0.5: the median), in microseconds; 0 where there are none. Sorts
   them. */
double samples_quantile(struct samples *samples, double part);
void samples_clear(struct samples *samples);

/* One figure that is not a time. */
void measure_print(const char *key, double value);

/* Instead of a figure: it would take too long. */
void measure_skip(const char *key);

/* Prints the line and frees the samples. */
void samples_report(struct samples *samples, const char *key);

/* The same; the key begins with "one-cpu." or "apart." where the placement is not free. */
void samples_report_placed(struct samples *samples, enum placement placement, const char *key);

/* Has a gigabyte of the machine's memory touched and free. A hypervisor takes from its guest what has been free for
   some seconds, and gives it back page by page, at three times the cost of a page that the guest still has: without
   this, work on much memory would seem to cost more for each byte than work on little. */
void measure_touch_memory(void);

#endif
