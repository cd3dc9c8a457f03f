/*
 * The entries of a submission and the manifests of its units, as the message has them.
 */
#ifndef LINKER_SUBMIT_MANIFEST_H
#define LINKER_SUBMIT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/linker/manifest.h"
#include "proto/message.h"

/* How far the entries have been handed out. */
struct submit_entries {
    const Jitd__Proto__Entries *wire; /* borrowed; never NULL */
    const char *name;                 /* of the next entry */
    const uint32_t *bytes;            /* its two lengths */
    bool plain_names;                 /* none of them has a NUL byte or is too long */
    size_t unit;                      /* the next one */
    size_t definitions, uses;         /* that have been handed out */
    struct pool *pool;                /* borrowed */
    struct manifest *manifests;       /* room in the pool: one for each unit... */
    struct manifest_definition *definition_room;
    struct manifest_use *use_room; /* ...and for all entries */
};

/* For a submission of so many units; `wire` may be NULL. What the units' manifests become lies in the pool, in which
   the message lies too. INVALID where lengths, counts and names do not add up, NO_MEMORY. */
int submit_entries_open(struct submit_entries *entries, const Jitd__Proto__Entries *wire, size_t units,
                        struct pool *pool, struct error *error);

/* Whether the next unit has entries. */
bool submit_has_entries(const struct submit_entries *entries);

/* The next unit's manifest in the linker's form; NULL where it has none. INVALID (names, flags), NO_MEMORY: then the
   entries of further units cannot be told. */
int submit_manifest(struct submit_entries *entries, const Jitd__Proto__Unit *unit, bool with_object,
                    const struct manifest **out, struct error *error);

#endif
