/*
 * An object opened for a test, with targets for its relocations and a copy of one section to relocate.
 */
#ifndef TESTS_UNIT_OBJECT_FIXTURE_H
#define TESTS_UNIT_OBJECT_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/pool.h"
#include "daemon/linker/object.h"
#include "daemon/linker/relocate.h"
#include "tests/lib/compile.h"

struct object_fixture {
    struct object_bytes bytes; /* owned */
    struct pool pool;
    struct object object;
    struct error error;
    struct relocation_target *targets; /* in the pool */
    struct relocation_context context;
    uint32_t section; /* the one that is relocated */
    uint8_t *copy;    /* in the pool: its contents */
};

/* Takes over the bytes. fixture_open gives the code of object_open and may be called again after the bytes changed. */
void fixture_make(struct object_fixture *fixture, struct object_bytes bytes);
int fixture_open(struct object_fixture *fixture);
void fixture_free(struct object_fixture *fixture);

/* Opens, which must succeed, and makes targets and a copy of that section. */
void fixture_open_section(struct object_fixture *fixture, const char *section);

uint32_t fixture_section(const struct object_fixture *fixture, const char *name);
struct relocation_target *fixture_target(struct object_fixture *fixture, const char *symbol);

/* Checks the section's relocations, which must succeed, scans and applies them. */
int fixture_relocate(struct object_fixture *fixture, uint64_t place);

/* All that the linker would do with an object, whatever is in it: for objects made to break it. */
void fixture_exercise(struct object_fixture *fixture);

/* Repeatable random numbers (xorshift). */
uint64_t fixture_random(uint64_t *state);

#endif
