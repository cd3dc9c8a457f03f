#include "daemon/linker/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/bytes.h"
#include "daemon/linker/actions.h"
#include "daemon/linker/comdat.h"
#include "daemon/linker/component.h"
#include "daemon/linker/gather.h"
#include "daemon/linker/layout.h"
#include "daemon/linker/plan.h"
#include "daemon/linker/removal.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"
#include "daemon/linker/standard.h"
#include "proto/limits.h"

/* Heap for the tables of one batch, and of one unit. */
#define DECIDING_BUDGET MIB(1024)
#define SCRATCH_BUDGET  MIB(512)

int link_open(struct linker *linker, const struct arch *arch, struct arena *arena, struct process_symbols *process,
              const struct link_hooks *hooks, void *owner, struct error *error)
{
    uint64_t seed = 0;

    *linker = (struct linker){.arch = arch,
                              .arena = arena,
                              .process = process,
                              .waiting.limit = LIMIT_WAITING_BYTES,
                              .hooks = hooks,
                              .owner = owner};
    linker->graph.units = &linker->units;
    pool_init(&linker->deciding, DECIDING_BUDGET);
    pool_init(&linker->scratch, SCRATCH_BUDGET);
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return error_system(error, "getrandom");
    linker->symbols = symbols_new(seed);
    linker->provided = symbols_new(seed);
    linker->libraries = libraries_new();
    if (!linker->symbols || !linker->provided || !linker->libraries ||
        code_pages_open(&linker->code, arena_zone_bytes(arena, ZONE_X)) != 0)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the symbol table");
    memcpy(arena_bytes(arena, ZONE_R, arena_cie(arena)), arch->common_cie, arch->common_cie_bytes);
    memcpy(arena_bytes(arena, ZONE_X, ARENA_NOTHING), arch->nothing, arch->nothing_bytes);
    return standard_provide(linker, error);
}

void link_close(struct linker *linker)
{
    for (struct unit *unit = units_after(&linker->units, 0), *next; unit; unit = next) {
        next = units_after(&linker->units, unit->id);
        unit_finish(unit);
        unit_free(unit);
    }
    removal_forget_memory(linker);
    units_close(&linker->units);
    pool_fini(&linker->deciding);
    pool_fini(&linker->scratch);
    lazies_close(linker);
    adapters_close(&linker->adapters);
    code_pages_close(&linker->code);
    wanted_close(&linker->wanted);
    symbols_free(linker->symbols);
    symbols_free(linker->provided);
    libraries_free(linker->libraries);
    process_symbols_close(linker->process);
    arena_close(linker->arena);
    *linker = (struct linker){0};
}

void link_set_lazy_entry(struct linker *linker, uint64_t address)
{
    uint64_t *slot = (uint64_t *)(void *)arena_bytes(linker->arena, ZONE_S, ARENA_LANDING_SLOT);
    uint64_t landing = arena_address(linker->arena, ZONE_X, ARENA_LANDING);

    *slot = address;
    linker->arch->write_stub(arena_bytes(linker->arena, ZONE_X, ARENA_LANDING), landing,
                             arena_address(linker->arena, ZONE_S, ARENA_LANDING_SLOT), 0, landing);
}

struct unit *link_unit(const struct linker *linker, uint64_t id)
{
    return units_find(&linker->units, id);
}

static bool has_code_at(const struct unit *unit, uint64_t offset)
{
    const struct arena_extent *code = &unit->block.extent[ZONE_X];

    return offset - code->offset < code->bytes && unit->state != UNIT_FAILED;
}

static bool has_section_at(const struct unit *unit, uint64_t offset)
{
    for (uint32_t i = 0; i < unit->range_count; i++)
        if (unit->ranges[i].section && offset - unit->ranges[i].offset < unit->ranges[i].bytes)
            return true;
    return false;
}

/* The unit whose section lies there, in a block in which code of several has been gathered. */
static struct unit *find_in_host(const struct linker *linker, uint64_t offset, struct unit *host, struct unit *guess)
{
    if (guess && has_section_at(guess, offset))
        return guess;
    if (has_section_at(host, offset))
        return host;
    for (struct unit *unit = units_after(&linker->units, 0); unit; unit = units_after(&linker->units, unit->id))
        if (has_section_at(unit, offset))
            return unit;
    return host;
}

