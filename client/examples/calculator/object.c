/*
 * The ELF writer (gABI 4; x86-64 psABI 4.2 to 4.4): a function, the names of what it calls, and how to unwind it.
 */
#include <elf.h>
#include <string.h>

#include "calculator.h"

enum {
    TEXT = 1,
    TEXT_RELOCATIONS,
    EH_FRAME,
    EH_FRAME_RELOCATIONS,
    STACK_NOTE,
    SYMBOLS,
    NAMES,
    SECTION_NAMES,
    SECTIONS
};

/* In the order of the sections. Without the note an object asks for an executable stack. */
static const char section_names[] = "\0.text\0.rela.text\0.eh_frame\0.rela.eh_frame\0.note.GNU-stack\0"
                                    ".symtab\0.strtab\0.shstrtab";

enum { SYMBOL_TEXT = 1, SYMBOL_FUNCTION, SYMBOL_CALLEES };

/* How to find the caller from anywhere in a function (DWARF 5, 6.4; LSB 5, "Exception Frames"): with this, backtraces
   lead through it. What is marked P is patched, and R relocated. */
#define FRAME_FUNCTION      32
#define FRAME_FUNCTION_SIZE 36
#define FRAME_TO_RETURN     50
static const uint8_t frame_template[64] = {
    20,   0,    0,    0,    0,    0,    0, 0, 1,    'z', 'R', 0, /* CIE, version 1 */
    1,    0x78, 16,   1,    0x1b,          /* units of 1 and -8; return address in column 16; pcrel */
    0x0c, 7,    8,    0x90, 1,    0,    0, /* the frame is at rsp + 8, the return address at -8 of it */
    36,   0,    0,    0,    28,   0,    0, 0, 0,    0,   0,   0,
    0,    0,    0,    0,                            /* FDE: its CIE is 28 bytes back; function R, its size P */
    0,    0x41, 0x0e, 16,   0x86, 2,                /* behind push rbp: rsp + 16; rbp at -16 */
    0x43, 0x0d, 6,                                  /* behind mov rbp, rsp: rbp + 16 */
    0x04, 0,    0,    0,    0,    0x0c, 7, 8, 0xc6, /* P further, behind leave: rsp + 8, rbp as it was */
};

struct section {
    const void *content;
    uint64_t bytes;
    uint32_t type;
    uint32_t flags, link, info;
    uint32_t alignment, entry_bytes;
};

static void make_frame(const struct function *function, uint8_t frame[sizeof frame_template])
{
    const uint32_t prologue = 4, to_return = function->code_bytes - prologue - 1;

    memcpy(frame, frame_template, sizeof frame_template);
    memcpy(frame + FRAME_FUNCTION_SIZE, &function->code_bytes, 4);
    memcpy(frame + FRAME_TO_RETURN, &to_return, 4);
}

/* Fills both tables; gives the bytes of names. */
static uint32_t make_symbols(const struct function *function, Elf64_Sym *symbols, char *names)
{
    uint32_t length = 1 + sizeof FUNCTION_LOCAL;

    memcpy(names, "\0" FUNCTION_LOCAL, length);
    symbols[SYMBOL_TEXT] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = TEXT};
    symbols[SYMBOL_FUNCTION] = (Elf64_Sym){.st_name = 1,
                                           .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                           .st_shndx = TEXT,
                                           .st_size = function->code_bytes};
    for (uint32_t i = 0; i < function->callee_count; i++) {
        symbols[SYMBOL_CALLEES + i] = (Elf64_Sym){.st_name = length, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE)};
        strcpy(names + length, function->callees[i].local);
        length += (uint32_t)strlen(names + length) + 1;
    }
    return length;
}

/* Sections one behind the other, each at a multiple of 16, then the table of them. */
static void write_file(const struct section *sections, FILE *stream)
{
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_REL,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_ehsize = sizeof header,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = SECTIONS,
                         .e_shstrndx = SECTION_NAMES};
    Elf64_Shdr headers[SECTIONS] = {{0}};
    const char *name = section_names + 1;
    uint64_t end = sizeof header;

    for (int i = 1; i < SECTIONS; i++, name += strlen(name) + 1) {
        const struct section *section = &sections[i];

        headers[i] = (Elf64_Shdr){(uint32_t)(name - section_names),
                                  section->type,
                                  section->flags,
                                  0,
                                  end,
                                  section->bytes,
                                  section->link,
                                  section->info,
                                  section->alignment,
                                  section->entry_bytes};
        end += (section->bytes + 15) / 16 * 16;
    }
    header.e_shoff = end;
    fwrite(&header, sizeof header, 1, stream);
    for (int i = 1; i < SECTIONS; i++) {
        fwrite(sections[i].content, 1, sections[i].bytes, stream);
        fwrite("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 1, -sections[i].bytes % 16, stream);
    }
    fwrite(headers, sizeof headers, 1, stream);
}

void object_write(const struct function *function, FILE *stream)
{
    uint8_t frame[sizeof frame_template];
    Elf64_Sym symbols[SYMBOL_CALLEES + MOST_CALLEES] = {{0}};
    char names[(2 + MOST_CALLEES) * LOCAL_BYTES];
    Elf64_Rela calls[MOST_CALLS];
    const Elf64_Rela frame_relocation = {FRAME_FUNCTION, ELF64_R_INFO(SYMBOL_TEXT, R_X86_64_PC32), 0};
    const uint32_t call_bytes = (uint32_t)sizeof *calls, symbol_bytes = (uint32_t)sizeof *symbols;
    uint32_t name_bytes = make_symbols(function, symbols, names);

    make_frame(function, frame);
    /* A displacement counts from its end, where the next instruction begins: hence -4. */
    for (uint32_t i = 0; i < function->call_count; i++)
        calls[i] = (Elf64_Rela){function->calls[i].at,
                                ELF64_R_INFO(SYMBOL_CALLEES + function->calls[i].callee, R_X86_64_PLT32), -4};
    const struct section sections[SECTIONS] = {
        [TEXT] = {function->code, function->code_bytes, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, 0, 16, 0},
        [TEXT_RELOCATIONS] = {calls, function->call_count * call_bytes, SHT_RELA, 0, SYMBOLS, TEXT, 8, call_bytes},
        [EH_FRAME] = {frame, sizeof frame, SHT_PROGBITS, SHF_ALLOC, 0, 0, 8, 0},
        [EH_FRAME_RELOCATIONS] = {&frame_relocation, call_bytes, SHT_RELA, 0, SYMBOLS, EH_FRAME, 8, call_bytes},
        [STACK_NOTE] = {"", 0, SHT_PROGBITS, 0, 0, 0, 1, 0},
        [SYMBOLS] = {symbols, (SYMBOL_CALLEES + function->callee_count) * symbol_bytes, SHT_SYMTAB, 0, NAMES,
                     SYMBOL_FUNCTION, 8, symbol_bytes},
        [NAMES] = {names, name_bytes, SHT_STRTAB, 0, 0, 0, 1, 0},
        [SECTION_NAMES] = {section_names, sizeof section_names, SHT_STRTAB, 0, 0, 0, 1, 0},
    };
    write_file(sections, stream);
}
