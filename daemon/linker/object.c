/*
 * Checks an object in four steps, each relying on the ones before: the ELF header; every section
 * header; the sections that point to other sections (symbol table,
 * relocations, groups); every symbol.
 *
 * One pass over the section headers and one over the symbols, nothing copied but what later phases read: opening a
 * small object has to cost less than linking it. libelf is not used: it validates nothing, so that every field would be
 * checked here all the same, and opening took a third of the linker's instructions, most of them clearing its own
 * structures. Names in errors are escaped: they are the submitter's bytes.
 */
#include "daemon/linker/object.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/object_internal.h"
#include "proto/control.h"
#include "proto/limits.h"

struct foreign_format {
    const char *magic;
    const char *what;
};

static const struct foreign_format foreign_formats[] = {
    {"!<arch>\n", "an archive; submit its members one by one"},
    {"!<thin>\n", "a thin archive; submit the objects it names one by one"},
    {"BC\xc0\xde", "LLVM bitcode; compile it without -flto and -emit-llvm, or with -ffat-lto-objects"},
    {"\xde\xc0\x17\x0b", "LLVM bitcode; compile it without -flto and -emit-llvm, or with -ffat-lto-objects"},
};

static int refuse_foreign(const uint8_t *bytes, size_t length, struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(foreign_formats); i++) {
        const struct foreign_format *format = &foreign_formats[i];
        size_t magic_length = strlen(format->magic);
        if (length >= magic_length && memcmp(bytes, format->magic, magic_length) == 0)
            return error_set(error, ERROR_OBJECT_FORMAT, "not an ELF object: %s", format->what);
    }
    return error_set(error, ERROR_OBJECT_FORMAT, "not an ELF object: it begins with %02x %02x %02x %02x", bytes[0],
                     bytes[1], bytes[2], bytes[3]);
}

struct identification {
    uint8_t index;
    uint8_t value;
    const char *what;
};

static const struct identification identifications[] = {
    {EI_CLASS, ELFCLASS64, "class (EI_CLASS)"},
    {EI_DATA, ELFDATA2LSB, "byte order (EI_DATA)"},
    {EI_VERSION, EV_CURRENT, "version (EI_VERSION)"},
};

static int check_identification(const uint8_t *bytes, size_t length, struct error *error)
{
    if (length >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return refuse_foreign(bytes, length, error);
    if (length < sizeof(Elf64_Ehdr))
        return error_set(error, ERROR_OBJECT_TRUNCATED, "%zu bytes are too few for an ELF header (%zu)", length,
                         sizeof(Elf64_Ehdr));
    for (size_t i = 0; i < ARRAY_LENGTH(identifications); i++) {
        const struct identification *row = &identifications[i];
        if (bytes[row->index] != row->value)
            return error_set(error, ERROR_OBJECT_FORMAT, "ELF %s is %u; only %u is supported", row->what,
                             bytes[row->index], row->value);
    }
    return 0;
}

/* DF_1_PIE in DT_FLAGS_1: how a statically linked position-independent executable is told from a shared object. */
static bool is_flagged_executable(const struct object *object, const Elf64_Phdr *dynamic)
{
    for (uint64_t into = 0; into + sizeof(Elf64_Dyn) <= dynamic->p_filesz; into += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        if (!range_within(dynamic->p_offset, into + sizeof entry, object->length))
            return false;
        memcpy(&entry, object->bytes + dynamic->p_offset + into, sizeof entry);
        if (entry.d_tag == DT_NULL)
            return false;
        if (entry.d_tag == DT_FLAGS_1)
            return (entry.d_un.d_val & DF_1_PIE) != 0;
    }
    return false;
}

/* A position-independent executable and a shared object have the same e_type; only the former names an interpreter, or
   says of itself what it is. */
static bool is_executable(const struct object *object, const Elf64_Ehdr *header)
{
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        uint64_t into = (uint64_t)i * sizeof segment;
        if (!range_within(header->e_phoff, into + sizeof segment, object->length))
            return false;
        memcpy(&segment, object->bytes + header->e_phoff + into, sizeof segment);
        if (segment.p_type == PT_INTERP || (segment.p_type == PT_DYNAMIC && is_flagged_executable(object, &segment)))
            return true;
    }
    return false;
}

