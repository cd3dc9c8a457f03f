/*
 * A session with the daemon of this build, as a test sees it: sources in, calls out, and all that was reported on the
 * way kept as plain copies that can be looked at afterwards.
 *
 * The daemon is $O/bin/jitd. Whatever a test does not expect to fail is asserted here with the daemon's own words, so
 * that a test reads as what it is about. harness_close also asserts that no process is left.
 */
#ifndef TESTS_INTEGRATION_HARNESS_H
#define TESTS_INTEGRATION_HARNESS_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/jitd.h"
#include "tests/lib/compile.h"

#define HARNESS_PATIENCE 20000 /* ms; a machine under load is slow, a hang is for ever */
#define HARNESS_FLAGS    "-O1 -fPIC -w"
#define HARNESS_ERRORS   16

/* The code of a struct harness_error to which harness_done has not come yet. */
#define HARNESS_UNANSWERED (-1)

/* Where the expression is not 0 the test fails with the session's own words. */
#define HARNESS_MUST(harness, expression)                                                                              \
    do {                                                                                                               \
        int code_ = (expression);                                                                                      \
        cr_assert(code_ == 0, #expression ": %s", jitd_last_error((harness)->session)->text);                          \
    } while (0)

struct harness_error {
    int code; /* 0: none */
    char text[512];
    char unit[64];
    char section[64];
    char relocation[64];
    char symbol[64];
    size_t reference_count;
    char references[8][64];     /* "unit:section" */
    size_t reference_places[8]; /* each unit's place in the batch */
    size_t cause_count;
    size_t causes_omitted;
    char causes[16][64]; /* "unit:symbol" */
};

struct harness_frame {
    uint64_t pc;
    char unit[128];
    char function[64];
    uint64_t function_offset;
    uint64_t unit_id;
    char section[64];
    uint32_t section_index;
    uint64_t section_offset;
    bool exact;
};

struct harness_end {
    uint64_t epoch;
    bool exited;
    int exit_status;
    int signal;
    bool record;
    int record_signal;
    uint64_t fault_address;
    bool stack_overflow;
    uint64_t program_counter; /* the register rip; 0 where registers are missing */
    uint64_t stack_pointer;
    size_t register_count;
    size_t frame_count;
    struct harness_frame frames[128];
    char initialiser_of[64];
    char finaliser_of[64];
    char action_of[64];
    uint32_t deadline_ms;
    char lazy_symbol[64];
    struct harness_error lazy_error;
};

/* A question of the program's, as jitd_listener.materialize brought it. */
struct harness_question {
    uint64_t ask;
    char symbol[64];
    uint32_t library;
    uint64_t convention;
};

#define HARNESS_QUESTIONS 256

/* How a call came back: by returning, by the runner's end, or refused. */
struct harness_call {
    bool completed;
    bool returned;
    int64_t value;
    bool ended;
    struct harness_end end;
    int code;
    char text[512];
};

struct harness_unit {
    uint64_t id;
    char name[64];
    enum jitd_unit_state state;
    int order; /* when READY or FAILED was told: 1 for the first unit of the session */
    struct harness_error error;
};

struct harness {
    struct jitd_session *session;
    struct object_bytes *objects;   /* owned; of the batch that is being put together */
    struct jitd_unit_input *inputs; /* owned; its units, but for their bytes */
    size_t object_count;
    struct harness_unit *units;
    size_t unit_count;
    int told;                                    /* READY and FAILED events */
    struct harness_error errors[HARNESS_ERRORS]; /* of the last submission */
    size_t error_count;
    uint32_t deadline_ms;        /* of the next submissions; 0: none */
    int runner_ends;             /* RunnerEnded events */
    struct harness_end last_end; /* of the last one */
    bool disconnected;
    int end_code; /* why it was disconnected... */
    char end_text[400];
    int asked; /* Materialize events; the first of them: */
    struct harness_question questions[HARNESS_QUESTIONS];
    int output; /* memfd that is the program's stdout and stderr; -1 where none was asked for */
    pid_t daemon;
};

/* ---- sessions ---- */

/* NULL for the defaults. `daemon` may be left out of the options. Returns when the daemon has welcomed us. */
struct harness *harness_open(const struct jitd_options *options);

/* As harness_open; the program's output is kept for harness_output. */
struct harness *harness_open_with_output(const struct jitd_options *options);

/* As harness_open; the program has the C++ library. */
struct harness *harness_open_with_libstdcxx(void);

/* Ends the session and asserts that none of its processes is left. */
void harness_close(struct harness *harness);

/* What the program has written so far; to be freed. */
char *harness_output(const struct harness *harness);

/* It has written that and nothing else. */
void harness_expect_output(const struct harness *harness, const char *wanted);

/* Waits until that is part of it. */
void harness_await_output(const struct harness *harness, const char *wanted);

/* $O/bin/jitd */
const char *harness_daemon_path(void);

/* ---- submitting ---- */

/* Adds to the batch that is being put together. Names are borrowed until it is submitted; bytes are copied. */
void harness_add(struct harness *harness, const char *name, const struct object_bytes *object);
void harness_add_c(struct harness *harness, const char *name, const char *source);
void harness_add_assembly(struct harness *harness, const char *name, const char *source);

/* All that a unit can be: its manifest is borrowed until the batch is submitted, the object is compiled from C; without
   a source there is none. */
void harness_add_unit(struct harness *harness, const struct jitd_unit_input *unit, const char *source);

/* The same with an object that is there already. */
void harness_add_object(struct harness *harness, const struct jitd_unit_input *unit, const struct object_bytes *object);

/* Submits the batch and waits for the reply: 0, or the code of the first of harness->errors. */
int harness_submit(struct harness *harness, unsigned flags);

/* As harness_submit where the batch must be taken; what becomes of it is another matter. */
void harness_accept(struct harness *harness, unsigned flags);

/* A life has ended: has the next one begin, in which initialisers run again, whatever becomes of it. */
void harness_begin_life(struct harness *harness);

/* Waits until every unit is READY or FAILED. */
void harness_settle(struct harness *harness);

/* The batch must be taken; waits until every unit is READY or FAILED. */
void harness_link_batch(struct harness *harness, unsigned flags);

/* As harness_settle, and that one must be READY. */
void harness_expect_ready(struct harness *harness, const char *name);

/* It is in that state now. */
void harness_expect_state(const struct harness *harness, const char *name, enum jitd_unit_state state);

/* One unit in a closed batch of its own, which must become READY. */
void harness_link_c(struct harness *harness, const char *name, const char *source);
void harness_link(struct harness *harness, const char *name, const struct object_bytes *object);

/* One unit with a manifest, either of which may be NULL: added; submitted in an open batch, which must be taken; and
   that it becomes READY. */
void harness_add_named(struct harness *harness, const char *name, const char *source,
                       const struct jitd_manifest *manifest);
void harness_submit_named(struct harness *harness, const char *name, const char *source,
                          const struct jitd_manifest *manifest);
void harness_link_named(struct harness *harness, const char *name, const char *source,
                        const struct jitd_manifest *manifest);

/* The first two in a library. */
void harness_add_to(struct harness *harness, uint32_t library, const char *name, const char *source,
                    const struct jitd_manifest *manifest);
void harness_submit_to(struct harness *harness, uint32_t library, const char *name, const char *source,
                       const struct jitd_manifest *manifest);

/* The last unit submitted under that name; the test fails where there is none. */
const struct harness_unit *harness_unit(const struct harness *harness, const char *name);

/* ---- removing ---- */

struct harness_removal {
    bool completed;
    size_t count;
    struct harness_error error; /* code 0: none */
};

/* Begun without waiting, and `removal` must outlive it; waited for; of the one unit of that name, which must succeed.
 */
jitd_request harness_remove_begin(struct harness *harness, const struct jitd_removal *what,
                                  struct harness_removal *removal);
struct harness_removal harness_remove(struct harness *harness, const struct jitd_removal *what);
void harness_remove_unit(struct harness *harness, const char *name);

/* The same of one unit of that name, whatever becomes of it. */
struct harness_removal harness_try_removing(struct harness *harness, const char *name, bool cascade);

/* ---- calling ---- */

/* A function of one 64-bit integer that returns one, and the same begun without waiting. `call` must outlive it. */
struct harness_call harness_call(struct harness *harness, const char *name, int64_t argument);
jitd_request harness_call_begin(struct harness *harness, const char *name, int64_t argument, struct harness_call *call);
void harness_wait(struct harness *harness, jitd_request request);

/* jitd_run of a unit, begun without waiting, and waited for. */
jitd_request harness_run_begin(struct harness *harness, const char *name, const struct object_bytes *object,
                               const char *function, int64_t argument, struct harness_call *call);
struct harness_call harness_run(struct harness *harness, const char *source, const char *function, int64_t argument);

/* Runs the program's main. */
struct harness_call harness_main(struct harness *harness);

/* As harness_call where it must return. */
int64_t harness_value(struct harness *harness, const char *name, int64_t argument);

/* 0 where the name is not known. */
uint64_t harness_address(struct harness *harness, const char *name);

/* A jitd_done_callback: copies the first error to `data`, a struct harness_error or NULL; its code is 0 where there is
   none. */
void harness_done(struct jitd_session *session, const struct jitd_errors *errors, void *data);

/* The question of that number, from 1 on, has come, and is about the symbol. */
const struct harness_question *harness_expect_question(struct harness *harness, int number, const char *symbol);

/* Refuses the question, without waiting. */
void harness_refuse(struct harness *harness, uint64_t ask, const char *text);

/* Redirections in one request, and one alone: the error, and its code; 0 where it was done. */
struct harness_error harness_redirect_all(struct harness *harness, const char *const *symbols,
                                          const char *const *targets, size_t count);
int harness_redirect(struct harness *harness, const char *symbol, const char *target);

/* Dispatches for so many milliseconds. */
void harness_dispatch_for(struct harness *harness, int milliseconds);

/* Dispatches until *value is at least `wanted`; the test fails where that takes too long. */
void harness_dispatch_until(struct harness *harness, const int *value, int wanted);

/* Dispatches until the connection is gone. */
void harness_await_disconnection(struct harness *harness);

/* ---- the processes (harness_processes.c) ---- */

/* The one child of the test: its daemon. The test fails where there is none. */
pid_t harness_only_child(void);

/* Of the session's tree: the linker, the runner's template, and the live runner. The test fails where there is none. */
enum harness_process { HARNESS_LINKER, HARNESS_TEMPLATE, HARNESS_RUNNER };
pid_t harness_process(const struct harness *harness, enum harness_process which);

/* The session's processes, the daemon's own first; returns how many. */
#define HARNESS_PROCESSES 16
size_t harness_processes(pid_t daemon, pid_t pids[HARNESS_PROCESSES]);

/* Asserts that within some seconds none of them exists any more, not even as a zombie. */
void harness_expect_gone(const pid_t *pids, size_t count);

/* Reads a number from a line "KEY:\tNUMBER" of /proc/PID/status; -1 where there is none. */
long harness_status(pid_t pid, const char *key);

#endif
