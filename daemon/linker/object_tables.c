/*
 * The sections of an object that lead to other sections: symbol table, extended indices, relocations, groups. Each is
 * checked to be an array that may be read, in place or from an aligned copy, and to lead to a section of the right
 * kind.
 *
 * Relocations of sections that are not loaded are not looked at, of whatever type they are: debug information is none
 * of the linker's business.
 */
#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/object_internal.h"
#include "proto/limits.h"

/* Generic ABI, newer than <elf.h>: relocations in a compact form. */
#define SHT_CREL 0x40000014

/* Whether the section is an array of `entry` bytes each; what is too short for one more entry is ignored, as by ld. */
static int check_entries(struct opening *opening, uint32_t index, const Elf64_Shdr *header, size_t entry)
{
    if (header->sh_entsize == entry)
        return 0;
    return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                 "%#" PRIx64 " bytes in entries of %" PRIu64 " (sh_entsize); entries must be of %zu",
                                 header->sh_size, header->sh_entsize, entry);
}

/* The array, with its number of entries checked already. Nothing makes an assembler pad a file so that it can be read
   in place: a copy is read where it did not. */
static int read_table(struct opening *opening, uint32_t index, uint64_t count, size_t entry, const void **table)
{
    const uint8_t *content = opening->object->sections[index].content;
    size_t alignment = entry == sizeof(uint32_t) ? sizeof(uint32_t) : sizeof(uint64_t);
    *table = content;
    if ((uintptr_t)content % alignment == 0)
        return 0;
    void *copy = pool_allocate_uninitialised(opening->pool, count * entry);
    if (!copy)
        return object_refuse_section(opening, index, ERROR_NO_MEMORY, "no memory for %" PRIu64 " entries", count);
    memcpy(copy, content, count * entry);
    *table = copy;
    return 0;
}

static int check_symbol_table_link(struct opening *opening, uint32_t index, const Elf64_Shdr *header)
{
    if (header->sh_link != opening->symbol_table || opening->symbol_table == 0)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "linked to section %" PRIu32
                                     " (sh_link) instead of the symbol table, section %" PRIu32,
                                     header->sh_link, opening->symbol_table);
    return 0;
}

/* One bound for all names together: a symbol's name is some string of the table or the tail of one. */
static int check_name_lengths(struct opening *opening, uint32_t index)
{
    const char *at = opening->object->names;
    const char *end = at + opening->object->names_length;
    while ((uint64_t)(end - at) > LIMIT_NAME_BYTES) {
        const char *nul = memchr(at, '\0', LIMIT_NAME_BYTES + 1);
        if (!nul)
            return object_refuse_section(opening, index, ERROR_LIMIT, "holds a name of more than %llu bytes",
                                         LIMIT_NAME_BYTES);
        at = nul + 1;
    }
    return 0;
}

static int read_symbol_names(struct opening *opening, uint32_t index)
{
    struct object *object = opening->object;
    Elf64_Shdr header;
    object_read_section_header(opening, index, &header);
    int code = object_check_string_table(opening, index, &header, &object->names);
    if (code)
        return code;
    object->names_length = header.sh_size;
    return check_name_lengths(opening, index);
}

static int read_symbol_table(struct opening *opening)
{
    struct object *object = opening->object;
    uint32_t index = opening->symbol_table;
    if (index == 0)
        return 0;
    Elf64_Shdr header;
    object_read_section_header(opening, index, &header);
    int code = check_entries(opening, index, &header, sizeof(Elf64_Sym));
    if (code)
        return code;
    uint64_t count = header.sh_size / sizeof(Elf64_Sym);
    if (count > LIMIT_SYMBOLS)
        return object_refuse_section(opening, index, ERROR_LIMIT, "%" PRIu64 " symbols, at most %d are allowed", count,
                                     LIMIT_SYMBOLS);
    if (header.sh_link == 0 || header.sh_link >= object->section_count)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "string table %" PRIu32 " (sh_link) does not exist; there are %" PRIu32
                                     " sections",
                                     header.sh_link, object->section_count);
    if (header.sh_info > count || (header.sh_info == 0 && count > 0))
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "%" PRIu32 " local symbols (sh_info) of %" PRIu64 " in all", header.sh_info,
                                     count);
    if (count == 0)
        return 0;
    const void *table;
    code = read_table(opening, index, count, sizeof(Elf64_Sym), &table);
    if (code)
        return code;
    object->symbols = table;
    object->symbol_count = (uint32_t)count;
    object->first_global = header.sh_info;
    return read_symbol_names(opening, header.sh_link);
}

static int read_extended_sections(struct opening *opening, uint32_t index, const Elf64_Shdr *header)
{
    struct object *object = opening->object;
    int code = check_symbol_table_link(opening, index, header);
    if (!code)
        code = check_entries(opening, index, header, sizeof(uint32_t));
    if (code)
        return code;
    if (object->extended_sections || header->sh_size / sizeof(uint32_t) != object->symbol_count)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "%" PRIu64 " extended section indices for %" PRIu32 " symbols%s",
                                     header->sh_size / sizeof(uint32_t), object->symbol_count,
                                     object->extended_sections ? ", and the second such table" : "");
    const void *table;
    code = read_table(opening, index, object->symbol_count, sizeof(uint32_t), &table);
    object->extended_sections = table;
    return code;
}

