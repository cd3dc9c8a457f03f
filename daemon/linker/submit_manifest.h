#ifndef LINKER_SUBMIT_MANIFEST_H
#define LINKER_SUBMIT_MANIFEST_H

#include <stdbool.h>

#include "daemon/linker/manifest.h"
#include "proto/message.h"

/* The linker's form of a manifest, in the pool in which the message lies too; NULL with an error: INVALID (names,
   columns, flags), UNSUPPORTED, NO_MEMORY. */
const struct manifest *submit_manifest(const Jitd__Proto__Manifest *wire, bool with_object, struct pool *pool,
                                       struct error *error);

#endif
