/*
 * LLVM's lazy re-exports by its C API, in this process: the first call of a function that is linked then, and a
 * thousand calls through the stub in front of it. The same objects and the same loops as in lazy.c.
 *
 * LLJIT has been given the functions before they are called, so it has read their symbols but linked nothing. No other
 * process is asked, and none is woken.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "bench/peer_lljit.h"

#define FIRST_CALLS 500
#define INNER_CALLS 100
#define OUTER_CALLS 1000
#define LOOPS       9

struct lazy {
    LLVMOrcLLJITRef jit;
    LLVMOrcIndirectStubsManagerRef stubs;
    LLVMOrcLazyCallThroughManagerRef trampolines;
    LLVMOrcJITDylibRef supplied; /* what is behind the stubs */
};

static void lazy_start(struct lazy *lazy)
{
    lazy->jit = lljit_create();
    const char *triple = LLVMOrcLLJITGetTripleString(lazy->jit);
    LLVMOrcExecutionSessionRef session = LLVMOrcLLJITGetExecutionSession(lazy->jit);
    lazy->stubs = LLVMOrcCreateLocalIndirectStubsManager(triple);
    lljit_check(LLVMOrcCreateLocalLazyCallThroughManager(triple, session, 0, &lazy->trampolines));
    lazy->supplied = LLVMOrcExecutionSessionCreateBareJITDylib(session, "supplied");
}

/* The managers first: they hold names of the LLJIT's. */
static void lazy_end(struct lazy *lazy)
{
    LLVMOrcDisposeLazyCallThroughManager(lazy->trampolines);
    LLVMOrcDisposeIndirectStubsManager(lazy->stubs);
    lljit_check(LLVMOrcDisposeLLJIT(lazy->jit));
}

/* The function in the library `supplied`, under the same name in the main one. */
static void lazy_export(struct lazy *lazy, const char *function)
{
    LLVMOrcCSymbolAliasMapPair alias = {
        .Name = LLVMOrcLLJITMangleAndIntern(lazy->jit, function),
        .Entry = {.Name = LLVMOrcLLJITMangleAndIntern(lazy->jit, function),
                  .Flags = {LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0}}};
    lljit_check(LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(lazy->jit),
                                      LLVMOrcLazyReexports(lazy->trampolines, lazy->stubs, lazy->supplied, &alias, 1)));
}

static void lazy_measure_first_calls(void)
{
    struct samples first = {0};
    struct lazy lazy;
    struct written_object *objects = measure_allocate(2 * FIRST_CALLS * sizeof *objects);
    lazy_start(&lazy);
    for (int i = 0; i < FIRST_CALLS; i++) {
        char caller[24], late[24];
        snprintf(caller, sizeof caller, "caller_%d", i);
        snprintf(late, sizeof late, "late_%d", i);
        object_write_function(&objects[2 * i], caller, late, NULL);
        object_write_function(&objects[2 * i + 1], late, NULL, NULL);
        lljit_add(lazy.jit, LLVMOrcLLJITGetMainJITDylib(lazy.jit), &objects[2 * i]);
        lljit_add(lazy.jit, lazy.supplied, &objects[2 * i + 1]);
        lazy_export(&lazy, late);
    }
    for (int i = 0; i < FIRST_CALLS; i++) {
        LLVMOrcExecutorAddress caller = lljit_lookup(lazy.jit, objects[2 * i].name);
        samples_add(&first, lljit_time_call(caller, 2), 1);
    }
    lazy_end(&lazy);
    samples_report(&first, "lazy.first.lljit");
    object_free_all(objects, 2 * FIRST_CALLS);
}

/* Ten million calls of a function: `outer` of a thousand calls, `middle` and `inner` of a hundred each. */
struct loops {
    const char *key;
    const char *callee;
    struct written_object objects[3]; /* borrowed by the LLJIT */
    LLVMOrcExecutorAddress outer;
    struct samples samples;
};

static void lazy_add_repeats(struct lazy *lazy, struct written_object *out, const char *name, const char *callee,
                             size_t count)
{
    const char **names = measure_allocate((count + 1) * sizeof *names);
    names[0] = name;
    for (size_t i = 1; i <= count; i++)
        names[i] = callee;
    object_write_calls(out, names, count);
    lljit_add(lazy->jit, LLVMOrcLLJITGetMainJITDylib(lazy->jit), out);
    free(names);
}

static void lazy_add_loops(struct lazy *lazy, struct loops *loops)
{
    char inner[24], middle[24], outer[24];
    snprintf(inner, sizeof inner, "inner_%s", loops->callee);
    snprintf(middle, sizeof middle, "middle_%s", loops->callee);
    snprintf(outer, sizeof outer, "outer_%s", loops->callee);
    lazy_add_repeats(lazy, &loops->objects[0], inner, loops->callee, INNER_CALLS);
    lazy_add_repeats(lazy, &loops->objects[1], middle, inner, INNER_CALLS);
    lazy_add_repeats(lazy, &loops->objects[2], outer, middle, OUTER_CALLS);
    loops->outer = lljit_lookup(lazy->jit, outer);
}

static void lazy_measure_calls(struct lazy *lazy)
{
    struct loops loops[] = {{.key = "slot.lljit.direct", .callee = "plain"},
                            {.key = "slot.lljit.lazy", .callee = "late"}};
    for (int i = 0; i < 2; i++) {
        lazy_add_loops(lazy, &loops[i]);
        lljit_time_call(loops[i].outer, 1);
    }
    for (int n = 0; n < LOOPS; n++)
        for (int i = 0; i < 2; i++)
            samples_add(&loops[i].samples, lljit_time_call(loops[i].outer, 1),
                        INNER_CALLS * INNER_CALLS * OUTER_CALLS / 1000);
    for (int i = 0; i < 2; i++) {
        samples_report(&loops[i].samples, loops[i].key);
        for (int object = 0; object < 3; object++)
            free(loops[i].objects[object].bytes);
    }
}

static void lazy_measure_slots(void)
{
    struct lazy lazy;
    struct written_object plain, late;
    object_write_function(&plain, "plain", NULL, NULL);
    object_write_function(&late, "late", NULL, NULL);
    lazy_start(&lazy);
    lljit_add(lazy.jit, LLVMOrcLLJITGetMainJITDylib(lazy.jit), &plain);
    lljit_add(lazy.jit, lazy.supplied, &late);
    lazy_export(&lazy, "late");
    lazy_measure_calls(&lazy);
    lazy_end(&lazy);
    free(plain.bytes);
    free(late.bytes);
}

void lljit_measure_lazy(void)
{
    lazy_measure_first_calls();
    lazy_measure_slots();
}
