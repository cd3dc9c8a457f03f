#include "daemon/linker/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/connection.h"

struct unit *unit_new(const char *name, size_t length)
{
    struct unit *unit = calloc(1, sizeof *unit);

    if (!unit)
        return NULL;
    unit->name = malloc(length + 1);
    if (!unit->name) {
        free(unit);
        return NULL;
    }
    memcpy(unit->name, name, length);
    unit->name[length] = '\0';
    return unit;
}

void unit_free(struct unit *unit)
{
    if (!unit)
        return;
    free(unit->name);
    free(unit->definitions);
    free(unit->arrays);
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
    struct batch *batch = unit->batch;

    if (!batch)
        return;
    unit->batch = NULL;
    unit->object = (struct object){0};
    unit->placements = NULL;
    unit->globals = NULL;
    unit->uses = NULL;
    unit->use_count = 0;
    unit->referenced = NULL;
    if (--batch->unfinished == 0)
        batch_free(batch);
}

uint64_t unit_section_address(const struct arena *arena, const struct unit *unit, uint32_t section)
{
    const struct placement *placement = &unit->placements[section];

    return arena_address(arena, (enum zone)placement->zone, placement->offset);
}
