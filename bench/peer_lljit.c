/*
 * The same trees through LLVM's LLJIT, in this process, by its C API: no socket, no second process, no sandbox. It
 * prints the lines of measure.h.
 *
 * LLJIT links on demand: adding an object only reads its symbols, and the lookup of the root pulls in all the rest.
 */
#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/object_writer.h"

#define TREE_UNITS 1000
#define SESSIONS   6

static void lljit_check(LLVMErrorRef error)
{
    if (error)
        measure_die("LLJIT: %s", LLVMGetErrorMessage(error));
}

/* The buffers are borrowed: nothing is copied on the way in. */
static void lljit_add(LLVMOrcLLJITRef jit, const struct written_object *object)
{
    LLVMMemoryBufferRef buffer =
        LLVMCreateMemoryBufferWithMemoryRange((const char *)object->bytes, object->length, object->name, 0);
    lljit_check(LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), buffer));
}

static uint64_t lljit_link_tree(LLVMOrcLLJITRef jit, const struct written_object *tree)
{
    LLVMOrcExecutorAddress address;
    uint64_t start = measure_now();
    for (size_t i = 0; i < TREE_UNITS; i++)
        lljit_add(jit, &tree[i]);
    lljit_check(LLVMOrcLLJITLookup(jit, &address, tree->name));
    uint64_t taken = measure_now() - start;

    int (*root)(void);
    memcpy(&root, &address, sizeof root);
    if (root() != TREE_UNITS)
        measure_die("LLJIT: the tree returned %d", root());
    return taken;
}

int main(void)
{
    static const char *const keys[] = {"tree.lljit", "tree.lljit.second"};
    struct written_object *trees[] = {object_write_tree("s", TREE_UNITS), object_write_tree("t", TREE_UNITS)};
    struct samples samples[2] = {0}, create = {0};

    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    for (int i = 0; i < SESSIONS; i++) {
        LLVMOrcLLJITRef jit;
        uint64_t start = measure_now();
        lljit_check(LLVMOrcCreateLLJIT(&jit, NULL));
        samples_add(&create, measure_now() - start, 1);
        for (int tree = 0; tree < 2; tree++)
            samples_add(&samples[tree], lljit_link_tree(jit, trees[tree]), TREE_UNITS);
        lljit_check(LLVMOrcDisposeLLJIT(jit));
    }
    for (int i = 0; i < 2; i++) {
        samples_report(&samples[i], keys[i]);
        object_free_all(trees[i], TREE_UNITS);
    }
    samples_report(&create, "lljit.create");
    return 0;
}
