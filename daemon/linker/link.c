#include "daemon/linker/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/bytes.h"
#include "daemon/linker/component.h"
#include "daemon/linker/layout.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"
#include "proto/limits.h"

/* Heap for the tables of one batch, and of one unit. */
#define DECIDING_BUDGET MIB(1024)
#define SCRATCH_BUDGET  MIB(512)

static void run_queue(struct linker *linker);

/* What ld defines itself and compilers refer to: provided by name, at addresses that no unit has. */
static int provide(struct linker *linker, const char *name, uint64_t address, struct error *error)
{
    struct symbol *symbol = symbols_intern(linker->symbols, SPACE_PROCESS, name, strlen(name));

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

    *linker = (struct linker){.arch = arch,
                              .arena = arena,
                              .process = process,
                              .waiting.limit = LIMIT_WAITING_BYTES,
                              .hooks = hooks,
                              .owner = owner};
    pool_init(&linker->deciding, DECIDING_BUDGET);
    pool_init(&linker->scratch, SCRATCH_BUDGET);
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return error_system(error, "getrandom");
    linker->symbols = symbols_new(seed);
    linker->libraries = libraries_new();
    if (!linker->symbols || !linker->libraries)
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
    wanted_close(&linker->wanted);
    symbols_free(linker->symbols);
    libraries_free(linker->libraries);
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

bool link_lookup(struct linker *linker, uint32_t library, const char *name, size_t length, uint64_t *address,
                 bool *ready, bool *function)
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
    *address = symbol->address;
    *ready = symbol->binding == SYMBOL_PROCESS || symbol->definer->state == UNIT_READY;
    *function = symbol->function;
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
    run_queue(linker);
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

/* The library that the unit belongs to, and those that its manifest names. */
static int check_libraries(const struct linker *linker, const struct link_input *input, struct error *error)
{
    uint32_t missing = libraries_has(linker->libraries, input->library) ? USE_LIBRARY_OWN : input->library;

    for (uint32_t i = 0; input->manifest && i < input->manifest->use_count && missing == USE_LIBRARY_OWN; i++) {
        uint32_t library = input->manifest->uses[i].library;

        if (library != USE_LIBRARY_OWN && !libraries_has(linker->libraries, library))
            missing = library;
    }
    return missing == USE_LIBRARY_OWN ? 0 : error_set(error, ERROR_NOT_FOUND, "there is no library %u", missing);
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
    unit->pending->manifest = input->manifest;
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
            resolve_refuse_unit(report, unit, &error);
            break;
        }
        layout_settle(unit, linker->arena);
    }
    /* Backwards, so that every bump pointer comes back to where it was. */
    while (code && done-- > 0)
        arena_free(linker->arena, &batch->units[done]->block);
    return code;
}

/* Names and tables outlive their units, and those of refused batches are not taken back. */
static int check_kept(const struct linker *linker, struct report *report)
{
    uint64_t kept = linker->kept_bytes + symbols_memory(linker->symbols);
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
    if (batch->closed || batch->atomic)
        join(batch);
    resolve_commit(linker, batch);
    for (uint32_t i = 0; i < batch->unit_count; i++)
        linker->kept_bytes += unit_kept_bytes(batch->units[i]);
    waiting_add(&linker->waiting, batch);
}

int link_submit(struct linker *linker, struct batch *batch, const struct link_input *inputs, uint32_t count,
                struct report *report)
{
    batch->number = ++linker->batch_count;
    pool_reset(&linker->deciding);
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
        for (uint32_t d = 0; d < batch->units[i]->definition_count; d++) {
            search_adopt(linker, batch->units[i]->definitions[d]);
            graph_symbol_bound(&linker->graph, batch->units[i]->definitions[d]);
        }
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
    size_t because;              /* its place in the list; its own for the first */
    uint32_t depth;              /* links to the first */
    const struct symbol *symbol; /* of `because`, that it needs; NULL: they are one component for another reason */
};

struct failing_list {
    struct failing *entries; /* owned */
    size_t count, capacity;
};

