/*
 * A large batch through the daemon with and without worker threads: they are started only for it, live under the
 * linker's filter, and change no byte. Sessions are compared at one address, without address space randomisation.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "tests/integration/harness.h"

#define UNITS     24
#define FUNCTIONS 800
#define ZONES     5

/* Unit n's functions add the constants of unit n + 1 to their argument; all units are one component. */
static struct object_bytes make_unit(unsigned unit)
{
    unsigned next = (unit + 1) % UNITS;
    char *source = NULL;
    size_t length;
    FILE *file = open_memstream(&source, &length);

    for (unsigned i = 0; i < FUNCTIONS; i++)
        fprintf(file,
                ".text\n.globl f%u_%u\n.type f%u_%u, @function\nf%u_%u:\n.cfi_startproc\n"
                "lea v%u_%u(%%rip), %%rax\nmov (%%rax), %%rax\nadd %%rdi, %%rax\nret\n.cfi_endproc\n"
                ".section .rodata\n.globl v%u_%u\nv%u_%u: .quad %u\n"
                ".data\n.quad f%u_%u\n",
                unit, i, unit, i, unit, i, next, i, unit, i, unit, i, unit * FUNCTIONS + i, next, i);
    fprintf(file, ".section .note.GNU-stack,\"\",@progbits\n");
    fclose(file);
    struct object_bytes object = compile_assembly(source, NULL);
    free(source);
    return object;
}

struct zones {
    uint64_t address, used[ZONES], digest[ZONES];
};

static void on_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                         const struct jitd_errors *errors, void *data)
{
    struct zones *zones = data;

    (void)session;
    cr_assert(!errors && inspection->zone_count == ZONES);
    zones->address = inspection->zones[0].address;
    for (size_t i = 0; i < ZONES; i++) {
        zones->used[i] = inspection->zones[i].used;
        zones->digest[i] = inspection->zones[i].digest;
    }
}

static void link_with(const char *threads, long expected_threads, const struct object_bytes *objects,
                      struct zones *zones)
{
    const char *arguments[] = {"--link-threads", threads, NULL};
    const struct jitd_options options = {.daemon_arguments = arguments};
    struct harness *harness = harness_open(&options);
    jitd_request request;
    char names[UNITS][16];

    harness_link_c(harness, "small.c", "int small(void) { return 1; }");
    cr_expect_eq(harness_status(harness_process(harness, HARNESS_LINKER), "Threads"), 1);
    for (unsigned i = 0; i < UNITS; i++) {
        snprintf(names[i], sizeof names[i], "%u.s", i);
        harness_add(harness, names[i], &objects[i]);
    }
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_status(harness_process(harness, HARNESS_LINKER), "Threads"), expected_threads);
    cr_expect_eq(harness_value(harness, "f3_5", 100), 100 + 4 * FUNCTIONS + 5);
    cr_assert_eq(jitd_inspect(harness->session, JITD_INSPECT_DIGESTS, on_inspected, zones, &request), 0);
    harness_wait(harness, request);
    harness_close(harness);
}

Test(link_threads, are_started_for_a_large_batch_and_change_no_byte_of_it)
{
    struct object_bytes objects[UNITS];
    struct zones alone, joint;

    for (unsigned i = 0; i < UNITS; i++)
        objects[i] = make_unit(i);
    bool fixed = personality(ADDR_NO_RANDOMIZE) != -1;
    link_with("0", 1, objects, &alone);
    link_with("3", 4, objects, &joint);
    for (size_t i = 0; i < ZONES; i++)
        cr_expect_eq(alone.used[i], joint.used[i]);
    if (fixed && alone.address == joint.address)
        for (size_t i = 0; i < ZONES; i++)
            cr_expect_eq(alone.digest[i], joint.digest[i], "zone %zu", i);
    else
        cr_log_warn("the sessions lie at different addresses: digests are not compared");
    for (unsigned i = 0; i < UNITS; i++)
        object_free(&objects[i]);
}
