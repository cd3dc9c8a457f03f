/*
 * A small program with a large library behind it, for bench/archives: LLVM's x86 disassembler by its C API. Exits 0 if
 * it reads one instruction rightly.
 */
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>
#include <string.h>

int main(void)
{
    uint8_t code[] = {0x8d, 0x47, 0x01, 0xc3};
    char text[64];
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86Disassembler();
    LLVMDisasmContextRef context = LLVMCreateDisasm("x86_64-linux-gnu", NULL, 0, NULL, NULL);
    if (!context || LLVMDisasmInstruction(context, code, sizeof code, 0, text, sizeof text) != 3)
        return 2;
    return strcmp(text, "\tleal\t1(%rdi), %eax") != 0;
}
