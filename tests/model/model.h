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
    bool local;  /* the manifest does not mention it: for its own unit alone */
    bool stands; /* it was not an earlier one's name when it came */
    bool hidden, common, function;
    enum strength strength;
    uint64_t convention;
    struct model_use *alias_of; /* ALIAS, LAZY: the use that it stands for */
    bool redirectable, notes, adapts;
    const struct model_definition *redirected; /* what calls reach in its place, or NULL */
};

/* LAZY: calls look for it, and nothing waits. */
enum bound_kind { BOUND_NOTHING, BOUND_ZERO, BOUND_PROCESS, BOUND_DEFINITION, BOUND_LAZY };

/* What a use is bound to. NOTHING: it waits. */
struct bound {
    enum bound_kind kind;
    const struct model_definition *definition;
};

struct model_use {
    uint32_t name, number;
    uint32_t serial;  /* of the unit */
    uint32_t library; /* where the search begins */
    bool exact;       /* in it, and what it re-exports, it ends */
    bool referenced;  /* by the unit's code */
    bool weak, direct;
    bool action;         /* by which it is called, as one of convention 0 */
    bool called;         /* by `convention`, which must then be that of the definition */
    uint64_t convention; /* that is wanted */
    bool decided;        /* it is known which way it goes... */
    bool refused;        /* ...and that there is none */
    struct bound bound;
};

/* What the functions of actions have written down. */
struct model_note {
    uint32_t count; /* over all lives */
    uint32_t by;    /* DEFINITION_VALUE of the last */
};

struct model_action {
    uint32_t number;
    const struct model_use *publish, *remove; /* NULL: left out */
    struct model_note made, undone;
};

struct model_unit {
    bool exists;
    bool lookup;   /* a lookup that waits, or has waited */
    bool internal; /* no news tell of it: a lookup, or what is run once */
    bool no_object;
    bool removed;    /* its state is what it was before */
    bool leaving;    /* removed, and what runs then may still call */
    bool over;       /* what was run once, and stays for those who use it */
    uint32_t serial; /* of a lookup, that of a batch's first unit */
    uint32_t library, data, tag;
    uint32_t group; /* not 0: with all units of the same group it becomes ready or fails */
    enum jitd_unit_state state;
    int code;        /* FAILED */
    int alternative; /* not 0: this code instead, in one unit of those that have the same `failure` */
    uint32_t failure;
    bool either;                        /* it was removed while it waited: cancelled, or failed with another that was */
    uint32_t ready_since, failed_since; /* the number of the operation */
    uint32_t counter;                   /* in its data, since the runner's life began */
    uint32_t initialised;               /* how often, over all lives */
    uint32_t doubtful;                  /* so much less it may have been, in lives that ended meanwhile */
    uint32_t finalised;
    bool acted;     /* its actions have been made, and may have failed */
    bool was_ready; /* FAILED in a later life */
    bool unsure;    /* it failed in an operation that ended a life: it is not known in which */
    uint32_t definition_count, use_count, action_count;
    struct model_definition definitions[ENTRIES_MOST];
    struct model_use uses[2 * ENTRIES_MOST];
    struct model_action actions[ENTRIES_MOST];
    const struct model_definition *adapters[CONVENTIONS][CONVENTIONS]; /* that it uses; as model's */
};

struct model_library {
    bool exists;
    struct operation definition;
};

/* By library, whether hidden, and name. */
struct model_table {
    const struct model_definition *entries[LIBRARIES_MOST][2][NAMES_MOST];
};

/* By library in which the search begins, whether it ends there, and name. */
struct model_lazies {
    struct bound bound[LIBRARIES_MOST][2][NAMES_MOST];
};

/* What adapters make of a value that is returned through them. */
struct passage {
    uint32_t factor, summand;
    uint32_t adapters; /* how many they are */
    bool past;         /* one was spared, since a function that changes had come to be called as it is wanted */
};

/* Where a call goes on, and what it has gone through before. */
struct point {
    struct model_use use;
    struct passage passed;
};

struct model {
    struct model_library libraries[LIBRARIES_MOST];
    struct model_table table; /* definitions that stand */
    struct model_lazies lazies;
    /* By the convention that is wanted, and the one that is given. */
    const struct model_definition *adapters[CONVENTIONS][CONVENTIONS];
    struct model_unit units[SERIALS_MOST];
    uint32_t unit_end; /* of the serial numbers that there are */
    uint32_t failures;
    struct point start;   /* where the call that waits does so, or begins */
    struct point certain; /* where it is known to have come */
    uint32_t operation;   /* the number of the last */
    bool stuck;           /* what comes now is nowhere said: nothing more is asked for */
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
    bool way; /* what is meant is that by which calls by `convention` reach it */
    uint64_t convention;
};

