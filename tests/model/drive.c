#include "tests/model/drive.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNNER_PATIENCE 5000 /* ms that the runner may take for what it has to do */

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
    if (event->state == JITD_UNIT_FAILED)
        news->code = event->errors.count ? event->errors.list[0].code : 0;
}

static void on_runner_ended(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    ((struct drive *)data)->ended++;
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

static void await_runner(struct drive *drive)
{
    int64_t end = now_ms() + RUNNER_PATIENCE;

    while (!drive->disconnected && !compare_is_settled(drive) && now_ms() < end) {
        struct pollfd polled = {.fd = jitd_fd(drive->session), .events = jitd_events(drive->session)};

        poll(&polled, 1, 10);
        jitd_dispatch(drive->session);
    }
}

/* Calls take the runner; so does `runs_code`. */
static void settle(struct drive *drive, bool runs_code)
{
    await_linker(drive);
    for (uint32_t i = 1; i <= OPERATIONS_MOST && !drive->text[0]; i++) {
        const struct record *record = &drive->records[i];

        if (record->request && !record->answers && record->answer.kind != ANSWER_LATER &&
            jitd_wait(drive->session, record->request, RUNNER_PATIENCE) != 0)
            drive_differs(drive, record, "is not answered");
    }
    if (runs_code && !drive->text[0])
        await_runner(drive);
    compare_all(drive);
}

/* ---- a session ---- */

static void on_address(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                       const struct jitd_errors *errors, void *data)
{
    for (size_t i = 0; i < count; i++)
        ((uint64_t *)data)[i] = addresses[i].address;
}

/* What no operation does, but some need: the address of a function, and the name of one that ends the runner. */
static void prepare(struct drive *drive)
{
    static const char *const names[] = {"getpagesize", "abort"};
    uint64_t addresses[2] = {0};
    jitd_request request = 0;

    jitd_lookup(drive->session, names, 2, on_address, addresses, &request);
    jitd_wait(drive->session, request, DRIVE_PATIENCE);
    const struct jitd_absolute absolute = {
        .name = DRIVE_ABORT, .address = addresses[1], .flags = JITD_DEFINITION_FUNCTION};
    const struct jitd_manifest manifest = {.absolutes = &absolute, .absolute_count = 1};
    struct jitd_batch *batch = jitd_batch_new(0);
    drive->page_function = addresses[0];
    drive->serials = calloc(2, sizeof *drive->serials);
    if (!batch || !drive->serials)
        abort();
    drive->id_end = 2;
    jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "abort", .manifest = &manifest});
    jitd_submit(drive->session, batch, NULL, NULL, &request);
    jitd_wait(drive->session, request, DRIVE_PATIENCE);
    if (!addresses[0] || !addresses[1])
        drive_differs(drive, NULL, "the session does not begin");
}

static void open_session(struct drive *drive)
{
    static const struct jitd_listener listener = {
        .unit = on_unit, .runner_ended = on_runner_ended, .disconnected = on_disconnected};
    const char *build = getenv("O");
    char path[4096];

    snprintf(path, sizeof path, "%s/bin/jitd", build ? build : "build");
    const struct jitd_options options = {.daemon = path};
    if (jitd_spawn(&options, &listener, drive, &drive->session) != 0)
        drive_differs(drive, NULL, "%s: %s", path, jitd_last_error(drive->session)->text);
    else
        prepare(drive);
}

static void do_operation(struct drive *drive, const struct operation *operation)
{
    struct record *record = &drive->records[operation->number];
    bool alone = operation->kind == OPERATION_CRASH || operation->kind == OPERATION_INSPECT;

    if (alone)
        settle(drive, false);
    if (drive->text[0])
        return;
    *record = (struct record){.operation = operation, .drive = drive, .answer = model_apply(drive->model, operation)};
    if (record->answer.kind == ANSWER_NONE)
        return;
    drive->ends += record->answer.kind == ANSWER_END;
    if (perform(drive, record) != 0)
        drive_differs(drive, record, "cannot be sent: %s", jitd_last_error(drive->session)->text);
    else if (alone || operation->settle || record->answer.runs_code)
        settle(drive, record->answer.runs_code);
}

bool drive_run(const struct operation *operations, size_t count, char text[DRIVE_TEXT_BYTES])
{
    struct drive *drive = calloc(1, sizeof *drive);

    if (!drive)
        abort();
    drive->model = model_new();
    open_session(drive);
    for (size_t i = 0; i < count && !drive->text[0]; i++)
        do_operation(drive, &operations[i]);
    if (!drive->text[0])
        settle(drive, false);
    jitd_close(drive->session);
    snprintf(text, DRIVE_TEXT_BYTES, "%s", drive->text);
    model_free(drive->model);
    free(drive->serials);
    free(drive);
    return text[0] == '\0';
}
