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

#define WRITER_BYTES    2048 /* of an object with few calls */
#define CALL_BYTES      96   /* what each further call adds, to code, relocations, symbols and names */
#define WRITER_SECTIONS 12

/* What differs between the functions: code, where its calls' operands lie, and what their frames do to the CFA. */
struct shape {
    const uint8_t *text;
    uint32_t text_bytes;
    uint32_t first_call; /* offset of its operand */
    uint32_t call_step;  /* from there to that of the next */
    size_t call_count;
    uint8_t frame[16]; /* DW_CFA instructions of the FDE, behind its empty augmentation; DW_CFA_nop pads */
    uint8_t frame_bytes;
};

static const struct shape shape_leaf = {
    .text = (const uint8_t[]){0xb8, 1, 0, 0, 0, 0xc3}, /* mov $1,%eax; ret */
    .text_bytes = 6,
    .frame_bytes = 7,
};

static const struct shape shape_one_call = {
    .text = (const uint8_t[]){0x48, 0x83, 0xec, 0x08, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 0x08, 0x83, 0xc0, 0x01, 0xc3},
    .text_bytes = 17,
    .first_call = 5,
    .call_count = 1,
    .frame = {0x44, 0x0e, 0x10, 0x49, 0x0e, 0x08},
    .frame_bytes = 7,
};

static const struct shape shape_two_calls = {
    .text = (const uint8_t[]){0x53, 0xe8, 0, 0, 0, 0, 0x89, 0xc3, 0xe8, 0, 0, 0, 0, 0x8d, 0x44, 0x03, 0x01, 0x5b, 0xc3},
    .text_bytes = 19,
    .first_call = 2,
    .call_step = 7,
    .call_count = 2,
    .frame = {0x41, 0x0e, 0x10, 0x83, 0x02, 0x51, 0x0e, 0x08},
    .frame_bytes = 15,
};

static const struct shape shape_adapter = {
    .text = (const uint8_t[]){0x41, 0xff, 0xe3}, /* jmp *%r11 */
    .text_bytes = 3,
};

