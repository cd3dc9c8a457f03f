/*
 * Performs operations on a session with a daemon of this build, and compares all that comes back with the model.
 *
 * Requests go out without waiting for answers until an operation says that they are to be waited for; what the model
 * said to each lies beside it until then.
 */
#ifndef TESTS_MODEL_DRIVE_H
#define TESTS_MODEL_DRIVE_H

#include "tests/model/model.h"

#define DRIVE_TEXT_BYTES 1024

/* One operation, its request, and what was answered. */
struct record {
    const struct operation *operation; /* borrowed */
    struct answer answer;              /* the model's */
    struct drive *drive;
    jitd_request request; /* 0: none was made */
    bool compared;
    int answers; /* must be one */
    uint64_t codes;
    uint32_t missing; /* names that were said to be */
    uint64_t value;
    bool returned, ended;
    size_t count;
    uint64_t units[UNITS_MOST];
    struct jitd_address addresses[ITEMS_MOST];
};

/* What has been told of one unit. */
struct news {
    uint64_t id;
    int resolved, ready, failed;
    int code;
};

struct drive {
    struct jitd_session *session;
    struct model *model;
    struct record records[OPERATIONS_MOST + 1]; /* by the operation's number */
    struct news news[SERIALS_MOST];
    uint32_t *serials; /* by unit id; owned */
    size_t id_end;
    uint32_t first; /* the lowest number of a record that is not compared */
    int ends;       /* RunnerEnded events that must have come */
    int ended;
    bool disconnected;
    uint64_t page_function;                             /* address of getpagesize in the runner */
    uint64_t process[NAMES_MOST];                       /* addresses, as soon as they are known */
    uint64_t functions[SERIALS_MOST][ENTRIES_MOST + 8]; /* the same, by serial and entry number */
    uint64_t inspected;                                 /* the last id that was listed */
    uint32_t listed;                                    /* units */
    uint64_t next;                                      /* where the next piece begins */
    char text[DRIVE_TEXT_BYTES];                        /* of the first difference; empty: there is none */
};

/* Performs them in a session of its own. False where the session did not do what the model says, which `text` then
   tells. */
bool drive_run(const struct operation *operations, size_t count, char text[DRIVE_TEXT_BYTES]);

/* ---- between drive's own files ---- */

/* drive.c: the first difference is kept. */
void drive_differs(struct drive *drive, const struct record *record, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define DRIVE_PATIENCE 20000 /* ms */
#define DRIVE_ABORT    "abort_here"

/* perform.c: sends what the operation is; a number of the library's error codes where it could not. */
int perform(struct drive *drive, struct record *record);
void perform_take_errors(struct record *record, const struct jitd_errors *errors);

/* submit.c: the same of a batch. */
int perform_submit(struct drive *drive, struct record *record);

/* compare.c: whether all has come that must have, without complaint. */
bool compare_is_settled(const struct drive *drive);

/* compare.c: all records that are not compared yet, and what is known of units. */
void compare_all(struct drive *drive);

/* compare.c: one piece of an inspection. */
void compare_inspection(struct drive *drive, const struct record *record, const struct jitd_inspection *inspection);

#endif
