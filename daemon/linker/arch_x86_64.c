/*
 * x86-64: the relocation table, stubs, and the instructions that need no slot once addresses are known.
 *
 * System V ABI, AMD64 supplement (psABI), 4.4.1 "Relocation Types", B.2 "Optimize GOTPCRELX Relocations". Rows without
 * an expression are types that exist and are refused by name: those of dynamic linking, which no relocatable object
 * has, and those of thread-local data. PLT32 and PC32 are one: whether a stub is needed is seen from the distance.
 */
#include <elf.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/arch.h"

#define MAY_USE_STUB RELOCATION_FUNCTION_MAY_USE_STUB
#define RELAXABLE    RELOCATION_RELAXABLE

#define ROW(type, expression, bits, check, flags) [type] = {#type, RELOCATE_##expression, bits, CHECK_##check, flags}
#define UNSUPPORTED(type)                         [type] = {#type, RELOCATE_UNSUPPORTED, 0, CHECK_NOTHING, 0}

/* Types that <elf.h> does not have yet, or never had: the psABI's and binutils' own. */
enum {
    R_X86_64_PC32_BND = 39,
    R_X86_64_PLT32_BND = 40,
    R_X86_64_CODE_4_GOTPCRELX = 43,
    R_X86_64_CODE_4_GOTTPOFF = 44,
    R_X86_64_CODE_4_GOTPC32_TLSDESC = 45,
    R_X86_64_CODE_5_GOTPCRELX = 46,
    R_X86_64_CODE_5_GOTTPOFF = 47,
    R_X86_64_CODE_5_GOTPC32_TLSDESC = 48,
    R_X86_64_CODE_6_GOTPCRELX = 49,
    R_X86_64_CODE_6_GOTTPOFF = 50,
    R_X86_64_CODE_6_GOTPC32_TLSDESC = 51,
    R_X86_64_GNU_VTINHERIT = 250,
    R_X86_64_GNU_VTENTRY = 251
};

