#include "daemon/linker/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "proto/connection.h"

struct unit *unit_new(struct batch *batch, const char *name, size_t length)
{
    struct pending *pending = pool_allocate(&batch->pool, sizeof *pending);
    struct unit *unit = pending ? calloc(1, sizeof *unit + length + 1) : NULL;

    if (!unit)
        return NULL;
    unit->pending = pending;
    unit->node = &batch->nodes[batch->unit_count];
    batch->units[batch->unit_count++] = unit;
    pending->batch = batch;
    pending->place = batch->unit_count;
    memcpy(unit->name, name, length);
    return unit;
}

static void free_extra(struct unit *unit)
{
    for (struct extra_block *extra = unit->extra, *next; extra; extra = next) {
        next = extra->next;
        free(extra);
    }
    unit->extra = NULL;
}

void unit_free(struct unit *unit)
{
    if (!unit)
        return;
    free_extra(unit);
    free(unit->definitions);
    free(unit->trampolines);
    free(unit->arrays);
    free(unit->actions);
    free(unit->ranges);
    free(unit);
}

struct batch *batch_new(struct frame *frame, size_t budget)
{
    struct batch *batch = calloc(1, sizeof *batch);

    if (!batch)
        return NULL;
    pool_init(&batch->pool, budget);
    batch->frame = frame ? frame_retain(frame) : NULL;
    return batch;
}

/* Nodes lie close to each other and not with all else that a unit has, because the graph goes from one to another. */
int batch_reserve(struct batch *batch, uint32_t count)
{
    uintptr_t nodes = (uintptr_t)pool_allocate_array(&batch->pool, count + 1u, sizeof *batch->nodes);

    batch->units = pool_allocate_array(&batch->pool, count, sizeof(struct unit *));
    batch->nodes = (struct graph_node *)align_up(nodes, _Alignof(struct graph_node));
    return batch->units && nodes ? 0 : ERROR_NO_MEMORY;
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    for (struct batch_mapping *mapping = batch->mappings; mapping; mapping = mapping->next)
        munmap(mapping->view, mapping->bytes);
    pool_fini(&batch->pool);
    frame_release(batch->frame);
    free(batch);
}

void unit_finish(struct unit *unit)
{
    struct batch *batch = unit->pending ? unit->pending->batch : NULL;

    unit->pending = NULL;
    unit->node = NULL;
    if (!batch)
        return;
    batch->unfinished--;
    waiting_unit_done(batch);
    if (batch->unfinished == 0)
        batch_free(batch);
}

int unit_extend(struct unit *unit, struct arena *arena, const struct arena_need needs[ZONE_COUNT], struct error *error)
{
    struct extra_block *extra = malloc(sizeof *extra);
    int code = extra ? arena_allocate(arena, needs, &extra->block, error)
                     : error_set(error, ERROR_NO_MEMORY, "no memory for more room in the arena");

    if (code) {
        free(extra);
        return code;
    }
    extra->next = unit->extra;
    unit->extra = extra;
    return 0;
}

int unit_reserve_need(struct unit *unit)
{
    size_t count = (size_t)unit->definition_count + unit->need_count + 1;
    struct symbol **definitions = realloc(unit->definitions, count * sizeof(struct symbol *));

    if (!definitions)
        return ERROR_NO_MEMORY;
    unit->definitions = definitions;
    return 0;
}

/* Backwards, since what comes again came lately. */
void unit_add_need(struct unit *unit, struct symbol *symbol)
{
    for (uint32_t i = unit->need_count; i-- > 0;)
        if (unit_needs(unit)[i] == symbol)
            return;
    unit_needs(unit)[unit->need_count++] = symbol;
    symbol->users++;
}

uint64_t unit_handle(const struct arena *arena, const struct unit *unit)
{
    for (int z = 0; z < ZONE_COUNT; z++)
        if (unit->block.extent[z].bytes)
            return arena_address(arena, (enum zone)z, unit->block.extent[z].offset);
    return 0;
}

void unit_release_memory(struct unit *unit, struct arena *arena)
{
    for (const struct extra_block *extra = unit->extra; extra; extra = extra->next)
        arena_free(arena, &extra->block);
    free_extra(unit);
    arena_free(arena, &unit->block);
    unit->block = (struct arena_block){0};
}

uint64_t unit_kept_bytes(const struct unit *unit)
{
    return sizeof *unit + strlen(unit->name) + 1 +
           ((uint64_t)unit->definition_count + unit->need_count) * sizeof(struct symbol *) +
           unit->array_count * sizeof *unit->arrays + unit->action_count * sizeof *unit->actions;
}

uint64_t unit_section_address(const struct arena *arena, const struct unit *unit, uint32_t section)
{
    const struct placement *placement = &unit->pending->placements[section];

    return arena_address(arena, (enum zone)placement->zone, (uint64_t)placement->offset);
}
