/*
 * See lazy_code_x86_64.h. All of it runs where it was copied to: no address of its own is used.
 */
#include "tests/unit/lazy_code_x86_64.h"

#define LOW  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define HIGH 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

        .macro  begin name
        .globl  \name
\name:
        .endm

        .macro  end name
        .globl  \name\()_end
\name\()_end:
        .endm

        .section .rodata

        /* %r11: in. On its stack: MXCSR and x87 control word as they were, then `out`. */
begin lazy_caller
        .irp    register, rbp, rbx, r12, r13, r14, r15
        push    %\register
        .endr
        sub     $16, %rsp
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        push    %rsi
        mov     %rdi, %r11
        mov     REGISTERS_LEVEL(%r11), %rax
        mov     %rax, REGISTERS_LEVEL(%rsi)
        mov     REGISTERS_ERRNO_ADDRESS(%r11), %rcx
        mov     %rcx, REGISTERS_ERRNO_ADDRESS(%rsi)
        movl    $ERRNO_BEFORE, (%rcx)
        ldmxcsr REGISTERS_MXCSR(%r11)
        fldcw   REGISTERS_X87_CONTROL(%r11)
        cmp     $LEVEL_AVX, %rax
        je      1f
        jb      2f
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq   (REGISTERS_MASKS + 8 * \i)(%r11), %k\i
        .endr
        .irp    i, LOW, HIGH
        vmovdqu64 (REGISTERS_VECTORS + 64 * \i)(%r11), %zmm\i
        .endr
        jmp     3f
1:      .irp    i, LOW
        vmovdqu (REGISTERS_VECTORS + 64 * \i)(%r11), %ymm\i
        .endr
        jmp     3f
2:      .irp    i, LOW
        movdqu  (REGISTERS_VECTORS + 64 * \i)(%r11), %xmm\i
        .endr
3:      mov     REGISTERS_GENERAL(%r11), %rax
        mov     REGISTERS_GENERAL + 8(%r11), %rcx
        mov     REGISTERS_GENERAL + 16(%r11), %rdx
        mov     REGISTERS_GENERAL + 24(%r11), %rsi
        mov     REGISTERS_GENERAL + 32(%r11), %rdi
        mov     REGISTERS_GENERAL + 40(%r11), %r8
        mov     REGISTERS_GENERAL + 48(%r11), %r9
        mov     REGISTERS_GENERAL + 56(%r11), %r10
        mov     REGISTERS_GENERAL + 64(%r11), %rbx
        mov     REGISTERS_GENERAL + 72(%r11), %rbp
        mov     REGISTERS_GENERAL + 80(%r11), %r12
        mov     REGISTERS_GENERAL + 88(%r11), %r13
        mov     REGISTERS_GENERAL + 96(%r11), %r14
        mov     REGISTERS_GENERAL + 104(%r11), %r15
        call    *REGISTERS_FUNCTION(%r11)
        pop     %rsi
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        add     $16, %rsp
        cmpl    $LEVEL_SSE, REGISTERS_LEVEL(%rsi)
        je      4f
        vzeroupper
4:      .irp    register, r15, r14, r13, r12, rbx, rbp
        pop     %\register
        .endr
        ret
end lazy_caller

begin lazy_callee
        mov     8(%rsp), %r11
        mov     %rax, REGISTERS_GENERAL(%r11)
        mov     %rcx, REGISTERS_GENERAL + 8(%r11)
        mov     %rdx, REGISTERS_GENERAL + 16(%r11)
        mov     %rsi, REGISTERS_GENERAL + 24(%r11)
        mov     %rdi, REGISTERS_GENERAL + 32(%r11)
        mov     %r8, REGISTERS_GENERAL + 40(%r11)
        mov     %r9, REGISTERS_GENERAL + 48(%r11)
        mov     %r10, REGISTERS_GENERAL + 56(%r11)
        mov     %rbx, REGISTERS_GENERAL + 64(%r11)
        mov     %rbp, REGISTERS_GENERAL + 72(%r11)
        mov     %r12, REGISTERS_GENERAL + 80(%r11)
        mov     %r13, REGISTERS_GENERAL + 88(%r11)
        mov     %r14, REGISTERS_GENERAL + 96(%r11)
        mov     %r15, REGISTERS_GENERAL + 104(%r11)
        mov     %rsp, REGISTERS_STACK(%r11)
        stmxcsr REGISTERS_MXCSR(%r11)
        fnstcw  REGISTERS_X87_CONTROL(%r11)
        mov     REGISTERS_ERRNO_ADDRESS(%r11), %rax
        mov     (%rax), %eax
        mov     %rax, REGISTERS_ERRNO(%r11)
        cmpq    $LEVEL_AVX, REGISTERS_LEVEL(%r11)
        je      1f
        jb      2f
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq   %k\i, (REGISTERS_MASKS + 8 * \i)(%r11)
        .endr
        .irp    i, LOW, HIGH
        vmovdqu64 %zmm\i, (REGISTERS_VECTORS + 64 * \i)(%r11)
        .endr
        jmp     3f
1:      .irp    i, LOW
        vmovdqu %ymm\i, (REGISTERS_VECTORS + 64 * \i)(%r11)
        .endr
        jmp     3f
2:      .irp    i, LOW
        movdqu  %xmm\i, (REGISTERS_VECTORS + 64 * \i)(%r11)
        .endr
3:      mov     $4711, %eax
        ret
end lazy_callee

begin lazy_disturb
        cmp     $LEVEL_AVX, %rdi
        je      1f
        jb      2f
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7
        kxnorq  %k\i, %k\i, %k\i
        .endr
        .irp    i, LOW, HIGH
        vpternlogd $255, %zmm\i, %zmm\i, %zmm\i
        .endr
        jmp     3f
1:      vzeroall
        jmp     3f
2:      .irp    i, LOW
        xorps   %xmm\i, %xmm\i
        .endr
3:      .irp    register, rcx, rdx, rsi, rdi, r8, r9, r10, r11
        mov     $-1, %\register
        .endr
        movl    $0x1f80, -8(%rsp)
        ldmxcsr -8(%rsp)
        movl    $0x37f, -8(%rsp)
        fldcw   -8(%rsp)
        mov     $-1, %rax
        ret
end lazy_disturb

        .section .note.GNU-stack, "", @progbits