static void add_failing(struct failing_list *list, struct unit *unit, size_t because, const struct symbol *symbol)
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
    uint32_t depth = list->count ? list->entries[because].depth + 1 : 0;
    unit->state = UNIT_FAILED;
    list->entries[list->count++] = (struct failing){unit, because, depth, symbol};
}

/* Those that wait for the unit are in its symbols' lists, or in its own component; those that were ready before must be
   searched for. */
static void add_dependents(struct linker *linker, struct failing_list *list, size_t at, bool was_ready)
{
    struct unit *failed = list->entries[at].unit;
    struct unit *root = failed->pending ? graph_root(failed) : NULL;

    for (uint32_t d = 0; d < failed->definition_count; d++)
        for (struct use *use = failed->definitions[d]->uses; use; use = use->next)
            add_failing(list, use->unit, at, use->symbol);
    if (root && !root->pending->node.failing) {
        root->pending->node.failing = true;
        for (struct unit *member = root; member; member = graph_next_member(member))
            add_failing(list, member, at, NULL);
    }
    for (uint64_t i = 0; was_ready && i < linker->unit_count; i++)
        for (uint32_t n = 0; n < linker->units[i]->need_count; n++)
            if (unit_needs(linker->units[i])[n]->definer == failed)
                add_failing(list, linker->units[i], at, unit_needs(linker->units[i])[n]);
}

/* Links of the chain that the text names, before it says how many more there are. */
#define CAUSES_IN_TEXT 4

/* "a.o: needs 'b' of b.o, which needs 'c' of c.o, which failed: " and the first failure's text. */
static void describe_chain(const struct failing_list *list, const struct failing *failing, const struct error *cause,
                           struct error *error)
{
    char text[400] = "";
    size_t used = 0, links = 0;

    for (const struct failing *at = failing; at != &list->entries[at->because] && links < CAUSES_IN_TEXT; links++) {
        const struct failing *next = &list->entries[at->because];
        const char *link = links ? ", which " : "";

        used += (size_t)(at->symbol ? snprintf(text + used, sizeof text - used, "%sneeds '%.60s' of %.60s", link,
                                               at->symbol->name, next->unit->name)
                                    : snprintf(text + used, sizeof text - used, "%sbelongs together with %.60s", link,
                                               next->unit->name));
        used = used < sizeof text ? used : sizeof text - 1;
        at = next;
    }
    bool whole = links < CAUSES_IN_TEXT;
    error_set(error, ERROR_DEPENDENCY_FAILED, "%.80s: %s, which %sfailed: %s", failing->unit->name, text,
              whole ? "" : "needs others that ", cause->text);
}

/* All of the chain as far as it is listed, and its end. */
static void add_causes(const struct failing_list *list, const struct failing *failing, struct report_entry *entry)
{
    const struct failing *at = failing;

    for (uint32_t i = 0; i + 1 < LIMIT_CAUSES_PER_ERROR && at != &list->entries[0]; i++) {
        report_add_cause(entry, at->unit->name, at->symbol ? at->symbol->name : "");
        at = &list->entries[at->because];
    }
    report_add_cause(entry, list->entries[0].unit->name, "");
    if (entry)
        entry->causes_omitted = at->depth;
}

static void report_failure(struct linker *linker, const struct failing_list *list, const struct failing *failing,
                           const struct error *cause)
{
    bool first = failing == &list->entries[0];
    struct report report = {0};
    struct error error = *cause;

    if (!first) {
        describe_chain(list, failing, cause, &error);
        error_set_symbol(&error, failing->symbol ? failing->symbol->name : NULL);
    }
    error_set_unit(&error, failing->unit->name);
    struct report_entry *entry = report_add(&report, &error);
    if (!first)
        add_causes(list, failing, entry);
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

    add_failing(&list, unit, 0, NULL);
    for (size_t i = 0; i < list.count; i++)
        add_dependents(linker, &list, i, was_ready);
    for (size_t i = 0; i < list.count; i++)
        report_failure(linker, &list, &list.entries[i], error);
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
