/*
 * The memory contract, tried from inside the runner and looked at from outside.
 *
 * Inside, submitted code (tests/objects/attacks.c) tries every way known to change code, slots and constants, once with
 * the system-call filter and once without it: the seals and the mappings must hold alone. After each attempt, whether
 * it returned or died, the bytes are read back. Outside, the runner's own memory map and the zones' digests tell.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/harness.h"

#define FLAGS    "-O2 -fPIC -w -I."
#define VICTIM   42
#define CONSTANT 0x1122334455667788

/* A page of its own, so that replacing the page does not replace the attacker. */
static const char victim_source[] =
    "\t.text\n\t.balign 4096\n\t.globl victim\n\t.type victim, @function\n"
    "victim:\tmov $42, %eax\n\tret\n\t.size victim, . - victim\n\t.balign 4096\n"
    "\t.section .rodata\n\t.balign 8\n\t.globl constant\n\t.type constant, @object\n"
    "constant:\t.quad 0x1122334455667788\n\t.size constant, 8\n"
    "\t.data\n\t.globl data\n\t.type data, @object\ndata:\t.quad 0xc3\n\t.size data, 8\n"
    "\t.bss\n\t.globl zero\n\t.type zero, @object\nzero:\t.skip 64\n\t.size zero, 64\n"
    "\t.section .note.GNU-stack,\"\",@progbits\n";

enum { ZONE_X, ZONE_S, ZONE_R, ZONE_D, ZONE_Z, ZONES };

static struct harness *open_session(bool filtered)
{
    static const char *const unfiltered[] = {"--disable-layer", "seccomp", NULL};
    return harness_open(&(struct jitd_options){.daemon_arguments = filtered ? NULL : unfiltered});
}

/* ---- submitting ---- */

static void submit_victim_and_attacks(struct harness *harness)
{
    struct object_bytes victim = compile_assembly(victim_source, NULL);
    struct object_bytes attacks = compile_c("#include \"tests/objects/attacks.c\"\n", FLAGS);
    harness_link(harness, "victim", &victim);
    harness_link(harness, "attacks", &attacks);
    object_free(&victim);
    object_free(&attacks);
}

/* Unit NUMBER defines int unit_NUMBER(void), six digits. All come from one compilation: the name is patched. */
static void submit_small_units(struct harness *harness, unsigned from, unsigned end)
{
    struct object_bytes object = compile_c("int unit_000000(void) { return 1; }", "-O2 -fPIC");
    for (unsigned i = from; i < end; i++) {
        char name[32];
        struct object_bytes copy = object_copy(&object);
        snprintf(name, sizeof name, "unit_%06u", i);
        for (char *at; (at = memmem(copy.bytes, copy.length, "unit_000000", 11)) != NULL && i != 0;)
            memcpy(at, name, 11);
        harness_link(harness, name, &copy);
        object_free(&copy);
    }
    object_free(&object);
}

/* ---- calling ---- */

struct outcome {
    bool returned;
    int64_t value;
    int signal; /* where it did not return */
};

static void called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                   const struct jitd_errors *errors, void *data)
{
    struct outcome *outcome = data;
    cr_assert(errors == NULL, "%s", errors->list[0].text);
    outcome->returned = result != NULL;
    outcome->value = result != NULL ? result->integer : 0;
    outcome->signal = end != NULL ? end->signal : 0;
}

static struct outcome call(struct harness *harness, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    struct outcome outcome = {0};
    struct jitd_value arguments[] = {{.type = JITD_UINT64, .unsigned_integer = a},
                                     {.type = JITD_UINT64, .unsigned_integer = b},
                                     {.type = JITD_UINT64, .unsigned_integer = c}};
    jitd_request request;
    cr_assert(jitd_call(harness->session, name, JITD_INT64, arguments, 3, called, &outcome, &request) == 0);
    harness_wait(harness, request);
    return outcome;
}

/* ---- looking ---- */

struct zones {
    struct {
        uint64_t address, bytes, used, digest;
    } zone[ZONES];
};

