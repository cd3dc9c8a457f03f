/*
 * One function an operation: makes the request. Callbacks write down what is answered.
 */
#include <string.h>

#include "tests/model/drive.h"

/* ---- answers ---- */

/* Units have the names that submit.c gives them. */
static void take_users(struct record *record, const struct jitd_error *error)
{
    record->users_omitted = error->references_omitted;
    for (size_t i = 0; i < error->reference_count && record->user_count < USERS_MOST; i++) {
        unsigned serial = 0;

        if (sscanf(error->references[i].unit, "unit_%u.o", &serial) == 1 && serial < SERIALS_MOST)
            record->users[record->user_count++] = serial;
    }
}

void perform_take_errors(struct record *record, const struct jitd_errors *errors)
{
    record->answers++;
    record->error_count = errors ? errors->count : 0;
    for (size_t i = 0; errors && i < errors->count; i++) {
        const struct jitd_error *error = &errors->list[i];

        record->codes |= 1ull << error->code;
        if (error->code == JITD_ERROR_DEPENDENTS)
            take_users(record, error);
        for (uint32_t name = 0; name < NAMES_MOST && error->code == JITD_ERROR_SYMBOL_MISSING; name++)
            if (strcmp(error->symbol, operation_name(name)) == 0)
                record->missing |= 1u << name;
    }
}

static void on_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    perform_take_errors(data, errors);
}

static void on_counted(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    struct record *record = data;

    perform_take_errors(record, errors);
    record->count = count;
}

static void on_looked_up(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct record *record = data;

    perform_take_errors(record, errors);
    record->count = count;
    for (size_t i = 0; i < count && i < ITEMS_MOST; i++)
        record->addresses[i] = addresses[i];
}

static void on_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                         const struct jitd_errors *errors, void *data)
{
    struct record *record = data;

    perform_take_errors(record, errors);
    record->drive->next = 0;
    if (inspection)
        compare_inspection(record->drive, record, inspection);
}

/* ---- libraries and lookups ---- */

static int perform_library(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;
    struct jitd_search searches[SEARCHES_MOST];
    const char *names[NAMES_MOST + 1];
    char name[16];
    size_t count = 0;

    snprintf(name, sizeof name, "library_%u", operation->library);
    for (uint32_t i = 0; i < operation->search_count; i++)
        searches[i] = (struct jitd_search){operation->searches[i].library, operation->searches[i].hidden,
                                           operation->searches[i].re_export};
    for (uint32_t i = 0; i < NAMES_MOST; i++)
        if (operation->process_names & (1u << i))
            names[count++] = operation_name(i);
    names[count] = NULL;
    const struct jitd_library library = {.number = operation->library,
                                         .name = name,
                                         .search = searches,
                                         .search_count = operation->search_count,
                                         .process_symbols = (enum jitd_process_symbols)operation->process,
                                         .process_names = names};
    return jitd_define_library(drive->session, &library, on_done, record, &record->request);
}

static size_t list_names(const struct operation *operation, const char *names[ITEMS_MOST])
{
    for (uint32_t i = 0; i < operation->item_count; i++)
        names[i] = operation_name(operation->items[i].value);
    return operation->item_count;
}

static int perform_lookup(struct drive *drive, struct record *record)
{
    const char *names[ITEMS_MOST];
    size_t count = list_names(record->operation, names);

    return jitd_lookup_in(drive->session, record->operation->library, names, count, on_looked_up, record,
                          &record->request);
}

static int perform_await(struct drive *drive, struct record *record)
{
    const char *names[ITEMS_MOST];
    size_t count = list_names(record->operation, names);

    return jitd_lookup_ready(drive->session, record->operation->library, names, count, record->answer.deadline_ms,
                             on_looked_up, record, &record->request);
}

/* ---- the rest ---- */

uint64_t perform_find_id(struct drive *drive, uint32_t serial)
{
    if (serial >= SERIALS_MOST)
        return 0;
    const struct record *record = &drive->records[serial / UNITS_MOST];
    if (record->operation && record->operation->kind == OPERATION_SUBMIT)
        jitd_wait(drive->session, record->request, DRIVE_PATIENCE);
    return drive->news[serial].id;
}

