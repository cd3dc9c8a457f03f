/*
 * An arena as unit tests lay it out: what zones_choose makes of 1 GiB, as constants.
 */
#ifndef TESTS_LIB_ZONE_SIZES_H
#define TESTS_LIB_ZONE_SIZES_H

#include "proto/zones.h"

#define ARENA_BYTES   MIB(1024)
#define ZONE_X_OFFSET MIB(0)
#define ZONE_X_BYTES  MIB(256)
#define ZONE_S_OFFSET MIB(256)
#define ZONE_S_BYTES  MIB(64)
#define ZONE_R_OFFSET MIB(320)
#define ZONE_R_BYTES  MIB(256)
#define ZONE_D_OFFSET MIB(576)
#define ZONE_D_BYTES  MIB(192)
#define ZONE_Z_OFFSET MIB(768)
#define ZONE_Z_BYTES  MIB(256)

#define GRANULE_MAP_BYTES (ZONE_X_BYTES / GRANULE_BYTES * 4)

#define ZONE_SIZES ((struct zone_sizes){{ZONE_X_BYTES, ZONE_S_BYTES, ZONE_R_BYTES, ZONE_D_BYTES, ZONE_Z_BYTES}})

#endif