static void inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                      const struct jitd_errors *errors, void *data)
{
    struct zones *zones = data;
    cr_assert(errors == NULL && inspection->zone_count == ZONES);
    for (size_t i = 0; i < ZONES; i++) {
        const struct jitd_zone *zone = &inspection->zones[i];
        cr_assert(zone->name[0] == "XSRDZ"[i], "zone %zu is %s", i, zone->name);
        zones->zone[i].address = zone->address;
        zones->zone[i].bytes = zone->bytes;
        zones->zone[i].used = zone->used;
        zones->zone[i].digest = zone->digest;
    }
}

static struct zones inspect(struct harness *harness)
{
    struct zones zones = {0};
    jitd_request request;
    cr_assert(jitd_inspect(harness->session, JITD_INSPECT_DIGESTS, inspected, &zones, &request) == 0);
    harness_wait(harness, request);
    return zones;
}

static bool same_digests(const struct zones *one, const struct zones *other)
{
    bool same = true;
    for (size_t i = 0; i < ZONES; i++)
        same &= one->zone[i].digest == other->zone[i].digest && one->zone[i].used == other->zone[i].used;
    return same;
}

static uint64_t address_of(struct harness *harness, const char *name)
{
    uint64_t address = harness_address(harness, name);
    cr_assert(address != 0, "%s has no address", name);
    return address;
}

/* ---- from inside ---- */

/* The attacks that must not work on X, S or R whatever layer is off. */
static const char *const attacks[] = {"attack_protect_write", "attack_protect_all", "attack_proc_mem",
                                      "attack_reopen",        "attack_remap",       "attack_process_write",
                                      "attack_store"};

static void expect_intact(struct harness *harness, const struct zones *before, uint64_t slot, int64_t slot_value,
                          const char *after)
{
    struct zones now = inspect(harness);
    cr_expect(same_digests(&now, before), "%s changed what the linker sees", after);
    cr_expect(harness_value(harness, "victim", 0) == VICTIM, "%s changed code", after);
    cr_expect(harness_value(harness, "peek", (int64_t)address_of(harness, "constant")) == CONSTANT,
              "%s changed a constant", after);
    cr_expect(harness_value(harness, "peek", slot) == slot_value, "%s changed a slot", after);
}

static void attack_everything(bool filtered)
{
    struct harness *harness = open_session(filtered);
    submit_victim_and_attacks(harness);
    struct zones zones = inspect(harness);
    uint64_t slot = zones.zone[ZONE_S].address + 64;
    int64_t slot_value = harness_value(harness, "peek", slot);
    const uint64_t targets[] = {
        [ZONE_X] = address_of(harness, "victim"), [ZONE_S] = slot, [ZONE_R] = address_of(harness, "constant")};
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        for (size_t zone = ZONE_X; zone <= ZONE_R; zone++) {
            struct outcome outcome =
                call(harness, attacks[i], targets[zone], zones.zone[zone].address, zones.zone[zone].bytes);
            if (outcome.returned)
                cr_expect(outcome.value == 0, "%s works on zone %c", attacks[i], "XSR"[zone]);
            else
                cr_expect(outcome.signal == SIGSEGV || outcome.signal == SIGSYS, "%s on zone %c: signal %d", attacks[i],
                          "XSR"[zone], outcome.signal);
            expect_intact(harness, &zones, slot, slot_value, attacks[i]);
        }
    }
    harness_close(harness);
}

Test(memory_contract, code_slots_and_constants_cannot_be_changed_with_the_filter_on)
{
    attack_everything(true);
}

Test(memory_contract, code_slots_and_constants_cannot_be_changed_with_the_filter_off)
{
    attack_everything(false);
}

static void expect_crash(struct harness *harness, const char *attack, uint64_t address)
{
    struct outcome outcome = call(harness, attack, address, 0, 0);
    cr_expect(!outcome.returned && outcome.signal == SIGSEGV, "%s at %#" PRIx64 " returned", attack, address);
}

Test(memory_contract, a_store_to_code_slots_or_constants_is_a_crash)
{
    struct harness *harness = open_session(false);
    submit_victim_and_attacks(harness);
    expect_crash(harness, "attack_store", address_of(harness, "victim"));
    expect_crash(harness, "attack_store", inspect(harness).zone[ZONE_S].address + 64);
    expect_crash(harness, "attack_store", address_of(harness, "constant"));
    harness_close(harness);
}

