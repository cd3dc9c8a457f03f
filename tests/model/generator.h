/*
 * What generates a session's operations, between its own files.
 */
#ifndef TESTS_MODEL_GENERATOR_H
#define TESTS_MODEL_GENERATOR_H

#include "tests/model/generate.h"

#define MENTIONS_MOST 8

/* What a session is like. Chances are in percent. */
struct character {
    uint32_t libraries, names, tags;
    uint32_t weights[OPERATION_KINDS];
    uint32_t manifest, closed, atomic, weak, hidden, common, exact, convention, oddity, settle, data, re_export;
    uint32_t lazy, redirectable, supply, deadline, cascade, action, adapter;
    uint32_t conventions; /* of those that there are */
    bool calm;            /* little is refused, so that much can be called */
};

/* A name that a unit of the library speaks of, and of a lazy one what it leads to. */
struct mention {
    uint32_t name, library;
    uint32_t target, target_library, convention;
};

/* The last of a kind: what picks names from it meets something oftener than by chance. */
struct mentions {
    struct mention entries[MENTIONS_MOST];
    uint32_t count;
};

/* What generate_drill is at. */
struct drill {
    uint32_t order, step;
    uint32_t library, name, body, lazy;
    uint32_t given, wanted, body_convention;
    uint32_t use_unit, body_unit; /* by serial number */
};

struct generator {
    uint64_t state;
    struct character character;
    struct operation *operations; /* borrowed; those that are there */
    uint32_t count;
    uint32_t offered[LIBRARIES_MOST]; /* bits by name: units that are likely to stand define them */
    struct mentions lazy;             /* uses and definitions */
    struct mentions replaceable;      /* lazy and redirectable definitions */
    struct mentions functions;        /* definitions */
    struct mentions noting;           /* those that succeed as actions */
    struct mentions adapters;         /* those that adapt */
    struct drill drill;
};

/* Below `end`, which is not 0. */
uint32_t generate_below(struct generator *generator, uint32_t end);

uint32_t generate_chance(struct generator *generator, uint32_t percent);

uint32_t generate_name(struct generator *generator);
uint32_t generate_library(struct generator *generator);

void generate_mention(struct mentions *mentions, const struct mention *mention);

/* One of them, or, where there is none, anything. */
struct mention generate_mentioned(struct generator *generator, const struct mentions *mentions);

/* generate_units.c: of a batch; the operation's, from the one at unit_count on. */
void generate_units(struct generator *generator, struct operation *operation, uint32_t most);

/* generate_units.c: whether its code refers to anything. */
bool generate_has_use(const struct unit_row *unit);

/* generate_units.c: one that nobody defines, as long as chance finds one. */
uint32_t generate_free_name(struct generator *generator, uint32_t library);

/* generate_drill.c: the next step; all members but number and settle. */
void generate_drill(struct generator *generator, struct operation *operation);

/* generate_units.c: the unit is to go. */
void generate_forget(struct generator *generator, const struct unit_row *unit);

/* generate_units.c: what an entry of a unit speaks of. */
struct mention generate_mention_of(const struct unit_row *unit, const struct entry *entry);

/* generate_units.c: whether there are fewer than the session is to begin with; one that waits for nothing and adapts.
 */
bool generate_lacks_adapters(const struct generator *generator);
void generate_adapter(struct generator *generator, struct operation *operation);

/* generate_units.c: one that defines what the lazy function leads to. */
void generate_target(struct generator *generator, struct operation *operation, const struct mention *lazy);

/* generate_operations.c: by kind; all members but kind, number and settle. */
void generate_operation(struct generator *generator, struct operation *operation);

#endif