static int check_type(const struct object *object, const Elf64_Ehdr *header, struct error *error)
{
    if (header->e_type == ET_REL)
        return 0;
    static const char advice[] = "jitd links relocatable objects: compile with cc -c";
    switch (header->e_type) {
    case ET_EXEC:
        return error_set(error, ERROR_OBJECT_TYPE, "an executable (ET_EXEC); %s", advice);
    case ET_DYN:
        if (is_executable(object, header))
            return error_set(error, ERROR_OBJECT_TYPE, "an executable (ET_DYN with PT_INTERP or DF_1_PIE); %s", advice);
        return error_set(error, ERROR_OBJECT_TYPE,
                         "a shared object (ET_DYN); name it among the session's libraries instead");
    case ET_CORE:
        return error_set(error, ERROR_OBJECT_TYPE, "a core file (ET_CORE); %s", advice);
    default:
        return error_set(error, ERROR_OBJECT_TYPE, "ELF type %u; %s", header->e_type, advice);
    }
}

static int check_header(const struct object *object, const Elf64_Ehdr *header, uint16_t machine, struct error *error)
{
    if (header->e_machine != machine)
        return error_set(error, ERROR_OBJECT_MACHINE, "ELF machine is %u; this daemon links for %u", header->e_machine,
                         machine);
    return check_type(object, header, error);
}

int object_refuse_section(struct opening *opening, uint32_t index, int code, const char *format, ...)
{
    char what[320], name[96];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const char *raw = opening->object->sections[index].name;
    if (!raw)
        raw = "";
    error_set(opening->error, code, "section %" PRIu32 " '%s': %s", index,
              log_escape(name, sizeof name, raw, strnlen(raw, sizeof name)), what);
    error_set_section(opening->error, raw, 0);
    return code;
}

static int out_of_memory(struct error *error)
{
    return error_set(error, ERROR_NO_MEMORY, "no memory for the object's tables");
}

/* Finds the table and takes memory for as many sections as it has. `names` becomes the index of .shstrtab. */
static int check_section_table(struct opening *opening, const Elf64_Ehdr *header, uint32_t *names)
{
    struct object *object = opening->object;
    if (header->e_shentsize != sizeof(Elf64_Shdr))
        return error_set(opening->error, ERROR_OBJECT_SECTION, "section headers of %u bytes (e_shentsize), must be %zu",
                         header->e_shentsize, sizeof(Elf64_Shdr));
    if (header->e_shoff < sizeof *header)
        return error_set(opening->error, ERROR_OBJECT_SECTION, "no section headers: e_shoff is %#" PRIx64,
                         header->e_shoff);
    Elf64_Shdr first;
    if (!range_within(header->e_shoff, sizeof first, object->length))
        return error_set(opening->error, ERROR_OBJECT_TRUNCATED,
                         "section headers: offset %#" PRIx64 " (e_shoff) is past the end of the file (%#zx bytes)",
                         header->e_shoff, object->length);
    memcpy(&first, object->bytes + header->e_shoff, sizeof first);

    /* gABI, "Section Header": numbers that do not fit into the ELF header stand in the null section's header. */
    uint64_t count = header->e_shnum ? header->e_shnum : first.sh_size;
    *names = header->e_shstrndx == SHN_XINDEX ? first.sh_link : header->e_shstrndx;
    if (count > LIMIT_SECTIONS)
        return error_set(opening->error, ERROR_LIMIT, "%" PRIu64 " sections, at most %d are allowed", count,
                         LIMIT_SECTIONS);
    if (!range_within(header->e_shoff, count * sizeof first, object->length))
        return error_set(opening->error, ERROR_OBJECT_TRUNCATED,
                         "section headers: offset %#" PRIx64 " + %" PRIu64
                         " headers of 64 bytes is past the end of the file (%#zx bytes)",
                         header->e_shoff, count, object->length);
    if (*names == SHN_UNDEF || *names >= count)
        return error_set(opening->error, ERROR_OBJECT_SECTION,
                         "section names: section %" PRIu32 " (e_shstrndx) of %" PRIu64 " does not exist", *names,
                         count);
    opening->section_headers = header->e_shoff;
    object->section_count = (uint32_t)count;
    object->sections = pool_allocate_array(opening->pool, count, sizeof *object->sections);
    return object->sections ? 0 : out_of_memory(opening->error);
}

void object_read_section_header(const struct opening *opening, uint32_t index, Elf64_Shdr *header)
{
    memcpy(header, opening->object->bytes + opening->section_headers + index * sizeof *header, sizeof *header);
}

