/*
 * A relocatable ELF object in memory, checked: after object_open every offset, size, link and index that the linker
 * uses has been verified against the bytes, so that nobody behind this file has to ask again.
 *
 * The object's bytes are read in place and never written; they must be 16-byte aligned and outlive the struct. Tables
 * that lie at an offset of their own (yasm pads nothing) are copied. Sections that are not loaded (debug information,
 * .comment) are named but not looked into; compressed or not does not matter there.
 */
#ifndef LINKER_OBJECT_H
#define LINKER_OBJECT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/pool.h"
#include "daemon/linker/section_kind.h"

/* Section indices that stand for no section, as object_symbol_section gives them. Beyond any real index. */
#define OBJECT_UNDEFINED 0u
#define OBJECT_ABSOLUTE  0xfffffff1u
#define OBJECT_COMMON    0xfffffff2u

struct object_section {
    const char *name; /* in the object */
    uint32_t type;    /* SHT_* */
    uint32_t group;   /* 1 + index in object.groups, 0 for none */
    uint64_t flags;   /* SHF_*; of a section that is loaded, with those that its kind brings */
    uint64_t bytes;
    uint64_t alignment;            /* for a loaded section a power of two, at most LIMIT_ALIGNMENT */
    const uint8_t *content;        /* NULL for SHT_NOBITS */
    const Elf64_Rela *relocations; /* that apply to it; NULL for none */
    uint32_t relocation_count;
    uint8_t kind; /* enum section_kind, of a section that is loaded */
    bool loaded;  /* takes part in the program: not excluded, not a note or table for linkers alone */
};

/* A COMDAT group. Other SHT_GROUP sections mean nothing to a linker and are not listed. */
struct object_group {
    uint32_t signature; /* symbol index */
    const uint32_t *members;
    uint32_t member_count;
};

struct object {
    const uint8_t *bytes;
    size_t length;
    struct object_section *sections; /* [section_count], index 0 is the null section; in the pool */
    uint32_t section_count;
    const Elf64_Sym *symbols; /* [symbol_count], index 0 is the null symbol; NULL when the object has none */
    uint32_t symbol_count;
    uint32_t first_global;             /* symbols before it are local (gABI: sh_info of SHT_SYMTAB) */
    const uint32_t *extended_sections; /* SHT_SYMTAB_SHNDX, or NULL */
    const char *names;                 /* .strtab; every st_name of the object is a NUL-terminated string in it */
    size_t names_length;
    struct object_group *groups; /* in the pool */
    uint32_t group_count;
    bool has_linkonce; /* the name of a loaded section may begin with .gnu.linkonce */
};

/* Opens and checks. `machine` is the EM_* that is wanted. Memory comes from the pool. The entries of relocation tables
   are the one thing left to check: relocate_check does that with the types' widths at hand.
   Errors: OBJECT_FORMAT (not ELF, wrong class, byte order or version), OBJECT_MACHINE, OBJECT_TYPE (an executable, a
   shared object, a core file; says which and what to do), OBJECT_TRUNCATED (something lies past the end; says what and
   by how much), OBJECT_SECTION, OBJECT_SYMBOL, OBJECT_RELOCATION, EXECUTABLE_STACK, LIMIT, NO_MEMORY, UNSUPPORTED
   (SHT_REL and SHT_CREL for a loaded section, SHT_RELR, compressed or unknown loaded sections, thread-local data,
   STT_GNU_IFUNC, an object of -flto with code for a compiler alone). The unit's name is the caller's. */
int object_open(struct object *object, struct pool *pool, const void *bytes, size_t length, uint16_t machine,
                struct error *error);

/* The section a symbol is defined in, extended indices resolved; or one of the constants above. */
static inline uint32_t object_symbol_section(const struct object *object, uint32_t symbol)
{
    uint32_t section = object->symbols[symbol].st_shndx;
    if (section < SHN_LORESERVE)
        return section;
    if (section == SHN_XINDEX)
        return object->extended_sections[symbol];
    return section == SHN_ABS ? OBJECT_ABSOLUTE : OBJECT_COMMON;
}

/* Whether it may be called: a function, or a label without a type, as assemblers make them, in a section of code. */
static inline bool object_symbol_is_function(const struct object *object, uint32_t symbol)
{
    unsigned type = ELF64_ST_TYPE(object->symbols[symbol].st_info);
    if (type != STT_NOTYPE)
        return type == STT_FUNC;
    uint32_t section = object_symbol_section(object, symbol);
    return section < object->section_count && object->sections[section].loaded &&
           (object->sections[section].flags & SHF_EXECINSTR);
}

/* "" for nameless symbols; a section symbol is called as its section. Never NULL. */
const char *object_symbol_name(const struct object *object, uint32_t symbol);

static inline bool object_section_is_loaded(const struct object_section *section)
{
    return section->loaded;
}

#endif
