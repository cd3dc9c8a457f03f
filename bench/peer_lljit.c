/*
 * The same trees through LLVM's LLJIT, in this process, by its C API: no socket, no second process, no sandbox. It
 * prints the lines of measure.h; with a number of units it only links such a tree once, for its system calls to be
 * counted.
 *
 * LLJIT links on demand: adding an object only reads its symbols, and the lookup of the root pulls in all the rest.
 */
#include "bench/peer_lljit.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/process.h"

#define TREE_UNITS  1000
#define LARGE_UNITS 10000
#define SESSIONS    6
#define CYCLES      2000

void lljit_check(LLVMErrorRef error)
{
    if (error)
        measure_die("LLJIT: %s", LLVMGetErrorMessage(error));
}

static LLVMMemoryBufferRef lljit_buffer(const struct written_object *object)
{
    return LLVMCreateMemoryBufferWithMemoryRange((const char *)object->bytes, object->length, object->name, 0);
}

void lljit_add(LLVMOrcLLJITRef jit, LLVMOrcJITDylibRef library, const struct written_object *object)
{
    lljit_check(LLVMOrcLLJITAddObjectFile(jit, library, lljit_buffer(object)));
}

LLVMOrcLLJITRef lljit_create(void)
{
    LLVMOrcLLJITRef jit;
    lljit_check(LLVMOrcCreateLLJIT(&jit, NULL));
    return jit;
}

LLVMOrcExecutorAddress lljit_lookup(LLVMOrcLLJITRef jit, const char *function)
{
    LLVMOrcExecutorAddress address;
    lljit_check(LLVMOrcLLJITLookup(jit, &address, function));
    return address;
}

/* Where the root is, linked with all below it. */
static LLVMOrcExecutorAddress lljit_link(LLVMOrcLLJITRef jit, const struct written_object *tree, size_t units)
{
    for (size_t i = 0; i < units; i++)
        lljit_add(jit, LLVMOrcLLJITGetMainJITDylib(jit), &tree[i]);
    return lljit_lookup(jit, tree->name);
}

uint64_t lljit_time_call(LLVMOrcExecutorAddress address, int expected)
{
    int (*function)(void);
    memcpy(&function, &address, sizeof function);
    uint64_t start = measure_now();
    int result = function();
    uint64_t taken = measure_now() - start;
    if (result != expected)
        measure_die("LLJIT: a function returned %d and not %d", result, expected);
    return taken;
}

static uint64_t lljit_time_tree(LLVMOrcLLJITRef jit, const struct written_object *tree)
{
    uint64_t start = measure_now();
    LLVMOrcExecutorAddress root = lljit_link(jit, tree, TREE_UNITS);
    uint64_t taken = measure_now() - start;
    lljit_time_call(root, TREE_UNITS);
    return taken;
}

static void lljit_measure_trees(void)
{
    static const char *const keys[] = {"tree.lljit", "tree.lljit.second"};
    struct written_object *trees[] = {object_write_tree("s", TREE_UNITS), object_write_tree("t", TREE_UNITS)};
    struct samples samples[2] = {0}, create = {0};

    for (int i = 0; i < SESSIONS; i++) {
        uint64_t start = measure_now();
        LLVMOrcLLJITRef jit = lljit_create();
        samples_add(&create, measure_now() - start, 1);
        for (int tree = 0; tree < 2; tree++)
            samples_add(&samples[tree], lljit_time_tree(jit, trees[tree]), TREE_UNITS);
        lljit_check(LLVMOrcDisposeLLJIT(jit));
    }
    for (int i = 0; i < 2; i++) {
        samples_report(&samples[i], keys[i]);
        object_free_all(trees[i], TREE_UNITS);
    }
    samples_report(&create, "lljit.create");
}

static void lljit_measure_large_tree(void)
{
    struct samples linked = {0}, first = {0}, second = {0};
    struct written_object *tree = object_write_tree("s", LARGE_UNITS);
    measure_touch_memory();
    LLVMOrcLLJITRef jit = lljit_create();
    size_t before = process_measure(getpid()).anonymous;
    uint64_t start = measure_now();
    LLVMOrcExecutorAddress root = lljit_link(jit, tree, LARGE_UNITS);
    uint64_t ready = measure_now();
    samples_add(&first, lljit_time_call(root, LARGE_UNITS), LARGE_UNITS);
    samples_add(&second, lljit_time_call(root, LARGE_UNITS), LARGE_UNITS);
    samples_add(&linked, ready - start, LARGE_UNITS);
    measure_print("memory.lljit", (double)(process_measure(getpid()).anonymous - before) / LARGE_UNITS);
    samples_report(&linked, "large.lljit");
    samples_report(&first, "run.first.lljit");
    samples_report(&second, "run.second.lljit");
    lljit_check(LLVMOrcDisposeLLJIT(jit));
    object_free_all(tree, LARGE_UNITS);
}

/* A unit of its own resource tracker, which is what LLJIT removes by. */
static uint64_t lljit_time_cycle(LLVMOrcLLJITRef jit, const char *name, bool call)
{
    struct written_object object;
    object_write_function(&object, name, NULL, NULL);
    LLVMMemoryBufferRef buffer = lljit_buffer(&object);
    uint64_t start = measure_now();
    LLVMOrcResourceTrackerRef tracker = LLVMOrcJITDylibCreateResourceTracker(LLVMOrcLLJITGetMainJITDylib(jit));
    lljit_check(LLVMOrcLLJITAddObjectFileWithRT(jit, tracker, buffer));
    LLVMOrcExecutorAddress address = lljit_lookup(jit, name);
    if (call)
        lljit_time_call(address, 1);
    lljit_check(LLVMOrcResourceTrackerRemove(tracker));
    LLVMOrcReleaseResourceTracker(tracker);
    uint64_t taken = measure_now() - start;
    free(object.bytes);
    return taken;
}

static void lljit_measure_removal(void)
{
    struct samples cycle = {0}, run = {0};
    LLVMOrcLLJITRef jit = lljit_create();
    char name[24];
    for (int i = 0; i < CYCLES; i++) {
        snprintf(name, sizeof name, "cycle_%d", i);
        samples_add(&cycle, lljit_time_cycle(jit, name, false), 1);
        snprintf(name, sizeof name, "run_%d", i);
        samples_add(&run, lljit_time_cycle(jit, name, true), 1);
    }
    lljit_check(LLVMOrcDisposeLLJIT(jit));
    samples_report(&cycle, "removal.lljit");
    samples_report(&run, "removal.run.lljit");
}

static void lljit_link_once(size_t units)
{
    struct written_object *tree = object_write_tree("s", units);
    LLVMOrcLLJITRef jit = lljit_create();
    lljit_time_call(lljit_link(jit, tree, units), (int)units);
    lljit_check(LLVMOrcDisposeLLJIT(jit));
    object_free_all(tree, units);
}

int main(int argc, char **argv)
{
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    if (argc > 1) {
        lljit_link_once(strtoul(argv[1], NULL, 10));
        return 0;
    }
    /* First: memory that an earlier LLJIT gave back to malloc would be used again, and not count. */
    lljit_measure_large_tree();
    lljit_measure_trees();
    lljit_measure_removal();
    lljit_measure_lazy();
    return 0;
}