struct unit *link_find_code(const struct linker *linker, uint64_t address, struct unit *guess)
{
    enum zone zone;
    uint64_t offset;

    if (!arena_find(linker->arena, address, &zone, &offset) || zone != ZONE_X)
        return NULL;
    struct unit *unit = guess && has_code_at(guess, offset) ? guess : code_pages_find(&linker->code, offset);
    return unit && unit->hosts_code ? find_in_host(linker, offset, unit, guess) : unit;
}

bool link_lookup(struct linker *linker, uint32_t library, const char *name, size_t length, struct link_found *out)
{
    const struct symbol *symbol = NULL;
    struct symbol process;

    /* Names of the runner's libraries are compared as C strings. */
    pool_reset(&linker->scratch);
    const char *copy = pool_copy_string(&linker->scratch, name, length);
    if (copy && length && !memchr(name, '\0', length) && libraries_has(linker->libraries, library))
        symbol = search_look_up(linker, library, copy, length, &process);

    if (!symbol)
        return false;
    *out = (struct link_found){.address = symbol->address,
                               .ready = symbol->binding == SYMBOL_PROCESS || symbol->definer->state == UNIT_READY,
                               .function = symbol->function,
                               .unit = symbol->definer};
    return true;
}

int link_define_library(struct linker *linker, const struct library_definition *definition, struct error *error)
{
    int code = libraries_define(linker->libraries, definition, error);

    if (code)
        return code;
    if (search_open_spaces(linker) != 0)
        return error_set(error, ERROR_NO_MEMORY, "no memory for library %u", definition->library);
    search_again(linker);
    lazy_search_again(linker);
    link_run_queue(linker);
    return 0;
}

/* ---- submission ---- */

static int check_object(struct linker *linker, struct unit *unit, const struct link_input *input, struct error *error)
{
    struct pending *pending = unit->pending;
    int code = input->object ? object_open(&pending->object, &linker->deciding, input->object, input->object_bytes,
                                           linker->arch->machine, error)
                             : 0;

    if (code)
        return code;
    pending->placements =
        pool_allocate_array(&pending->batch->pool, pending->object.section_count, sizeof *pending->placements);
    if (!pending->placements)
        return error_set(error, ERROR_NO_MEMORY, "no memory for %u sections", pending->object.section_count);
    return 0;
}

/* Of those that a manifest names. */
static bool has_library(const struct linker *linker, uint32_t library)
{
    return library == USE_LIBRARY_OWN || libraries_has(linker->libraries, library);
}

/* A library that is named and not there, or USE_LIBRARY_OWN. */
static uint32_t missing_library(const struct linker *linker, const struct manifest *manifest)
{
    if (!manifest || !manifest->names_libraries)
        return USE_LIBRARY_OWN;
    for (uint32_t i = 0; i < manifest->use_count; i++)
        if (!has_library(linker, manifest->uses[i].library))
            return manifest->uses[i].library;
    for (uint32_t i = 0; i < manifest->definition_count; i++)
        if (manifest->definitions[i].kind == DEFINITION_LAZY && !has_library(linker, manifest->definitions[i].library))
            return manifest->definitions[i].library;
    return USE_LIBRARY_OWN;
}

/* The library that the unit belongs to, for which any number may have been given, USE_LIBRARY_OWN too, and those. */
static int check_libraries(const struct linker *linker, const struct link_input *input, struct error *error)
{
    bool there = libraries_has(linker->libraries, input->library);
    uint32_t missing = there ? missing_library(linker, input->manifest) : input->library;

    return there && missing == USE_LIBRARY_OWN ? 0
                                               : error_set(error, ERROR_NOT_FOUND, "there is no library %u", missing);
}

