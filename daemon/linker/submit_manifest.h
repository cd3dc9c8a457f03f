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
    size_t left;                      /* entries */
    size_t definitions, uses;         /* that have been handed out */
};

/* `wire` may be NULL. INVALID where lengths and names do not add up. */
int submit_entries_open(struct submit_entries *entries, const Jitd__Proto__Entries *wire, struct error *error);

/* INVALID where entries or numbers are left that are of no unit. */
int submit_entries_close(const struct submit_entries *entries, struct error *error);

/* The unit's manifest in the linker's form, in the pool in which the message lies too; NULL where it has none. INVALID
   (names, counts, flags), NO_MEMORY: then the entries of further units cannot be told. */
int submit_manifest(struct submit_entries *entries, const Jitd__Proto__Unit *unit, bool with_object, struct pool *pool,
                    const struct manifest **out, struct error *error);

#endif
