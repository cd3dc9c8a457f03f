/*
 * What a section is, from its name: what GNU ld's default script (`ld --verbose`) says of it.
 *
 * A static linker gathers input sections by name into output sections, and what memory an output section gets follows
 * from all that is gathered in it. So a name that the script lists makes a section code, data or an array of
 * initialisers, whatever its type and however few flags an assembler gave it (nasm's `.data.x` is read-only, yasm's
 * `.init_array` is SHT_PROGBITS); and a name that the script does not list means nothing, however it begins.
 */
#ifndef LINKER_SECTION_KIND_H
#define LINKER_SECTION_KIND_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

enum section_kind {
    SECTION_OTHER, /* not in the script: its flags alone say what it is */
    SECTION_CODE,
    SECTION_CONSTANT,
    SECTION_DATA,
    SECTION_RELRO, /* the linker alone ever writes it */
    SECTION_TLS,
    SECTION_EH_FRAME,
    SECTION_INIT, /* a piece of the function that the crt files call _init, or _fini */
    SECTION_FINI,
    SECTION_PREINIT_ARRAY, /* from here on arrays of pointers to functions */
    SECTION_INIT_ARRAY,
    SECTION_FINI_ARRAY,
    SECTION_CTORS, /* as the two before, each section of it backwards */
    SECTION_DTORS
};

enum section_kind section_kind_of(const char *name);

static inline bool section_kind_is_array(enum section_kind kind)
{
    return kind >= SECTION_PREINIT_ARRAY;
}

static inline bool section_kind_is_piece(enum section_kind kind)
{
    return kind == SECTION_INIT || kind == SECTION_FINI;
}

static inline bool section_kind_is_finaliser(enum section_kind kind)
{
    return kind == SECTION_FINI || kind == SECTION_FINI_ARRAY || kind == SECTION_DTORS;
}

/* ld copies the words of each such section in reverse. */
static inline bool section_kind_is_reversed(enum section_kind kind)
{
    return kind == SECTION_CTORS || kind == SECTION_DTORS;
}

/* SHF_* that the output section brings to one that has neither SHF_WRITE nor SHF_EXECINSTR. */
static inline uint64_t section_kind_flags(enum section_kind kind)
{
    if (kind == SECTION_CODE || section_kind_is_piece(kind))
        return SHF_EXECINSTR;
    return kind == SECTION_DATA ? SHF_WRITE : 0;
}

/* Where the words of an array stand among all arrays of a program: less is first. Numbers are those of ld
   (SORT_BY_INIT_PRIORITY): N of .init_array.N, 65535 - N of .ctors.N; a suffix that is none comes after all that are,
   and no suffix last. _init runs between the first two groups. */
uint64_t section_kind_order(enum section_kind kind, const char *name);

/* Whether that is the order of one with a suffix: then equal ones are ordered by name. */
bool section_kind_is_numbered(uint64_t order);

#endif
