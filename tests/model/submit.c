/*
 * Makes a batch of an operation's units, with their objects and manifests, and submits it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/model/drive.h"
#include "tests/model/object.h"

/* One unit with all that its manifest leads to, as long as the batch is being made. */
struct listing {
    const struct drive *drive;
    uint32_t serial;
    struct unit_row row;
    struct jitd_manifest manifest;
    struct jitd_manifest_definition definitions[2 * ENTRIES_MOST + 1];
    struct jitd_manifest_use uses[2 * ENTRIES_MOST];
    struct jitd_absolute absolutes[ENTRIES_MOST];
    struct jitd_alias aliases[ENTRIES_MOST];
    struct jitd_lazy_definition lazies[ENTRIES_MOST];
    struct jitd_manifest_action actions[2 * ENTRIES_MOST];
    uint32_t arguments[ENTRIES_MOST][2]; /* by entry number, from 1 on: what its calls are to note */
    char locals[ENTRIES_MOST][OBJECT_NAME_BYTES];
    char probe[OBJECT_NAME_BYTES];
    uint8_t object[OBJECT_BYTES_MOST];
};

static unsigned definition_flags(const struct entry *entry)
{
    return (entry->weak & WEAK_IN_MANIFEST ? JITD_DEFINITION_WEAK : 0u) | (entry->hidden ? JITD_DEFINITION_HIDDEN : 0u);
}

static void list_definition(struct listing *listing, const struct entry *entry, const char *local)
{
    listing->definitions[listing->manifest.definition_count++] = (struct jitd_manifest_definition){
        .local = local,
        .global = entry->renamed ? operation_name(entry->name) : NULL,
        .flags = definition_flags(entry) | (entry->redirectable ? JITD_DEFINITION_REDIRECTABLE : 0u),
        .convention = entry->convention};
}

static void list_use(struct listing *listing, const struct entry *entry, const char *local)
{
    unsigned flags = (entry->weak & WEAK_IN_MANIFEST ? JITD_USE_WEAK : 0u) | (entry->slot ? JITD_USE_BY_SLOT : 0u) |
                     (entry->library ? JITD_USE_LIBRARY : 0u) | (entry->lazy ? JITD_USE_LAZY : 0u);

    listing->uses[listing->manifest.use_count++] =
        (struct jitd_manifest_use){.local = entry->kind == ENTRY_USE ? local : NULL,
                                   .global = operation_name(entry->name),
                                   .flags = flags,
                                   .convention = entry->convention,
                                   .library = entry->library ? entry->library - 1 : 0};
}

static void list_absolute(struct listing *listing, const struct entry *entry, const char *local)
{
    listing->absolutes[listing->manifest.absolute_count++] = (struct jitd_absolute){
        .name = operation_name(entry->name),
        .address = entry->function ? listing->drive->page_function : ABSOLUTE_ADDRESS(listing->serial, entry->number),
        .flags = definition_flags(entry) | (entry->function ? JITD_DEFINITION_FUNCTION : 0u),
        .convention = entry->convention};
}

static void list_alias(struct listing *listing, const struct entry *entry, const char *local)
{
    listing->aliases[listing->manifest.alias_count++] =
        (struct jitd_alias){.name = operation_name(entry->name),
                            .target = operation_name(entry->target),
                            .flags = definition_flags(entry) | (entry->library ? JITD_USE_LIBRARY : 0u),
                            .library = entry->library ? entry->library - 1 : 0};
}

static void list_lazy(struct listing *listing, const struct entry *entry, const char *local)
{
    listing->lazies[listing->manifest.lazy_count++] =
        (struct jitd_lazy_definition){.name = operation_name(entry->name),
                                      .target = operation_name(entry->target),
                                      .flags = definition_flags(entry) | (entry->library ? JITD_USE_LIBRARY : 0u),
                                      .convention = entry->convention,
                                      .library = entry->library ? entry->library - 1 : 0};
}

static void list_action(struct listing *listing, const struct entry *entry, const char *local)
{
    struct jitd_manifest_action *action = &listing->actions[listing->manifest.action_count++];
    uint32_t *arguments = listing->arguments[(entry->number - 1) % ENTRIES_MOST];

    arguments[0] = LEDGER_WHAT(listing->serial, entry->number, LEDGER_MADE);
    arguments[1] = LEDGER_WHAT(listing->serial, entry->number, LEDGER_UNDONE);
    *action = (struct jitd_manifest_action){.flags = entry->library ? JITD_USE_LIBRARY : 0u,
                                            .library = entry->library ? entry->library - 1 : 0};
    if (entry->half != HALF_REMOVE) {
        action->publish = operation_name(entry->name);
        action->publish_argument = &arguments[0];
        action->publish_bytes = sizeof arguments[0];
    }
    if (entry->half != HALF_PUBLISH) {
        action->remove = operation_name(entry->target);
        action->remove_argument = &arguments[1];
        action->remove_bytes = sizeof arguments[1];
    }
}

