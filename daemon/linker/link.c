#include "daemon/linker/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/bytes.h"
#include "daemon/linker/component.h"
#include "daemon/linker/layout.h"
#include "daemon/linker/resolve.h"
#include "proto/limits.h"

/* Heap for the tables of one batch, and of one unit. */
#define DECIDING_BUDGET MIB(1024)
#define SCRATCH_BUDGET  MIB(512)

/* What ld defines itself and compilers refer to: provided by name, at addresses that no unit has. */
static int provide(struct linker *linker, const char *name, uint64_t address, struct error *error)
{
    struct symbol *symbol = symbols_intern(linker->symbols, name, strlen(name));

    if (!symbol)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the symbol table");
    symbol->binding = SYMBOL_PROCESS;
    symbol->address = address;
    return 0;
}

int link_open(struct linker *linker, const struct arch *arch, struct arena *arena, struct process_symbols *process,
              const struct link_hooks *hooks, void *owner, struct error *error)
{
    uint64_t seed = 0;

    *linker = (struct linker){.arch = arch, .arena = arena, .process = process, .hooks = hooks, .owner = owner};
    pool_init(&linker->deciding, DECIDING_BUDGET);
    pool_init(&linker->scratch, SCRATCH_BUDGET);
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return error_system(error, "getrandom");
    linker->symbols = symbols_new(seed);
    if (!linker->symbols)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the symbol table");
    /* The first granule of R holds zeros and belongs to no unit: an identity for __cxa_atexit, nothing more. */
    int code = provide(linker, "__dso_handle", arena_address(arena, ZONE_R, GRANULE_MAP_BYTES), error);
    return code ? code : provide(linker, "_GLOBAL_OFFSET_TABLE_", arena_address(arena, ZONE_S, 0), error);
}

void link_close(struct linker *linker)
{
    for (uint64_t i = 0; i < linker->unit_count; i++) {
        unit_finish(linker->units[i]);
        unit_free(linker->units[i]);
    }
    free(linker->units);
    pool_fini(&linker->deciding);
    pool_fini(&linker->scratch);
    symbols_free(linker->symbols);
    process_symbols_close(linker->process);
    arena_close(linker->arena);
    *linker = (struct linker){0};
}

struct unit *link_unit(const struct linker *linker, uint64_t id)
{
    return id >= 1 && id <= linker->unit_count ? linker->units[id - 1] : NULL;
}

struct unit *link_find_code(const struct linker *linker, uint64_t address)
{
    enum zone zone;
    uint64_t offset;

    if (!arena_find(linker->arena, address, &zone, &offset) || zone != ZONE_X)
        return NULL;
    for (uint64_t i = 0; i < linker->unit_count; i++) {
        const struct arena_extent *code = &linker->units[i]->block.extent[ZONE_X];

        if (offset - code->offset < code->bytes && linker->units[i]->state != UNIT_FAILED)
            return linker->units[i];
    }
    return NULL;
}

bool link_lookup(struct linker *linker, const char *name, size_t length, uint64_t *address, bool *ready, bool *function)
{
    struct symbol *symbol = length ? symbols_intern(linker->symbols, name, length) : NULL;

    if (!symbol)
        return false;
    resolve_process(linker, symbol);
    if (symbol->binding == SYMBOL_UNBOUND)
        return false;
    *address = symbol->address;
    *ready = symbol->binding == SYMBOL_PROCESS || symbol->definer->state == UNIT_READY;
    *function = symbol->function;
    return true;
}

/* ---- submission ---- */

static int check_unit(struct linker *linker, struct unit *unit, const struct link_input *input, struct report *report)
{
    struct error error;
    int code = object_open(&unit->pending->object, &linker->deciding, input->object, input->object_bytes,
                           linker->arch->machine, &error);

    if (!code) {
        unit->pending->placements = pool_allocate_array(
            &unit->pending->batch->pool, unit->pending->object.section_count, sizeof *unit->pending->placements);
        if (!unit->pending->placements)
            code = error_set(&error, ERROR_NO_MEMORY, "no memory for %u sections", unit->pending->object.section_count);
    }
    if (code) {
        error_prefix(&error, "%s", unit->name);
        error_set_unit(&error, unit->name);
        report_add(report, &error);
    }
    return code;
}

/* Opens every object, so that all that are bad are named at once. */
static int check(struct linker *linker, struct batch *batch, const struct link_input *inputs, uint32_t count,
                 struct report *report)
{
    batch->units = pool_allocate_array(&batch->pool, count, sizeof *batch->units);
    for (uint32_t i = 0; i < count && batch->units; i++) {
        batch->units[i] = unit_new(batch, inputs[i].name, inputs[i].name_length);
        if (!batch->units[i])
            break;
        batch->unit_count++;
        check_unit(linker, batch->units[i], &inputs[i], report);
    }
    if (batch->unit_count < count) {
        struct error error;

        error_set(&error, ERROR_NO_MEMORY, "no memory for %u units", count);
        report_add(report, &error);
    }
    return report_code(report);
}

