/*
 * Machine code that the tests of lazy calls copy into zone X, and where it reads and writes registers.
 */
#ifndef TESTS_UNIT_LAZY_CODE_X86_64_H
#define TESTS_UNIT_LAZY_CODE_X86_64_H

/* Offsets in struct lazy_registers (test_lazy.c). */
#define REGISTERS_GENERAL       0
#define REGISTERS_MXCSR         112
#define REGISTERS_X87_CONTROL   116
#define REGISTERS_LEVEL         120
#define REGISTERS_FUNCTION      128
#define REGISTERS_STACK         136
#define REGISTERS_ERRNO         144
#define REGISTERS_ERRNO_ADDRESS 152
#define REGISTERS_MASKS         192
#define REGISTERS_VECTORS       256

#define LEVEL_SSE     0
#define LEVEL_AVX     1
#define LEVEL_AVX_512 2

#define ERRNO_BEFORE 1234

#ifndef __ASSEMBLER__

/* uint64_t caller(const struct lazy_registers *in, struct lazy_registers *out): calls in->function with the registers
   of `in`, errno ERRNO_BEFORE, and `out` as its first argument on the stack. */
extern const unsigned char lazy_caller[], lazy_caller_end[];

/* What the caller calls: writes the registers, as it finds them, to `out`. Returns 4711. */
extern const unsigned char lazy_callee[], lazy_callee_end[];

/* void disturb(uint64_t level): writes to every register that a function may write to, and then MXCSR and the x87
   control word. */
extern const unsigned char lazy_disturb[], lazy_disturb_end[];

#endif
#endif
