/*
 * While a call waits for a function that is not there, or a unit that is to be run waits for others: units are
 * submitted once, then what still waits is refused or cancelled.
 */
#include <string.h>

#include "tests/model/drive.h"

void converse_asked(struct drive *drive, const struct jitd_materialize *wanted)
{
    struct question *question = &drive->question;

    *question = (struct question){.ask = wanted->ask, .library = wanted->library, .convention = wanted->convention};
    snprintf(question->symbol, sizeof question->symbol, "%s", wanted->symbol);
    drive->questions++;
    if (!drive->patient)
        jitd_refuse(drive->session, wanted->ask, NULL, NULL, NULL, NULL);
}

static void await_question(struct drive *drive, const struct record *record)
{
    const struct wait *wait = &record->answer.wait;
    const struct question *question = &drive->question;
    int64_t end = drive_patience_end(drive);

    while (drive->questions - drive->questions_expected < wait->questions)
        if (!drive_dispatch(drive, end)) {
            drive_differs(drive, record, "nobody asks for '%s'", operation_name(wait->name));
            return;
        }
    if (strcmp(question->symbol, operation_name(wait->name)) != 0 || question->library != wait->library ||
        question->convention != wait->convention)
        drive_differs(drive, record,
                      "asks for '%s' of library %u by convention %llu; in the model '%s' of library %u by %llu",
                      question->symbol, question->library, (unsigned long long)question->convention,
                      operation_name(wait->name), wait->library, (unsigned long long)wait->convention);
}

static void supply(struct drive *drive, struct record *record)
{
    struct record *supplied = &drive->supplied;

    *supplied = (struct record){.operation = record->operation,
                                .drive = drive,
                                .first = record->operation->kind == OPERATION_RUN,
                                .answer = model_supply(drive->model, record->operation, &record->answer)};
    if (supplied->answer.kind == ANSWER_NONE || drive->model->stuck)
        return;
    drive->patient = record->answer.wait.kind != WAIT_NONE;
    if (perform_submit(drive, supplied) != 0) {
        drive_differs(drive, record, "what it waits for cannot be sent: %s", jitd_last_error(drive->session)->text);
        return;
    }
    drive_expect_end(drive, record);
    jitd_wait(drive->session, supplied->request, DRIVE_PATIENCE);
    compare_record(drive, supplied);
    drive_settle(drive, true);
}

static void give_up(struct drive *drive, struct record *record)
{
    const struct wait wait = record->answer.wait;
    uint64_t unit = wait.kind == WAIT_ASKED ? 0 : perform_find_id(drive, wait.unit);

    drive->patient = false;
    if (wait.kind == WAIT_ASKED)
        jitd_refuse(drive->session, drive->question.ask, NULL, NULL, NULL, NULL);
    else
        jitd_cancel_units(drive->session, &unit, 1, NULL, NULL, NULL);
    model_give_up(drive->model, record->operation, &record->answer);
    drive_expect_end(drive, record);
}

void converse(struct drive *drive, struct record *record)
{
    bool supplied = false;

    record->waited = record->answer.wait.kind != WAIT_NONE;
    while (record->answer.wait.kind != WAIT_NONE && !drive->text[0] && !drive->model->stuck) {
        if (record->answer.wait.kind == WAIT_ASKED)
            await_question(drive, record);
        if (drive->text[0])
            return;
        if (supplied)
            give_up(drive, record);
        else
            supply(drive, record);
        supplied = true;
    }
    drive->patient = drive->conversing = false;
    drive->questions_expected += record->answer.wait.questions;
    /* Of a life that ended for one of many reasons it is not known whether it was asked. */
    drive->questions_uncertain = record->answer.kind == ANSWER_END && record->answer.codes == ANSWER_ANY_CODE;
}
