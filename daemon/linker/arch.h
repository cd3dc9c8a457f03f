/*
 * What differs between instruction sets, as data: a relocation table with the psABI's letters, and the bytes of a stub.
 * Nothing outside an arch_*.c file knows an instruction. Adding one means adding one table and, for what a table cannot
 * say (rewriting an instruction in place), one function.
 */
#ifndef LINKER_ARCH_H
#define LINKER_ARCH_H

#include <stddef.h>
#include <stdint.h>

/* The psABI's letters. S: the symbol's address; A: the addend; P: the place; G: the offset of the symbol's slot from
   GOT; GOT: the address of the slots' zone; L: the function or its stub; Z: the symbol's size. */
enum relocation_expression {
    RELOCATE_UNSUPPORTED, /* zero: a number that is no type (nameless), or a type that cannot be linked */
    RELOCATE_NOTHING,
    RELOCATE_S_A,       /* S + A */
    RELOCATE_S_A_P,     /* S + A - P */
    RELOCATE_L_A_P,     /* L + A - P: S where it reaches, else the stub */
    RELOCATE_G_GOT_A_P, /* G + GOT + A - P: the slot's address */
    RELOCATE_G_A,       /* G + A */
    RELOCATE_GOT_A_P,   /* GOT + A - P */
    RELOCATE_S_A_GOT,   /* S + A - GOT */
    RELOCATE_Z_A        /* Z + A */
};

/* What a field of n bits may hold: anything; [-2^(n-1), 2^(n-1)); [0, 2^n); [-2^n, 2^n), which ld calls a bitfield. */
enum relocation_check { CHECK_NOTHING, CHECK_SIGNED, CHECK_UNSIGNED, CHECK_EITHER };

enum relocation_flags {
    RELOCATION_FUNCTION_MAY_USE_STUB = 1, /* a function that is out of reach is reached through its stub */
    RELOCATION_RELAXABLE = 2              /* arch.relax may rewrite the instruction so that no slot is needed */
};

/* One row a relocation. `bits` is the field's width; the field lies at r_offset, little-endian. */
struct relocation_howto {
    const char *name; /* "R_X86_64_PC32"; NULL for a number that is no type */
    enum relocation_expression expression;
    uint8_t bits; /* 0, 8, 16, 32, 64 */
    enum relocation_check check;
    uint32_t flags;
};

#define STUB_BYTES       16
#define STUB_LAZY_OFFSET 6 /* of what follows the jump */
#define SLOT_BYTES       8
#define THUNK_BYTES      16

struct arch {
    const char *name;                      /* "x86_64" */
    const char *triple;                    /* "x86_64-linux-gnu" */
    uint16_t machine;                      /* EM_X86_64 */
    uint8_t trap;                          /* fills code memory that is not callable */
    uint8_t nop;                           /* does nothing in one byte */
    const struct relocation_howto *howtos; /* [howto_count], indexed by type */
    size_t howto_count;

    /* The CIE that compilers and assemblers put at the beginning of nearly every .eh_frame, length word included: "zR",
       code pointers in encoding 0x1b, no relocation. */
    const uint8_t *common_cie;
    uint32_t common_cie_bytes; /* at most 32 */

    /* What surrounds the pieces of .init and .fini and makes functions of them (crti.o and crtn.o do for a program).
       The pieces find the stack aligned for a call, and nothing of theirs is below it. */
    const uint8_t *prologue, *epilogue;
    uint32_t prologue_bytes, epilogue_bytes;

    /* A function that returns at once; at most 16 bytes. */
    const uint8_t *nothing;
    uint32_t nothing_bytes;

    /* Writes the stub that lies at `address` and jumps through the slot at `slot`: jmp *slot(%rip); push number;
       jmp landing. A slot whose function is not there leads to the push (STUB_LAZY_OFFSET). All lie in the arena, so
       that displacements reach. */
    void (*write_stub)(uint8_t bytes[STUB_BYTES], uint64_t address, uint64_t slot, uint32_t number, uint64_t landing);

    /* Writes the thunk that lies at `address` and goes on in `adapter`, with the address `target` in the register that
       adapters take it from (r11). It leaves all else as it is. Adapter and thunk lie in the arena. */
    void (*write_thunk)(uint8_t bytes[THUNK_BYTES], uint64_t address, uint64_t target, uint64_t adapter);

    /* Whether the instruction around a RELAXABLE field at content[offset] has a form that computes `value`'s target
       without a slot, `S` being in reach of P. With `out` not NULL (a writable copy of `content`) rewrites it there,
       field included. `content`, `length`: the section. Returns 1 or 0. */
    int (*relax)(uint32_t type, const uint8_t *content, uint64_t length, uint64_t offset, uint64_t S, int64_t A,
                 uint64_t P, uint8_t *out);
};

extern const struct arch arch_x86_64;

#endif
