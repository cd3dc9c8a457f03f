#include "daemon/linker/publication.h"

#include <stdlib.h>
#include <string.h>

struct ordered_array {
    const struct call_array *array;
    struct unit *unit;
    uint32_t position;
};

static int compare_arrays(const void *left, const void *right)
{
    const struct ordered_array *a = left, *b = right;

    if (a->array->order != b->array->order)
        return a->array->order < b->array->order ? -1 : 1;
    int names = strcmp(a->array->name, b->array->name);
    if (names != 0)
        return names;
    if (a->unit->id != b->unit->id)
        return (a->unit->id < b->unit->id) == (a->array->kind != SECTION_FINI) ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

/* Initialisers and finalisers of all the component's units in the order of a static linker's script (section_kind.h),
   then in the units' (gABI, "Initialization and Termination Functions"): finalisers are remembered in the order in
   which initialisers run, and run backwards; but for pieces of _fini, which ran forwards. */
static uint32_t order_arrays(const struct publication *publication, struct ordered_array *arrays)
{
    uint32_t count = 0;

    for (struct unit *unit = publication->root; unit; unit = graph_next_member(unit))
        for (uint32_t i = 0; i < unit->array_count; i++, count++)
            if (arrays)
                arrays[count] = (struct ordered_array){&unit->arrays[i], unit, count};
    if (arrays)
        qsort(arrays, count, sizeof *arrays, compare_arrays);
    return count;
}

static void add_task(struct publication *publication, struct unit *unit, uint32_t kind, uint64_t a, uint64_t b)
{
    publication->tasks[publication->task_count++] = (struct task){.purpose = TASK_PUBLISH,
                                                                  .kind = kind,
                                                                  .unit = unit,
                                                                  .publication = publication,
                                                                  .a = a,
                                                                  .b = b,
                                                                  .c = publication->number};
}

static void add_array_tasks(struct publication *publication, const struct ordered_array *arrays, uint32_t count,
                            bool finalisers)
{
    for (uint32_t i = 0; i < count; i++)
        if (section_kind_is_finaliser((enum section_kind)arrays[i].array->kind) == finalisers)
            add_task(publication, arrays[i].unit, finalisers ? CHANNEL_FINALISERS : CHANNEL_INITIALISE,
                     arrays[i].array->address, arrays[i].array->count);
}

static void add_memory_tasks(struct publication *publication, struct unit *unit)
{
    const struct arena_extent *zeros = &unit->block.extent[ZONE_Z];

    if (unit->pending->data_bytes)
        add_task(publication, unit, CHANNEL_COPY_DATA, unit->pending->data_offset, unit->pending->data_bytes);
    if (unit->pending->stale_zeros)
        add_task(publication, unit, CHANNEL_ZERO, zeros->offset, zeros->bytes);
}

static int compare_ids(const void *left, const void *right)
{
    const struct unit *a = *(struct unit *const *)left, *b = *(struct unit *const *)right;

    return (a->id > b->id) - (a->id < b->id);
}

/* The component's units in the order of their submission; NULL: out of memory. To be freed. */
static struct unit **list_members(const struct publication *publication, uint32_t *count)
{
    struct unit **members;
    uint32_t most = 0;

    for (struct unit *unit = publication->root; unit; unit = graph_next_member(unit))
        most++;
    members = malloc(most * sizeof(struct unit *));
    *count = 0;
    for (struct unit *unit = publication->root; unit && members; unit = graph_next_member(unit))
        members[(*count)++] = unit;
    if (members)
        qsort(members, *count, sizeof(struct unit *), compare_ids);
    return members;
}

/* Data of all units first, which any action or initialiser may use; then actions, on which initialisers may rely. Last,
   for where an action fails, what the units have registered with __cxa_atexit until then. */
static void add_tasks(const struct linker *linker, struct publication *publication, struct unit *const *members,
                      uint32_t count, const struct ordered_array *arrays, uint32_t array_count)
{
    bool acting = false;

    for (uint32_t i = 0; i < count; i++)
        add_memory_tasks(publication, members[i]);
    for (uint32_t i = 0; i < count; i++) {
        if (members[i]->action_count == 0)
            continue;
        add_task(publication, members[i], CHANNEL_ACTIONS, actions_address(linker, members[i]),
                 members[i]->action_count);
        acting = true;
    }
    add_array_tasks(publication, arrays, array_count, true);
    add_array_tasks(publication, arrays, array_count, false);
    for (uint32_t i = 0; i < count && acting; i++)
        if (members[i]->uses_handle)
            add_task(publication, members[i], CHANNEL_FINALISE_OBJECT, unit_handle(linker->arena, members[i]), 0);
}

static int plan(const struct linker *linker, struct publication *publication)
{
    uint32_t arrays = order_arrays(publication, NULL), units;
    struct ordered_array *ordered = calloc(arrays + 1u, sizeof *ordered);
    struct unit **members = list_members(publication, &units);
    int code = ERROR_NO_MEMORY;

    publication->tasks = calloc(arrays + 4 * units, sizeof *publication->tasks);
    if (ordered && members && publication->tasks) {
        order_arrays(publication, ordered);
        add_tasks(linker, publication, members, units, ordered, arrays);
        code = 0;
    }
    free(members);
    free(ordered);
    return code;
}

bool publication_is_needed(const struct unit *root)
{
    for (const struct unit *unit = root; unit; unit = graph_next_member(unit))
        if (unit->pending->data_bytes || unit->pending->stale_zeros || unit->array_count || unit->action_count)
            return true;
    return false;
}

struct publication *publication_new(const struct linker *linker, struct unit *root, uint64_t number)
{
    struct publication *publication = calloc(1, sizeof *publication);

    if (!publication)
        return NULL;
    publication->root = root;
    publication->number = number;
    for (const struct unit *unit = root; unit; unit = graph_next_member(unit))
        publication->has_deadline |= unit->pending->batch->deadline_ms > 0;
    if (plan(linker, publication) == 0)
        return publication;
    publication_free(publication);
    return NULL;
}

void publication_free(struct publication *publication)
{
    if (!publication)
        return;
    free(publication->tasks);
    free(publication);
}