/* A string table's end is what makes every string in it safe to read. */
int object_check_string_table(struct opening *opening, uint32_t index, const Elf64_Shdr *header, const char **strings)
{
    const struct object *object = opening->object;
    if (header->sh_type != SHT_STRTAB)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "used as a string table, but its type is %" PRIu32 " instead of %d",
                                     header->sh_type, SHT_STRTAB);
    if (!range_within(header->sh_offset, header->sh_size, object->length))
        return object_refuse_section(opening, index, ERROR_OBJECT_TRUNCATED,
                                     "offset %#" PRIx64 " + size %#" PRIx64 " is past the end of the file (%#zx bytes)",
                                     header->sh_offset, header->sh_size, object->length);
    if (header->sh_size == 0 || object->bytes[header->sh_offset + header->sh_size - 1] != '\0')
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "a string table that does not end with a NUL byte");
    *strings = (const char *)object->bytes + header->sh_offset;
    return 0;
}

static int find_section_names(struct opening *opening, uint32_t index)
{
    Elf64_Shdr header;
    object_read_section_header(opening, index, &header);
    int code = object_check_string_table(opening, index, &header, &opening->section_names);
    if (code)
        return code;
    opening->section_names_length = header.sh_size;
    return 0;
}

/* Tables about the object, whatever their flags say. */
static bool is_table(const struct object_section *section)
{
    static const uint32_t tables =
        1u << SHT_SYMTAB | 1u << SHT_SYMTAB_SHNDX | 1u << SHT_RELA | 1u << SHT_REL | 1u << SHT_GROUP;

    return (section->type < 32 && (tables >> section->type & 1)) ||
           (section->type == SHT_STRTAB && !(section->flags & SHF_ALLOC));
}

/* What tells a static linker something. None of it survives into memory that a program could read. */
static bool is_for_linkers(const char *name)
{
    if (name[0] == '.' && name[1] == 'n')
        return strcmp(name, ".note.gnu.property") == 0 || strcmp(name, ".note.GNU-stack") == 0 ||
               strcmp(name, ".note.ABI-tag") == 0;
    return name[0] == '.' && name[1] == 'g' &&
           (strncmp(name, ".gnu.lto_", 9) == 0 || strcmp(name, ".gnu_debuglink") == 0);
}

static bool is_of_system(uint32_t type)
{
    return type >= SHT_LOOS && type <= SHT_HIOS;
}

static bool is_loadable_type(uint32_t type)
{
    switch (type) {
    case SHT_PROGBITS:
    case SHT_NOBITS:
    case SHT_NOTE:
    case SHT_STRTAB:
    case SHT_INIT_ARRAY:
    case SHT_FINI_ARRAY:
    case SHT_PREINIT_ARRAY:
    case SHT_X86_64_UNWIND:
        return true;
    default: /* data for a system's tools */
        return is_of_system(type);
    }
}

static int check_loaded_section(struct opening *opening, uint32_t index)
{
    const struct object_section *section = &opening->object->sections[index];
    opening->object->has_linkonce |= section->name[0] == '.' && section->name[1] == 'g';
    if (!is_loadable_type(section->type))
        return object_refuse_section(opening, index, ERROR_UNSUPPORTED,
                                     "a section of type %#" PRIx32 " cannot be loaded", section->type);
    if ((section->flags & SHF_COMPRESSED) || ((section->flags & SHF_OS_NONCONFORMING) && is_of_system(section->type)))
        return object_refuse_section(opening, index, ERROR_UNSUPPORTED, "flags %#" PRIx64 ": %s", section->flags,
                                     section->flags & SHF_COMPRESSED
                                         ? "a compressed section cannot be loaded; decompress it with objcopy "
                                           "--decompress-debug-sections"
                                         : "it asks for special processing (OS_NONCONFORMING)");
    if ((section->flags & SHF_WRITE) && (section->flags & SHF_EXECINSTR))
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "flags %#" PRIx64
                                     ": both writable and executable; no memory here is. Put code and "
                                     "what it writes into sections of their own",
                                     section->flags);
    if (((section->flags & SHF_TLS) || section->kind == SECTION_TLS) && section->bytes > 0)
        return object_refuse_section(opening, index, ERROR_UNSUPPORTED,
                                     "%" PRIu64 " bytes of thread-local data; thread-local data is not supported yet",
                                     section->bytes);
    if (section->alignment > LIMIT_ALIGNMENT)
        return object_refuse_section(opening, index, ERROR_LIMIT, "alignment %#" PRIx64 "; at most %#llx is supported",
                                     section->alignment, LIMIT_ALIGNMENT);
    if (section->bytes > ARENA_REACH)
        return object_refuse_section(opening, index, ERROR_LIMIT,
                                     "%" PRIu64 " bytes do not fit into an arena: it has %llu MiB at most, as "
                                     "32-bit displacements reach no further",
                                     section->bytes, ARENA_REACH >> 20);
    if (!section->content && (section->flags & SHF_EXECINSTR) && section->bytes > 0)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "executable, but without contents (SHT_NOBITS)");
    return 0;
}

