/*
 * What a thread of LLVM's executor does in a function that is not there yet: it asks the controller and goes on where
 * that says. peer_executor.cc links this object into the executor, for LLVM 19 brings nothing of the kind; in LLVM 20
 * its runtime library does (__orc_rt_resolve).
 */
#include <stddef.h>
#include <stdint.h>

/* As LLVM's CWrapperFunctionResult: up to eight bytes lie in the word itself. */
struct wrapper_result {
    uint64_t word;
    size_t bytes;
};

/* The executor's own; peer_executor.cc says where. */
struct wrapper_result executor_dispatch(void *context, const void *tag, const char *arguments, size_t bytes);
extern char executor_dispatch_context;

uint64_t executor_reenter(void *context, uint64_t trampoline);

/* Its address says which question it is. */
char executor_resolve_tag;

uint64_t executor_reenter(void *context, uint64_t trampoline)
{
    (void)context;
    return executor_dispatch(&executor_dispatch_context, &executor_resolve_tag, (const char *)&trampoline,
                             sizeof trampoline)
        .word;
}
