#include "tests/model/drive.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void drive_differs(struct drive *drive, const struct record *record, const char *format, ...)
{
    va_list arguments;
    size_t used = 0;

    if (drive->text[0])
        return;
    if (record)
        used = (size_t)snprintf(drive->text, sizeof drive->text, "operation %u (%s): ", record->operation->number,
                                operation_kind_name(record->operation->kind));
    va_start(arguments, format);
    vsnprintf(drive->text + used, sizeof drive->text - used, format, arguments);
    va_end(arguments);
}

/* ---- news ---- */

static void on_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct drive *drive = data;

    if (event->unit >= drive->id_end) {
        drive_differs(drive, NULL, "news of unit %llu, which nobody has been told of", (unsigned long long)event->unit);
        return;
    }
    struct news *news = &drive->news[drive->serials[event->unit]];
    news->resolved += event->state == JITD_UNIT_RESOLVED;
    news->ready += event->state == JITD_UNIT_READY;
    news->failed += event->state == JITD_UNIT_FAILED;
    news->removed += event->state == JITD_UNIT_REMOVED;
    if (event->state == JITD_UNIT_FAILED)
        news->code = event->errors.count ? event->errors.list[0].code : 0;
}

static void on_runner_ended(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    ((struct drive *)data)->ended++;
}

static void on_materialize(struct jitd_session *session, const struct jitd_materialize *wanted, void *data)
{
    converse_asked(data, wanted);
}

static void on_disconnected(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    struct drive *drive = data;

    drive->disconnected = true;
    drive_differs(drive, NULL, "the session ended: %s", why->text);
}

/* ---- waiting ---- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Everything that the linker does by itself it does before it answers what comes later. */
static void await_linker(struct drive *drive)
{
    jitd_request request = 0;

    if (jitd_cancel_units(drive->session, NULL, 0, NULL, NULL, &request) != 0 ||
        jitd_wait(drive->session, request, DRIVE_PATIENCE) != 0)
        drive_differs(drive, NULL, "the daemon does not answer: %s", jitd_last_error(drive->session)->text);
}

int64_t drive_patience_end(const struct drive *drive)
{
    return now_ms() + drive->patience_ms;
}

bool drive_dispatch(struct drive *drive, int64_t end)
{
    struct pollfd polled[] = {{.fd = jitd_fd(drive->session), .events = jitd_events(drive->session)},
                              {.fd = drive->ledger, .events = POLLIN}};

    if (drive->disconnected || now_ms() >= end)
        return false;
    poll(polled, 2, 10);
    jitd_dispatch(drive->session);
    ledger_read(drive);
    return true;
}

/* A life begins when it is needed: the model has it begin at once. */
static jitd_request begin_life(struct drive *drive)
{
    jitd_request request = 0;

    if (drive->begun != drive->ends)
        jitd_call(drive->session, DRIVE_STAY, JITD_INT32, NULL, 0, NULL, NULL, &request);
    drive->begun = drive->ends;
    return request;
}

static void await_runner(struct drive *drive)
{
    int64_t end = drive_patience_end(drive);
    jitd_request beginning = begin_life(drive);

    while (!compare_is_settled(drive) && drive_dispatch(drive, end))
        ;
    if (beginning)
        jitd_wait(drive->session, beginning, drive->patience_ms);
}

/* Calls take the runner; so does `runs_code`. */
void drive_settle(struct drive *drive, bool runs_code)
{
    if (drive->model->stuck)
        return;
    await_linker(drive);
    for (uint32_t i = 1; i < drive->record_end && !drive->text[0]; i++) {
        const struct record *record = &drive->records[i];

        if (compare_is_due(drive, record) && !record->answers && record->answer.kind != ANSWER_LATER &&
            jitd_wait(drive->session, record->request, drive->patience_ms) != 0)
            drive_differs(drive, record, "is not answered");
    }
    ledger_read(drive);
    if (runs_code && !drive->text[0])
        await_runner(drive);
    compare_all(drive);
}

void drive_expect_end(struct drive *drive, struct record *record)
{
    if (record->answer.kind != ANSWER_END || record->end_expected)
        return;
    record->end_expected = true;
    drive->ends += (int)record->answer.ends;
    drive->breaks_off = record->answer.ends > 1 || record->operation->kind != OPERATION_CRASH;
}

/* ---- a session ---- */

static void on_address(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                       const struct jitd_errors *errors, void *data)
{
    for (size_t i = 0; i < count; i++)
        ((uint64_t *)data)[i] = addresses[i].address;
}