static const struct shape shape_crash = {
    .text = (const uint8_t[]){0xc7, 0x04, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0x0b}, /* movl $0,0; ud2 */
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
enum { SYMBOL_SECTION = 2, SYMBOL_FUNCTION = 3, SYMBOL_CALLEES = 4 };

struct writer {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    Elf64_Shdr headers[WRITER_SECTIONS];
    uint16_t count;
};

/* The next `length` bytes, zero as yet. */
static uint8_t *writer_reserve(struct writer *writer, size_t length)
{
    uint8_t *bytes = writer->bytes + writer->length;
    if (length > writer->capacity - writer->length)
        measure_die("an object grew over %zu bytes", writer->capacity);
    writer->length += length;
    return bytes;
}

static void writer_append(struct writer *writer, const void *bytes, size_t length)
{
    memcpy(writer_reserve(writer, length), bytes, length);
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

/* A section of `count` entries, zero as yet; its header is the last. */
static void *writer_table(struct writer *writer, Elf64_Word name, Elf64_Word type, Elf64_Xword flags, size_t entry,
                          size_t count)
{
    Elf64_Shdr *header = writer_section(writer, name, type, flags, 8, "", 0);
    header->sh_entsize = entry;
    header->sh_size = entry * count;
    return writer_reserve(writer, entry * count);
}

/* Relocations of the section before them; returns the entries, to be filled. */
static Elf64_Rela *writer_relocations(struct writer *writer, Elf64_Word name, uint16_t symbols, size_t count)
{
    Elf64_Shdr *header = &writer->headers[writer->count];
    Elf64_Rela *entries = writer_table(writer, name, SHT_RELA, SHF_INFO_LINK, sizeof *entries, count);
    header->sh_info = (Elf64_Word)(header - writer->headers - 1);
    header->sh_link = symbols;
    return entries;
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

/* The function's name and its callees' follow the file's. */
static void writer_strings(struct writer *writer, Elf64_Sym *symbols, const char *const *names, size_t count)
{
    static const char file[] = "\0t.c";
    Elf64_Shdr *header = writer_section(writer, NAME_STRTAB, SHT_STRTAB, 0, 1, file, sizeof file);
    for (size_t i = 0; i < count; i++) {
        symbols[i].st_name = (Elf64_Word)(writer->length - header->sh_offset);
        writer_append(writer, names[i], strlen(names[i]) + 1);
    }
    header->sh_size = writer->length - header->sh_offset;
}

static void writer_symbols(struct writer *writer, const struct shape *shape, const char *const *names)
{
    size_t named = 1 + shape->call_count;
    Elf64_Shdr *header = &writer->headers[writer->count];
    Elf64_Sym *symbols = writer_table(writer, NAME_SYMTAB, SHT_SYMTAB, 0, sizeof *symbols, SYMBOL_FUNCTION + named);
    header->sh_link = writer->count;
    header->sh_info = SYMBOL_FUNCTION;
    symbols[1] = (Elf64_Sym){.st_name = 1, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FILE), .st_shndx = SHN_ABS};
    symbols[SYMBOL_SECTION] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = 1};
    symbols[SYMBOL_FUNCTION] =
        (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1, .st_size = shape->text_bytes};
    for (size_t i = 0; i < shape->call_count; i++)
        symbols[SYMBOL_CALLEES + i].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    writer_strings(writer, symbols + SYMBOL_FUNCTION, names, named);
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

static void writer_code(struct writer *writer, const struct shape *shape, uint16_t symbols)
{
    writer_section(writer, NAME_TEXT, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16, shape->text, shape->text_bytes);
    if (shape->call_count == 0)
        return;
    Elf64_Rela *calls = writer_relocations(writer, NAME_RELA_TEXT, symbols, shape->call_count);
    for (size_t i = 0; i < shape->call_count; i++)
        calls[i] = (Elf64_Rela){shape->first_call + i * shape->call_step,
                                ELF64_R_INFO(SYMBOL_CALLEES + i, R_X86_64_PLT32), -4};
}

/* `names`: the function's, then those of the shape's callees. */
static void object_write(struct written_object *out, const struct shape *shape, const char *const *names)
{
    static const char comment[] = "\0GCC: (Debian 12.2.0-14+deb12u1) 12.2.0";
    size_t capacity = WRITER_BYTES + shape->call_count * CALL_BYTES;
    struct writer writer = {
        .bytes = calloc(1, capacity), .length = sizeof(Elf64_Ehdr), .capacity = capacity, .count = 1};
    uint16_t symbols = shape->call_count ? 9 : 8;

    if (!writer.bytes)
        measure_die("out of memory for an object");
    writer_code(&writer, shape, symbols);
    writer_section(&writer, NAME_DATA, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 1, "", 0);
    writer_section(&writer, NAME_BSS, SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 1, "", 0);
    writer_section(&writer, NAME_COMMENT, SHT_PROGBITS, SHF_MERGE | SHF_STRINGS, 1, comment, sizeof comment)
        ->sh_entsize = 1;
    writer_section(&writer, NAME_NOTE_STACK, SHT_PROGBITS, 0, 1, "", 0);
    writer_frames(&writer, shape);
    writer_relocations(&writer, NAME_RELA_EH_FRAME, symbols, 1)[0] =
        (Elf64_Rela){.r_offset = 32, .r_info = ELF64_R_INFO(SYMBOL_SECTION, R_X86_64_PC32)};
    writer_symbols(&writer, shape, names);
    writer_finish(&writer);
    out->local = false;
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

void object_write_calls(struct written_object *out, const char *const *names, size_t count)
{
    static const uint8_t begin[] = {0x48, 0x83, 0xec, 0x08}, end[] = {0x48, 0x83, 0xc4, 0x08, 0xc3};
    size_t calls = 5 * count;
    uint8_t *text = measure_allocate(sizeof begin + calls + sizeof end);
    struct shape shape = {.text = text,
                          .text_bytes = (uint32_t)(sizeof begin + calls + sizeof end),
                          .first_call = sizeof begin + 1,
                          .call_step = 5,
                          .call_count = count,
                          .frame = {0x44, 0x0e, 0x10, 0x04}, /* the operand of DW_CFA_advance_loc4 follows */
                          .frame_bytes = 15};
    memcpy(text, begin, sizeof begin);
    memset(text + sizeof begin, 0, calls);
    for (size_t i = 0; i < calls; i += 5)
        text[sizeof begin + i] = 0xe8;
    memcpy(text + sizeof begin + calls, end, sizeof end);
    store_le32(shape.frame + 4, (uint32_t)calls + 4);
    memcpy(shape.frame + 8, (const uint8_t[]){0x0e, 0x08}, 2);
    object_write(out, &shape, names);
    free(text);
}

void object_write_adapter(struct written_object *out, const char *name)
{
    object_write(out, &shape_adapter, &name);
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

struct written_object *object_write_local_tree(const char *prefix, size_t count)
{
    struct written_object *tree = measure_allocate(count * sizeof *tree);
    for (size_t i = 0; i < count; i++) {
        object_write_function(&tree[i], "f_0", 2 * i + 1 < count ? "g_0" : NULL, 2 * i + 2 < count ? "g_1" : NULL);
        tree[i].local = true;
        snprintf(tree[i].name, sizeof tree[i].name, "%s_%zu", prefix, i);
        for (size_t n = 0; n < 2; n++)
            if (2 * i + 1 + n < count)
                snprintf(tree[i].callees[n], sizeof tree[i].callees[n], "%s_%zu", prefix, 2 * i + 1 + n);
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
