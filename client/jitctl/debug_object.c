/*
 * Making debug sections readable: they are expanded, and relocated in a copy of the object.
 *
 * libdwfl would do this too. It gives up all of an object's debug information where one relocation is of a kind that it
 * does not know (R_X86_64_DTPOFF64, of thread-local variables), asserts what a hostile section header need not hold,
 * and lays sections side by side, so that where one ends and the next begins is one address. Its standard callbacks
 * look for separate debug files, even on servers. A table of five kinds of relocations is less than what would be
 * needed around it.
 */
#include "client/jitctl/debug_object.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/limits.h"

/* Line tables of functions that are not there begin at 0 (undefined symbols count as 0 here); no size reaches so far.
 */
#define DEBUG_FIRST_ADDRESS (UINT64_C(1) << 40)
#define DEBUG_LAST_ADDRESS  (UINT64_C(1) << 46)
#define DEBUG_GAP           UINT64_C(64)

/* Compression makes at most a thousand bytes of one. */
#define DEBUG_EXPANDED_BYTES MIB(1024)

#define DEBUG_DAMAGED "its debug information is damaged"

struct debug_symbols {
    Elf_Data *table;
    Elf_Data *indexes; /* of sections past 0xff00; or NULL */
    size_t count;
};

static bool debug_object_place_sections(struct debug_object *object)
{
    uint64_t next = DEBUG_FIRST_ADDRESS;
    if (elf_getshdrnum(object->elf, &object->section_count) != 0 || object->section_count == 0)
        return false;
    object->addresses = calloc(object->section_count, sizeof *object->addresses);
    for (size_t i = 1; i < object->section_count && object->addresses; i++) {
        GElf_Shdr header;
        if (!gelf_getshdr(elf_getscn(object->elf, i), &header) || !(header.sh_flags & SHF_ALLOC))
            continue;
        if (header.sh_size > DEBUG_LAST_ADDRESS - next)
            return false;
        object->addresses[i] = next;
        next = align_up(next + header.sh_size + DEBUG_GAP, DEBUG_GAP);
        if (next > DEBUG_LAST_ADDRESS)
            return false;
    }
    return object->addresses != NULL;
}

static bool debug_object_is_debug(const struct debug_object *object, const GElf_Shdr *header, bool *gnu_compressed)
{
    size_t names;
    *gnu_compressed = false;
    if (header->sh_type == SHT_NULL || header->sh_type == SHT_NOBITS || (header->sh_flags & SHF_ALLOC))
        return false;
    const char *name =
        elf_getshdrstrndx(object->elf, &names) == 0 ? elf_strptr(object->elf, names, header->sh_name) : NULL;
    *gnu_compressed = name && strncmp(name, ".zdebug_", 8) == 0;
    return name && (*gnu_compressed || strncmp(name, ".debug_", 7) == 0);
}

/* ---- compressed sections ---- */

/* The size after the letters ZLIB, in eight bytes, the most significant first. */
static uint64_t debug_object_gnu_size(Elf_Scn *section)
{
    const Elf_Data *data = elf_rawdata(section, NULL);
    uint64_t size = 0;
    if (!data || data->d_size < 12 || memcmp(data->d_buf, "ZLIB", 4) != 0)
        return 0;
    for (size_t i = 4; i < 12; i++)
        size = size << 8 | ((const unsigned char *)data->d_buf)[i];
    return size;
}

static const char *debug_object_expand_section(Elf_Scn *section, bool gnu_compressed, uint64_t *left)
{
    GElf_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB};
    if (gnu_compressed)
        header.ch_size = debug_object_gnu_size(section);
    else if (!gelf_getchdr(section, &header))
        return DEBUG_DAMAGED;
    if (header.ch_size > *left)
        return "its debug information is compressed, and more than 1 GiB when it is not";
    *left -= header.ch_size;
    if ((gnu_compressed ? elf_compress_gnu(section, 0, 0) : elf_compress(section, 0, 0)) >= 0)
        return NULL;
    if (header.ch_type == 2) /* ELFCOMPRESS_ZSTD, which old headers do not have */
        return "its debug information is compressed with zstd, which this libelf cannot read: compile with -gz=zlib";
    return header.ch_type == ELFCOMPRESS_ZLIB ? DEBUG_DAMAGED : "its debug information is compressed in an unknown way";
}

static const char *debug_object_expand(struct debug_object *object)
{
    uint64_t left = DEBUG_EXPANDED_BYTES;
    const char *problem = NULL;
    Elf_Scn *section = NULL;
    while (!problem && (section = elf_nextscn(object->elf, section))) {
        GElf_Shdr header;
        bool gnu_compressed;
        if (gelf_getshdr(section, &header) && debug_object_is_debug(object, &header, &gnu_compressed) &&
            (gnu_compressed || (header.sh_flags & SHF_COMPRESSED)))
            problem = debug_object_expand_section(section, gnu_compressed, &left);
    }
    return problem;
}

/* ---- relocation ---- */

/* psABI 4.4.1. The last two are places in the thread's block, which no address is made of. */
static const struct {
    unsigned char type, bytes;
    bool adds_section;
} debug_relocations[] = {
    {R_X86_64_64, 8, true},        {R_X86_64_32, 4, true},        {R_X86_64_32S, 4, true},
    {R_X86_64_DTPOFF64, 8, false}, {R_X86_64_DTPOFF32, 4, false},
};

