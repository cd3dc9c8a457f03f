/*
 * LLVM's LLJIT by its C API, with every failure ending the program.
 */
#ifndef BENCH_PEER_LLJIT_H
#define BENCH_PEER_LLJIT_H

#include <llvm-c/LLJIT.h>

#include "bench/object_writer.h"

void lljit_check(LLVMErrorRef error);

/* Ends with LLVMOrcDisposeLLJIT. */
LLVMOrcLLJITRef lljit_create(void);

/* The object's bytes are borrowed until the LLJIT is disposed of: nothing is copied on the way in. */
void lljit_add(LLVMOrcLLJITRef jit, LLVMOrcJITDylibRef library, const struct written_object *object);

/* Links what the function needs and has not been linked. */
LLVMOrcExecutorAddress lljit_lookup(LLVMOrcLLJITRef jit, const char *function);

/* Calls a function that must return that; nanoseconds. */
uint64_t lljit_time_call(LLVMOrcExecutorAddress address, int expected);

/* Functions that are linked when they are called, and what the stub in front of them costs. */
void lljit_measure_lazy(void);

#endif
