/*
 * Linking one component: units whose needs are met by ready units or by each other. All addresses are known, so this is
 * arithmetic and copying, without a question to anybody and without a system call.
 */
#ifndef LINKER_COMPONENT_H
#define LINKER_COMPONENT_H

#include "common/error.h"
#include "daemon/linker/link.h"

/* scan -> allocate slots -> copy -> relocate -> publish. On failure the culprit is named; bytes already in place are
   the caller's to free with the units. */
int component_link(struct linker *linker, struct unit *root, struct unit **culprit, struct error *error);

#endif
