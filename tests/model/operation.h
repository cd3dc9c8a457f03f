/*
 * What may be done to a session, as plain numbers: generated, performed, predicted, shrunk and written down as text.
 *
 * Every operation keeps the number that it was made with, every unit and entry theirs, so that taking others away
 * changes neither the names nor the constants of those that are left. All members are uint32_t: what reads, writes and
 * simplifies operations goes by tables of offsets.
 */
#ifndef TESTS_MODEL_OPERATION_H
#define TESTS_MODEL_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPERATIONS_MOST 512 /* in one session */
#define LIBRARIES_MOST  8
#define UNITS_MOST      4 /* in one batch */
#define ENTRIES_MOST    8 /* in one unit */
#define SEARCHES_MOST   3
#define ITEMS_MOST      4

/* Global names: the first are nobody's, the last are functions of the C library. */
#define NAMES_MOST       30
#define PROCESS_NAMES    2
#define IS_PROCESS(name) ((name) >= NAMES_MOST - PROCESS_NAMES)

/* How functions are called: 0 is the platform's. */
#define CONVENTIONS 3

enum operation_kind {
    OPERATION_LIBRARY,       /* define or redefine `library` */
    OPERATION_SUBMIT,        /* a batch */
    OPERATION_LOOKUP,        /* of the names of `items`, from `library` on */
    OPERATION_AWAIT,         /* the same, until they are ready */
    OPERATION_CALL,          /* of the name items[0], from `library` on */
    OPERATION_PROBE,         /* a question to the unit items[0] (object.h): `mode`, of its entry `entry` */
    OPERATION_CANCEL_UNITS,  /* the units `items` */
    OPERATION_CANCEL_LOOKUP, /* that the operation items[0] began */
    OPERATION_INSPECT,       /* everything, the list of units in pieces of `limit` */
    OPERATION_CRASH,         /* the runner; or, with `mode`, its program exits */
    OPERATION_REMOVE,        /* what `items` name */
    OPERATION_RUN,           /* of the first unit, its function of the name items[0] */
    OPERATION_REDIRECT,      /* the functions of `items`, from `library` on */
    OPERATION_ADAPT,         /* the name items[0], from `library` on, for calls by `wanted` of functions of `given` */
    OPERATION_KINDS
};

enum entry_kind {
    ENTRY_DEFINE,   /* a function of the object, or where `common` is set a common symbol */
    ENTRY_USE,      /* a reference of the object */
    ENTRY_ABSOLUTE, /* the rest: of the manifest alone */
    ENTRY_ALIAS,
    ENTRY_AWAIT,  /* a use to which nothing refers */
    ENTRY_LAZY,   /* a function that need not be there yet */
    ENTRY_ACTION, /* calls of `name` and `target` */
    ENTRY_KINDS
};

enum { WEAK_IN_OBJECT = 1, WEAK_IN_MANIFEST = 2 };
enum { HALF_BOTH, HALF_PUBLISH, HALF_REMOVE, HALVES };

struct entry {
    uint32_t kind;
    uint32_t number; /* from 1 on, in its unit */
    uint32_t name;   /* global */
    uint32_t target; /* ALIAS, LAZY: what it stands for; ACTION: what removal calls */
    uint32_t weak;   /* both bits above */
    uint32_t hidden;
    uint32_t common;
    uint32_t function;     /* ABSOLUTE */
    uint32_t call;         /* USE: by a direct call and not through a slot */
    uint32_t slot;         /* USE: the manifest says by slot */
    uint32_t library;      /* the one to look in, counting from 1; 0: from the unit's own library on */
    uint32_t convention;   /* of the definition, or wanted */
    uint32_t renamed;      /* its local name is another */
    uint32_t unlisted;     /* the manifest does not mention it */
    uint32_t absent;       /* the manifest mentions it and the object does not have it */
    uint32_t repeated;     /* the manifest mentions it twice */
    uint32_t lazy;         /* USE: the function need not be there before it is called */
    uint32_t redirectable; /* DEFINE */
    uint32_t notes;        /* DEFINE: as an action it succeeds, and says so (object.h) */
    uint32_t adapts;       /* DEFINE: it calls what it is the adapter for (object.h) */
    uint32_t half;         /* ACTION: one of the calls only */
};