/* What a symbol adds to a section's or to no address: what another file defines is not there. */
static uint64_t debug_object_symbol_value(const struct debug_object *object, const struct debug_symbols *symbols,
                                          size_t index, bool adds_section)
{
    GElf_Sym symbol;
    Elf32_Word extended = 0;
    if (index >= symbols->count || index > INT32_MAX ||
        !gelf_getsymshndx(symbols->table, symbols->indexes, (int)index, &symbol, &extended))
        return 0;
    size_t section = symbol.st_shndx == SHN_XINDEX ? extended : symbol.st_shndx;
    if (symbol.st_shndx == SHN_ABS)
        return symbol.st_value;
    if (section == SHN_UNDEF || section >= object->section_count)
        return 0;
    return symbol.st_value + (adds_section ? object->addresses[section] : 0);
}

static void debug_object_apply(const struct debug_object *object, const struct debug_symbols *symbols,
                               const GElf_Rela *relocation, Elf_Data *target)
{
    for (size_t i = 0; i < ARRAY_LENGTH(debug_relocations); i++) {
        size_t bytes = debug_relocations[i].bytes;
        if (GELF_R_TYPE(relocation->r_info) != debug_relocations[i].type ||
            !range_within(relocation->r_offset, bytes, target->d_size))
            continue;
        uint64_t value = debug_object_symbol_value(object, symbols, GELF_R_SYM(relocation->r_info),
                                                   debug_relocations[i].adds_section) +
                         (uint64_t)relocation->r_addend;
        memcpy((char *)target->d_buf + relocation->r_offset, &value, bytes); /* little-endian, as the machine is */
    }
}

static struct debug_symbols debug_object_symbols(struct debug_object *object, size_t index)
{
    struct debug_symbols symbols = {0};
    Elf_Scn *table = elf_getscn(object->elf, index), *section = NULL;
    GElf_Shdr header;
    if (!table || !gelf_getshdr(table, &header) || header.sh_type != SHT_SYMTAB)
        return symbols;
    symbols.table = elf_getdata(table, NULL);
    symbols.count = symbols.table ? symbols.table->d_size / sizeof(Elf64_Sym) : 0;
    while ((section = elf_nextscn(object->elf, section)))
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB_SHNDX && header.sh_link == index)
            symbols.indexes = elf_getdata(section, NULL);
    return symbols;
}

static void debug_object_relocate_section(struct debug_object *object, Elf_Scn *relocations, const GElf_Shdr *header)
{
    Elf_Scn *section = elf_getscn(object->elf, header->sh_info);
    GElf_Shdr debug;
    bool gnu_compressed;
    if (!section || !gelf_getshdr(section, &debug) || !debug_object_is_debug(object, &debug, &gnu_compressed))
        return;
    struct debug_symbols symbols = debug_object_symbols(object, header->sh_link);
    Elf_Data *target = elf_getdata(section, NULL), *entries = elf_getdata(relocations, NULL);
    if (!target || !target->d_buf || !entries)
        return;
    size_t count = entries->d_size / sizeof(Elf64_Rela);
    for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
        GElf_Rela relocation;
        if (gelf_getrela(entries, (int)i, &relocation))
            debug_object_apply(object, &symbols, &relocation, target);
    }
}

static void debug_object_relocate(struct debug_object *object)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(object->elf, section))) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
            debug_object_relocate_section(object, section, &header);
    }
}

/* ---- opening ---- */

static bool debug_object_is_ours(const struct debug_object *object)
{
    GElf_Ehdr header;
    return object->elf && elf_kind(object->elf) == ELF_K_ELF && gelf_getehdr(object->elf, &header) &&
           header.e_type == ET_REL && header.e_machine == EM_X86_64 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_ident[EI_DATA] == ELFDATA2LSB;
}

bool debug_object_open(struct debug_object *object, const void *bytes, size_t length)
{
    *object = (struct debug_object){0};
    elf_version(EV_CURRENT);
    /* A copy: the original is not to be written to, and a member of an archive lies at any even address. */
    object->image = length ? malloc(length) : NULL;
    if (!object->image)
        return false;
    memcpy(object->image, bytes, length);
    object->elf = elf_memory(object->image, length);
    if (!debug_object_is_ours(object) || !debug_object_place_sections(object))
        return false;
    object->problem = debug_object_expand(object);
    if (object->problem)
        return false;
    debug_object_relocate(object);
    object->dwarf = dwarf_begin_elf(object->elf, DWARF_C_READ, NULL);
    return object->dwarf != NULL;
}

void debug_object_close(struct debug_object *object)
{
    dwarf_end(object->dwarf);
    elf_end(object->elf);
    free(object->addresses);
    free(object->image);
    *object = (struct debug_object){0};
}

bool debug_object_address(const struct debug_object *object, uint32_t section, uint64_t offset, uint64_t *address)
{
    GElf_Shdr header;
    if (section >= object->section_count || object->addresses[section] == 0 ||
        !gelf_getshdr(elf_getscn(object->elf, section), &header) || offset >= header.sh_size)
        return false;
    *address = object->addresses[section] + offset;
    return true;
}