static const struct relocation_howto howtos[] = {
    ROW(R_X86_64_NONE, NOTHING, 0, NOTHING, 0),
    ROW(R_X86_64_64, S_A, 64, NOTHING, 0),
    ROW(R_X86_64_PC32, S_A_P, 32, SIGNED, MAY_USE_STUB),
    ROW(R_X86_64_GOT32, G_A, 32, SIGNED, 0),
    ROW(R_X86_64_PLT32, L_A_P, 32, SIGNED, MAY_USE_STUB),
    UNSUPPORTED(R_X86_64_COPY),
    UNSUPPORTED(R_X86_64_GLOB_DAT),
    UNSUPPORTED(R_X86_64_JUMP_SLOT),
    UNSUPPORTED(R_X86_64_RELATIVE),
    ROW(R_X86_64_GOTPCREL, G_GOT_A_P, 32, SIGNED, 0),
    ROW(R_X86_64_32, S_A, 32, UNSIGNED, MAY_USE_STUB),
    ROW(R_X86_64_32S, S_A, 32, SIGNED, MAY_USE_STUB),
    ROW(R_X86_64_16, S_A, 16, EITHER, 0),
    ROW(R_X86_64_PC16, S_A_P, 16, EITHER, 0),
    ROW(R_X86_64_8, S_A, 8, EITHER, 0),
    ROW(R_X86_64_PC8, S_A_P, 8, SIGNED, 0),
    UNSUPPORTED(R_X86_64_DTPMOD64),
    UNSUPPORTED(R_X86_64_DTPOFF64),
    UNSUPPORTED(R_X86_64_TPOFF64),
    UNSUPPORTED(R_X86_64_TLSGD),
    UNSUPPORTED(R_X86_64_TLSLD),
    UNSUPPORTED(R_X86_64_DTPOFF32),
    UNSUPPORTED(R_X86_64_GOTTPOFF),
    UNSUPPORTED(R_X86_64_TPOFF32),
    ROW(R_X86_64_PC64, S_A_P, 64, NOTHING, 0),
    ROW(R_X86_64_GOTOFF64, S_A_GOT, 64, NOTHING, 0),
    ROW(R_X86_64_GOTPC32, GOT_A_P, 32, SIGNED, 0),
    ROW(R_X86_64_GOT64, G_A, 64, NOTHING, 0),
    ROW(R_X86_64_GOTPCREL64, G_GOT_A_P, 64, NOTHING, 0),
    ROW(R_X86_64_GOTPC64, GOT_A_P, 64, NOTHING, 0),
    ROW(R_X86_64_GOTPLT64, G_A, 64, NOTHING, 0),
    /* L + A - GOT: with 64 bits the function itself is always in reach. */
    ROW(R_X86_64_PLTOFF64, S_A_GOT, 64, NOTHING, MAY_USE_STUB),
    ROW(R_X86_64_SIZE32, Z_A, 32, UNSIGNED, 0),
    ROW(R_X86_64_SIZE64, Z_A, 64, NOTHING, 0),
    UNSUPPORTED(R_X86_64_GOTPC32_TLSDESC),
    UNSUPPORTED(R_X86_64_TLSDESC_CALL),
    UNSUPPORTED(R_X86_64_TLSDESC),
    UNSUPPORTED(R_X86_64_IRELATIVE),
    UNSUPPORTED(R_X86_64_RELATIVE64),
    ROW(R_X86_64_GOTPCRELX, G_GOT_A_P, 32, SIGNED, RELAXABLE),
    ROW(R_X86_64_REX_GOTPCRELX, G_GOT_A_P, 32, SIGNED, RELAXABLE),
    /* What MPX had for the two: the same. */
    ROW(R_X86_64_PC32_BND, S_A_P, 32, SIGNED, MAY_USE_STUB),
    ROW(R_X86_64_PLT32_BND, L_A_P, 32, SIGNED, MAY_USE_STUB),
    /* Of APX instructions, whose prefixes are longer. */
    ROW(R_X86_64_CODE_4_GOTPCRELX, G_GOT_A_P, 32, SIGNED, 0),
    ROW(R_X86_64_CODE_5_GOTPCRELX, G_GOT_A_P, 32, SIGNED, 0),
    ROW(R_X86_64_CODE_6_GOTPCRELX, G_GOT_A_P, 32, SIGNED, 0),
    UNSUPPORTED(R_X86_64_CODE_4_GOTTPOFF),
    UNSUPPORTED(R_X86_64_CODE_5_GOTTPOFF),
    UNSUPPORTED(R_X86_64_CODE_6_GOTTPOFF),
    UNSUPPORTED(R_X86_64_CODE_4_GOTPC32_TLSDESC),
    UNSUPPORTED(R_X86_64_CODE_5_GOTPC32_TLSDESC),
    UNSUPPORTED(R_X86_64_CODE_6_GOTPC32_TLSDESC),
    /* What g++ -fvtable-gc tells a linker of virtual tables. They change no byte. */
    ROW(R_X86_64_GNU_VTINHERIT, NOTHING, 0, NOTHING, 0),
    ROW(R_X86_64_GNU_VTENTRY, NOTHING, 0, NOTHING, 0),
};

/* A displacement counts from the end of its instruction: `next`. */
static uint32_t displacement(uint64_t target, uint64_t next)
{
    return (uint32_t)(target - next);
}

/*   ff 25 disp32    jmp *slot(%rip)
 *   68 imm32        push $number      where the slot leads while the function is not there
 *   e9 disp32       jmp landing
 */
static void write_stub(uint8_t bytes[STUB_BYTES], uint64_t address, uint64_t slot, uint32_t number, uint64_t landing)
{
    memset(bytes, arch_x86_64.trap, STUB_BYTES);
    bytes[0] = 0xff;
    bytes[1] = 0x25;
    store_le32(bytes + 2, displacement(slot, address + 6));
    bytes[STUB_LAZY_OFFSET] = 0x68;
    store_le32(bytes + 7, number);
    bytes[11] = 0xe9;
    store_le32(bytes + 12, displacement(landing, address + STUB_BYTES));
}

/*   49 bb imm64     movabs $target, %r11      a register that is nobody's between a call and the function (psABI 3.2)
 *   e9 disp32       jmp adapter
 */
