/*
 * A writer of small ELF objects (object_writer.h): sections are appended in the order of their indices, headers last.
 */
#include "bench/object_writer.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "common/bytes.h"

#define WRITER_BYTES    2048
#define WRITER_SECTIONS 12

/* What differs between the functions: code, where its calls' operands lie, and what their frames do to the CFA. */
struct shape {
    uint8_t text[24];
    uint8_t text_bytes;
    uint8_t calls[2];
    uint8_t call_count;
    uint8_t frame[16]; /* DW_CFA instructions of the FDE, behind its empty augmentation; DW_CFA_nop pads */
    uint8_t frame_bytes;
};

static const struct shape shape_leaf = {
    .text = {0xb8, 1, 0, 0, 0, 0xc3}, /* mov $1,%eax; ret */
    .text_bytes = 6,
    .frame_bytes = 7,
};

static const struct shape shape_one_call = {
    .text = {0x48, 0x83, 0xec, 0x08, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 0x08, 0x83, 0xc0, 0x01, 0xc3},
    .text_bytes = 17,
    .calls = {5},
    .call_count = 1,
    .frame = {0x44, 0x0e, 0x10, 0x49, 0x0e, 0x08},
    .frame_bytes = 7,
};

static const struct shape shape_two_calls = {
    .text = {0x53, 0xe8, 0, 0, 0, 0, 0x89, 0xc3, 0xe8, 0, 0, 0, 0, 0x8d, 0x44, 0x03, 0x01, 0x5b, 0xc3},
    .text_bytes = 19,
    .calls = {2, 9},
    .call_count = 2,
    .frame = {0x41, 0x0e, 0x10, 0x83, 0x02, 0x51, 0x0e, 0x08},
    .frame_bytes = 15,
};

static const struct shape shape_crash = {
    .text = {0xc7, 0x04, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0x0b}, /* movl $0,0; ud2 */
    .text_bytes = 13,
    .frame_bytes = 7,
};

/* Augmentation "zR", return address in column 16, CFA = rsp + 8. */
static const uint8_t frame_cie[24] = {0x14, 0,    0,    0,    0,    0x00, 0x00, 0x00, 1,    'z', 'R', 0,
                                      1,    0x78, 0x10, 0x01, 0x1b, 0x0c, 0x07, 0x08, 0x90, 1,   0,   0};

static const char section_names[] =
    "\0.symtab\0.strtab\0.shstrtab\0.rela.text\0.data\0.bss\0.comment\0.note.GNU-stack\0.rela.eh_frame";
enum {
    NAME_SYMTAB = 1,
    NAME_STRTAB = 9,
    NAME_SHSTRTAB = 17,
    NAME_RELA_TEXT = 27,
    NAME_TEXT = NAME_RELA_TEXT + 5,
    NAME_DATA = 38,
    NAME_BSS = 44,
    NAME_COMMENT = 49,
    NAME_NOTE_STACK = 58,
    NAME_RELA_EH_FRAME = 74,
    NAME_EH_FRAME = NAME_RELA_EH_FRAME + 5
};

/* Symbols: the null one, the file, the section .text, the function, then its callees. */
enum { SYMBOL_SECTION = 2, SYMBOL_FUNCTION = 3, SYMBOL_CALLEES = 4, SYMBOLS_MOST = 6 };

struct writer {
    uint8_t *bytes;
    size_t length;
    Elf64_Shdr headers[WRITER_SECTIONS];
    uint16_t count;
};

static void writer_append(struct writer *writer, const void *bytes, size_t length)
{
    if (length > WRITER_BYTES - writer->length)
        measure_die("an object grew over %d bytes", WRITER_BYTES);
    memcpy(writer->bytes + writer->length, bytes, length);
    writer->length += length;
}

/* Returns the header, for the fields that few sections have. */
static Elf64_Shdr *writer_section(struct writer *writer, Elf64_Word name, Elf64_Word type, Elf64_Xword flags,
                                  size_t alignment, const void *bytes, size_t length)
{
    Elf64_Shdr *header = &writer->headers[writer->count++];
    writer->length = align_up(writer->length, alignment);
    *header = (Elf64_Shdr){.sh_name = name,
                           .sh_type = type,
                           .sh_flags = flags,
                           .sh_offset = writer->length,
                           .sh_size = length,
                           .sh_addralign = alignment};
    writer_append(writer, bytes, length);
    return header;
}

static void writer_relocations(struct writer *writer, Elf64_Word name, uint16_t target, uint16_t symbols,
                               const Elf64_Rela *relocations, size_t count)
{
    Elf64_Shdr *header =
        writer_section(writer, name, SHT_RELA, SHF_INFO_LINK, 8, relocations, count * sizeof *relocations);
    header->sh_info = target;
    header->sh_link = symbols;
    header->sh_entsize = sizeof *relocations;
}

static void writer_frames(struct writer *writer, const struct shape *shape)
{
    uint8_t frames[sizeof frame_cie + 48] = {0};
    uint32_t body = 16 + 1 + shape->frame_bytes; /* behind the length: CIE pointer, start, range, augmentation */
    uint8_t *fde = frames + sizeof frame_cie;
    memcpy(frames, frame_cie, sizeof frame_cie);
    store_le32(fde, body - 4);
    store_le32(fde + 4, sizeof frame_cie + 4);
    store_le32(fde + 12, shape->text_bytes);
    memcpy(fde + 17, shape->frame, shape->frame_bytes);
    writer_section(writer, NAME_EH_FRAME, SHT_PROGBITS, SHF_ALLOC, 8, frames, sizeof frame_cie + body);
}

