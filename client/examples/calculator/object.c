/*
 * The ELF writer (gABI 4; x86-64 psABI 4.2 to 4.4): a function, the names of what it calls, and how to unwind it.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "calculator.h"

/* In the order of the sections. Without the note an object asks for an executable stack. */
static const char section_names[] = "\0.text\0.rela.text\0.eh_frame\0.rela.eh_frame\0.note.GNU-stack\0.symtab\0.strtab";

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

static void make_code(const struct function *function, struct object *object)
{
    const uint32_t prologue = 4, to_return = function->code_bytes - prologue - 1;

    memcpy(object->code, function->code, function->code_bytes);
    memcpy(object->frame, frame_template, sizeof frame_template);
    memcpy(object->frame + FRAME_FUNCTION_SIZE, &function->code_bytes, 4);
    memcpy(object->frame + FRAME_TO_RETURN, &to_return, 4);
    object->unwind = (Elf64_Rela){FRAME_FUNCTION, ELF64_R_INFO(SYMBOL_TEXT, R_X86_64_PC32), 0};
}

static uint32_t name_at(const struct object *object, const char *name)
{
    return (uint32_t)(name - (const char *)&object->names);
}

/* A displacement counts from its end, where the next instruction begins: hence -4. */
static void make_symbols(const struct function *function, struct object *object)
{
    strcpy(object->names.function, "f_0");
    object->symbols[SYMBOL_TEXT] = (Elf64_Sym){0, ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 0, TEXT, 0, 0};
    object->symbols[SYMBOL_FUNCTION] = (Elf64_Sym){
        name_at(object, object->names.function), ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, TEXT, 0, function->code_bytes};
    for (uint32_t i = 0; i < function->call_count; i++) {
        char *name = object->names.calls[i];
        snprintf(name, LOCAL_BYTES, "g_%u", i);
        object->symbols[SYMBOL_CALLS + i] =
            (Elf64_Sym){.st_name = name_at(object, name), .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE)};
        object->calls[i] = (Elf64_Rela){function->calls[i].at, ELF64_R_INFO(SYMBOL_CALLS + i, R_X86_64_PLT32), -4};
    }
}

#define PLACE(part) offsetof(struct object, part)

/* Name, type, flags, address, place, bytes, the section referred to, the one this is about, alignment, entry bytes. */
static void make_sections(const struct function *function, struct object *object)
{
    const uint64_t rela = sizeof(Elf64_Rela), symbol = sizeof(Elf64_Sym), symbols = SYMBOL_CALLS + function->call_count;
    const Elf64_Shdr sections[SECTIONS] = {
        [TEXT] = {0, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, PLACE(code), function->code_bytes, 0, 0, 16, 0},
        [TEXT_RELOCATIONS] = {0, SHT_RELA, 0, 0, PLACE(calls), function->call_count * rela, SYMBOLS, TEXT, 8, rela},
        [EH_FRAME] = {0, SHT_PROGBITS, SHF_ALLOC, 0, PLACE(frame), sizeof object->frame, 0, 0, 8, 0},
        [EH_FRAME_RELOCATIONS] = {0, SHT_RELA, 0, 0, PLACE(unwind), rela, SYMBOLS, EH_FRAME, 8, rela},
        [STACK_NOTE] = {0, SHT_PROGBITS, 0, 0, PLACE(names), 0, 0, 0, 1, 0},
        [SYMBOLS] = {0, SHT_SYMTAB, 0, 0, PLACE(symbols), symbols * symbol, NAMES, SYMBOL_FUNCTION, 8, symbol},
        [NAMES] = {0, SHT_STRTAB, 0, 0, PLACE(names), sizeof object->names, 0, 0, 1, 0},
    };
    const char *name = object->names.sections;

    memcpy(object->sections, sections, sizeof sections);
    memcpy(object->names.sections, section_names, sizeof section_names);
    for (int i = 0; i < SECTIONS; i++, name += strlen(name) + 1)
        object->sections[i].sh_name = name_at(object, name);
}

void object_make(const struct function *function, struct object *object)
{
    *object = (struct object){0};
    object->header = (Elf64_Ehdr){.e_type = ET_REL,
                                  .e_machine = EM_X86_64,
                                  .e_version = EV_CURRENT,
                                  .e_shoff = PLACE(sections),
                                  .e_ehsize = sizeof(Elf64_Ehdr),
                                  .e_shentsize = sizeof(Elf64_Shdr),
                                  .e_shnum = SECTIONS,
                                  .e_shstrndx = NAMES};
    memcpy(object->header.e_ident, ELFMAG "\2\1\1", 7); /* 64 bits, little-endian, version 1 */
    make_code(function, object);
    make_symbols(function, object);
    make_sections(function, object);
}
