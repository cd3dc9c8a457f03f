/*
 * The layers of confinement by name: as the command lines of jitd and jitctl, their reports and docs/trust.md spell
 * them. A set of layers is a mask of bits 1 << layer.
 */
#ifndef PROTO_LAYERS_H
#define PROTO_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

/* One more than the highest layer. */
#define LAYER_COUNT 14

/* NULL where there is no such layer. */
const char *layer_name(unsigned layer);

/* What `name` means; false where there is no such layer. */
bool layer_by_name(const char *name, unsigned *layer);

/* Whether jitd --disable-layer can leave it out. */
bool layer_can_be_disabled(unsigned layer);

#endif
