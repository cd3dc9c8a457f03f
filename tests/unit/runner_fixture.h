/*
 * jitd-runner alone: the test plays supervisor and linker, with hand-made machine code in zone X. What does not go as
 * it should fails the test.
 */
#ifndef TESTS_UNIT_RUNNER_FIXTURE_H
#define TESTS_UNIT_RUNNER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/channel.h"
#include "proto/control.h"
#include "tests/lib/zone_sizes.h"

#define ZONE_FDS (FD_INHERITED_END - FD_ZONE_X)
#define LIVES    2 /* processes of the runner: the live one and the standby */

/* What the test can break. */
struct runner_fixture_setting {
    int unsealed; /* zone whose memfd is left unsealed, or -1 */
    const char *working_directory;
    uint32_t profile; /* 0: default */
    struct zone_sizes sizes;
    uint64_t least_zeros; /* 0: ZONE_SIZES, of which nothing may be missing */
    bool few_strings;     /* it is started with fewer arguments than the program has */
};

struct runner_fixture {
    pid_t process;
    int lifecycle, wake, symbols;
    unsigned char *zones[ZONE_FDS];
    struct channel *channel;
    uint64_t base;
    uint64_t lazy_entry;
    uint32_t epoch;
    uint64_t next_code; /* offset in zone X */
};

struct runner_fixture runner_fixture_start(struct runner_fixture_setting setting);

/* With its first life begun; in profile `default` or another. */
struct runner_fixture runner_fixture_open(void);
struct runner_fixture runner_fixture_open_as(uint32_t profile);

/* Ends the template as a linker that goes does, and expects it to notice. */
void runner_fixture_close(struct runner_fixture *runner);

struct lifecycle runner_fixture_expect_word(struct runner_fixture *runner, enum lifecycle_kind kind);
void runner_fixture_begin_epoch(struct runner_fixture *runner);

/* The template's children, oldest first. Returns how many. */
size_t runner_fixture_find_lives(const struct runner_fixture *runner, pid_t lives[LIVES]);

/* Puts code into zone X and returns its address. */
uint64_t runner_fixture_add_code(struct runner_fixture *runner, const void *code, size_t bytes);

#define ADD_CODE(runner, ...)                                                                                          \
    runner_fixture_add_code(runner, (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))

void runner_fixture_send(struct channel_queue *queue, struct channel_record record);
struct channel_record runner_fixture_take_reply(struct runner_fixture *runner);

/* Sends to the main thread and takes the reply. */
struct channel_record runner_fixture_perform(struct runner_fixture *runner, struct channel_record request);

/* A call with pointer arguments, or with one, that returns 64 bits. */
struct channel_record runner_fixture_call(struct runner_fixture *runner, uint64_t address, uint64_t argument);
struct channel_record runner_fixture_call_with(struct runner_fixture *runner, uint64_t address, uint64_t count,
                                               const uint64_t *arguments);

/* Sends to the main thread and expects a record of a crash by signal `number`. */
const struct channel_crash *runner_fixture_expect_crash(struct runner_fixture *runner, struct channel_record request,
                                                        int number);

/* The address of what a library of the runner's defines. */
uint64_t runner_fixture_symbol(const struct runner_fixture *runner, const char *wanted);

void *runner_fixture_map(int fd, uint64_t bytes);
bool runner_fixture_is_silent(int fd, int milliseconds);

#endif