static int unit_error(struct report *report, const struct unit *unit, struct error *error)
{
    error_prefix(error, "%s", unit->name);
    error_set_unit(error, unit->name);
    report_add(report, error);
    return error->code;
}

/* Lays every unit out and takes its room, all or none. */
static int allocate(struct linker *linker, struct batch *batch, struct report *report)
{
    uint32_t done = 0;
    int code = 0;

    for (; done < batch->unit_count; done++) {
        struct unit *unit = batch->units[done];
        struct arena_need needs[ZONE_COUNT];
        struct error error;

        code = layout_plan(unit, needs, &error);
        if (!code)
            code = component_foresee(linker, unit, needs, &error);
        if (!code)
            code = arena_allocate(linker->arena, needs, &unit->block, &error);
        if (code) {
            unit_error(report, unit, &error);
            break;
        }
        layout_settle(unit, linker->arena);
    }
    /* Backwards, so that every bump pointer comes back to where it was. */
    while (code && done-- > 0)
        arena_free(linker->arena, &batch->units[done]->block);
    return code;
}

static int make_room_for_units(struct linker *linker, uint32_t count, struct report *report)
{
    uint64_t wanted = linker->unit_count + count, capacity = linker->unit_capacity;
    struct error error;

    if (wanted > LIMIT_UNITS_PER_SESSION) {
        error_set(&error, ERROR_LIMIT, "a session holds at most %d units", LIMIT_UNITS_PER_SESSION);
        report_add(report, &error);
        return ERROR_LIMIT;
    }
    if (wanted <= capacity)
        return 0;
    while (capacity < wanted)
        capacity = capacity ? capacity * 2 : 64;
    struct unit **units = realloc(linker->units, capacity * sizeof *units);
    if (!units) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for %u units", count);
        report_add(report, &error);
        return ERROR_NO_MEMORY;
    }
    linker->units = units;
    linker->unit_capacity = capacity;
    return 0;
}

/* Initialisers of a closed batch run as those of a program do: all of them when all of it is linked, by priority, then
   in the order of the command line, whoever needs whom. */
static void join_initialised(const struct batch *batch)
{
    struct unit *first = NULL;

    for (uint32_t i = 0; i < batch->unit_count; i++) {
        struct unit *unit = batch->units[i];

        if (unit->array_count == 0)
            continue;
        if (first)
            graph_join(first, unit);
        else
            first = unit;
    }
}

/* From here on the batch is part of the session. Cannot fail. */
static void commit(struct linker *linker, struct batch *batch)
{
    batch->unfinished = batch->unit_count;
    for (uint32_t i = 0; i < batch->unit_count; i++) {
        struct unit *unit = batch->units[i];

        linker->units[linker->unit_count++] = unit;
        unit->id = linker->unit_count;
        unit->state = UNIT_RESOLVED;
        graph_add(unit);
    }
    if (batch->closed)
        join_initialised(batch);
    resolve_commit(linker, batch);
}

int link_submit(struct linker *linker, struct batch *batch, const struct link_input *inputs, uint32_t count,
                struct report *report)
{
    batch->number = ++linker->batch_count;
    pool_reset(&linker->deciding);
    int code = make_room_for_units(linker, count, report);
    if (!code)
        code = check(linker, batch, inputs, count, report);
    if (!code)
        code = resolve_batch(linker, batch, report);
    if (!code)
        code = allocate(linker, batch, report);
    if (!code) {
        commit(linker, batch);
        return 0;
    }
    for (uint32_t i = 0; i < batch->unit_count; i++)
        unit_free(batch->units[i]);
    batch_free(batch);
    return code;
}

/* ---- from resolved to ready ---- */

/* A hook may call link_ready, which comes back here: the outermost call does the work, so that a chain of a hundred
   thousand units is a loop and not a hundred thousand stack frames. */
static void run_queue(struct linker *linker)
{
    if (linker->running)
        return;
    linker->running = true;
    for (struct unit *root = graph_take(&linker->graph); root; root = graph_take(&linker->graph)) {
        struct unit *culprit = root;
        struct error error;

        if (component_link(linker, root, &culprit, &error) != 0)
            link_fail(linker, culprit, &error);
        else
            linker->hooks->component_linked(linker->owner, root);
    }
    linker->running = false;
}

/* What waits from here on waits without its section table, which is made again when its turn comes: memory that is
   touched once and kept costs more than parsing twice. */
static void forget_tables(struct linker *linker, uint64_t first, uint32_t count)
{
    for (uint64_t id = first; id < first + count; id++) {
        struct pending *pending = link_unit(linker, id)->pending;

        if (pending)
            pending->object.sections = NULL;
    }
}

void link_run(struct linker *linker, struct batch *batch)
{
    uint64_t first = batch->units[0]->id;
    uint32_t count = batch->unit_count;

    for (uint32_t i = 0; i < count; i++)
        linker->hooks->unit_changed(linker->owner, batch->units[i], NULL);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t d = 0; d < batch->units[i]->definition_count; d++)
            graph_symbol_bound(&linker->graph, batch->units[i]->definitions[d]);
    for (uint32_t i = 0; i < count; i++)
        graph_start(&linker->graph, batch->units[i]);
    run_queue(linker);
    forget_tables(linker, first, count);
}