Test(memory_contract, data_zero_data_and_heap_cannot_be_executed)
{
    struct harness *harness = open_session(false);
    submit_victim_and_attacks(harness);
    expect_crash(harness, "attack_execute", address_of(harness, "data"));
    expect_crash(harness, "attack_execute", address_of(harness, "zero"));
    expect_crash(harness, "attack_execute", (uint64_t)harness_value(harness, "address_of_heap", 0));
    harness_close(harness);
}

Test(memory_contract, replacing_a_page_of_code_harms_that_life_of_the_runner_alone)
{
    struct harness *harness = open_session(false);
    submit_victim_and_attacks(harness);
    struct zones before = inspect(harness);
    cr_expect(harness_value(harness, "attack_map_over", address_of(harness, "victim")) == 1);
    struct zones after = inspect(harness);
    cr_expect(same_digests(&before, &after));
    expect_crash(harness, "victim", 0);
    cr_expect(harness_value(harness, "victim", 0) == VICTIM, "the next life does not see the code");
    harness_close(harness);
}

Test(memory_contract, new_code_can_be_made_only_without_the_filter)
{
    struct harness *harness = open_session(true);
    submit_victim_and_attacks(harness);
    struct outcome outcome = call(harness, "attack_new_code", 0, 0, 0);
    cr_expect(outcome.returned ? outcome.value == 0 : outcome.signal == SIGSYS);
    harness_close(harness);

    harness = open_session(false);
    submit_victim_and_attacks(harness);
    cr_expect(harness_value(harness, "attack_new_code", 0) == 1);
    cr_expect(harness_value(harness, "victim", 0) == VICTIM);
    harness_close(harness);
}

/* ---- from outside ---- */

struct map {
    size_t lines;
    size_t in_arena;
    char protection[ZONES][16]; /* of the mappings that are exactly a zone, one behind the other; "" where none are */
    bool write_and_execute;
    bool private_code; /* in the arena */
};

static void map_add(struct map *map, const struct zones *zones, uint64_t low, uint64_t high, const char *protection)
{
    uint64_t end = zones->zone[ZONE_Z].address + zones->zone[ZONE_Z].bytes;
    map->lines++;
    map->write_and_execute |= protection[1] == 'w' && protection[2] == 'x';
    if (low < zones->zone[ZONE_X].address || low >= end)
        return;
    map->in_arena++;
    map->private_code |= protection[2] == 'x' && protection[3] == 'p';
    /* The inaccessible rest of Z may be one with the guard behind the arena. */
    for (size_t i = 0; i < ZONES; i++)
        if (low >= zones->zone[i].address && low < zones->zone[i].address + zones->zone[i].bytes &&
            (high <= zones->zone[i].address + zones->zone[i].bytes || protection[0] == '-') &&
            strlen(map->protection[i]) + strlen(protection) < sizeof map->protection[i])
            strcat(map->protection[i], protection);
}

static struct map read_map(struct harness *harness)
{
    struct zones zones = inspect(harness);
    struct map map = {0};
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)harness_process(harness, HARNESS_RUNNER));
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s cannot be read", path);
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t low, high;
        char protection[8];
        cr_assert(sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &low, &high, protection) == 3);
        map_add(&map, &zones, low, high, protection);
    }
    fclose(file);
    return map;
}

/* What can be written privately is charged for, used or not: the rest of D and Z waits until units need it. */
Test(memory_contract, the_runner_maps_five_zones_of_one_protection_each)
{
    static const char *const expected[ZONES] = {"r-xs", "r--s", "r--s", "rw-p---p", "rw-p---p"};
    struct harness *harness = open_session(true);
    submit_victim_and_attacks(harness);
    struct map map = read_map(harness);
    cr_expect(map.in_arena == ZONES + 2, "%zu mappings in the arena", map.in_arena);
    for (size_t i = 0; i < ZONES; i++)
        cr_expect_str_eq(map.protection[i], expected[i], "zone %c", "XSRDZ"[i]);
    cr_expect(!map.write_and_execute);
    cr_expect(!map.private_code);
    harness_close(harness);
}

Test(memory_contract, the_number_of_mappings_does_not_grow_with_the_units)
{
    struct harness *harness = open_session(true);
    submit_small_units(harness, 0, 10);
    size_t few = read_map(harness).lines;
    submit_small_units(harness, 10, 1000);
    size_t many = read_map(harness).lines;
    cr_expect(few == many, "%zu after 10 units, %zu after 1000", few, many);
    harness_close(harness);
}

