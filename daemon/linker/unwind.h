/*
 * Unwind tables: for each unit an immutable .eh_frame_hdr of its own behind its .eh_frame in zone R, so that libgcc's
 * own binary search finds a frame description inside the unit, and no table is ever moved under a reader.
 *
 * Format: Linux Standard Base 5, "DWARF Extensions", .eh_frame and .eh_frame_hdr: version 1, encodings 0x1b
 * (pc-relative sdata4), 0x03 (udata4), 0x3b (sdata4, relative to the header).
 */
#ifndef LINKER_UNWIND_H
#define LINKER_UNWIND_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Walks the records of an unrelocated .eh_frame: lengths tile the section, CIE pointers lead to CIEs inside it,
   augmentations end, pointer encodings are ones that we know. Gives the number of FDEs. OBJECT_SECTION with the offset
   of the record otherwise. A terminator ends the walk; bytes behind it are ignored. */
int unwind_check(const uint8_t *content, uint64_t length, uint32_t *fde_count, struct error *error);

/* Bytes of a header for that many FDEs: 12 + 8 * count. */
uint64_t unwind_header_bytes(uint32_t fde_count);

/* Builds the header for a relocated .eh_frame. FDEs whose code does not lie in [code_low, code_high) (their function
   was discarded) are left out. `header` has unwind_header_bytes(fde_count) bytes, 4-byte aligned; addresses are the
   runner's. OBJECT_SECTION when a relocated value does not fit the table. */
int unwind_build(const uint8_t *eh_frame, uint64_t length, uint64_t eh_frame_address, uint64_t code_low,
                 uint64_t code_high, uint8_t *header, uint64_t header_address, uint32_t fde_count, struct error *error);

#endif
