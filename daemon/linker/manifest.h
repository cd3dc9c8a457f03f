/*
 * A unit's manifest: what the names of its object mean to the session.
 *
 * With one, an object's names are its own unless the manifest says otherwise: a definition offers a local name under a
 * global one, a use binds a local undefined name to a global one. What the manifest does not mention stays local where
 * it is defined, and where it is not can only be a symbol of the runner's own libraries.
 *
 * Lies in the memory of the message that brought it; needed until the unit's names are resolved.
 */
#ifndef LINKER_MANIFEST_H
#define LINKER_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/pool.h"

struct manifest_name {
    const char *bytes;
    size_t length;
};

enum definition_kind {
    DEFINITION_LOCAL,    /* of the object */
    DEFINITION_ABSOLUTE, /* an address */
    DEFINITION_ALIAS,    /* another name for what one of the uses is bound to */
    DEFINITION_LAZY      /* a trampoline that leads to a function which need not be there */
};

/* The bits of jitd.proto's DefinitionFlag. */
enum definition_flags {
    DEFINITION_WEAK = 1,
    DEFINITION_HIDDEN = 2,
    DEFINITION_FUNCTION = 4,
    DEFINITION_DATA = 8,
    DEFINITION_REDIRECTABLE = 16,
    DEFINITION_FLAGS_END = 32
};

/* A use of the unit's own library and what that searches. */
#define USE_LIBRARY_OWN UINT32_MAX

struct manifest_definition {
    struct manifest_name local; /* LOCAL */
    struct manifest_name global;
    enum definition_kind kind;
    uint32_t flags;
    uint64_t convention;
    uint64_t address;            /* ABSOLUTE */
    uint32_t use;                /* ALIAS: index in the manifest's uses */
    struct manifest_name target; /* LAZY */
    uint32_t library;            /* LAZY: where that is looked for, or USE_LIBRARY_OWN */
};

/* The bits of jitd.proto's UseFlag. */
enum use_flags { USE_WEAK = 1, USE_BY_SLOT = 2, USE_LAZY = 4, USE_FLAGS_END = 8 };

struct manifest_use {
    struct manifest_name local; /* empty: nothing refers to it, the unit is to wait for it */
    struct manifest_name global;
    uint32_t flags;
    uint32_t library;
    bool any_convention; /* an alias, a lookup that waits: calls nothing; or an action, which checks for itself */
    uint64_t convention;
};

#define MANIFEST_NO_USE UINT32_MAX

/* One call of an action: of what one of the uses is bound to, or none. */
struct manifest_action_call {
    uint32_t use; /* index in the manifest's uses, or MANIFEST_NO_USE */
    uint32_t bytes;
    const uint8_t *argument;
};

struct manifest_action {
    struct manifest_action_call publish, remove;
};

struct manifest {
    const struct manifest_definition *definitions;
    uint32_t definition_count;
    const struct manifest_use *uses;
    uint32_t use_count;
    const struct manifest_action *actions;
    uint32_t action_count;
    bool names_libraries; /* some entry looks in a library that it names */
    bool has_trampolines; /* some definition is lazy or redirectable, or some use is lazy */
};

/* Finds entries by their local names. */
struct manifest_index {
    const struct manifest *manifest;
    uint32_t *definitions, *uses; /* hash tables of 1 + index, for manifests that are not small; else NULL */
    uint32_t mask;
    uint32_t next_definition, next_use; /* where the next search of a small manifest begins */
    uint64_t seed;
};

/* INVALID where a local name stands twice among definitions or among uses; NO_MEMORY. Memory comes from the pool. */
int manifest_index_open(struct manifest_index *index, const struct manifest *manifest, uint64_t seed, struct pool *pool,
                        struct error *error);

/* NULL where there is none. */
const struct manifest_definition *manifest_find_definition(struct manifest_index *index, const char *local,
                                                           size_t length);
const struct manifest_use *manifest_find_use(struct manifest_index *index, const char *local, size_t length);

#endif