/* Of deadlines. A session is over long before the second. */
#define DEADLINE_SHORT_MS 1
#define DEADLINE_LONG_MS  3600000

#define ABSOLUTE_ADDRESS(serial, number) (0x1000u + (serial)*16u + (number))

enum answer_kind {
    ANSWER_NONE,    /* there is nothing to ask for */
    ANSWER_DONE,    /* and `count` were cancelled */
    ANSWER_REMOVED, /* `count` units */
    ANSWER_REFUSED, /* with no other than `codes` */
    ANSWER_TARGETS, /* of a lookup */
    ANSWER_LATER,   /* of a lookup that waits: as the state of its unit says */
    ANSWER_VALUE,   /* `value` */
    ANSWER_TARGET,  /* address of targets[0] */
    ANSWER_INSPECTION,
    ANSWER_END, /* of the runner; where `codes` is not 0 since a function did not come: the reason, one of them */
    ANSWER_KINDS
};

/* What a call, or a unit that is to be run, waits for. */
enum wait_kind {
    WAIT_NONE,
    WAIT_FOR_UNIT, /* `unit`, before the call can begin */
    WAIT_COMING,   /* a thread waits for what `unit` will define */
    WAIT_ASKED     /* a thread waits, and the question has been asked */
};

struct wait {
    enum wait_kind kind;
    uint32_t unit;          /* by serial number */
    uint32_t name, library; /* of the question */
    bool exact;
    uint64_t convention;
    uint32_t questions; /* that must have been asked for the operation so far */
};

#define ANSWER_ANY_CODE UINT64_MAX

struct answer {
    enum answer_kind kind;
    struct wait wait;     /* not NONE: the rest is not known yet */
    uint64_t codes;       /* bits by code */
    uint32_t deadline_ms; /* to be given */
    bool settles;         /* what follows may change what it is */
    uint32_t missing;     /* bits by name: where `codes` is SYMBOL_MISSING alone, all of them */
    uint32_t count;
    uint32_t failing; /* REMOVED: so many of the units have not gone without complaint */
    uint32_t ends;    /* END: of lives */
    uint32_t mode;    /* PROBE: what is to be asked, since data cannot be called */
    uint64_t value;
    struct target targets[ITEMS_MOST];
    struct passage passed; /* VALUE */
    bool runs_code;        /* units become ready only after the runner has done something */
};

struct model *model_new(void);
void model_free(struct model *model);

/* Carries the operation out and says what the answer to it must be. */
struct answer model_apply(struct model *model, const struct operation *operation);

/* Of an operation whose answer says that it waits: submits its other units and says what the answer to that must be;
   the operation's own answer is then known, or it waits again. */
struct answer model_supply(struct model *model, const struct operation *operation, struct answer *waiting);

/* Nothing will be supplied: the unit that is waited for is cancelled, or the question refused. */
void model_give_up(struct model *model, const struct operation *operation, struct answer *waiting);

/* NULL where there is none of that serial number, or it was refused. */
const struct model_unit *model_unit(const struct model *model, uint32_t serial);

/* What a use leads to. */
struct target model_target(const struct model_use *use);

/* Which units, by serial number, use what the removal's operation names and keep it from being carried out; how many
   they are. */
uint32_t model_dependents(const struct model *model, const struct operation *operation, bool dependents[SERIALS_MOST]);

/* ---- between the model's own files ---- */

void model_refuse(struct answer *answer, int code);

/* names.c: the first that offers the name, in the order of jitd.proto's DefineLibrary; of `contest` too, if any. */
struct bound model_search(const struct model *model, const struct model_use *use, const struct model_table *contest);

/* names.c: enters units of the operation from the one at `first` on, `count` of them, bound as far as they can be, or
   says why they are refused. */
void model_submit(struct model *model, const struct operation *operation, uint32_t first, uint32_t count,
                  struct answer *answer);

/* readiness.c: all that waits and finds something now is bound. */
void model_search_again(struct model *model);

/* readiness.c: what can become ready does, what cannot be linked fails; whether the runner has work. */
bool model_settle(struct model *model);

/* readiness.c: the unit fails, and all that need it. */
void model_fail(struct model *model, struct model_unit *unit, int code);

/* readiness.c: its names are free. */
void model_withdraw(struct model *model, const struct model_unit *unit);

/* readiness.c: the unit, which is ready, fails with all that depend on it. */
void model_fail_late(struct model *model, struct model_unit *unit, int code);

/* readiness.c: all that waits and needs the unit, and with it all of its component. */
void model_find_dependents(const struct model *model, uint32_t serial, bool dependents[SERIALS_MOST]);

/* life.c: what is ready is so in the next life, too; its data is as new, and its actions and initialisers run again.
   Where actions fail then, that life ends, too. `exits`: finalisers and removal actions run before. */