static void (*const list_entry[ENTRY_KINDS])(struct listing *listing, const struct entry *entry, const char *local) = {
    [ENTRY_DEFINE] = list_definition, [ENTRY_USE] = list_use,   [ENTRY_ABSOLUTE] = list_absolute,
    [ENTRY_ALIAS] = list_alias,       [ENTRY_AWAIT] = list_use, [ENTRY_LAZY] = list_lazy,
    [ENTRY_ACTION] = list_action,
};

static void make_manifest(struct listing *listing)
{
    for (uint32_t i = 0; i < listing->row.entry_count; i++) {
        const struct entry *entry = &listing->row.entries[i];

        object_local_name(entry, listing->locals[i]);
        for (uint32_t times = 0; times <= entry->repeated && !entry->unlisted; times++)
            list_entry[entry->kind](listing, entry, listing->locals[i]);
    }
    object_probe_name(listing->serial, listing->probe);
    if (!listing->row.no_object)
        listing->definitions[listing->manifest.definition_count++] =
            (struct jitd_manifest_definition){.local = listing->probe};
    listing->manifest.definitions = listing->definitions;
    listing->manifest.uses = listing->uses;
    listing->manifest.absolutes = listing->absolutes;
    listing->manifest.aliases = listing->aliases;
    listing->manifest.lazies = listing->lazies;
    listing->manifest.actions = listing->actions;
}

/* Of the operation's unit at `index`; it borrows the name and the listing. */
static struct jitd_unit_input make_unit(const struct record *record, uint32_t index, struct listing *listing,
                                        char name[OBJECT_NAME_BYTES])
{
    listing->drive = record->drive;
    listing->serial = SERIAL(record->operation->number, index);
    listing->row = operation_unit(record->operation, index);
    struct jitd_unit_input input = {.name = name, .library = listing->row.library, .tag = listing->row.tag};

    snprintf(name, OBJECT_NAME_BYTES, "unit_%u.o", listing->serial);
    if (!listing->row.no_object) {
        input.object = listing->object;
        input.bytes = object_make(&listing->row, listing->serial, listing->object);
    }
    if (listing->row.manifest) {
        make_manifest(listing);
        input.manifest = &listing->manifest;
    }
    return input;
}

static void on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct record *record = data;
    struct drive *drive = record->drive;

    perform_take_errors(record, errors);
    record->count = count;
    for (size_t i = 0; i < count && i < UNITS_MOST; i++) {
        uint32_t serial = SERIAL(record->operation->number, record->first + (uint32_t)i);

        if (units[i] < drive->id_end || units[i] > drive->id_end + OPERATIONS_MOST) {
            drive_differs(drive, record, "unit %zu is given the id %llu", i, (unsigned long long)units[i]);
            return;
        }
        drive->serials = realloc(drive->serials, (units[i] + 1) * sizeof *drive->serials);
        if (!drive->serials)
            abort();
        while (drive->id_end <= units[i])
            drive->serials[drive->id_end++] = 0;
        drive->serials[units[i]] = serial;
        drive->news[serial].id = units[i];
    }
}

int perform_submit(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;
    struct listing *listings = calloc(UNITS_MOST, sizeof *listings);
    struct jitd_batch *batch =
        jitd_batch_new((operation->closed ? JITD_BATCH_CLOSED : 0u) | (operation->atomic ? JITD_BATCH_ATOMIC : 0u));
    int code = 0;

    if (!listings || !batch)
        abort();
    jitd_batch_set_deadline(batch, record->answer.deadline_ms);
    for (uint32_t i = record->first; i < operation->unit_count && !code; i++) {
        char name[OBJECT_NAME_BYTES];
        const struct jitd_unit_input input = make_unit(record, i, &listings[i], name);

        code = jitd_batch_add_unit(batch, &input);
    }
    if (code)
        jitd_batch_free(batch);
    else
        code = jitd_submit(drive->session, batch, on_submitted, record, &record->request);
    free(listings);
    return code;
}

/* News of its unit are told by nothing else. */
static void on_run(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                   const struct jitd_errors *errors, void *data)
{
    struct record *record = data;

    if (errors && errors->count)
        record->drive->news[SERIAL(record->operation->number, 0)].code = errors->list[0].code;
    perform_take_result(session, result, end, errors, data);
}

int perform_run(struct drive *drive, struct record *record)
{
    const struct jitd_value argument = {.type = JITD_INT32, .integer = CALL_ARGUMENT};
    const char *symbol = operation_name(record->operation->items[0].value);
    struct listing *listing = calloc(1, sizeof *listing);
    char name[OBJECT_NAME_BYTES];

    if (!listing)
        abort();
    const struct jitd_unit_input input = make_unit(record, 0, listing, name);
    int code = jitd_run(drive->session, &input, symbol, JITD_UINT32, &argument, 1, on_run, record, &record->request);
    free(listing);
    return code;
}
