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
#define USERS_MOST       16
#define NUMBERS_MOST     16 /* of entries, beyond the last */

/* One operation, its request, and what was answered. */
struct record {
    const struct operation *operation; /* borrowed */
    struct answer answer;              /* the model's */
    struct drive *drive;
    jitd_request request; /* 0: none was made */
    bool compared, end_expected;
    bool waited; /* for something that was not there */
    int answers; /* must be one */
    uint64_t codes;
    size_t error_count;
    uint32_t missing; /* names that were said to be */
    uint32_t first;   /* of the operation's units, that was submitted */
    uint64_t value;
    bool returned, ended;
    int lazy_code;                          /* of a function that did not come, where that ended the runner's life */
    uint32_t users[USERS_MOST], user_count; /* that keep a unit from being removed, by serial number */
    size_t users_omitted;
    size_t count;
    uint64_t units[UNITS_MOST];
    struct jitd_address addresses[ITEMS_MOST];
};

/* What the program has said of one half of an action. */
struct note {
    uint32_t count;
    uint32_t by; /* the last */
};

/* What has been told of one unit. */
struct news {
    uint64_t id;
    int resolved, ready, failed, removed;
    int code;
    uint32_t initialised, finalised; /* how often, by its own word (ledger.c) */
    uint32_t initialised_at;         /* the last time: a place in the order of all that was said so */
    struct note made[NUMBERS_MOST], undone[NUMBERS_MOST];
    uint32_t made_at[NUMBERS_MOST]; /* as initialised_at */
};

/* What a thread of the program waits for. */
struct question {
    uint64_t ask;
    char symbol[32];
    uint32_t library;
    uint64_t convention;
};

struct drive {
    struct jitd_session *session;
    struct model *model;
    struct record records[OPERATIONS_MOST + 1]; /* by the operation's number */
    struct news news[SERIALS_MOST];
    uint32_t *serials; /* by unit id; owned */
    size_t id_end;
    uint32_t record_end;    /* of the records that there are */
    struct record supplied; /* of the units that were submitted while another operation waited */
    struct question question;
    uint32_t questions, questions_expected; /* that were asked, and that must have been */
    bool questions_uncertain;               /* there may be more */
    bool conversing;                        /* an operation waits for something */
    bool patient;                           /* questions are not refused at once */
    int ledger;                             /* owned; read end of the program's standard output */
    uint32_t ledger_count;                  /* entries that were read there */
    uint32_t finalised_at;                  /* of the last that was finalised, when it was initialised */
    uint32_t undone_at;                     /* of the last action that was undone, when it was made */
    int patience_ms;
    bool breaks_off; /* the operation may have made actions in the life that it ends, or in several */
    int ends;        /* RunnerEnded events that must have come */
    int ended;
    int begun; /* ends that were followed by another life */
    bool disconnected;
    uint64_t page_function;                                     /* address of getpagesize in the runner */
    uint64_t process[NAMES_MOST];                               /* addresses, as soon as they are known */
    uint64_t functions[SERIALS_MOST][ENTRIES_MOST + 8];         /* the same, by serial and entry number */
    uint64_t ways[CONVENTIONS][SERIALS_MOST][ENTRIES_MOST + 8]; /* to these, by convention */
    uint64_t inspected;                                         /* the last id that was listed */
    uint32_t listed;                                            /* units */
    uint64_t next;                                              /* where the next piece begins */
    char text[DRIVE_TEXT_BYTES];                                /* of the first difference; empty: there is none */
};

/* Milliseconds that the runner is given for what it has to do: when nothing is known to be wrong, and when it is. */
#define DRIVE_PATIENCE_FIRST 5000
#define DRIVE_PATIENCE_AGAIN 500

/* Performs them in a session of its own. False where the session did not do what the model says, which `text` then
   tells. */
bool drive_run(const struct operation *operations, size_t count, int patience_ms, char text[DRIVE_TEXT_BYTES]);

/* ---- between drive's own files ---- */

/* drive.c: the first difference is kept. */
void drive_differs(struct drive *drive, const struct record *record, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* drive.c: waits for what must have come, and compares it. With `runs_code` the runner has something to do. */
void drive_settle(struct drive *drive, bool runs_code);

/* drive.c: takes in what comes within a few milliseconds. False when the runner's patience, which drive_patience_end
   begins, is at its end. */
int64_t drive_patience_end(const struct drive *drive);
bool drive_dispatch(struct drive *drive, int64_t end);

/* drive.c: the record's answer may have come to be that the runner ends. */
void drive_expect_end(struct drive *drive, struct record *record);

#define DRIVE_PATIENCE 20000 /* ms */
#define DRIVE_ABORT    "abort_here"
#define DRIVE_EXIT     "exit_here"
#define DRIVE_STAY     "stay_here"

/* perform.c: sends what the operation is; a number of the library's error codes where it could not. */
int perform(struct drive *drive, struct record *record);
void perform_take_errors(struct record *record, const struct jitd_errors *errors);

/* perform.c: units are called by ids, which the answer to their submission tells. 0: there is none. */
uint64_t perform_find_id(struct drive *drive, uint32_t serial);

/* submit.c: the same of a batch, units of the operation from record->first on; and of a unit that is run. */
int perform_submit(struct drive *drive, struct record *record);
int perform_run(struct drive *drive, struct record *record);

/* perform_call.c: the same of calls. */
int perform_call(struct drive *drive, struct record *record);
int perform_probe(struct drive *drive, struct record *record);
int perform_crash(struct drive *drive, struct record *record);
jitd_call_callback perform_take_result;

/* converse.c: a thread has asked for a function. */
void converse_asked(struct drive *drive, const struct jitd_materialize *wanted);

/* converse.c: does what the operation's call waits for, until it waits no more. */
void converse(struct drive *drive, struct record *record);

/* ledger.c: what initialisers and finalisers say of themselves. */
int ledger_open(struct drive *drive, int streams[3]);
void ledger_read(struct drive *drive);

/* compare.c: whether the record's final answer must have come; whether all has come that must have, without complaint.
 */
bool compare_is_due(const struct drive *drive, const struct record *record);
bool compare_is_settled(const struct drive *drive);

/* compare.c: one record; all that are not compared yet, and what is known of units. */
void compare_record(struct drive *drive, struct record *record);
void compare_all(struct drive *drive);

/* inspect.c: one piece of an inspection. */
void compare_inspection(struct drive *drive, const struct record *record, const struct jitd_inspection *inspection);

/* tally.c: how often each operation was answered how. */
void tally_add(const struct record *record);

/* tally.c: what became of the actions of a session. */
void tally_add_actions(const struct drive *drive);
void tally_print(FILE *out);

#endif
