/*
 * Many relocatable objects from one run of the compiler.
 *
 * A pattern is compiled once from a source whose names are unit_000000, unit_000001 and so on; a copy of it has each of
 * them replaced by another number of the same width. Names are all that differs, so that the bytes of a hundred
 * thousand units are as a compiler would have made them.
 */
#ifndef TESTS_LIB_MANY_UNITS_H
#define TESTS_LIB_MANY_UNITS_H

#include <stddef.h>

#include "tests/lib/compile.h"

#define UNIT_NAME_BYTES sizeof "unit_000000"

struct unit_pattern {
    struct object_bytes object; /* owned */
    struct unit_place *places;  /* owned; where names stand in it */
    size_t place_count;
};

/* The test fails where the source is refused. */
struct unit_pattern unit_pattern_compile(const char *source);
void unit_pattern_free(struct unit_pattern *pattern);

/* A function of one number, which is the depth of calls still allowed, that uses `count` others: from 0 to
   UNIT_CALLEES. It is unit_000000 and they are unit_000001 and so on. Its value is unit_model's. */
#define UNIT_CALLEES 3
struct unit_pattern unit_pattern_function(size_t count);

/* What such a function returns, given what its callees return one level down; at depth 0 it calls none. */
unsigned unit_model(const unsigned *callees, size_t count);

/* A copy in which unit_00000K is called after numbers[K]. To be freed with object_free. */
struct object_bytes unit_pattern_make(const struct unit_pattern *pattern, const unsigned *numbers);

/* "unit_NNNNNN"; numbers have at most six digits. */
const char *unit_name(unsigned number, char out[UNIT_NAME_BYTES]);

#endif