static int read_relocations(struct opening *opening, uint32_t index, const Elf64_Shdr *header)
{
    struct object *object = opening->object;
    uint32_t target_index = header->sh_info;
    if (target_index == 0 || target_index >= object->section_count || target_index == index)
        return object_refuse_section(opening, index, ERROR_OBJECT_RELOCATION,
                                     "relocates section %" PRIu32 " (sh_info), which it cannot", target_index);
    struct object_section *target = &object->sections[target_index];
    if (!target->loaded)
        return 0;
    if (header->sh_type != SHT_RELA)
        return object_refuse_section(opening, index, ERROR_UNSUPPORTED,
                                     "relocation table of type %#" PRIx32 "; x86-64 objects use %d (SHT_RELA)",
                                     header->sh_type, SHT_RELA);
    int code = check_symbol_table_link(opening, index, header);
    if (!code)
        code = check_entries(opening, index, header, sizeof(Elf64_Rela));
    if (code)
        return code;
    uint64_t count = header->sh_size / sizeof(Elf64_Rela);
    opening->relocations += count;
    if (opening->relocations > LIMIT_RELOCATIONS)
        return object_refuse_section(opening, index, ERROR_LIMIT,
                                     "%" PRIu64 " relocations up to here, at most %d are allowed", opening->relocations,
                                     LIMIT_RELOCATIONS);
    if (count > 0 && (target->relocations || !target->content))
        return object_refuse_section(opening, index, ERROR_OBJECT_RELOCATION, "relocates section %" PRIu32 ", which %s",
                                     target_index, target->content ? "has relocations already" : "has no contents");
    if (count == 0)
        return 0;
    const void *table;
    code = read_table(opening, index, count, sizeof(Elf64_Rela), &table);
    target->relocations = table;
    target->relocation_count = code ? 0 : (uint32_t)count;
    return code;
}

static int read_group_members(struct opening *opening, uint32_t index, const struct object_group *group)
{
    struct object *object = opening->object;
    for (uint32_t i = 0; i < group->member_count; i++) {
        uint32_t member = group->members[i];
        if (member == 0 || member >= object->section_count || object->sections[member].type == SHT_GROUP)
            return object_refuse_section(
                opening, index, ERROR_OBJECT_SECTION,
                "member %" PRIu32 " of the group is section %" PRIu32 ", which cannot be in one", i, member);
        if (object->sections[member].group)
            return object_refuse_section(
                opening, index, ERROR_OBJECT_SECTION,
                "member %" PRIu32 " of the group is section %" PRIu32 ", which is in a group already", i, member);
        object->sections[member].group = object->group_count;
    }
    return 0;
}

/* `count`: of the words, flags included. */
static int read_comdat_group(struct opening *opening, uint32_t index, uint32_t signature, uint64_t count)
{
    struct object *object = opening->object;
    if (count > object->section_count)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "%" PRIu64 " members of a group, and %" PRIu32 " sections in all", count - 1,
                                     object->section_count);
    const void *words;
    int code = read_table(opening, index, count, sizeof(uint32_t), &words);
    if (code)
        return code;
    struct object_group *group = &object->groups[object->group_count++];
    group->signature = signature;
    group->members = (const uint32_t *)words + 1;
    group->member_count = (uint32_t)count - 1;
    return read_group_members(opening, index, group);
}

static int read_group(struct opening *opening, uint32_t index, const Elf64_Shdr *header)
{
    struct object *object = opening->object;
    int code = check_symbol_table_link(opening, index, header);
    if (!code)
        code = check_entries(opening, index, header, sizeof(uint32_t));
    if (code)
        return code;
    uint64_t count = header->sh_size / sizeof(uint32_t);
    if (count == 0)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION, "a group without its flags");
    if (header->sh_info == 0 || header->sh_info >= object->symbol_count)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "signature symbol %" PRIu32 " (sh_info) does not exist; there are %" PRIu32
                                     " symbols",
                                     header->sh_info, object->symbol_count);
    if (!(load_le32(object->sections[index].content) & GRP_COMDAT))
        return 0;
    return read_comdat_group(opening, index, header->sh_info, count);
}

static int read_link(struct opening *opening, uint32_t index, const Elf64_Shdr *header)
{
    switch (header->sh_type) {
    case SHT_SYMTAB_SHNDX:
        return read_extended_sections(opening, index, header);
    case SHT_GROUP:
        return read_group(opening, index, header);
    case SHT_RELR:
        return object_refuse_section(opening, index, ERROR_UNSUPPORTED, "a table of relative relocations (SHT_RELR)");
    default:
        return read_relocations(opening, index, header);
    }
}

static bool leads_to_others(uint32_t type)
{
    return type == SHT_RELA || type == SHT_GROUP || type == SHT_REL || type == SHT_SYMTAB_SHNDX || type == SHT_RELR ||
           type == SHT_CREL;
}

int object_read_tables(struct opening *opening)
{
    struct object *object = opening->object;
    int code = read_symbol_table(opening);
    if (code)
        return code;
    if (opening->group_sections) {
        object->groups = pool_allocate_array(opening->pool, opening->group_sections, sizeof *object->groups);
        if (!object->groups)
            return error_set(opening->error, ERROR_NO_MEMORY, "no memory for %" PRIu32 " groups",
                             opening->group_sections);
    }
    for (uint32_t i = 1; i < object->section_count; i++) {
        if (!leads_to_others(object->sections[i].type))
            continue;
        Elf64_Shdr header;
        object_read_section_header(opening, i, &header);
        code = read_link(opening, i, &header);
        if (code)
            return code;
    }
    return 0;
}
