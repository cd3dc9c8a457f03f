#include "tests/unit/linker_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/descriptor.h"

struct arena *linker_fixture_arena(void)
{
    int fds[ZONE_COUNT] = {-1, -1, -1, -1, -1};
    struct arena *arena = NULL;
    struct error error;

    for (unsigned z = 0; z < ZONE_Z; z++)
        cr_assert_eq(descriptor_create_memfd("zone", zones_most(z, ARENA_BYTES), &fds[z], &error), 0, "%s", error.text);
    cr_assert_eq(arena_open(fds, ARENA_BYTES, arch_x86_64.trap, &arena, &error), 0, "%s", error.text);
    arena_place(arena, FIXTURE_BASE, &ZONE_SIZES);
    return arena;
}

static void unit_changed(void *owner, const struct unit *unit, const struct report *report)
{
    struct linker_fixture *fixture = owner;

    cr_assert_lt(fixture->event_count, FIXTURE_EVENTS);
    fixture->events[fixture->event_count].unit = unit->id;
    fixture->events[fixture->event_count].state = unit->state;
    if (report) {
        fixture->events[fixture->event_count].code = report->entries[0].error.code;
        strcpy(fixture->events[fixture->event_count].text, report->entries[0].error.text);
    }
    fixture->event_count++;
}

static void component_linked(void *owner, struct unit *root)
{
    struct linker_fixture *fixture = owner;

    if (fixture->hold)
        fixture->held[fixture->held_count++] = root;
    else
        link_ready(&fixture->linker, root);
}

static const struct link_hooks hooks = {.unit_changed = unit_changed, .component_linked = component_linked};

void linker_fixture_open(struct linker_fixture *fixture)
{
    struct error error;

    memset(fixture, 0, sizeof *fixture);
    cr_assert_eq(link_open(&fixture->linker, &arch_x86_64, linker_fixture_arena(), NULL, &hooks, fixture, &error), 0,
                 "%s", error.text);
}

void linker_fixture_close(struct linker_fixture *fixture)
{
    link_close(&fixture->linker);
}

int linker_fixture_submit(struct linker_fixture *fixture, const struct object_bytes *objects, uint32_t count,
                          bool closed, char *text)
{
    struct batch *batch = batch_new(NULL, 64 << 20);
    struct link_input *inputs = pool_allocate_array(&batch->pool, count, sizeof *inputs);
    char(*names)[16] = pool_allocate_array(&batch->pool, count, sizeof *names);
    struct report report = {0};

    for (uint32_t i = 0; i < count; i++) {
        void *bytes = pool_allocate(&batch->pool, objects[i].length);
        memcpy(bytes, objects[i].bytes, objects[i].length);
        inputs[i] = (struct link_input){.name = names[i],
                                        .name_length = (size_t)sprintf(names[i], "%u.o", i),
                                        .object = bytes,
                                        .object_bytes = objects[i].length};
    }
    batch->closed = closed;
    int code = link_submit(&fixture->linker, batch, inputs, count, &report);
    if (code == 0)
        link_run(&fixture->linker, batch);
    else if (text)
        strcpy(text, report.entries[0].error.text);
    report_fini(&report);
    return code;
}

int linker_fixture_submit_c(struct linker_fixture *fixture, bool closed, char *text, const char *const *sources)
{
    struct object_bytes objects[16] = {{0}};
    uint32_t count = 0;

    for (; sources[count]; count++)
        objects[count] = compile_c(sources[count], "-O1 -fPIC");
    int code = linker_fixture_submit(fixture, objects, count, closed, text);
    while (count > 0)
        object_free(&objects[--count]);
    return code;
}

uint64_t linker_fixture_address(struct linker_fixture *fixture, const char *name)
{
    struct link_found found = {0};

    cr_assert(link_lookup(&fixture->linker, LIBRARY_MAIN, name, strlen(name), &found), "%s is not bound", name);
    return found.address;
}

enum unit_state linker_fixture_state(const struct linker_fixture *fixture, uint64_t unit)
{
    const struct unit *found = link_unit(&fixture->linker, unit);

    cr_assert_not_null(found);
    return found->state;
}
