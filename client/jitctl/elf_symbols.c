/*
 * Reading symbol tables with libelf, which checks that tables and strings lie within the file and that names end.
 */
#include "client/jitctl/elf_symbols.h"

#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The psABI's, not in <elf.h>: common symbols of the large model. */
enum { SHN_X86_64_LCOMMON = 0xff02 };

static enum elf_symbol_kind elf_symbols_kind(const GElf_Sym *symbol)
{
    unsigned char type = GELF_ST_TYPE(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF)
        return GELF_ST_BIND(symbol->st_info) == STB_WEAK ? ELF_SYMBOL_UNDEFINED_WEAK : ELF_SYMBOL_UNDEFINED;
    if (symbol->st_shndx == SHN_COMMON || symbol->st_shndx == SHN_X86_64_LCOMMON)
        return ELF_SYMBOL_COMMON;
    return type == STT_FUNC || type == STT_GNU_IFUNC ? ELF_SYMBOL_FUNCTION : ELF_SYMBOL_DATA;
}

struct elf_symbols_reader {
    Elf *elf;
    Elf_Data *versions; /* of .gnu.version, one a symbol; NULL: none is hidden */
    const char *bytes;
    size_t length;
    elf_symbol_visitor *visit;
    void *data;
};

/* A name that libelf had to unpack (a compressed string table) dies with the handle; no compiler makes such a one. */
static bool elf_symbols_lasts(const struct elf_symbols_reader *reader, const char *name)
{
    return name && *name && name >= reader->bytes && name < reader->bytes + reader->length;
}

/* A version of a shared library's symbol that is not the default one: nobody gets it by its plain name. */
static bool elf_symbols_is_hidden(const struct elf_symbols_reader *reader, int index, const GElf_Sym *symbol)
{
    GElf_Versym version;
    return reader->versions && symbol->st_shndx != SHN_UNDEF && gelf_getversym(reader->versions, index, &version) &&
           (version & 0x8000);
}

static Elf_Data *elf_symbols_versions(Elf *elf)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_GNU_versym)
            return elf_getdata(section, NULL);
    }
    return NULL;
}

static bool elf_symbols_visit_table(const struct elf_symbols_reader *reader, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *table = elf_getdata(section, NULL);
    if (!table || header->sh_entsize == 0)
        return false;
    size_t count = table->d_size / header->sh_entsize;
    for (size_t i = 1; i < count && i <= INT32_MAX; i++) {
        GElf_Sym symbol;
        if (!gelf_getsym(table, (int)i, &symbol))
            return false;
        if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL || elf_symbols_is_hidden(reader, (int)i, &symbol))
            continue;
        const char *name = elf_strptr(reader->elf, header->sh_link, symbol.st_name);
        if (!elf_symbols_lasts(reader, name))
            return false;
        reader->visit(name, elf_symbols_kind(&symbol), reader->data);
    }
    return true;
}

/* Whether there is a table of sections, which libelf keeps quiet about. */
static bool elf_symbols_has_type(Elf *elf, GElf_Half type)
{
    GElf_Ehdr header;
    size_t sections;
    return gelf_getehdr(elf, &header) && header.e_type == type && elf_getshdrnum(elf, &sections) == 0 && sections > 0;
}

static bool elf_symbols_visit(const void *bytes, size_t length, uint32_t section_type, elf_symbol_visitor *visit,
                              void *data)
{
    if (length == 0)
        return false;
    elf_version(EV_CURRENT);
    /* elf_memory takes a pointer to non-const, but reads only. */
    Elf *elf = elf_memory((char *)(uintptr_t)bytes, length);
    if (!elf)
        return false;
    struct elf_symbols_reader reader = {.elf = elf, .bytes = bytes, .length = length, .visit = visit, .data = data};
    bool known = elf_symbols_has_type(elf, section_type == SHT_SYMTAB ? ET_REL : ET_DYN);
    if (section_type == SHT_DYNSYM)
        reader.versions = elf_symbols_versions(elf);
    Elf_Scn *section = NULL;
    while (known && (section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header))
            known = false;
        else if (header.sh_type == section_type)
            known = elf_symbols_visit_table(&reader, section, &header);
    }
    elf_end(elf);
    return known;
}

void elf_symbols_of_library(const void *bytes, size_t length, elf_symbol_visitor *visit, void *data)
{
    elf_symbols_visit(bytes, length, SHT_DYNSYM, visit, data);
}

/* GCC's mark of an object with code for a compiler alone. */
static bool elf_symbols_is_marker(const char *name, enum elf_symbol_kind kind)
{
    return kind == ELF_SYMBOL_COMMON && strcmp(name, "__gnu_lto_slim") == 0;
}

struct elf_symbols_passing {
    elf_symbol_visitor *visit;
    void *data;
    bool marked;
};

static void elf_symbols_pass(const char *name, enum elf_symbol_kind kind, void *data)
{
    struct elf_symbols_passing *passing = data;
    passing->marked |= elf_symbols_is_marker(name, kind);
    if (!passing->marked && passing->visit)
        passing->visit(name, kind, passing->data);
}

bool elf_symbols_of_object(const void *bytes, size_t length, elf_symbol_visitor *visit, void *data)
{
    struct elf_symbols_passing passing = {.visit = visit, .data = data};
    return elf_symbols_visit(bytes, length, SHT_SYMTAB, elf_symbols_pass, &passing) && !passing.marked;
}

bool elf_symbols_is_intermediate(const void *bytes, size_t length)
{
    static const char bitcode[] = "BC\xc0\xde", wrapped_bitcode[] = "\xde\xc0\x17\x0b";
    if (length >= 4 && (memcmp(bytes, bitcode, 4) == 0 || memcmp(bytes, wrapped_bitcode, 4) == 0))
        return true;
    struct elf_symbols_passing passing = {.visit = NULL};
    elf_symbols_visit(bytes, length, SHT_SYMTAB, elf_symbols_pass, &passing);
    return passing.marked;
}
