/*
 * The ELF writer (gABI 4; x86-64 psABI 4.2 to 4.4): a function, the names of what it calls, and how to unwind it. Most
 * of an object is the same for all of them.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "calculator.h"

#define PLACE(part)   offsetof(struct object, part)
#define NAME_AT(name) (uint32_t)(PLACE(names.name) - PLACE(names))
#define RELA          sizeof(Elf64_Rela)
#define SYMBOL        sizeof(Elf64_Sym)

/* In the frame, which says how to find the caller from anywhere in the function (DWARF 5, 6.4; LSB 5, "Exception
   Frames"), so that backtraces lead through it. */
enum { FRAME_FUNCTION = 32, FRAME_FUNCTION_SIZE = 36, FRAME_TO_RETURN = 50, PROLOGUE = 4 };

/* Sections: name, type, flags, address, place, bytes, the section referred to, the one this is about, alignment, entry
   bytes. Without the note an object asks for an executable stack. What is marked P is patched, and R relocated. */
static const struct object template = {
    .header = {ELFMAG "\2\1\1", ET_REL, EM_X86_64, EV_CURRENT, 0, 0, PLACE(sections), 0, sizeof(Elf64_Ehdr), 0, 0,
               sizeof(Elf64_Shdr), SECTIONS, NAMES},
    .sections = {[TEXT] = {0, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, PLACE(code), 0 /* P */, 0, 0, 16, 0},
                 [TEXT_RELOCATIONS] = {0, SHT_RELA, 0, 0, PLACE(calls), 0 /* P */, SYMBOLS, TEXT, 8, RELA},
                 [EH_FRAME] = {0, SHT_PROGBITS, SHF_ALLOC, 0, PLACE(frame), sizeof(template.frame), 0, 0, 8, 0},
                 [EH_FRAME_RELOCATIONS] = {0, SHT_RELA, 0, 0, PLACE(unwind), RELA, SYMBOLS, EH_FRAME, 8, RELA},
                 [STACK_NOTE] = {0, SHT_PROGBITS, 0, 0, PLACE(names), 0, 0, 0, 1, 0},
                 [SYMBOLS] = {0, SHT_SYMTAB, 0, 0, PLACE(symbols), 0 /* P */, NAMES, SYMBOL_FUNCTION, 8, SYMBOL},
                 [NAMES] = {0, SHT_STRTAB, 0, 0, PLACE(names), sizeof(template.names), 0, 0, 1, 0}},
    .frame = "\x14\0\0\0\0\0\0\0\1zR\0"             /* CIE, version 1 */
             "\1\x78\x10\1\x1b"                     /* units of 1 and -8; return address in column 16; pcrel */
             "\x0c\7\x08\x90\1\0\0"                 /* the frame is at rsp + 8, the return address at -8 of it */
             "\x24\0\0\0\x1c\0\0\0\0\0\0\0\0\0\0\0" /* FDE: its CIE is 28 bytes back; function R, its size P */
             "\0\x41\x0e\x10\x86\2"                 /* behind push rbp: rsp + 16; rbp at -16 */
             "\x43\x0d\6"                           /* behind mov rbp, rsp: rbp + 16 */
             "\4\0\0\0\0\x0c\7\x08\xc6",            /* P further, behind leave: rsp + 8, rbp as it was */
    .unwind = {FRAME_FUNCTION, ELF64_R_INFO(SYMBOL_TEXT, R_X86_64_PC32), 0},
    .symbols = {[SYMBOL_TEXT] = {0, ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 0, TEXT, 0, 0},
                [SYMBOL_FUNCTION] = {NAME_AT(function), ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, TEXT, 0, 0 /* P */}},
    .names = {.sections = {"", ".text", ".rela.text", ".eh_frame", ".rela.eh_frame", ".note.GNU-stack", ".symtab",
                           ".strtab"},
              .function = "f_0"},
};

void object_make(struct object *object, const struct line *line)
{
    const uint32_t bytes = line->code_bytes, calls = line->call_count, to_return = bytes - PROLOGUE - 1;

    *object = template;
    memcpy(object->code, line->code, bytes);
    memcpy(object->frame + FRAME_FUNCTION_SIZE, &bytes, sizeof bytes);
    memcpy(object->frame + FRAME_TO_RETURN, &to_return, sizeof to_return);
    object->sections[TEXT].sh_size = object->symbols[SYMBOL_FUNCTION].st_size = bytes;
    object->sections[TEXT_RELOCATIONS].sh_size = calls * RELA;
    object->sections[SYMBOLS].sh_size = (SYMBOL_CALLS + calls) * SYMBOL;
    for (int i = 0; i < SECTIONS; i++)
        object->sections[i].sh_name = NAME_AT(sections[i]);
    for (uint32_t i = 0; i < calls; i++) {
        snprintf(object->names.calls[i], LOCAL_BYTES, "g_%u", i);
        object->symbols[SYMBOL_CALLS + i] =
            (Elf64_Sym){NAME_AT(calls[i]), ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0, 0, 0, 0};
        /* A displacement counts from its end, where the next instruction begins: hence -4. */
        object->calls[i] = (Elf64_Rela){line->calls[i].at, ELF64_R_INFO(SYMBOL_CALLS + i, R_X86_64_PLT32), -4};
    }
}