static int perform_cancel_units(struct drive *drive, struct record *record)
{
    uint64_t units[ITEMS_MOST];
    size_t count = 0;

    for (uint32_t i = 0; i < record->operation->item_count; i++) {
        uint64_t id = perform_find_id(drive, record->operation->items[i].value);

        if (id)
            units[count++] = id;
    }
    return jitd_cancel_units(drive->session, units, count, on_counted, record, &record->request);
}

static int perform_cancel_lookup(struct drive *drive, struct record *record)
{
    jitd_request waiting = drive->records[record->operation->items[0].value % (OPERATIONS_MOST + 1)].request;

    return jitd_cancel(drive->session, waiting, on_counted, record, &record->request);
}

static int perform_remove(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;
    uint64_t units[ITEMS_MOST], tags[ITEMS_MOST];
    uint32_t libraries[ITEMS_MOST];
    struct jitd_removal removal = {.units = units, .tags = tags, .libraries = libraries, .cascade = operation->cascade};

    for (uint32_t i = 0; i < operation->item_count; i++) {
        const struct item *item = &operation->items[i];

        if (item->kind == REMOVE_LIBRARY && item->value)
            libraries[removal.library_count++] = item->value;
        else if (item->kind == REMOVE_UNIT && perform_find_id(drive, item->value))
            units[removal.unit_count++] = perform_find_id(drive, item->value);
        else if (item->kind == REMOVE_TAG && item->value)
            tags[removal.tag_count++] = item->value;
    }
    return jitd_remove(drive->session, &removal, on_counted, record, &record->request);
}

static int perform_redirect(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;
    const char *symbols[ITEMS_MOST], *targets[ITEMS_MOST];

    for (uint32_t i = 0; i < operation->item_count; i++) {
        symbols[i] = operation_name(operation->items[i].value);
        targets[i] = operation->items[i].target ? operation_name(operation->items[i].target - 1) : NULL;
    }
    return jitd_redirect(drive->session, operation->library, symbols, targets, operation->item_count, on_done, record,
                         &record->request);
}

static int perform_adapt(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;

    return jitd_adapt(drive->session, operation->library, operation_name(operation->items[0].value), operation->wanted,
                      operation->given, on_done, record, &record->request);
}

/* A list that comes in pieces is asked for piece by piece. */
static int perform_inspect(struct drive *drive, struct record *record)
{
    int code = 0;

    drive->inspected = 0;
    drive->listed = 0;
    drive->next = 1;
    while (!code && drive->next) {
        code =
            jitd_inspect_from(drive->session, JITD_INSPECT_UNITS | JITD_INSPECT_DEPENDENCIES | JITD_INSPECT_LIBRARIES,
                              drive->next, record->operation->limit, on_inspected, record, &record->request);
        drive->next = 0;
        if (!code)
            code = jitd_wait(drive->session, record->request, DRIVE_PATIENCE);
    }
    return code;
}

static int (*const performers[OPERATION_KINDS])(struct drive *drive, struct record *record) = {
    [OPERATION_LIBRARY] = perform_library,
    [OPERATION_SUBMIT] = perform_submit,
    [OPERATION_LOOKUP] = perform_lookup,
    [OPERATION_AWAIT] = perform_await,
    [OPERATION_CALL] = perform_call,
    [OPERATION_PROBE] = perform_probe,
    [OPERATION_CANCEL_UNITS] = perform_cancel_units,
    [OPERATION_CANCEL_LOOKUP] = perform_cancel_lookup,
    [OPERATION_INSPECT] = perform_inspect,
    [OPERATION_CRASH] = perform_crash,
    [OPERATION_REMOVE] = perform_remove,
    [OPERATION_RUN] = perform_run,
    [OPERATION_REDIRECT] = perform_redirect,
    [OPERATION_ADAPT] = perform_adapt,
};

int perform(struct drive *drive, struct record *record)
{
    return performers[record->operation->kind](drive, record);
}