static void writer_symbols(struct writer *writer, const struct shape *shape, const char *const *names)
{
    char strings[96] = "\0t.c"; /* the function's name and its callees' follow the file's */
    Elf64_Word used = sizeof "\0t.c";
    Elf64_Sym symbols[SYMBOLS_MOST] = {
        [1] = {.st_name = 1, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FILE), .st_shndx = SHN_ABS},
        [SYMBOL_SECTION] = {.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = 1},
        [SYMBOL_FUNCTION] = {.st_shndx = 1, .st_size = shape->text_bytes},
    };
    size_t count = SYMBOL_CALLEES + shape->call_count;
    for (size_t i = SYMBOL_FUNCTION; i < count; i++) {
        size_t bytes = strlen(names[i - SYMBOL_FUNCTION]) + 1;
        memcpy(strings + used, names[i - SYMBOL_FUNCTION], bytes);
        symbols[i].st_name = used;
        symbols[i].st_info = ELF64_ST_INFO(STB_GLOBAL, i == SYMBOL_FUNCTION ? STT_FUNC : STT_NOTYPE);
        used += (Elf64_Word)bytes;
    }
    Elf64_Shdr *header = writer_section(writer, NAME_SYMTAB, SHT_SYMTAB, 0, 8, symbols, count * sizeof *symbols);
    header->sh_link = writer->count;
    header->sh_info = SYMBOL_FUNCTION;
    header->sh_entsize = sizeof *symbols;
    writer_section(writer, NAME_STRTAB, SHT_STRTAB, 0, 1, strings, used);
}

static void writer_finish(struct writer *writer)
{
    writer_section(writer, NAME_SHSTRTAB, SHT_STRTAB, 0, 1, section_names, sizeof section_names);
    writer->length = align_up(writer->length, 8);
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_REL,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_shoff = writer->length,
                         .e_ehsize = sizeof header,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = writer->count,
                         .e_shstrndx = (Elf64_Half)(writer->count - 1)};
    writer_append(writer, writer->headers, writer->count * sizeof *writer->headers);
    memcpy(writer->bytes, &header, sizeof header);
}

/* `names`: the function's, then those of the shape's callees. */
static void object_write(struct written_object *out, const struct shape *shape, const char *const *names)
{
    static const char comment[] = "\0GCC: (Debian 12.2.0-14+deb12u1) 12.2.0";
    struct writer writer = {.bytes = calloc(1, WRITER_BYTES), .length = sizeof(Elf64_Ehdr), .count = 1};
    uint16_t symbols = shape->call_count ? 9 : 8;
    Elf64_Rela calls[2];
    Elf64_Rela frame = {.r_offset = 32, .r_info = ELF64_R_INFO(SYMBOL_SECTION, R_X86_64_PC32)};

    if (!writer.bytes)
        measure_die("out of memory for an object");
    for (size_t i = 0; i < shape->call_count; i++)
        calls[i] = (Elf64_Rela){shape->calls[i], ELF64_R_INFO(SYMBOL_CALLEES + i, R_X86_64_PLT32), -4};
    writer_section(&writer, NAME_TEXT, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16, shape->text, shape->text_bytes);
    if (shape->call_count)
        writer_relocations(&writer, NAME_RELA_TEXT, 1, symbols, calls, shape->call_count);
    writer_section(&writer, NAME_DATA, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 1, "", 0);
    writer_section(&writer, NAME_BSS, SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 1, "", 0);
    writer_section(&writer, NAME_COMMENT, SHT_PROGBITS, SHF_MERGE | SHF_STRINGS, 1, comment, sizeof comment)
        ->sh_entsize = 1;
    writer_section(&writer, NAME_NOTE_STACK, SHT_PROGBITS, 0, 1, "", 0);
    writer_frames(&writer, shape);
    writer_relocations(&writer, NAME_RELA_EH_FRAME, (uint16_t)(writer.count - 1), symbols, &frame, 1);
    writer_symbols(&writer, shape, names);
    writer_finish(&writer);
    snprintf(out->name, sizeof out->name, "%s", names[0]);
    out->bytes = writer.bytes;
    out->length = writer.length;
}

void object_write_function(struct written_object *out, const char *name, const char *first, const char *second)
{
    object_write(out,
                 second  ? &shape_two_calls
                 : first ? &shape_one_call
                         : &shape_leaf,
                 (const char *const[]){name, first, second});
}

void object_write_crash(struct written_object *out, const char *name)
{
    object_write(out, &shape_crash, &name);
}

struct written_object *object_write_tree(const char *prefix, size_t count)
{
    struct written_object *tree = measure_allocate(count * sizeof *tree);
    for (size_t i = 0; i < count; i++) {
        char names[3][sizeof tree->name];
        for (size_t n = 0; n < 3; n++)
            snprintf(names[n], sizeof names[n], "%s_%zu", prefix, n == 0 ? i : 2 * i + n);
        object_write_function(&tree[i], names[0], 2 * i + 1 < count ? names[1] : NULL,
                              2 * i + 2 < count ? names[2] : NULL);
    }
    return tree;
}

size_t object_content(const struct written_object *object)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)object->bytes;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(object->bytes + header->e_shoff);
    size_t bytes = 0;
    for (size_t i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_flags & SHF_ALLOC)
            bytes += sections[i].sh_size;
    return bytes;
}

void object_free_all(struct written_object *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(objects[i].bytes);
    free(objects);
}