Test(memory_contract, the_runner_has_no_copy_relocation)
{
    char command[600], line[512];
    const char *build = getenv("O");
    snprintf(command, sizeof command, "readelf -rW %s/bin/jitd-runner", build != NULL ? build : "build");
    FILE *output = popen(command, "r");
    size_t lines = 0;
    cr_assert(output != NULL);
    while (fgets(line, sizeof line, output) != NULL) {
        cr_expect(strstr(line, "R_X86_64_COPY") == NULL, "%s", line);
        lines++;
    }
    cr_expect(pclose(output) == 0 && lines > 10, "readelf says nothing of the runner");
}

Test(memory_contract, the_same_submissions_give_the_same_bytes)
{
    struct zones zones[2];
    for (size_t i = 0; i < 2; i++) {
        struct harness *harness = open_session(true);
        struct object_bytes victim = compile_assembly(victim_source, NULL);
        harness_link(harness, "victim", &victim);
        submit_small_units(harness, 0, 20);
        zones[i] = inspect(harness);
        object_free(&victim);
        harness_close(harness);
    }
    cr_expect(zones[0].zone[ZONE_X].used != 0);
    cr_expect(same_digests(&zones[0], &zones[1]));
}

/* Units with data become ready when the runner has copied it, and those that use them after that: other units may be
   linked before or after. Slots hold addresses, which differ from session to session, so S is compared by size. */
Test(memory_contract, the_pace_of_submission_changes_no_byte)
{
    static const char *const sources[] = {"int d = 5;", "extern int d; int *b(void) { return &d; }",
                                          "int c(void) { return 1; }", "int c(void); void *e(void) { return c; }"};
    struct zones zones[2];
    for (size_t pace = 0; pace < 2; pace++) {
        struct harness *harness = open_session(true);
        for (size_t i = 0; i < 4; i++) {
            struct object_bytes object = compile_c(sources[i], "-O2 -fPIC -Wa,-mrelax-relocations=no");
            struct jitd_batch *batch = jitd_batch_new(0);
            cr_assert(batch && jitd_batch_add(batch, "unit", object.bytes, object.length) == 0);
            cr_assert(jitd_submit(harness->session, batch, NULL, NULL, NULL) == 0);
            if (pace != 0)
                harness_settle(harness);
            object_free(&object);
        }
        harness_settle(harness);
        zones[pace] = inspect(harness);
        harness_close(harness);
    }
    cr_expect(zones[0].zone[ZONE_S].used > 0 && zones[0].zone[ZONE_S].used == zones[1].zone[ZONE_S].used);
    cr_expect(zones[0].zone[ZONE_X].digest == zones[1].zone[ZONE_X].digest);
    cr_expect(zones[0].zone[ZONE_R].digest == zones[1].zone[ZONE_R].digest);
    cr_expect(zones[0].zone[ZONE_D].digest == zones[1].zone[ZONE_D].digest);
}

Test(memory_contract, a_unit_that_fails_leaves_no_trace)
{
    struct harness *harness = open_session(true);
    submit_small_units(harness, 0, 3);
    struct zones before = inspect(harness);
    struct object_bytes object = compile_c("extern int nowhere(void);\nstatic const long table[64] = {1};\n"
                                           "long data = 1;\nlong f(int i) { return nowhere() + table[i] + data; }",
                                           "-O2 -fPIC");
    harness_add(harness, "fails", &object);
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    struct zones after = inspect(harness);
    cr_expect(same_digests(&before, &after));
    object_free(&object);
    harness_close(harness);
}

Test(memory_contract, small_units_are_packed_by_cache_lines)
{
    struct harness *harness = open_session(true);
    submit_small_units(harness, 0, 16);
    uint64_t before = address_of(harness, "unit_000000");
    for (unsigned i = 1; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "unit_%06u", i);
        uint64_t address = address_of(harness, name);
        cr_expect(address > before && address - before <= 64, "%s lies %" PRId64 " bytes behind the one before", name,
                  (int64_t)(address - before));
        before = address;
    }
    harness_close(harness);
}