static void check_unit(struct linker *linker, struct unit *unit, const struct link_input *input, struct report *report)
{
    struct error error;
    int code = check_libraries(linker, input, &error);

    if (!code)
        code = check_object(linker, unit, input, &error);
    if (code)
        resolve_refuse_unit(report, unit, &error);
    unit->library = (uint16_t)input->library;
    unit->tag = input->tag;
    unit->pending->manifest = input->manifest;
}

/* Opens every object, so that all that are bad are named at once. */
static int check(struct linker *linker, struct batch *batch, const struct link_input *inputs, uint32_t count,
                 struct report *report)
{
    uint32_t room = batch_reserve(batch, count) == 0 ? count : 0;

    for (uint32_t i = 0; i < room; i++) {
        struct unit *unit = unit_new(batch, inputs[i].name, inputs[i].name_length);

        if (!unit)
            break;
        check_unit(linker, unit, &inputs[i], report);
    }
    if (batch->unit_count < count) {
        struct error error;

        error_set(&error, ERROR_NO_MEMORY, "no memory for %u units", count);
        report_add(report, &error);
    }
    return report_code(report);
}

/* Lays every unit out and takes its room, all or none. */
static int allocate(struct linker *linker, struct batch *batch, struct report *report)
{
    const struct plan *plans = plan_ahead(linker, batch);
    uint32_t done = 0;
    int code = 0;

    for (; done < batch->unit_count; done++) {
        struct unit *unit = batch->units[done];
        struct arena_need needs[ZONE_COUNT];
        struct error error;

        code = plan_unit(linker, batch, plans, done, needs, &error);
        if (!code)
            code = arena_allocate(linker->arena, needs, &unit->block, &error);
        if (code) {
            resolve_refuse_unit(report, unit, &error);
            break;
        }
        layout_settle(unit, linker->arena);
        unit->trampoline_stubs = (uint32_t)unit->pending->stub_offset;
        unit->pending->stale_zeros = arena_is_stale(linker->arena, &unit->block);
    }
    if (!code) {
        gather_settle(linker, batch);
        standard_settle(linker, batch);
    }
    /* Backwards, so that every bump pointer comes back to where it was. */
    while (code && done-- > 0)
        arena_free(linker->arena, &batch->units[done]->block);
    return code;
}

/* Names and tables outlive their units, and those of refused batches are not taken back. */
static int check_kept(const struct linker *linker, struct report *report)
{
    uint64_t kept = linker->kept_bytes + symbols_memory(linker->symbols) + symbols_memory(linker->provided);
    struct error error;

    if (kept < LIMIT_KEPT_BYTES)
        return 0;
    error_set(&error, ERROR_LIMIT,
              "the session keeps %llu bytes of names and tables, at most %llu: go on in a new session",
              (unsigned long long)kept, LIMIT_KEPT_BYTES);
    report_add(report, &error);
    return ERROR_LIMIT;
}

static int check_waiting(const struct linker *linker, const struct batch *batch, struct report *report)
{
    struct error error;
    int code = waiting_check(&linker->waiting, batch, &error);

    if (code)
        report_add(report, &error);
    return code;
}

static int make_room_for_units(struct linker *linker, uint32_t count, struct report *report)
{
    struct error error;
    int code = 0;

    if (linker->units.count + count > LIMIT_UNITS_PER_SESSION)
        code = error_set(&error, ERROR_LIMIT, "a session holds at most %d units", LIMIT_UNITS_PER_SESSION);
    else if (units_reserve(&linker->units, count) != 0)
        code = error_set(&error, ERROR_NO_MEMORY, "no memory for %u units", count);
    if (code)
        report_add(report, &error);
    return code;
}

/* Initialisers of a closed batch run as those of a program do: all of them when all of it is linked, by priority, then
   in the order of the command line, whoever needs whom. An atomic batch is one component altogether. */
static void join(const struct batch *batch)
{
    struct unit *first = NULL;

    for (uint32_t i = 0; i < batch->unit_count; i++) {
        struct unit *unit = batch->units[i];

        if (!batch->atomic && unit->array_count == 0)
            continue;
        if (first)
            graph_join(first, unit);
        else
            first = unit;
    }
}

void link_keep(struct linker *linker, struct unit *unit, uint64_t bytes)
{
    unit->kept_bytes += bytes;
    linker->kept_bytes += bytes;
}