void model_end_life(struct model *model, struct answer *answer, bool exits);

/* actions.c: of units that can be linked: whether it needs one whose actions have not been made, and is not needed by
   that itself. */
bool model_waits_for_actions(const struct model *model, const bool linkable[SERIALS_MOST], uint32_t serial);

/* actions.c: the same units: the first component that waits for no other makes its actions, and fails where one of them
   does. False where there is none. */
bool model_act(struct model *model, const bool linkable[SERIALS_MOST]);

/* actions.c: makes all of a unit's again; false where one fails. */
bool model_act_again(struct model *model, struct model_unit *unit);

/* actions.c: undoes them; whether all succeed. */
bool model_undo(struct model *model, struct model_unit *unit);

/* readiness.c: by which a definition is called. */
uint64_t model_convention(const struct model_definition *definition);

/* readiness.c: whether it uses one of those units, by serial number. */
bool model_uses_any(const struct model_unit *unit, const bool set[SERIALS_MOST]);

/* redirect.c: what an alias stands for, others for themselves. NULL: a function that is no unit's. */
const struct model_definition *model_origin(const struct model_definition *definition);

/* adapters.c: the one that is registered for the pair, or NULL. */
const struct model_definition *model_adapter(const struct model *model, uint64_t wanted, uint64_t given);

/* adapters.c: the adapter through which calls by a convention that differs reach what is bound, or NULL. */
const struct model_definition *model_find_way(const struct model *model, const struct bound *bound,
                                              uint64_t convention);

/* adapters.c: `user` goes there from now on, by that convention: whoever must then use the adapter, if there is one,
   does. */
void model_lead(struct model *model, struct model_unit *user, const struct bound *bound, uint64_t convention);

/* adapters.c: which way the unit's uses go that have met what they are bound to. */
void model_decide(struct model *model, struct model_unit *unit);

/* adapters.c: by which convention the use's calls come to what it is bound to. */
uint64_t model_called_by(const struct model_use *use);

/* adapters.c: by which convention what is bound is called; whether the definition is of a function. */
uint64_t model_convention_of(const struct bound *bound);
bool model_is_function(const struct model_definition *definition);

/* removal.c: takes the unit away if nobody uses it, or when that is so. `live`: its finalisers run. */
void model_remove_run(struct model *model, struct model_unit *unit, bool live);

/* removal.c: takes units away that stayed for those who used them, when these are gone; whether there were any. */
bool model_remove_unused(struct model *model, bool live);

/* lazy.c: lazy functions lead to what is ready now. */
void model_bind_lazies(struct model *model);

/* lazy.c: what a lazy function leads to. */
struct bound model_lazy(const struct model *model, const struct model_use *use);

/* What a call comes to. */
enum reach_kind {
    REACH_VALUE,
    REACH_CRASH,      /* what it reaches is no function */
    REACH_CONVENTION, /* what it reaches is called otherwise */
    REACH_CIRCLE,     /* it leads back to itself, which is told */
    REACH_ADAPTER,    /* a function that adapts, and nobody has told it what: anything may happen */
    REACH_LAZY        /* `lazy` leads nowhere yet */
};

struct reach {
    enum reach_kind kind;
    uint64_t value;
    uint32_t by;  /* DEFINITION_VALUE of the last function */
    bool changes; /* it may be another one later */
    bool notes;   /* as an action that one succeeds */
    const struct model_use *lazy;
    struct passage passed;
};

/* reach.c: on paper. */
struct reach model_reach(const struct model *model, const struct point *start);

/* reach.c: a thread. Lazy functions that it comes through are led anew. */
struct reach model_go(struct model *model, const struct point *start);

/* reach.c: where a call begins. */
struct point model_begin(const struct model_use *use);

/* lazy.c: whether redirections and lazy functions lead back to where they began. */
bool model_never_ends(const struct model *model, const struct model_use *use);

/* lazy.c: the use, which is lazy, or the definition, which may be, is led to what it reaches. */
void model_lead_use(struct model *model, const struct model_use *use);
void model_lead_definition(struct model *model, const struct model_definition *definition);

/* One function an operation; call.c, removal.c, redirect.c, adapters.c. */
void model_call(struct model *model, const struct operation *operation, struct answer *answer);
void model_probe(struct model *model, const struct operation *operation, struct answer *answer);
void model_run(struct model *model, const struct operation *operation, struct answer *answer);
void model_remove(struct model *model, const struct operation *operation, struct answer *answer);
void model_redirect(struct model *model, const struct operation *operation, struct answer *answer);
void model_adapt(struct model *model, const struct operation *operation, struct answer *answer);

/* model.c: what a unit of the library would find under the name. */
struct model_use model_look_up(const struct model *model, uint32_t library, uint32_t name);

#endif
