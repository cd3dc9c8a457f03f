/*
 * Plans: where the sections of a unit go and how much room it needs, which its own object and what was bound before its
 * batch decide. So the plans of a large batch are made on all threads, before room is given to one unit after another.
 */
#ifndef LINKER_PLAN_H
#define LINKER_PLAN_H

#include "common/error.h"
#include "daemon/linker/link.h"

struct plan {
    struct arena_need needs[ZONE_COUNT];
    bool made;
};

/* Makes the plans of a resolved batch ahead, and touches the memory they will need; in the pool `deciding`, by index.
   NULL where it does not pay or there is no memory. A plan that fails is left to plan_unit, which reports it. */
struct plan *plan_ahead(struct linker *linker, struct batch *batch);

/* What unit `index` of the batch needs, from `plans` (or NULL) where it is there. Errors: those of layout_plan and
   component_foresee. */
int plan_unit(struct linker *linker, const struct batch *batch, const struct plan *plans, uint32_t index,
              struct arena_need needs[ZONE_COUNT], struct error *error);

#endif