static void write_thunk(uint8_t bytes[THUNK_BYTES], uint64_t address, uint64_t target, uint64_t adapter)
{
    memset(bytes, arch_x86_64.trap, THUNK_BYTES);
    bytes[0] = 0x49;
    bytes[1] = 0xbb;
    store_le64(bytes + 2, target);
    bytes[10] = 0xe9;
    store_le32(bytes + 11, displacement(adapter, address + 15));
}

static bool reaches(uint64_t distance)
{
    return distance + 0x80000000u <= 0xffffffffu;
}

enum { OPCODE_MOV = 0x8b, OPCODE_LEA = 0x8d, OPCODE_GROUP_5 = 0xff };
enum { MODRM_CALL_RIP = 0x15, MODRM_JMP_RIP = 0x25 };

/* mod 00, r/m 101: disp32(%rip), with any register. */
static bool is_rip_relative(uint8_t modrm)
{
    return (modrm & 0xc7) == 0x05;
}

/* The three forms of psABI B.2 that keep their length. S + A - P is the new displacement, except for jmp, which ends
   one byte earlier. */
static int relax(uint32_t type, const uint8_t *content, uint64_t length, uint64_t offset, uint64_t S, int64_t A,
                 uint64_t P, uint8_t *out)
{
    /* REX precedes the opcode. An addend other than -4 reads from beside the slot, or an immediate follows. */
    uint64_t before = type == R_X86_64_REX_GOTPCRELX ? 3 : 2;
    if (A != -4 || offset < before || !range_within(offset, 4, length))
        return 0;
    uint8_t opcode = content[offset - 2], modrm = content[offset - 1];
    uint64_t value = S + (uint64_t)A - P;
    if (opcode == OPCODE_MOV && is_rip_relative(modrm) && reaches(value)) {
        if (out) {
            out[offset - 2] = OPCODE_LEA;
            store_le32(out + offset, (uint32_t)value);
        }
        return 1;
    }
    if (type != R_X86_64_GOTPCRELX || opcode != OPCODE_GROUP_5)
        return 0;
    if (modrm == MODRM_CALL_RIP && reaches(value)) {
        if (out) {
            out[offset - 2] = 0x67; /* addr32, which does nothing but fill */
            out[offset - 1] = 0xe8;
            store_le32(out + offset, (uint32_t)value);
        }
        return 1;
    }
    if (modrm == MODRM_JMP_RIP && reaches(value + 1)) {
        if (out) {
            out[offset - 2] = 0xe9;
            store_le32(out + offset - 1, (uint32_t)(value + 1));
            out[offset + 3] = 0x90; /* nop */
        }
        return 1;
    }
    return 0;
}

/* Code alignment 1, data alignment -8, return address in column 16; at a function's beginning the CFA is rsp + 8 and
   the return address lies at CFA - 8 (psABI 3.7). */
static const uint8_t common_cie[] = {0x14, 0,    0,    0, 0,    0,    0, 0, 1,    'z', 'R', 0,
                                     1,    0x78, 0x10, 1, 0x1b, 0x0c, 7, 8, 0x90, 1,   0,   0};

/*   f3 0f 1e fa     endbr64
 *   48 83 ec 08     sub $8, %rsp      after which it is a multiple of 16 (psABI 3.2.2)
 */
static const uint8_t prologue[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x08};

/*   48 83 c4 08     add $8, %rsp
 *   c3              ret
 */
static const uint8_t epilogue[] = {0x48, 0x83, 0xc4, 0x08, 0xc3};

/* endbr64; ret */
static const uint8_t nothing[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xc3};

const struct arch arch_x86_64 = {
    .name = "x86_64",
    .triple = "x86_64-linux-gnu",
    .machine = EM_X86_64,
    .trap = 0xcc,
    .nop = 0x90,
    .howtos = howtos,
    .howto_count = ARRAY_LENGTH(howtos),
    .common_cie = common_cie,
    .common_cie_bytes = sizeof common_cie,
    .prologue = prologue,
    .prologue_bytes = sizeof prologue,
    .epilogue = epilogue,
    .epilogue_bytes = sizeof epilogue,
    .nothing = nothing,
    .nothing_bytes = sizeof nothing,
    .write_stub = write_stub,
    .write_thunk = write_thunk,
    .relax = relax,
};
