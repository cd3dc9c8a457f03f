/*
 * Calls of functions by name, of probes, and of what ends the runner.
 */
#include "tests/model/drive.h"
#include "tests/model/object.h"

void perform_take_result(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                         const struct jitd_errors *errors, void *data)
{
    struct record *record = data;

    perform_take_errors(record, errors);
    record->returned = result != NULL;
    record->ended = end != NULL;
    record->lazy_code = end ? end->lazy_error.code : 0;
    if (result)
        record->value = result->unsigned_integer;
}

int perform_call(struct drive *drive, struct record *record)
{
    const struct jitd_value argument = {.type = JITD_INT32, .integer = CALL_ARGUMENT};
    const char *name = operation_name(record->operation->items[0].value);

    return jitd_call_in(drive->session, record->operation->library, name, JITD_UINT32, &argument, 1,
                        perform_take_result, record, &record->request);
}

int perform_probe(struct drive *drive, struct record *record)
{
    const struct operation *operation = record->operation;
    uint32_t serial = operation->items[0].value;
    uint32_t question = PROBE_QUESTION(operation->mode <= MODE_CALL ? operation->entry : 0, record->answer.mode);
    const struct jitd_value argument = {.type = JITD_INT32, .integer = question};
    char name[OBJECT_NAME_BYTES];

    object_probe_name(serial, name);
    return jitd_call_in(drive->session, drive->model->units[serial].library, name, JITD_UINT64, &argument, 1,
                        perform_take_result, record, &record->request);
}

/* By the name of an absolute symbol that drive_run has made: nothing but the crash then depends on what libraries there
   are. */
int perform_crash(struct drive *drive, struct record *record)
{
    static const struct jitd_value status = {.type = JITD_INT32};
    const char *name = record->operation->mode ? DRIVE_EXIT : DRIVE_ABORT;

    return jitd_call(drive->session, name, JITD_VOID, &status, 1, perform_take_result, record, &record->request);
}