/* A section is loaded if it says so, or if it goes where others go that do. */
static bool take_part(struct object_section *section)
{
    if (is_table(section))
        return false;
    section->kind = (uint8_t)section_kind_of(section->name);
    if (section->kind == SECTION_OTHER && (!(section->flags & SHF_ALLOC) || is_for_linkers(section->name)))
        return false;
    if (!(section->flags & (SHF_WRITE | SHF_EXECINSTR)) && section->kind != SECTION_OTHER)
        section->flags |= section_kind_flags((enum section_kind)section->kind);
    section->loaded = !(section->flags & SHF_EXCLUDE);
    return section->loaded;
}

/* The one look at each header: name, range, kind. What it points to comes later. */
static int check_section(struct opening *opening, uint32_t index, const Elf64_Shdr *header)
{
    struct object *object = opening->object;
    struct object_section *section = &object->sections[index];
    if (header->sh_name >= opening->section_names_length)
        return object_refuse_section(opening, index, ERROR_OBJECT_SECTION,
                                     "name at %#" PRIx32 " is past the end of the section names (%#" PRIx64 " bytes)",
                                     header->sh_name, opening->section_names_length);
    section->name = opening->section_names + header->sh_name;
    section->type = header->sh_type;
    section->flags = header->sh_flags;
    /* As ld does where it is no power of two. */
    section->alignment = header->sh_addralign ? header->sh_addralign & -header->sh_addralign : 1;
    if (section->type == SHT_NULL)
        return 0;
    section->bytes = header->sh_size;
    if (section->type != SHT_NOBITS) {
        if (!range_within(header->sh_offset, header->sh_size, object->length))
            return object_refuse_section(opening, index, ERROR_OBJECT_TRUNCATED,
                                         "offset %#" PRIx64 " + size %#" PRIx64
                                         " is past the end of the file (%#zx bytes)",
                                         header->sh_offset, header->sh_size, object->length);
        section->content = object->bytes + header->sh_offset;
    }
    bool loaded = take_part(section);
    if (!loaded && (section->flags & SHF_EXECINSTR) && strcmp(section->name, ".note.GNU-stack") == 0)
        return object_refuse_section(opening, index, ERROR_EXECUTABLE_STACK,
                                     "asks for an executable stack, which no program gets here; "
                                     "avoid nested functions whose address is taken, or mark the assembly source");
    if ((section->flags & SHF_EXCLUDE) && strncmp(section->name, ".gnu.lto_", 9) == 0)
        opening->lto = true;
    return loaded ? check_loaded_section(opening, index) : 0;
}

static int check_sections(struct opening *opening)
{
    for (uint32_t i = 1; i < opening->object->section_count; i++) {
        Elf64_Shdr header;
        object_read_section_header(opening, i, &header);
        int code = check_section(opening, i, &header);
        if (code)
            return code;
        if (header.sh_type == SHT_GROUP)
            opening->group_sections++;
        if (header.sh_type != SHT_SYMTAB)
            continue;
        if (opening->symbol_table)
            return object_refuse_section(opening, i, ERROR_OBJECT_SECTION,
                                         "a second symbol table; section %" PRIu32 " is the first",
                                         opening->symbol_table);
        opening->symbol_table = i;
    }
    opening->object->sections[0].name = "";
    opening->object->sections[0].alignment = 1;
    return 0;
}

static int open_steps(struct opening *opening, uint16_t machine)
{
    const struct object *object = opening->object;
    int code = check_identification(object->bytes, object->length, opening->error);
    if (code)
        return code;
    Elf64_Ehdr header;
    memcpy(&header, object->bytes, sizeof header);
    uint32_t names = SHN_UNDEF;
    code = check_header(object, &header, machine, opening->error);
    if (!code)
        code = check_section_table(opening, &header, &names);
    if (!code)
        code = find_section_names(opening, names);
    if (!code)
        code = check_sections(opening);
    if (!code)
        code = object_read_tables(opening);
    return code ? code : object_check_symbols(opening);
}

int object_open(struct object *object, struct pool *pool, const void *bytes, size_t length, uint16_t machine,
                struct error *error)
{
    *object = (struct object){.bytes = bytes, .length = length};
    struct opening opening = {.object = object, .pool = pool, .error = error};
    if (length > LIMIT_OBJECT_BYTES)
        return error_set(error, ERROR_LIMIT, "%zu bytes, an object may have %llu", length, LIMIT_OBJECT_BYTES);
    return open_steps(&opening, machine);
}
