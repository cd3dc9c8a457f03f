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
#include <unistd.h>

#include "client/jitd.h"
#include "tests/lib/compile.h"

#define WAIT_MS  20000
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

static struct jitd_session *open_session(bool filtered)
{
    static char daemon[512];
    static const char *const unfiltered[] = {"--disable-layer", "seccomp", NULL};
    const char *build = getenv("O");
    snprintf(daemon, sizeof daemon, "%s/bin/jitd", build != NULL ? build : "build");
    struct jitd_options options = {.daemon = daemon, .daemon_arguments = filtered ? NULL : unfiltered};
    struct jitd_session *session = NULL;
    int code = jitd_spawn(&options, NULL, NULL, &session);
    cr_assert(code == 0 && jitd_wait(session, 0, WAIT_MS) == 0, "no session: %s", jitd_last_error(session)->text);
    return session;
}

/* ---- submitting ---- */

static void submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)units;
    (void)count;
    *(int *)data = errors == NULL ? 0 : errors->list[0].code;
}

static int submit(struct jitd_session *session, const char *name, const struct object_bytes *object)
{
    int code = -1;
    jitd_request request;
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    cr_assert(batch && jitd_batch_add(batch, name, object->bytes, object->length) == 0);
    cr_assert(jitd_submit(session, batch, submitted, &code, &request) == 0);
    cr_assert(jitd_wait(session, request, WAIT_MS) == 0);
    cr_assert(jitd_wait_units(session, WAIT_MS) == 0);
    return code;
}

static void submit_victim_and_attacks(struct jitd_session *session)
{
    struct object_bytes victim = compile_assembly(victim_source, NULL);
    struct object_bytes attacks = compile_c("#include \"tests/objects/attacks.c\"\n", FLAGS);
    cr_assert(submit(session, "victim", &victim) == 0);
    cr_assert(submit(session, "attacks", &attacks) == 0);
    object_free(&victim);
    object_free(&attacks);
}