void link_ready(struct linker *linker, struct unit *root)
{
    for (struct unit *unit = root; unit; unit = graph_next_member(unit)) {
        unit->state = UNIT_READY;
        for (uint32_t i = 0; i < unit->pending->use_count; i++)
            symbol_remove_use(&unit->pending->uses[i]);
        linker->hooks->unit_changed(linker->owner, unit, NULL);
    }
    graph_leave(root);
    graph_wake_watchers(&linker->graph, root);
    for (struct unit *unit = root, *next; unit; unit = next) {
        next = graph_next_member(unit);
        unit_finish(unit);
    }
    run_queue(linker);
}

/* ---- failure ---- */

/* Units still to be failed, each with the one that took it along. */
struct failing {
    struct unit *unit;
    const struct unit *because;  /* NULL for the first */
    const struct symbol *symbol; /* of `because`, that it needs; NULL: they are one component for another reason */
};

struct failing_list {
    struct failing *entries; /* owned */
    size_t count, capacity;
};

static void add_failing(struct failing_list *list, struct unit *unit, const struct unit *because,
                        const struct symbol *symbol)
{
    if (unit->state == UNIT_FAILED)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        struct failing *entries = realloc(list->entries, capacity * sizeof *entries);

        if (!entries)
            abort(); /* our own few bytes; going on would report units ready that are not */
        list->entries = entries;
        list->capacity = capacity;
    }
    unit->state = UNIT_FAILED;
    list->entries[list->count++] = (struct failing){unit, because, symbol};
}

/* Those that wait for the unit are in its symbols' lists, or in its own component; those that were ready before must be
   searched for. */
static void add_dependents(struct linker *linker, struct failing_list *list, struct unit *failed, bool was_ready)
{
    struct unit *root = failed->pending ? graph_root(failed) : NULL;

    for (uint32_t d = 0; d < failed->definition_count; d++)
        for (struct use *use = failed->definitions[d]->uses; use; use = use->next)
            add_failing(list, use->unit, failed, use->symbol);
    if (root && !root->pending->node.failing) {
        root->pending->node.failing = true;
        for (struct unit *member = root; member; member = graph_next_member(member))
            add_failing(list, member, failed, NULL);
    }
    for (uint64_t i = 0; was_ready && i < linker->unit_count; i++)
        for (uint32_t n = 0; n < linker->units[i]->need_count; n++)
            if (unit_needs(linker->units[i])[n]->definer == failed)
                add_failing(list, linker->units[i], failed, unit_needs(linker->units[i])[n]);
}

static void report_failure(struct linker *linker, const struct failing *failing, const struct error *cause)
{
    struct report report = {0};
    struct error error = *cause;

    if (failing->because) {
        if (failing->symbol)
            error_set(&error, ERROR_DEPENDENCY_FAILED, "%s: needs '%s' of %s, which failed: %s", failing->unit->name,
                      failing->symbol->name, failing->because->name, cause->text);
        else
            error_set(&error, ERROR_DEPENDENCY_FAILED, "%s: belongs together with %s, which failed: %s",
                      failing->unit->name, failing->because->name, cause->text);
        error_set_symbol(&error, failing->symbol ? failing->symbol->name : NULL);
    }
    error_set_unit(&error, failing->unit->name);
    report_add(&report, &error);
    linker->hooks->unit_changed(linker->owner, failing->unit, &report);
    report_fini(&report);
}

/* A component fails as a whole, so that its root is in the list too. */
static void leave_graph(struct linker *linker, const struct failing_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct unit *unit = list->entries[i].unit;

        if (unit->pending && graph_root(unit) == unit)
            graph_leave(unit);
    }
    for (size_t i = 0; i < list->count; i++) {
        struct unit *unit = list->entries[i].unit;

        if (unit->pending && graph_root(unit) == unit)
            graph_wake_watchers(&linker->graph, unit);
    }
}

/* All that fails is known before anything is taken apart, so that nobody is woken by a unit that is about to fail. */
void link_fail(struct linker *linker, struct unit *unit, const struct error *error)
{
    struct failing_list list = {0};
    bool was_ready = unit->state == UNIT_READY;

    add_failing(&list, unit, NULL, NULL);
    for (size_t i = 0; i < list.count; i++)
        add_dependents(linker, &list, list.entries[i].unit, was_ready);
    for (size_t i = 0; i < list.count; i++)
        report_failure(linker, &list.entries[i], error);
    /* Backwards, so that bump pointers come back to where they were. */
    for (size_t i = list.count; i-- > 0;) {
        resolve_withdraw(list.entries[i].unit);
        unit_release_memory(list.entries[i].unit, linker->arena);
    }
    leave_graph(linker, &list);
    for (size_t i = 0; i < list.count; i++)
        unit_finish(list.entries[i].unit);
    free(list.entries);
    run_queue(linker);
}
