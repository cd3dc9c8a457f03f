/*
 * What needs LLVM's optimiser and x86 back end, for bench/archives: builds int f(int a) { return a + 1; }, optimises it
 * and has assembly made of it.
 */
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <string.h>

static LLVMModuleRef build(void)
{
    LLVMModuleRef module = LLVMModuleCreateWithName("m");
    LLVMTypeRef integer = LLVMInt32Type();
    LLVMValueRef function = LLVMAddFunction(module, "f", LLVMFunctionType(integer, &integer, 1, 0));
    LLVMBuilderRef builder = LLVMCreateBuilder();
    LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlock(function, ""));
    LLVMBuildRet(builder, LLVMBuildAdd(builder, LLVMGetParam(function, 0), LLVMConstInt(integer, 1, 0), ""));
    return module;
}

int main(void)
{
    static const char name[] = "x86_64-linux-gnu";
    char *message;
    LLVMTargetRef target;
    LLVMMemoryBufferRef text;
    LLVMModuleRef module = build();

    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    if (LLVMGetTargetFromTriple(name, &target, &message))
        return 2;
    LLVMTargetMachineRef machine = LLVMCreateTargetMachine(target, name, "x86-64", "", LLVMCodeGenLevelDefault,
                                                           LLVMRelocPIC, LLVMCodeModelDefault);
    if (LLVMRunPasses(module, "default<O2>", machine, LLVMCreatePassBuilderOptions()))
        return 3;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMAssemblyFile, &message, &text))
        return 4;
    return strstr(LLVMGetBufferStart(text), "leal\t1(%rdi), %eax") == NULL;
}