/* Unit NUMBER defines int unit_NUMBER(void), six digits. All come from one compilation: the name is patched. */
static void submit_small_units(struct jitd_session *session, unsigned from, unsigned end)
{
    struct object_bytes object = compile_c("int unit_000000(void) { return 1; }", "-O2 -fPIC");
    for (unsigned i = from; i < end; i++) {
        char name[32];
        struct object_bytes copy = object_copy(&object);
        snprintf(name, sizeof name, "unit_%06u", i);
        for (char *at; (at = memmem(copy.bytes, copy.length, "unit_000000", 11)) != NULL && i != 0;)
            memcpy(at, name, 11);
        cr_assert(submit(session, name, &copy) == 0, "%s was refused", name);
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
    (void)session;
    struct outcome *outcome = data;
    cr_assert(errors == NULL, "%s", errors->list[0].text);
    outcome->returned = result != NULL;
    outcome->value = result != NULL ? result->integer : 0;
    outcome->signal = end != NULL ? end->signal : 0;
}

static struct outcome call(struct jitd_session *session, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    struct outcome outcome = {0};
    struct jitd_value arguments[] = {{.type = JITD_UINT64, .unsigned_integer = a},
                                     {.type = JITD_UINT64, .unsigned_integer = b},
                                     {.type = JITD_UINT64, .unsigned_integer = c}};
    jitd_request request;
    cr_assert(jitd_call(session, name, JITD_INT64, arguments, 3, called, &outcome, &request) == 0);
    cr_assert(jitd_wait(session, request, WAIT_MS) == 0, "%s does not end", name);
    return outcome;
}

static int64_t value_of(struct jitd_session *session, const char *name, uint64_t argument)
{
    struct outcome outcome = call(session, name, argument, 0, 0);
    cr_assert(outcome.returned, "%s ended by signal %d", name, outcome.signal);
    return outcome.value;
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
    (void)session;
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

static struct zones inspect(struct jitd_session *session)
{
    struct zones zones = {0};
    jitd_request request;
    cr_assert(jitd_inspect(session, JITD_INSPECT_DIGESTS, inspected, &zones, &request) == 0);
    cr_assert(jitd_wait(session, request, WAIT_MS) == 0);
    return zones;
}

static bool same_digests(const struct zones *one, const struct zones *other)
{
    bool same = true;
    for (size_t i = 0; i < ZONES; i++)
        same &= one->zone[i].digest == other->zone[i].digest && one->zone[i].used == other->zone[i].used;
    return same;
}

static void looked_up(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session;
    cr_assert(errors == NULL && count == 1);
    *(uint64_t *)data = addresses[0].address;
}

static uint64_t address_of(struct jitd_session *session, const char *name)
{
    uint64_t address = 0;
    jitd_request request;
    cr_assert(jitd_lookup(session, &name, 1, looked_up, &address, &request) == 0);
    cr_assert(jitd_wait(session, request, WAIT_MS) == 0);
    cr_assert(address != 0, "%s has no address", name);
    return address;
}

/* ---- from inside ---- */

/* The attacks that must not work on X, S or R whatever layer is off. */
static const char *const attacks[] = {"attack_protect_write", "attack_protect_all", "attack_proc_mem",
                                      "attack_reopen",        "attack_remap",       "attack_process_write",
                                      "attack_store"};

static void expect_intact(struct jitd_session *session, const struct zones *before, uint64_t slot, int64_t slot_value,
                          const char *after)
{
    struct zones now = inspect(session);
    cr_expect(same_digests(&now, before), "%s changed what the linker sees", after);
    cr_expect(value_of(session, "victim", 0) == VICTIM, "%s changed code", after);
    cr_expect(value_of(session, "peek", address_of(session, "constant")) == CONSTANT, "%s changed a constant", after);
    cr_expect(value_of(session, "peek", slot) == slot_value, "%s changed a slot", after);
}

static void attack_everything(bool filtered)
{
    struct jitd_session *session = open_session(filtered);
    submit_victim_and_attacks(session);
    struct zones zones = inspect(session);
    uint64_t slot = zones.zone[ZONE_S].address + 64;
    int64_t slot_value = value_of(session, "peek", slot);
    const uint64_t targets[] = {
        [ZONE_X] = address_of(session, "victim"), [ZONE_S] = slot, [ZONE_R] = address_of(session, "constant")};
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        for (size_t zone = ZONE_X; zone <= ZONE_R; zone++) {
            struct outcome outcome =
                call(session, attacks[i], targets[zone], zones.zone[zone].address, zones.zone[zone].bytes);
            if (outcome.returned)
                cr_expect(outcome.value == 0, "%s works on zone %c", attacks[i], "XSR"[zone]);
            else
                cr_expect(outcome.signal == SIGSEGV || outcome.signal == SIGSYS, "%s on zone %c: signal %d", attacks[i],
                          "XSR"[zone], outcome.signal);
            expect_intact(session, &zones, slot, slot_value, attacks[i]);
        }
    }
    jitd_close(session);
}

Test(memory_contract, code_slots_and_constants_cannot_be_changed_with_the_filter_on)
{
    attack_everything(true);
}

Test(memory_contract, code_slots_and_constants_cannot_be_changed_with_the_filter_off)
{
    attack_everything(false);
}

static void expect_crash(struct jitd_session *session, const char *attack, uint64_t address)
{
    struct outcome outcome = call(session, attack, address, 0, 0);
    cr_expect(!outcome.returned && outcome.signal == SIGSEGV, "%s at %#" PRIx64 " returned", attack, address);
}

Test(memory_contract, a_store_to_code_slots_or_constants_is_a_crash)
{
    struct jitd_session *session = open_session(false);
    submit_victim_and_attacks(session);
    expect_crash(session, "attack_store", address_of(session, "victim"));
    expect_crash(session, "attack_store", inspect(session).zone[ZONE_S].address + 64);
    expect_crash(session, "attack_store", address_of(session, "constant"));
    jitd_close(session);
}

Test(memory_contract, data_zero_data_and_heap_cannot_be_executed)
{
    struct jitd_session *session = open_session(false);
    submit_victim_and_attacks(session);
    expect_crash(session, "attack_execute", address_of(session, "data"));
    expect_crash(session, "attack_execute", address_of(session, "zero"));
    expect_crash(session, "attack_execute", (uint64_t)value_of(session, "address_of_heap", 0));
    jitd_close(session);
}

Test(memory_contract, replacing_a_page_of_code_harms_that_life_of_the_runner_alone)
{
    struct jitd_session *session = open_session(false);
    submit_victim_and_attacks(session);
    struct zones before = inspect(session);
    cr_expect(value_of(session, "attack_map_over", address_of(session, "victim")) == 1);
    struct zones after = inspect(session);
    cr_expect(same_digests(&before, &after));
    expect_crash(session, "victim", 0);
    cr_expect(value_of(session, "victim", 0) == VICTIM, "the next life does not see the code");
    jitd_close(session);
}

Test(memory_contract, new_code_can_be_made_only_without_the_filter)
{
    struct jitd_session *session = open_session(true);
    submit_victim_and_attacks(session);
    struct outcome outcome = call(session, "attack_new_code", 0, 0, 0);
    cr_expect(outcome.returned ? outcome.value == 0 : outcome.signal == SIGSYS);
    jitd_close(session);

    session = open_session(false);
    submit_victim_and_attacks(session);
    cr_expect(value_of(session, "attack_new_code", 0) == 1);
    cr_expect(value_of(session, "victim", 0) == VICTIM);
    jitd_close(session);
}

/* ---- from outside ---- */

/* Process ids of the children of `parent`, at most `room`. */
static size_t children_of(long parent, long *children, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", parent, parent);
    FILE *file = fopen(path, "r");
    size_t count = 0;
    while (file != NULL && count < room && fscanf(file, "%ld", &children[count]) == 1)
        count++;
    if (file != NULL)
        fclose(file);
    return count;
}

static bool is_runner(long process)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", process);
    FILE *file = fopen(path, "r");
    bool found = file != NULL && fgets(name, sizeof name, file) != NULL && strcmp(name, "jitd-runner\n") == 0;
    if (file != NULL)
        fclose(file);
    return found;
}

