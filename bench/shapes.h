/*
 * Graphs of units other than a tree: who uses whom, and who arrives first. A shape is a row of the table in shapes.c.
 * Its functions are never called: many would not return.
 */
#ifndef BENCH_SHAPES_H
#define BENCH_SHAPES_H

#include <stddef.h>

#include "bench/object_writer.h"

/* In the order of arrival; freed with object_free_all. A name that no shape has ends the program. */
struct written_object *shape_write(const char *name, size_t units);

/* Every shape at 1,000, 10,000 and 100,000 units, as far as `most_units` goes, each in a session of its own. What is
   foreseen to take over 20 seconds is reported as skipped. */
void shapes_measure(const char *daemon, size_t most_units);

#endif
