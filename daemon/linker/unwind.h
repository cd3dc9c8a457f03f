/*
 * Unwind tables: for each unit an immutable .eh_frame_hdr of its own right before its .eh_frame in zone R, so that
 * libgcc finds a frame description inside the unit, and no table is ever moved under a reader.
 *
 * Most units have a few descriptions and one CIE, which is the same in all of them. Then the header is eight bytes that
 * say "no table" (libgcc walks the records), and the CIE is the session's one copy, below all units: an FDE's pointer
 * to its CIE is the distance back. Units with more descriptions, or with several .eh_frame sections, have a sorted
 * table.
 *
 * Format: Linux Standard Base 5, "DWARF Extensions", .eh_frame and .eh_frame_hdr: version 1, encodings 0x1b
 * (pc-relative sdata4), 0x03 (udata4), 0x3b (sdata4, relative to the header), 0xff (omitted).
 */
#ifndef LINKER_UNWIND_H
#define LINKER_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/linker/arch.h"

/* Up to as many descriptions need no table: walking them takes libgcc no longer than searching. */
#define UNWIND_WALKED_MOST 4

struct unwind_shape {
    uint32_t fde_count;
    bool common_cie; /* it begins with the common CIE (arch.h), all FDEs belong to that, and there is no other */
};

/* A unit's header, and one relocated .eh_frame of those that it is for. Addresses are the runner's. */
struct unwind_frames {
    uint8_t *bytes; /* of offset 0 of the section; its CIE is not there if it is omitted */
    uint64_t length;
    uint64_t address; /* of the same */

    uint32_t sections; /* how many .eh_frame the unit has */
    uint32_t omitted;  /* bytes of the common CIE (arch.h) that the only one begins with and that are elsewhere; or 0 */
    uint64_t cie_address;         /* of the common CIE */
    uint64_t code_low, code_high; /* the unit's code */
    uint32_t fde_count;           /* as unwind_check gave it, of all sections */
    uint8_t *header;              /* unwind_header_bytes(fde_count, sections) bytes */
    uint64_t header_address;      /* a multiple of 4 */

    /* What has been built, from zeros. */
    uint32_t built, seen, listed; /* sections, FDEs, and FDEs whose code is there */
    uint64_t first_address;       /* of the first section */
};

/* Walks the records of an unrelocated .eh_frame: lengths tile the section, CIE pointers lead to CIEs inside it,
   augmentations end, pointer encodings are ones that we know. OBJECT_SECTION with the offset of the record otherwise.
   A terminator ends the walk; bytes behind it are ignored. */
int unwind_check(const struct arch *arch, const uint8_t *content, uint64_t length, struct unwind_shape *shape,
                 struct error *error);

/* Bytes of a header for that many FDEs in so many sections: 8, or 12 + 8 * count. */
uint64_t unwind_header_bytes(uint32_t fde_count, uint32_t sections);

/* Walks the records of one section again, since relocations may have changed any byte, and enters them in the header.
   Where the CIE is omitted the FDEs are made to lead to the common one. FDEs whose code does not lie in the unit's
   (their function was discarded) are left out: of the table, or by clearing their range. Errors as of unwind_check;
   also where a relocated value does not fit the table. */
int unwind_build(struct unwind_frames *frames, struct error *error);

/* All sections are built: sorts the table, and writes the beginning of the header. */
void unwind_finish(const struct unwind_frames *frames);

#endif