/* The live runner below `ancestor`: the one whose parent, the template, is a jitd-runner too. 0 where there is none. */
static long live_runner_below(long ancestor)
{
    long children[64], found = 0;
    size_t count = children_of(ancestor, children, 64);
    for (size_t i = 0; i < count && found == 0; i++)
        found = is_runner(ancestor) && is_runner(children[i]) ? children[i] : live_runner_below(children[i]);
    return found;
}

struct map {
    size_t lines;
    size_t in_arena;
    char protection[ZONES][8]; /* of the mapping that is exactly a zone; "" where none is */
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
    for (size_t i = 0; i < ZONES; i++)
        if (low == zones->zone[i].address && high == low + zones->zone[i].bytes)
            strcpy(map->protection[i], protection);
}

static struct map read_map(struct jitd_session *session)
{
    struct zones zones = inspect(session);
    struct map map = {0};
    char path[64], line[1024];
    long runner = live_runner_below(getpid());
    cr_assert(runner != 0, "there is no live runner");
    snprintf(path, sizeof path, "/proc/%ld/maps", runner);
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

Test(memory_contract, the_runner_maps_five_zones_of_one_protection_each)
{
    static const char *const expected[ZONES] = {"r-xs", "r--s", "r--s", "rw-p", "rw-p"};
    struct jitd_session *session = open_session(true);
    submit_victim_and_attacks(session);
    struct map map = read_map(session);
    cr_expect(map.in_arena == ZONES, "%zu mappings in the arena", map.in_arena);
    for (size_t i = 0; i < ZONES; i++)
        cr_expect_str_eq(map.protection[i], expected[i], "zone %c", "XSRDZ"[i]);
    cr_expect(!map.write_and_execute);
    cr_expect(!map.private_code);
    jitd_close(session);
}

Test(memory_contract, the_number_of_mappings_does_not_grow_with_the_units)
{
    struct jitd_session *session = open_session(true);
    submit_small_units(session, 0, 10);
    size_t few = read_map(session).lines;
    submit_small_units(session, 10, 1000);
    size_t many = read_map(session).lines;
    cr_expect(few == many, "%zu after 10 units, %zu after 1000", few, many);
    jitd_close(session);
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
        struct jitd_session *session = open_session(true);
        struct object_bytes victim = compile_assembly(victim_source, NULL);
        cr_assert(submit(session, "victim", &victim) == 0);
        submit_small_units(session, 0, 20);
        zones[i] = inspect(session);
        object_free(&victim);
        jitd_close(session);
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
        struct jitd_session *session = open_session(true);
        for (size_t i = 0; i < 4; i++) {
            struct object_bytes object = compile_c(sources[i], "-O2 -fPIC -Wa,-mrelax-relocations=no");
            struct jitd_batch *batch = jitd_batch_new(0);
            cr_assert(batch && jitd_batch_add(batch, "unit", object.bytes, object.length) == 0);
            cr_assert(jitd_submit(session, batch, NULL, NULL, NULL) == 0);
            cr_assert(pace == 0 || jitd_wait_units(session, WAIT_MS) == 0);
            object_free(&object);
        }
        cr_assert(jitd_wait_units(session, WAIT_MS) == 0);
        zones[pace] = inspect(session);
        jitd_close(session);
    }
    cr_expect(zones[0].zone[ZONE_S].used > 0 && zones[0].zone[ZONE_S].used == zones[1].zone[ZONE_S].used);
    cr_expect(zones[0].zone[ZONE_X].digest == zones[1].zone[ZONE_X].digest);
    cr_expect(zones[0].zone[ZONE_R].digest == zones[1].zone[ZONE_R].digest);
    cr_expect(zones[0].zone[ZONE_D].digest == zones[1].zone[ZONE_D].digest);
}

Test(memory_contract, a_unit_that_fails_leaves_no_trace)
{
    struct jitd_session *session = open_session(true);
    submit_small_units(session, 0, 3);
    struct zones before = inspect(session);
    struct object_bytes object = compile_c("extern int nowhere(void);\nstatic const long table[64] = {1};\n"
                                           "long data = 1;\nlong f(int i) { return nowhere() + table[i] + data; }",
                                           "-O2 -fPIC");
    cr_expect(submit(session, "fails", &object) == JITD_ERROR_SYMBOL_MISSING);
    struct zones after = inspect(session);
    cr_expect(same_digests(&before, &after));
    object_free(&object);
    jitd_close(session);
}

Test(memory_contract, small_units_are_packed_by_cache_lines)
{
    struct jitd_session *session = open_session(true);
    submit_small_units(session, 0, 16);
    uint64_t before = address_of(session, "unit_000000");
    for (unsigned i = 1; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "unit_%06u", i);
        uint64_t address = address_of(session, name);
        cr_expect(address > before && address - before <= 64, "%s lies %" PRId64 " bytes behind the one before", name,
                  (int64_t)(address - before));
        before = address;
    }
    jitd_close(session);
}