/* From here on the batch is part of the session. Cannot fail. */
static void commit(struct linker *linker, struct batch *batch)
{
    batch->unfinished = batch->unit_count;
    batch->gatherings = NULL; /* it and what follows were needed until now */
    batch->missing = NULL;
    for (uint32_t i = 0; i < batch->unit_count; i++) {
        struct unit *unit = batch->units[i];

        units_add(&linker->units, unit);
        code_pages_add(&linker->code, unit);
        unit->state = UNIT_RESOLVED;
        actions_place(linker, unit);
        graph_add(unit);
    }
    if (batch->closed || batch->atomic)
        join(batch);
    resolve_commit(linker, batch);
    for (uint32_t i = 0; i < batch->unit_count; i++)
        link_keep(linker, batch->units[i], unit_kept_bytes(batch->units[i]));
    waiting_add(&linker->waiting, batch);
}

int link_submit(struct linker *linker, struct batch *batch, const struct link_input *inputs, uint32_t count,
                struct report *report)
{
    batch->number = ++linker->batch_count;
    pool_reset(&linker->deciding);
    if (linker->withdrawn == 0) /* reports of their finalisers show their names */
        symbols_sweep(linker->symbols, comdat_is_key, linker);
    int code = check_kept(linker, report);
    if (!code)
        code = check_waiting(linker, batch, report);
    if (!code)
        code = make_room_for_units(linker, count, report);
    if (!code)
        code = check(linker, batch, inputs, count, report);
    if (!code)
        code = resolve_batch(linker, batch, report);
    if (!code) /* its tables are in the pool now */
        code = check_waiting(linker, batch, report);
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
void link_run_queue(struct linker *linker)
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

static void fetch_nodes(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->unit_count; i++)
        graph_fetch(batch->units[i]);
    for (uint32_t i = 0; i < batch->unit_count; i++)
        graph_fetch_roots(batch->units[i]);
}

/* Whoever waited for one of the batch's names: is bound to the first that it finds, and only then goes on. */
static void wake(struct linker *linker, const struct batch *batch)
{
    fetch_nodes(batch);
    for (uint32_t i = 0; i < batch->unit_count; i++)
        for (uint32_t d = 0; d < batch->units[i]->definition_count; d++)
            search_adopt(linker, batch->units[i]->definitions[d]);
    for (uint32_t i = 0; i < batch->unit_count; i++)
        adapters_decide(linker, batch->units[i]);
    for (uint32_t i = 0; i < batch->unit_count; i++)
        for (uint32_t d = 0; d < batch->units[i]->definition_count; d++)
            graph_symbol_bound(&linker->graph, batch->units[i]->definitions[d]);
}

void link_run(struct linker *linker, struct batch *batch)
{
    uint64_t first = batch->units[0]->id;
    uint32_t count = batch->unit_count;

    for (uint32_t i = 0; i < count; i++)
        linker->hooks->unit_changed(linker->owner, batch->units[i], NULL);
    wake(linker, batch);
    for (uint32_t i = 0; i < count; i++)
        graph_start(&linker->graph, batch->units[i]);
    link_run_queue(linker);
    forget_tables(linker, first, count);
}

void link_ready(struct linker *linker, struct unit *root)
{
    linker->ready_count++;
    for (struct unit *unit = root; unit; unit = graph_next_member(unit)) {
        unit->state = UNIT_READY;
        unit->ready_number = linker->ready_count;
        for (uint32_t i = 0; i < unit->pending->use_count; i++)
            symbol_remove_use(&unit->pending->uses[i]);
        linker->hooks->unit_changed(linker->owner, unit, NULL);
    }
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        for (uint32_t i = 0; i < unit->definition_count; i++) {
            unit->definitions[i]->node = NULL;
            lazy_offered(linker, unit->definitions[i]);
        }
    graph_leave(root);
    graph_wake_watchers(&linker->graph, root);
    for (struct unit *unit = root, *next; unit; unit = next) {
        next = graph_next_member(unit);
        unit_finish(unit);
    }
    link_run_queue(linker);
}
