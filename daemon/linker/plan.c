#include "daemon/linker/plan.h"

#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/component.h"
#include "daemon/linker/layout.h"
#include "daemon/linker/workers.h"

/* Memory that one part of a run touches. */
#define PIECE_BYTES KIB(128)

struct planning {
    struct linker *linker;
    struct batch *batch;
    struct plan *plans;
};

static int make(const struct linker *linker, struct pool *scratch, struct unit *unit,
                struct arena_need needs[ZONE_COUNT], struct error *error)
{
    int code = layout_plan(unit, linker->arch, needs, error);

    return code ? code : component_foresee(linker, scratch, unit, needs, error);
}

static void make_one(void *data, uint32_t index, struct pool *scratch)
{
    const struct planning *planning = data;
    struct plan *plan = &planning->plans[index];
    struct error error;

    plan->made = make(planning->linker, scratch, planning->batch->units[index], plan->needs, &error) == 0;
}

struct touching {
    struct arena *arena;
    uint64_t bytes[ZONE_COUNT];      /* to be touched */
    uint32_t first[ZONE_COUNT + 1u]; /* piece of each zone */
};

static void touch_one(void *data, uint32_t index, struct pool *scratch)
{
    const struct touching *touching = data;
    uint32_t zone = 0;

    (void)scratch;
    while (index >= touching->first[zone + 1])
        zone++;
    uint64_t from = (index - touching->first[zone]) * PIECE_BYTES;
    arena_fill_ahead(touching->arena, (enum zone)zone, from, min_u64(PIECE_BYTES, touching->bytes[zone] - from));
}

/* Nobody else touches memory meanwhile. Room that comes from free stretches makes this too much; the next batch has it
   then. */
static void touch_ahead(struct linker *linker, const struct batch *batch, const struct plan *plans)
{
    struct touching touching = {.arena = linker->arena};

    for (uint32_t z = 0; z < ZONE_COUNT; z++) {
        for (uint32_t i = 0; i < batch->unit_count; i++)
            if (plans[i].made)
                touching.bytes[z] += plans[i].needs[z].bytes;
        touching.bytes[z] = arena_untouched(linker->arena, (enum zone)z, touching.bytes[z]);
        touching.first[z + 1] = touching.first[z] + (uint32_t)(align_up(touching.bytes[z], PIECE_BYTES) / PIECE_BYTES);
    }
    workers_run(linker->workers, touching.first[ZONE_COUNT], touch_one, &touching);
    for (uint32_t z = 0; z < ZONE_COUNT; z++)
        arena_filled_ahead(linker->arena, (enum zone)z, touching.bytes[z]);
}

struct plan *plan_ahead(struct linker *linker, struct batch *batch)
{
    struct planning planning = {.linker = linker, .batch = batch};
    uint64_t symbols = 0;

    for (uint32_t i = 0; i < batch->unit_count; i++)
        symbols += batch->units[i]->pending->object.symbol_count;
    if (batch->unit_count < 2 || !workers_pay(linker->workers, symbols))
        return NULL;
    planning.plans = pool_allocate_array(&linker->deciding, batch->unit_count, sizeof *planning.plans);
    if (!planning.plans)
        return NULL;
    workers_run(linker->workers, batch->unit_count, make_one, &planning);
    touch_ahead(linker, batch, planning.plans);
    return planning.plans;
}

int plan_unit(struct linker *linker, const struct batch *batch, const struct plan *plans, uint32_t index,
              struct arena_need needs[ZONE_COUNT], struct error *error)
{
    if (!plans || !plans[index].made)
        return make(linker, &linker->scratch, batch->units[index], needs, error);
    memcpy(needs, plans[index].needs, sizeof plans[index].needs);
    return 0;
}
