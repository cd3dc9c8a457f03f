/*
 * lazy_entry: where a call arrives whose function is not there yet, by way of a stub (daemon/linker/arch_x86_64.c).
 *
 *   (%rsp)   the number of the slot through which the function was called (offset in zone S / 8), pushed by the stub
 *   8(%rsp)  the caller's return address; registers and stack are as the caller set them for the function
 *
 * Leaves by a jump to the function, with the number gone and everything as it was but %r11 and the flags, which are
 * nobody's between a call and the function (psABI 3.2). Everything is more than the registers of arguments: a caller
 * that knows its function may rely on any register that this function keeps.
 *
 * The unwinding information holds at each instruction, so that a signal, a backtrace and a thread's end find the caller
 * from anywhere in here.
 */
        .macro  save register
        push    \register
        .cfi_adjust_cfa_offset 8
        .endm

        .text
        .globl  lazy_entry
        .hidden lazy_entry
        .type   lazy_entry, @function
        .p2align 4
lazy_entry:
        .cfi_startproc
        .cfi_personality 0x1b, lazy_personality
        .cfi_def_cfa_offset 16
        push    %rbp
        .cfi_def_cfa_offset 24
        .cfi_offset %rbp, -24
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rax
        push    %rcx

        /* The function may be there by now: another thread was first, or a pointer to the stub's push was kept. Either
           way the slot does not lead to a push of its own number any more. What it leads to was complete before the
           slot was stored, as for every call through it. */
        mov     8(%rbp), %rcx
        mov     lazy_slots(%rip), %rax
        mov     (%rax,%rcx,8), %r11
        mov     %r11, %rax
        sub     lazy_code(%rip), %rax
        cmp     lazy_last_push(%rip), %rax
        ja      .Lgo_on
        cmpb    $0x68, (%r11)
        jne     .Lgo_on
        cmp     %ecx, 1(%r11)
        jne     .Lgo_on

        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        sub     lazy_state_bytes(%rip), %rsp
        and     $-64, %rsp
        cmpl    $0, lazy_state_mask(%rip)
        je      .Lsave_without_xsave
        /* XSAVE does not write all of its header, and XRSTOR refuses what it does not know there. */
        lea     512(%rsp), %rdi
        xor     %eax, %eax
        mov     $8, %ecx
        rep stosq
        mov     lazy_state_mask(%rip), %eax
        xor     %edx, %edx
        xsave64 (%rsp)
        mov     8(%rbp), %rdi
        call    lazy_wait
        mov     %rax, %r11
        mov     lazy_state_mask(%rip), %eax
        xor     %edx, %edx
        xrstor64 (%rsp)
.Lrestore:
        lea     -64(%rbp), %rsp
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
.Lgo_on:
        pop     %rcx
        pop     %rax
        pop     %rbp
        .cfi_remember_state
        .cfi_def_cfa %rsp, 16
        .cfi_restore %rbp
        add     $8, %rsp
        .cfi_def_cfa_offset 8
        test    %r11, %r11
        jz      .Lrefused
        jmp     *%r11

.Lsave_without_xsave:
        .cfi_restore_state
        fxsave64 (%rsp)
        mov     8(%rbp), %rdi
        call    lazy_wait
        mov     %rax, %r11
        fxrstor64 (%rsp)
        jmp     .Lrestore

        /* Nobody supplies it: the registers as the caller would have found them after the call, in the order of
           channel_crash.registers. %r11 is 0. */
.Lrefused:
        .cfi_def_cfa %rsp, 8
        .cfi_restore %rbp
        pushf
        .cfi_adjust_cfa_offset 8
        save    8(%rsp)
        save    %r15
        save    %r14
        save    %r13
        save    %r12
        save    %r11
        save    %r10
        save    %r9
        save    %r8
        lea     88(%rsp), %r11
        save    %r11
        save    %rbp
        save    %rdi
        save    %rsi
        save    %rdx
        save    %rcx
        save    %rbx
        save    %rax
        mov     %rsp, %rdi
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    lazy_refused
        ud2
        .cfi_endproc
        .size   lazy_entry, . - lazy_entry

        .section .note.GNU-stack, "", @progbits
