/*
 * Ways to functions by other conventions, without a runner: their bytes, and what is left where there is no room.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/adapters.h"
#include "tests/unit/linker_fixture.h"

/* One unit whose object has `f`, by the manifest. */
static void submit(struct linker_fixture *fixture, const char *source, const struct manifest *manifest)
{
    struct object_bytes object = compile_c(source, "-O1 -fPIC");
    struct batch *batch = batch_new(NULL, 64 << 20);
    struct report report = {0};
    void *bytes = pool_allocate(&batch->pool, object.length);
    memcpy(bytes, object.bytes, object.length);
    const struct link_input input = {
        .name = "unit", .name_length = 4, .object = bytes, .object_bytes = object.length, .manifest = manifest};
    cr_assert_eq(link_submit(&fixture->linker, batch, &input, 1, &report), 0, "%s",
                 report.count ? report.entries[0].error.text : "");
    link_run(&fixture->linker, batch);
    report_fini(&report);
    object_free(&object);
}

static void define(struct linker_fixture *fixture, const char *name, uint64_t convention, uint32_t flags)
{
    const struct manifest_definition definition = {
        .local = {"f", 1}, .global = {name, strlen(name)}, .convention = convention, .flags = flags};
    submit(fixture, "void f(void) {}",
           &(struct manifest){.definitions = &definition, .definition_count = 1, .has_trampolines = flags != 0});
}

static struct symbol *symbol(struct linker_fixture *fixture, const char *name)
{
    struct symbol *found = symbols_find(fixture->linker.symbols, SPACE_EXPORTED(LIBRARY_MAIN), name, strlen(name));
    cr_assert(found && found->binding == SYMBOL_UNIT);
    return found;
}

/* `adapter` leads calls by 2 to functions of 1. */
static void open_with_adapter(struct linker_fixture *fixture)
{
    struct error error;
    linker_fixture_open(fixture);
    define(fixture, "adapter", 0, 0);
    cr_assert_eq(adapters_register(&fixture->linker, LIBRARY_MAIN, &(struct manifest_name){"adapter", 7}, 2, 1, &error),
                 0);
}

static const uint8_t *code_at(const struct linker_fixture *fixture, uint64_t address)
{
    return arena_bytes(fixture->linker.arena, ZONE_X, address - arena_address(fixture->linker.arena, ZONE_X, 0));
}

static void expect_thunk(const struct linker_fixture *fixture, uint64_t address, uint64_t target, uint64_t adapter)
{
    const uint8_t *code = code_at(fixture, address);
    cr_expect(code[0] == 0x49 && code[1] == 0xbb && load_le64(code + 2) == target, "movabs $target, %%r11");
    cr_expect(code[10] == 0xe9 && address + 15 + (uint64_t)(int32_t)load_le32(code + 11) == adapter, "jmp adapter");
    cr_expect_eq(code[15], 0xcc);
}

Test(adapters, make_one_way_for_a_function_and_a_convention)
{
    struct linker_fixture fixture;
    uint64_t own = 0, way = 0, again = 0;
    struct error error;
    open_with_adapter(&fixture);
    define(&fixture, "g", 1, 0);
    struct symbol *g = symbol(&fixture, "g"), *adapter = symbol(&fixture, "adapter");
    uint64_t used = arena_used(fixture.linker.arena, ZONE_X);
    cr_assert_eq(adapters_reach(&fixture.linker, NULL, g, 1, &own, &error), 0);
    cr_assert_eq(adapters_reach(&fixture.linker, NULL, g, 2, &way, &error), 0);
    cr_assert_eq(adapters_reach(&fixture.linker, NULL, g, 2, &again, &error), 0);
    cr_expect(own == g->address && way != own && again == way);
    cr_expect_eq(arena_used(fixture.linker.arena, ZONE_X), used + 16);
    expect_thunk(&fixture, way, g->address, adapter->address);
    cr_expect_eq(adapter->users, 1);
    cr_expect_eq(adapters_reach(&fixture.linker, NULL, g, 3, &again, &error), ERROR_CONVENTION);
    linker_fixture_close(&fixture);
}

Test(adapters, lead_to_a_trampoline_by_a_slot)
{
    struct linker_fixture fixture;
    uint64_t way = 0, slot;
    struct error error;
    open_with_adapter(&fixture);
    define(&fixture, "moved", 1, DEFINITION_REDIRECTABLE);
    struct symbol *moved = symbol(&fixture, "moved");
    cr_assert_eq(adapters_reach(&fixture.linker, NULL, moved, 2, &way, &error), 0);
    const uint8_t *stub = code_at(&fixture, way);
    cr_assert(stub[0] == 0xff && stub[1] == 0x25);
    slot = way + 6 + (uint64_t)(int32_t)load_le32(stub + 2) - arena_address(fixture.linker.arena, ZONE_S, 0);
    cr_expect_eq(load_le64(arena_bytes(fixture.linker.arena, ZONE_S, slot)), way + 16);
    expect_thunk(&fixture, way + 16, moved->address, symbol(&fixture, "adapter")->address);
    linker_fixture_close(&fixture);
}

Test(adapters, fail_who_would_go_where_there_is_no_room_and_leave_nothing_of_it)
{
    struct linker_fixture fixture;
    struct arena_block rest;
    uint64_t way;
    struct error error;
    open_with_adapter(&fixture);
    define(&fixture, "moved", 1, DEFINITION_REDIRECTABLE);
    const struct arena_need all[ZONE_COUNT] = {
        [ZONE_S] = {ZONE_S_BYTES - ARENA_FIRST - arena_used(fixture.linker.arena, ZONE_S), 8}};
    cr_assert_eq(arena_allocate(fixture.linker.arena, all, &rest, &error), 0, "%s", error.text);
    uint64_t used = arena_used(fixture.linker.arena, ZONE_X);
    const struct manifest_use use = {
        .local = {"g", 1}, .global = {"moved", 5}, .library = USE_LIBRARY_OWN, .convention = 2};
    submit(&fixture, "void g(void); void f(void) { g(); }", &(struct manifest){.uses = &use, .use_count = 1});
    cr_expect_eq(fixture.events[fixture.event_count - 1].state, UNIT_FAILED);
    cr_expect_eq(fixture.events[fixture.event_count - 1].code, ERROR_ARENA_FULL);
    cr_expect(strstr(fixture.events[fixture.event_count - 1].text, "'moved'"));
    cr_expect_eq(arena_used(fixture.linker.arena, ZONE_X), used);
    cr_expect_eq(symbol(&fixture, "adapter")->users, 0);
    arena_free(fixture.linker.arena, &rest);
    cr_expect_eq(adapters_reach(&fixture.linker, NULL, symbol(&fixture, "moved"), 2, &way, &error), 0);
    linker_fixture_close(&fixture);
}
