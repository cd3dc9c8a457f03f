/*
 * What a unit's code is called, for crash reports: its sections of code and its functions, by their places in zone X.
 */
#ifndef LINKER_CODE_MAP_H
#define LINKER_CODE_MAP_H

#include <stdint.h>

struct unit;

/* Makes unit->ranges from its object, which is open; without memory for it reports are poorer. Names lie behind the
   ranges. Touches the unit alone and may be asked again. */
void code_map_make(struct unit *unit);

/* The index, in its object's table, of the section that unit->ranges[range] is. */
uint32_t code_map_section_index(const struct unit *unit, uint32_t range);

#endif
