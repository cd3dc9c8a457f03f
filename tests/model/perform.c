/*
 * One function an operation: makes the request. Callbacks write down what is answered.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/model/drive.h"
#include "tests/model/object.h"

/* ---- answers ---- */

void perform_take_errors(struct record *record, const struct jitd_errors *errors)
{
    record->answers++;
    for (size_t i = 0; errors && i < errors->count; i++) {
        const struct jitd_error *error = &errors->list[i];

        record->codes |= 1ull << error->code;
        for (uint32_t name = 0; name < NAMES_MOST && error->code == JITD_ERROR_SYMBOL_MISSING; name++)
            if (strcmp(error->symbol, operation_name(name)) == 0)
                record->missing |= 1u << name;
    }
}

static void on_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    perform_take_errors(data, errors);
}

static void on_cancelled(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
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

static void on_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                      const struct jitd_errors *errors, void *data)
{
    struct record *record = data;

    perform_take_errors(record, errors);
    record->returned = result != NULL;
    record->ended = end != NULL;
    if (result)
        record->value = result->unsigned_integer;
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

    return jitd_lookup_ready(drive->session, record->operation->library, names, count, 0, on_looked_up, record,
                             &record->request);
}

/* ---- calls ---- */

static int perform_call(struct drive *drive, struct record *record)
{
    const struct jitd_value argument = {.type = JITD_INT32, .integer = CALL_ARGUMENT};
    const char *name = operation_name(record->operation->items[0].value);

    return jitd_call_in(drive->session, record->operation->library, name, JITD_UINT32, &argument, 1, on_called, record,
                        &record->request);
}

static int perform_probe(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;
    uint32_t serial = operation->items[0].value;
    uint32_t question = PROBE_QUESTION(operation->mode <= MODE_CALL ? operation->entry : 0, record->answer.mode);
    const struct jitd_value argument = {.type = JITD_INT32, .integer = question};
    char name[OBJECT_NAME_BYTES];

    object_probe_name(serial, name);
    return jitd_call_in(drive->session, drive->model->units[serial].library, name, JITD_UINT64, &argument, 1, on_called,
                        record, &record->request);
}

/* By the name of an absolute symbol that drive_run has made: nothing but the crash then depends on what libraries there
   are. */
static int perform_crash(struct drive *drive, struct record *record)
{
    return jitd_call(drive->session, DRIVE_ABORT, JITD_VOID, NULL, 0, on_called, record, &record->request);
}

/* ---- the rest ---- */

/* Units are called by ids, which the answer to their submission tells. */
static int perform_cancel_units(struct drive *drive, struct record *record)
{
    uint64_t units[ITEMS_MOST];
    size_t count = 0;

    for (uint32_t i = 0; i < record->operation->item_count; i++) {
        uint32_t serial = record->operation->items[i].value;

        if (serial >= SERIALS_MOST)
            continue;
        jitd_wait(drive->session, drive->records[serial / UNITS_MOST].request, DRIVE_PATIENCE);
        if (drive->news[serial].id)
            units[count++] = drive->news[serial].id;
    }
    return jitd_cancel_units(drive->session, units, count, on_cancelled, record, &record->request);
}

static int perform_cancel_lookup(struct drive *drive, struct record *record)
{
    jitd_request waiting = drive->records[record->operation->items[0].value % (OPERATIONS_MOST + 1)].request;

    return jitd_cancel(drive->session, waiting, on_cancelled, record, &record->request);
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
};

int perform(struct drive *drive, struct record *record)
{
    return performers[record->operation->kind](drive, record);
}