/* What of a unit's data there is: each has what those before it have. */
enum { DATA_NONE, DATA_COUNTER, DATA_INITIALISER, DATA_FINALISER };

struct unit_row {
    uint32_t library;
    uint32_t no_object;
    uint32_t manifest;
    uint32_t data;
    uint32_t tag;
    uint32_t entry_count;
    struct entry entries[ENTRIES_MOST];
};

struct search_row {
    uint32_t library;
    uint32_t hidden;
    uint32_t re_export;
};

/* REMOVE: what an item's value is. 0 is nothing: no tag, and library 0 has what the driver itself needs. */
enum { REMOVE_UNIT, REMOVE_TAG, REMOVE_LIBRARY, REMOVE_KINDS };

struct item {
    uint32_t value;  /* a name, a unit's serial number, or an operation's number */
    uint32_t kind;   /* REMOVE */
    uint32_t target; /* REDIRECT: a name, counting from 1; 0: the function's own body */
};

/* SUBMIT, AWAIT: the time that is given. What waits when the operation is over has either been given too little, or
   enough for all of the session. */
enum { DEADLINE_NONE, DEADLINE_SHORT, DEADLINE_LONG, DEADLINES };

/* PROBE: what a unit is asked. */
enum { MODE_ADDRESS, MODE_CALL, MODE_COUNT, MODE_INITIALISED, MODES };

struct operation {
    uint32_t kind;
    uint32_t number; /* from 1 on, in its session */
    uint32_t settle; /* wait for all answers before the next one */
    uint32_t library;
    uint32_t process;       /* LIBRARY: enum jitd_process_symbols */
    uint32_t process_names; /* LIBRARY: bits, of the last PROCESS_NAMES names and of others */
    uint32_t closed;
    uint32_t atomic;
    uint32_t mode;
    uint32_t entry;
    uint32_t limit;
    uint32_t cascade;
    uint32_t deadline;
    uint32_t wanted, given; /* ADAPT: conventions */
    uint32_t search_count, unit_count, item_count;
    struct search_row searches[SEARCHES_MOST];
    struct unit_row units[UNITS_MOST]; /* CALL, PROBE, and RUN behind its own: submitted while it waits for something */
    struct item items[ITEMS_MOST];
};

/* Of the unit at `index` of an operation; never 0. */
#define SERIAL(operation_number, index) ((operation_number)*UNITS_MOST + (index))
#define SERIALS_MOST                    SERIAL(OPERATIONS_MOST + 1, 0)

/* "n3", "abs". Static. */
const char *operation_name(uint32_t name);
const char *operation_kind_name(uint32_t kind);

/* The unit as it can be submitted: entries that need a manifest or an object which is not there are left out, and so is
   what an entry of their kind cannot say. */
struct unit_row operation_unit(const struct operation *operation, uint32_t index);

/* The definition of the same object to which a USE of operation_unit's refers, or NULL. */
const struct entry *operation_own_definition(const struct unit_row *unit, const struct entry *use);

/* Lines of words and KEY=NUMBER, each operation's parts behind it. */
void operation_write(FILE *out, const struct operation *operation);

/* How many were read; 0 where the text is not of that form, which has been said on stderr. */
size_t operation_read_all(FILE *in, struct operation *out, size_t most);

/* ---- simplifying ---- */

/* Things that may be taken away from an operation, or set to 0: tries number `step` on it; false where there is no such
   step. A step may change nothing. */
bool operation_simplify(struct operation *operation, size_t step);

#endif