/* What no operation does, but some need: the address of a function, and names of those that end the runner. */
static void prepare(struct drive *drive)
{
    static const char *const names[] = {"getpagesize", "abort", "exit"};
    uint64_t addresses[3] = {0};
    jitd_request request = 0;

    jitd_lookup(drive->session, names, 3, on_address, addresses, &request);
    jitd_wait(drive->session, request, DRIVE_PATIENCE);
    const struct jitd_absolute absolutes[] = {
        {.name = DRIVE_ABORT, .address = addresses[1], .flags = JITD_DEFINITION_FUNCTION},
        {.name = DRIVE_EXIT, .address = addresses[2], .flags = JITD_DEFINITION_FUNCTION},
        {.name = DRIVE_STAY, .address = addresses[0], .flags = JITD_DEFINITION_FUNCTION},
    };
    const struct jitd_manifest manifest = {.absolutes = absolutes, .absolute_count = 3};
    struct jitd_batch *batch = jitd_batch_new(0);
    drive->page_function = addresses[0];
    drive->serials = calloc(2, sizeof *drive->serials);
    if (!batch || !drive->serials)
        abort();
    drive->id_end = 2;
    jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "ends", .manifest = &manifest});
    jitd_submit(drive->session, batch, NULL, NULL, &request);
    jitd_wait(drive->session, request, DRIVE_PATIENCE);
    if (!addresses[0] || !addresses[1] || !addresses[2])
        drive_differs(drive, NULL, "the session does not begin");
}

static void open_session(struct drive *drive)
{
    static const struct jitd_listener listener = {.unit = on_unit,
                                                  .runner_ended = on_runner_ended,
                                                  .materialize = on_materialize,
                                                  .disconnected = on_disconnected};
    const char *build = getenv("O");
    char path[4096];
    int streams[3];

    snprintf(path, sizeof path, "%s/bin/jitd", build ? build : "build");
    const struct jitd_options options = {.daemon = path, .streams = streams};
    if (ledger_open(drive, streams) != 0)
        abort();
    if (jitd_spawn(&options, &listener, drive, &drive->session) != 0)
        drive_differs(drive, NULL, "%s: %s", path, jitd_last_error(drive->session)->text);
    else
        prepare(drive);
    close(streams[0]);
    close(streams[1]);
}

/* Whether what is under way must be over before it: calls that have not begun would not be carried out any more. */
static bool is_alone(const struct operation *operation)
{
    static const bool alone[OPERATION_KINDS] = {
        [OPERATION_CRASH] = true, [OPERATION_INSPECT] = true, [OPERATION_REMOVE] = true, [OPERATION_RUN] = true};

    return alone[operation->kind];
}

static void do_operation(struct drive *drive, const struct operation *operation)
{
    struct record *record = &drive->records[operation->number];

    if (is_alone(operation))
        drive_settle(drive, false);
    if (drive->text[0])
        return;
    *record = (struct record){.operation = operation, .drive = drive, .answer = model_apply(drive->model, operation)};
    drive->record_end = operation->number + 1;
    drive->finalised_at = drive->undone_at = UINT32_MAX;
    drive->patient = drive->conversing = record->answer.wait.kind != WAIT_NONE;
    drive->questions_uncertain = drive->breaks_off = false;
    if (drive->model->stuck || (record->answer.kind == ANSWER_NONE && !drive->patient))
        return;
    drive_expect_end(drive, record);
    if (perform(drive, record) != 0) {
        drive_differs(drive, record, "cannot be sent: %s", jitd_last_error(drive->session)->text);
        return;
    }
    converse(drive, record);
    if (is_alone(operation) || operation->settle || record->answer.settles || record->answer.runs_code)
        drive_settle(drive, record->answer.runs_code);
}

bool drive_run(const struct operation *operations, size_t count, int patience_ms, char text[DRIVE_TEXT_BYTES])
{
    struct drive *drive = calloc(1, sizeof *drive);

    if (!drive)
        abort();
    drive->model = model_new();
    drive->patience_ms = patience_ms;
    open_session(drive);
    for (size_t i = 0; i < count && !drive->text[0]; i++)
        do_operation(drive, &operations[i]);
    if (!drive->text[0])
        drive_settle(drive, false);
    tally_add_actions(drive);
    jitd_close(drive->session);
    snprintf(text, DRIVE_TEXT_BYTES, "%s", drive->text);
    model_free(drive->model);
    close(drive->ledger);
    free(drive->serials);
    free(drive);
    return text[0] == '\0';
}
