/*
 * What a session must answer: the meaning of jitd.proto's names, libraries, batches and failures, said as plainly as
 * possible. Everything is searched for anew whenever it is asked for; nothing is woken, contracted or cached.
 *
 * A lookup that waits is a unit here that offers nothing, as anything that waits for names would be.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include "client/jitd.h"
#include "tests/model/operation.h"

struct model_unit;

enum strength { STRENGTH_NONE, STRENGTH_WEAK, STRENGTH_COMMON, STRENGTH_STRONG };

struct model_definition {
    struct model_unit *unit;
    enum entry_kind kind;
    uint32_t name, number;
    bool local; /* the manifest does not mention it: for its own unit alone */
    bool hidden, common, function;
    enum strength strength;
    uint64_t convention;
    struct model_use *alias_of; /* ALIAS: the use that it stands for */
};

enum bound_kind { BOUND_NOTHING, BOUND_ZERO, BOUND_PROCESS, BOUND_DEFINITION };

/* What a use is bound to. NOTHING: it waits. */
struct bound {
    enum bound_kind kind;
    const struct model_definition *definition;
};

struct model_use {
    uint32_t name, number;
    uint32_t library; /* where the search begins */
    bool exact;       /* in it, and what it re-exports, it ends */
    bool referenced;  /* by the unit's code */
    bool weak, direct;
    bool called;         /* by `convention`, which must then be that of the definition */
    uint64_t convention; /* that is wanted */
    struct bound bound;
};

struct model_unit {
    bool exists, lookup;
    bool no_object;
    uint32_t serial; /* of a lookup, that of a batch's first unit */
    uint32_t library, data;
    uint32_t group; /* not 0: with all units of the same group it becomes ready or fails */
    enum jitd_unit_state state;
    int code;        /* FAILED */
    int alternative; /* not 0: this code instead, in one unit of those that have the same `failure` */
    uint32_t failure;
    uint32_t counter; /* in its data, since the runner's life began */
    uint32_t definition_count, use_count;
    struct model_definition definitions[ENTRIES_MOST];
    struct model_use uses[ENTRIES_MOST];
};

struct model_library {
    bool exists;
    struct operation definition;
};

/* By library, whether hidden, and name. */
struct model_table {
    const struct model_definition *entries[LIBRARIES_MOST][2][NAMES_MOST];
};

struct model {
    struct model_library libraries[LIBRARIES_MOST];
    struct model_table table; /* definitions that stand */
    struct model_unit units[SERIALS_MOST];
    uint32_t unit_end; /* of the serial numbers that there are */
    uint32_t failures;
};

/* What a name means in the end. */
enum target_kind {
    TARGET_NONE,              /* nothing offers it */
    TARGET_ZERO,              /* a weak use that nobody met */
    TARGET_PROCESS,           /* the C library's function `name` */
    TARGET_FUNCTION,          /* of the unit `serial`, its entry `number` */
    TARGET_COMMON,            /* the same, data */
    TARGET_ABSOLUTE,          /* ABSOLUTE_ADDRESS, where nothing is */
    TARGET_ABSOLUTE_FUNCTION, /* the C library's getpagesize */
    TARGET_UNSETTLED          /* an alias of what nobody offers yet, or of itself */
};

struct target {
    enum target_kind kind;
    uint32_t name, serial, number;
    bool aliased; /* under another name, whose address may not be known before it is ready */
    bool known;   /* a lookup finds it */
    bool ready;
};

#define ABSOLUTE_ADDRESS(serial, number) (0x1000u + (serial)*16u + (number))

enum answer_kind {
    ANSWER_NONE,    /* there is nothing to ask for */
    ANSWER_DONE,    /* and `count` were cancelled */
    ANSWER_REFUSED, /* with no other than `codes` */
    ANSWER_TARGETS, /* of a lookup */
    ANSWER_LATER,   /* of a lookup that waits: as the state of its unit says */
    ANSWER_VALUE,   /* `value` */
    ANSWER_TARGET,  /* address of targets[0] */
    ANSWER_INSPECTION,
    ANSWER_END /* of the runner */
};

struct answer {
    enum answer_kind kind;
    uint64_t codes;   /* bits by code */
    uint32_t missing; /* bits by name: where `codes` is SYMBOL_MISSING alone, all of them */
    uint32_t count;
    uint32_t mode; /* PROBE: what is to be asked, since data cannot be called */
    uint64_t value;
    struct target targets[ITEMS_MOST];
    bool runs_code; /* units become ready only after the runner has done something */
};

struct model *model_new(void);
void model_free(struct model *model);

/* Carries the operation out and says what the answer to it must be. */
struct answer model_apply(struct model *model, const struct operation *operation);

/* NULL where there is none of that serial number, or it was refused. */
const struct model_unit *model_unit(const struct model *model, uint32_t serial);

/* What a use leads to. */
struct target model_target(const struct model_use *use);

/* ---- between the model's own files ---- */

/* names.c: the first that offers the name, in the order of jitd.proto's DefineLibrary; of `contest` too, if any. */
struct bound model_search(const struct model *model, const struct model_use *use, const struct model_table *contest);

/* names.c: enters the operation's units, bound as far as they can be, or says why it is refused. */
void model_submit(struct model *model, const struct operation *operation, struct answer *answer);

/* readiness.c: all that waits and finds something now is bound. */
void model_search_again(struct model *model);

/* readiness.c: what can become ready does, what cannot be linked fails; whether the runner has work. */
bool model_settle(struct model *model);

/* readiness.c: the unit fails, and all that need it. */
void model_fail(struct model *model, struct model_unit *unit, int code);

#endif
