/*
 * A linker without a runner: an arena on memfds of its own, units made ready as soon as they are linked, and a record
 * of what the hooks were told.
 */
#ifndef TESTS_UNIT_LINKER_FIXTURE_H
#define TESTS_UNIT_LINKER_FIXTURE_H

#include "daemon/linker/link.h"
#include "tests/lib/compile.h"
#include "tests/lib/zone_sizes.h"

#define FIXTURE_BASE   0x7f1200000000ull
#define FIXTURE_EVENTS 4096

struct linker_fixture {
    struct linker linker;
    bool hold; /* linked components stay linked: the test makes them ready or lets them fail */
    struct unit *held[64];
    size_t held_count;
    struct {
        uint64_t unit;
        enum unit_state state;
        int code;
        char text[512];
    } events[FIXTURE_EVENTS];
    size_t event_count;
};

struct arena *linker_fixture_arena(void);

void linker_fixture_open(struct linker_fixture *fixture);
void linker_fixture_close(struct linker_fixture *fixture);

/* Submits objects as one batch under the names "0.o", "1.o", ... The objects stay the caller's. Returns the code; the
   first error's text goes to `text` (512 bytes) where it is not NULL. */
int linker_fixture_submit(struct linker_fixture *fixture, const struct object_bytes *objects, uint32_t count,
                          bool closed, char *text);

/* Compiles each source (with -O1 -fPIC) and submits them together. */
int linker_fixture_submit_c(struct linker_fixture *fixture, bool closed, char *text, const char *const *sources);

/* The address of a symbol, which must be bound. */
uint64_t linker_fixture_address(struct linker_fixture *fixture, const char *name);

enum unit_state linker_fixture_state(const struct linker_fixture *fixture, uint64_t unit);

#endif
