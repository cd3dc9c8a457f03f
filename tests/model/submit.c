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
    listing->definitions[listing->manifest.definition_count++] =
        (struct jitd_manifest_definition){.local = local,
                                          .global = entry->renamed ? operation_name(entry->name) : NULL,
                                          .flags = definition_flags(entry),
                                          .convention = entry->convention};
}

static void list_use(struct listing *listing, const struct entry *entry, const char *local)
{
    unsigned flags = (entry->weak & WEAK_IN_MANIFEST ? JITD_USE_WEAK : 0u) | (entry->slot ? JITD_USE_BY_SLOT : 0u) |
                     (entry->library ? JITD_USE_LIBRARY : 0u);

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

static void (*const list_entry[ENTRY_KINDS])(struct listing *listing, const struct entry *entry, const char *local) = {
    [ENTRY_DEFINE] = list_definition, [ENTRY_USE] = list_use,   [ENTRY_ABSOLUTE] = list_absolute,
    [ENTRY_ALIAS] = list_alias,       [ENTRY_AWAIT] = list_use,
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
}

static int add_unit(struct jitd_batch *batch, struct listing *listing)
{
    char name[OBJECT_NAME_BYTES];
    struct jitd_unit_input input = {.name = name, .library = listing->row.library};

    snprintf(name, sizeof name, "unit_%u.o", listing->serial);
    if (!listing->row.no_object) {
        input.object = listing->object;
        input.bytes = object_make(&listing->row, listing->serial, listing->object);
    }
    if (listing->row.manifest) {
        make_manifest(listing);
        input.manifest = &listing->manifest;
    }
    return jitd_batch_add_unit(batch, &input);
}

static void on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct record *record = data;
    struct drive *drive = record->drive;

    perform_take_errors(record, errors);
    record->count = count;
    for (size_t i = 0; i < count && i < UNITS_MOST; i++) {
        uint32_t serial = SERIAL(record->operation->number, (uint32_t)i);

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
    for (uint32_t i = 0; i < operation->unit_count && !code; i++) {
        listings[i].drive = drive;
        listings[i].serial = SERIAL(operation->number, i);
        listings[i].row = operation_unit(operation, i);
        code = add_unit(batch, &listings[i]);
    }
    if (code)
        jitd_batch_free(batch);
    else
        code = jitd_submit(drive->session, batch, on_submitted, record, &record->request);
    free(listings);
    return code;
}
