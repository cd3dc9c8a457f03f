#include "tests/integration/crowd.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/lib/many_units.h"

#define STUCK_MS 2000 /* a daemon that has taken nothing for so long is waiting for us to read */

/* ---- a session that remembers ---- */

static void note(struct crowd *crowd, struct life *life, unsigned *when)
{
    if (*when != NEVER || life->ready != NEVER || life->failed != NEVER)
        life->repeated++;
    *when = crowd->clock;
}

static void on_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct crowd *crowd = data;
    cr_assert(event->unit <= crowd->room && crowd->position_of[event->unit] != 0,
              "news of unit %llu, which no reply has told of", (unsigned long long)event->unit);
    struct life *life = &crowd->lives[crowd->position_of[event->unit] - 1];
    crowd->clock++;
    if (event->state == JITD_UNIT_RESOLVED) {
        note(crowd, life, &life->resolved);
    } else if (event->state == JITD_UNIT_READY) {
        note(crowd, life, &life->ready);
        crowd->ready++;
    } else {
        note(crowd, life, &life->failed);
        crowd->failed++;
    }
}

struct crowd *crowd_open(size_t room)
{
    static const struct jitd_listener listener = {.unit = on_unit};
    const struct jitd_options options = {.daemon = harness_daemon_path()};
    struct crowd *crowd = calloc(1, sizeof *crowd);
    cr_assert(crowd);
    crowd->room = room;
    crowd->lives = calloc(room + 1, sizeof *crowd->lives);
    crowd->position_of = calloc(room + 1, sizeof *crowd->position_of);
    cr_assert(crowd->lives && crowd->position_of);
    int code = jitd_spawn(&options, &listener, crowd, &crowd->session);
    cr_assert(code == 0 && jitd_wait(crowd->session, 0, HARNESS_PATIENCE) == 0, "no session: %s",
              jitd_last_error(crowd->session)->text);
    return crowd;
}

void crowd_close(struct crowd *crowd)
{
    pid_t pids[HARNESS_PROCESSES];
    size_t count = harness_processes(getpid(), pids);
    jitd_close(crowd->session);
    harness_expect_gone(pids + 1, count - 1);
    free(crowd->lives);
    free(crowd->position_of);
    free(crowd);
}

void crowd_await(struct crowd *crowd, jitd_request request)
{
    CROWD_MUST(crowd, jitd_wait(crowd->session, request, CROWD_PATIENCE));
}

/* A lookup is answered after all that was said before. */
void crowd_hear(struct crowd *crowd)
{
    static const char *const name = "getpid";
    jitd_request request;
    CROWD_MUST(crowd, jitd_lookup(crowd->session, &name, 1, NULL, NULL, &request));
    crowd_await(crowd, request);
}

/* ---- submitting ---- */

static void on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct submission *submission = data;
    struct crowd *crowd = submission->crowd;
    for (size_t i = 0; i < count; i++) {
        cr_assert(units[i] >= 1 && units[i] <= crowd->room && crowd->position_of[units[i]] == 0);
        crowd->position_of[units[i]] = (unsigned)(submission->position + i + 1);
    }
    crowd->accepted += count;
    if (errors) {
        submission->code = errors->list[0].code;
        submission->errors = errors->count + errors->omitted;
        submission->references = errors->list[0].reference_count;
        snprintf(submission->text, sizeof submission->text, "%s", errors->list[0].text);
        snprintf(submission->symbol, sizeof submission->symbol, "%s", errors->list[0].symbol);
    }
    cr_assert(submission->kept || !errors, "a batch was refused: %s", submission->text);
    if (!submission->kept)
        free(submission);
}

void crowd_send_queued(struct crowd *crowd)
{
    CROWD_MUST(crowd, jitd_flush(crowd->session));
    while (jitd_events(crowd->session) & POLLOUT) {
        struct pollfd polled = {.fd = jitd_fd(crowd->session), .events = POLLOUT};
        cr_assert(poll(&polled, 1, STUCK_MS) >= 0);
        if (polled.revents & POLLOUT) {
            CROWD_MUST(crowd, jitd_flush(crowd->session));
            continue;
        }
        crowd->read_while_sending = true;
        CROWD_MUST(crowd, jitd_dispatch(crowd->session));
    }
}

jitd_request crowd_submit(struct crowd *crowd, unsigned flags, struct object_bytes *objects, const unsigned *numbers,
                          size_t count, struct submission *keep)
{
    struct submission *submission = keep ? keep : calloc(1, sizeof *submission);
    struct jitd_batch *batch = jitd_batch_new(flags);
    jitd_request request;
    cr_assert(submission && batch);
    *submission = (struct submission){.crowd = crowd, .position = crowd->sent, .count = count, .kept = keep != NULL};
    for (size_t i = 0; i < count; i++) {
        char name[UNIT_NAME_BYTES];
        cr_assert(jitd_batch_add(batch, unit_name(numbers[i], name), objects[i].bytes, objects[i].length) == 0);
    }
    CROWD_MUST(crowd, jitd_submit(crowd->session, batch, on_submitted, submission, &request));
    for (size_t i = 0; i < count; i++)
        object_free(&objects[i]);
    crowd->sent += keep ? 0 : count;
    return request;
}

/* ---- calling ---- */

static void on_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                      const struct jitd_errors *errors, void *data)
{
    struct outcome *outcome = data;
    outcome->code = errors ? errors->list[0].code : end ? -1 : 0;
    outcome->value = result ? (unsigned)result->unsigned_integer : 0;
}

struct outcome crowd_call(struct crowd *crowd, unsigned unit, int64_t depth)
{
    const struct jitd_value argument = {.type = JITD_INT64, .integer = depth};
    char name[UNIT_NAME_BYTES];
    struct outcome outcome = {.code = -2};
    jitd_request request;
    CROWD_MUST(crowd, jitd_call(crowd->session, unit_name(unit, name), JITD_UINT32, &argument, 1, on_called, &outcome,
                                &request));
    crowd_await(crowd, request);
    return outcome;
}
