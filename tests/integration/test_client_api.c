/*
 * The whole of jitd through libjitd, from start to end: a daemon of our own, real objects, every kind of request.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "tests/integration/harness.h"
#include "tests/lib/fds.h"
#include "tests/lib/leaks.h"

#define FLAGS      "-O2 -fPIC"
#define UNITS_SEEN 64

static const char helper_source[] = "int helper(int x) { return x * 2; }\n"
                                    "double halve(double x) { return x / 2; }\n"
                                    "long counter = 7;\n";
static const char user_source[] = "extern int helper(int); extern double halve(double);\n"
                                  "int answer(int a, int b) { return helper(a) + b; }\n"
                                  "double mix(double x, long n) { return halve(x) + (double)n; }\n"
                                  "void die(void) { *(volatile int *)16 = 1; }\n";

struct seen {
    int submits;
    int calls;
    int lookups;
    int inspections;
    int disconnects;
    int completed; /* callbacks of requests, of whatever kind */
    int code;      /* of the last errors */
    char text[256];
    uint64_t units[UNITS_SEEN];
    size_t unit_count;
    int early_events; /* of a unit whose reply had not come */
    int ready;
    int failed;
    bool definition_seen;
    struct jitd_value value;
    bool ended;
    int signal;
    struct jitd_address addresses[4];
    size_t address_count;
    uint64_t inspected_units;
    size_t zones;
    bool x_used;
    int runner_ends;
};

static void see_errors(struct seen *seen, const struct jitd_errors *errors)
{
    seen->completed++;
    if (!errors)
        return;
    seen->code = errors->list[0].code;
    snprintf(seen->text, sizeof seen->text, "%s", errors->list[0].text);
}

static void see_submit(struct jitd_session *session, const uint64_t *units, size_t count,
                       const struct jitd_errors *errors, void *data)
{
    struct seen *seen = data;
    seen->submits++;
    see_errors(seen, errors);
    for (size_t i = 0; i < count && seen->unit_count < UNITS_SEEN; i++)
        seen->units[seen->unit_count++] = units[i];
}

static void see_call(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                     const struct jitd_errors *errors, void *data)
{
    struct seen *seen = data;
    seen->calls++;
    see_errors(seen, errors);
    if (result)
        seen->value = *result;
    seen->ended = end != NULL;
    if (end)
        seen->signal = end->signal;
}

static void see_lookup(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                       const struct jitd_errors *errors, void *data)
{
    struct seen *seen = data;
    seen->lookups++;
    see_errors(seen, errors);
    seen->address_count = count;
    for (size_t i = 0; i < count && i < 4; i++)
        seen->addresses[i] = addresses[i];
}

static void see_inspection(struct jitd_session *session, const struct jitd_inspection *inspection,
                           const struct jitd_errors *errors, void *data)
{
    struct seen *seen = data;
    seen->inspections++;
    see_errors(seen, errors);
    if (!inspection)
        return;
    seen->inspected_units = inspection->unit_count;
    seen->zones = inspection->zone_count;
    for (size_t i = 0; i < inspection->zone_count; i++)
        if (strcmp(inspection->zones[i].name, "X") == 0 && inspection->zones[i].used != 0)
            seen->x_used = true;
}

static void see_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct seen *seen = data;
    bool known = false;
    for (size_t i = 0; i < seen->unit_count; i++)
        known |= seen->units[i] == event->unit;
    seen->early_events += !known;
    seen->ready += event->state == JITD_UNIT_READY;
    seen->failed += event->state == JITD_UNIT_FAILED;
    for (size_t i = 0; i < event->definition_count; i++)
        seen->definition_seen |=
            strcmp(event->definitions[i].name, "answer") == 0 && event->definitions[i].address != 0;
}

static void see_runner_end(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    struct seen *seen = data;
    seen->runner_ends++;
}

static void see_disconnect(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    struct seen *seen = data;
    seen->disconnects++;
}

static const struct jitd_listener listener = {
    .unit = see_unit, .runner_ended = see_runner_end, .disconnected = see_disconnect};

/* ---- a session with a daemon of the build ---- */

struct fixture {
    struct seen seen;
    struct jitd_session *session;
    struct object_bytes helper;
    struct object_bytes user;
};

/* `seen` comes first in the fixture, so that a listener may take its data for either. */
static struct fixture *fixture_open_with(const struct jitd_listener *heard_by)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->helper = compile_c(helper_source, FLAGS);
    fixture->user = compile_c(user_source, FLAGS);
    struct jitd_options options = {.daemon = harness_daemon_path()};
    int code = jitd_spawn(&options, heard_by, fixture, &fixture->session);
    cr_assert_eq(code, 0, "%s", jitd_last_error(fixture->session)->text);
    return fixture;
}

static struct fixture *fixture_open(void)
{
    return fixture_open_with(&listener);
}

static void fixture_close(struct fixture *fixture)
{
    jitd_close(fixture->session);
    object_free(&fixture->helper);
    object_free(&fixture->user);
    free(fixture);
}

static void submit_one(struct fixture *fixture, const char *name, const struct object_bytes *object, unsigned flags)
{
    struct jitd_batch *batch = jitd_batch_new(flags);
    HARNESS_MUST(fixture, jitd_batch_add(batch, name, object->bytes, object->length));
    HARNESS_MUST(fixture, jitd_submit(fixture->session, batch, see_submit, &fixture->seen, NULL));
}

static void submit_both(struct fixture *fixture, unsigned flags)
{
    struct jitd_batch *batch = jitd_batch_new(flags);
    HARNESS_MUST(fixture, jitd_batch_add(batch, "user.o", fixture->user.bytes, fixture->user.length));
    HARNESS_MUST(fixture, jitd_batch_add(batch, "helper.o", fixture->helper.bytes, fixture->helper.length));
    HARNESS_MUST(fixture, jitd_submit(fixture->session, batch, see_submit, &fixture->seen, NULL));
}

static void make_ready(struct fixture *fixture)
{
    submit_both(fixture, JITD_BATCH_CLOSED);
    HARNESS_MUST(fixture, jitd_wait_units(fixture->session, HARNESS_PATIENCE));
    cr_assert_eq(fixture->seen.ready, 2, "%s", fixture->seen.text);
}

static jitd_request call_answer(struct fixture *fixture)
{
    const struct jitd_value arguments[] = {{.type = JITD_INT32, .integer = 20}, {.type = JITD_INT32, .integer = 2}};
    jitd_request call;
    HARNESS_MUST(fixture,
                 jitd_call(fixture->session, "answer", JITD_INT32, arguments, 2, see_call, &fixture->seen, &call));
    return call;
}

static void expect_answer(const struct seen *seen)
{
    cr_expect_eq(seen->calls, 1);
    cr_expect_eq(seen->code, 0, "%s", seen->text);
    cr_expect_not(seen->ended);
    cr_expect_eq(seen->value.type, JITD_INT32);
    cr_expect_eq(seen->value.integer, 42);
}

/* ---- sessions ---- */

Test(client_api, opens_a_session_and_is_welcomed, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    cr_expect_null(jitd_welcome(fixture->session));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, 0, HARNESS_PATIENCE));
    const struct jitd_welcome *welcome = jitd_welcome(fixture->session);
    cr_assert_not_null(welcome);
    cr_expect_str_eq(welcome->triple, "x86_64-linux-gnu");
    cr_expect_gt(welcome->cpu_feature_count, 0);
    cr_expect_eq(welcome->page_bytes, (uint32_t)sysconf(_SC_PAGESIZE));
    cr_expect_neq(welcome->arena_base, 0);
    cr_expect_lt(welcome->arena_bytes, 1ull << 31, "every 32-bit displacement must reach");
    cr_expect(strncmp(welcome->libc, "glibc ", 6) == 0);
    cr_expect(strncmp(welcome->daemon, "jitd ", 5) == 0);
    fixture_close(fixture);
    expect_no_leaks();
}

Test(client_api, reaps_its_daemon_and_leaves_no_descriptor, .timeout = 60)
{
    size_t before = fds_open();
    struct fixture *fixture = fixture_open();
    make_ready(fixture);
    fixture_close(fixture);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
    cr_expect_eq(fds_open(), before);
}

Test(client_api, closes_at_once_a_session_that_was_never_welcomed, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    fixture_close(fixture);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}

Test(client_api, completes_each_request_once_when_its_daemon_is_killed, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    make_ready(fixture);
    struct seen *seen = &fixture->seen;
    int before = seen->completed;
    static const char *const names[] = {"answer"};
    kill(harness_only_child(), SIGKILL);
    jitd_request call = call_answer(fixture);
    HARNESS_MUST(fixture, jitd_lookup(fixture->session, names, 1, see_lookup, seen, NULL));
    HARNESS_MUST(fixture, jitd_inspect(fixture->session, 0, see_inspection, seen, NULL));
    /* Those that the linker still answered are complete, too, and the call may be among them. */
    jitd_wait(fixture->session, call, HARNESS_PATIENCE);
    for (int i = 0; i < HARNESS_PATIENCE / 10 && jitd_dispatch(fixture->session) == 0; i++)
        poll(&(struct pollfd){.fd = jitd_fd(fixture->session), .events = POLLIN}, 1, 10);
    cr_expect_eq(seen->completed - before, 3);
    cr_expect_eq(seen->calls, 1);
    cr_expect_eq(seen->lookups, 1);
    cr_expect_eq(seen->inspections, 1);
    cr_expect_eq(seen->disconnects, 1);
    cr_expect_eq(jitd_fd(fixture->session), -1);
    fixture_close(fixture);
}

/* ---- loops ---- */

static void answer_when_ready(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct fixture *fixture = data;
    struct seen *seen = &fixture->seen;
    see_unit(session, event, seen);
    if (event->state == JITD_UNIT_READY && seen->ready == 2)
        call_answer(fixture);
}

/* A session whose events lead to the call. */
static struct fixture *fixture_open_driven(void)
{
    static const struct jitd_listener driving = {.unit = answer_when_ready};
    struct fixture *fixture = fixture_open_with(&driving);
    submit_both(fixture, JITD_BATCH_CLOSED);
    return fixture;
}

Test(client_api, is_driven_from_a_plain_poll_loop, .timeout = 60)
{
    struct fixture *fixture = fixture_open_driven();
    while (fixture->seen.calls == 0) {
        struct pollfd polled = {.fd = jitd_fd(fixture->session), .events = jitd_events(fixture->session)};
        cr_assert_eq(poll(&polled, 1, HARNESS_PATIENCE), 1, "nothing has come");
        HARNESS_MUST(fixture, jitd_dispatch(fixture->session));
    }
    expect_answer(&fixture->seen);
    fixture_close(fixture);
    expect_no_leaks();
}

static void uv_ready(uv_poll_t *watcher, int status, int events);

static void uv_watch(uv_poll_t *watcher)
{
    const struct fixture *fixture = watcher->data;
    short events = jitd_events(fixture->session);
    uv_poll_start(watcher, (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0), uv_ready);
}

static void uv_ready(uv_poll_t *watcher, int status, int events)
{
    struct fixture *fixture = watcher->data;
    if (jitd_dispatch(fixture->session) != 0 || fixture->seen.calls)
        uv_close((uv_handle_t *)watcher, NULL);
    else
        uv_watch(watcher);
}

Test(client_api, is_driven_from_a_libuv_loop, .timeout = 60)
{
    struct fixture *fixture = fixture_open_driven();
    uv_loop_t loop;
    uv_poll_t watcher = {.data = fixture};
    uv_loop_init(&loop);
    uv_poll_init(&loop, &watcher, jitd_fd(fixture->session));
    uv_watch(&watcher);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&loop), 0);
    expect_answer(&fixture->seen);
    fixture_close(fixture);
}

/* ---- requests ---- */

Test(client_api, links_two_objects_of_one_batch_and_calls, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    make_ready(fixture);
    cr_expect_eq(fixture->seen.unit_count, 2);
    cr_expect_neq(fixture->seen.units[0], fixture->seen.units[1]);
    HARNESS_MUST(fixture, jitd_wait(fixture->session, call_answer(fixture), HARNESS_PATIENCE));
    expect_answer(&fixture->seen);
    fixture_close(fixture);
}

Test(client_api, links_two_open_batches_with_the_user_first, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    submit_one(fixture, "user.o", &fixture->user, 0);
    cr_expect_eq(jitd_wait_units(fixture->session, 300), JITD_ERROR_TIMEOUT, "its helper is not there");
    cr_expect_eq(fixture->seen.submits, 1, "it is accepted all the same");
    cr_expect_eq(fixture->seen.ready, 0);
    submit_one(fixture, "helper.o", &fixture->helper, 0);
    HARNESS_MUST(fixture, jitd_wait_units(fixture->session, HARNESS_PATIENCE));
    cr_expect_eq(fixture->seen.ready, 2);
    HARNESS_MUST(fixture, jitd_wait(fixture->session, call_answer(fixture), HARNESS_PATIENCE));
    expect_answer(&fixture->seen);
    fixture_close(fixture);
}

Test(client_api, hears_of_no_unit_before_the_reply_that_created_it, .timeout = 60)
{
    enum { BATCHES = 30 };
    struct fixture *fixture = fixture_open();
    struct object_bytes objects[BATCHES];
    for (int i = 0; i < BATCHES; i++) {
        char source[64];
        snprintf(source, sizeof source, "int f_%d(void) { return %d; }\n", i, i);
        objects[i] = compile_c(source, FLAGS);
        submit_one(fixture, "f.o", &objects[i], 0);
    }
    HARNESS_MUST(fixture, jitd_wait_units(fixture->session, HARNESS_PATIENCE));
    cr_expect_eq(fixture->seen.submits, BATCHES);
    cr_expect_eq(fixture->seen.ready, BATCHES);
    cr_expect_eq(fixture->seen.early_events, 0);
    for (int i = 0; i < BATCHES; i++)
        object_free(&objects[i]);
    fixture_close(fixture);
}

Test(client_api, reports_addresses_where_asked_for, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    submit_both(fixture, JITD_BATCH_CLOSED | JITD_BATCH_REPORT_ADDRESSES);
    HARNESS_MUST(fixture, jitd_wait_units(fixture->session, HARNESS_PATIENCE));
    cr_expect(fixture->seen.definition_seen);
    fixture_close(fixture);
}

Test(client_api, says_what_a_closed_batch_lacks, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    submit_one(fixture, "user.o", &fixture->user, JITD_BATCH_CLOSED);
    HARNESS_MUST(fixture, jitd_wait_units(fixture->session, HARNESS_PATIENCE));
    cr_expect_eq(fixture->seen.submits, 1);
    cr_expect_eq(fixture->seen.code, JITD_ERROR_SYMBOL_MISSING);
    cr_expect_eq(fixture->seen.ready, 0);
    fixture_close(fixture);
}

Test(client_api, refuses_what_is_no_object_and_goes_on, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    struct object_bytes noise = {.bytes = (uint8_t *)"this is no ELF object at all", .length = 28};
    submit_one(fixture, "noise.o", &noise, 0);
    HARNESS_MUST(fixture, jitd_wait_units(fixture->session, HARNESS_PATIENCE));
    cr_expect_neq(fixture->seen.code, 0);
    fixture->seen = (struct seen){0};
    make_ready(fixture);
    fixture_close(fixture);
}

Test(client_api, calls_with_integers_and_doubles_by_name_and_address, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    struct seen *seen = &fixture->seen;
    make_ready(fixture);
    const struct jitd_value arguments[] = {{.type = JITD_FLOAT64, .float64 = 5.0},
                                           {.type = JITD_INT64, .integer = -40}};
    jitd_request number;
    HARNESS_MUST(fixture, jitd_call(fixture->session, "mix", JITD_FLOAT64, arguments, 2, see_call, seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    cr_expect_eq(seen->value.type, JITD_FLOAT64);
    cr_expect(seen->value.float64 == -37.5, "%f", seen->value.float64);

    static const char *const names[] = {"mix"};
    HARNESS_MUST(fixture, jitd_lookup(fixture->session, names, 1, see_lookup, seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    seen->value = (struct jitd_value){0};
    HARNESS_MUST(fixture, jitd_call_address(fixture->session, seen->addresses[0].address, JITD_FLOAT64, arguments, 2,
                                            see_call, seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    cr_expect(seen->value.float64 == -37.5, "%f", seen->value.float64);

    HARNESS_MUST(fixture, jitd_call(fixture->session, "nowhere", JITD_VOID, NULL, 0, see_call, seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    cr_expect_eq(seen->code, JITD_ERROR_NOT_FOUND);
    fixture_close(fixture);
}

Test(client_api, looks_up_units_and_libraries, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    struct seen *seen = &fixture->seen;
    make_ready(fixture);
    static const char *const names[] = {"answer", "counter", "printf", "no_such_symbol_anywhere"};
    jitd_request number;
    HARNESS_MUST(fixture, jitd_lookup(fixture->session, names, 4, see_lookup, seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    cr_assert_eq(seen->address_count, 4);
    const struct jitd_welcome *welcome = jitd_welcome(fixture->session);
    for (int i = 0; i < 2; i++) {
        cr_expect(seen->addresses[i].ready);
        cr_expect_lt(seen->addresses[i].address - welcome->arena_base, welcome->arena_bytes, "%s", names[i]);
    }
    cr_expect_neq(seen->addresses[2].address, 0);
    cr_expect_eq(seen->addresses[3].address, 0);
    cr_expect_not(seen->addresses[3].ready);
    fixture_close(fixture);
}

Test(client_api, inspects_what_the_session_holds, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    make_ready(fixture);
    jitd_request number;
    HARNESS_MUST(fixture, jitd_inspect(fixture->session, JITD_INSPECT_UNITS | JITD_INSPECT_DIGESTS, see_inspection,
                                       &fixture->seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    cr_expect_eq(fixture->seen.inspected_units, 2);
    cr_expect_geq(fixture->seen.zones, 5);
    cr_expect(fixture->seen.x_used);
    fixture_close(fixture);
}

Test(client_api, reports_a_crash_and_calls_again, .timeout = 60)
{
    struct fixture *fixture = fixture_open();
    struct seen *seen = &fixture->seen;
    make_ready(fixture);
    jitd_request number;
    HARNESS_MUST(fixture, jitd_call(fixture->session, "die", JITD_VOID, NULL, 0, see_call, seen, &number));
    HARNESS_MUST(fixture, jitd_wait(fixture->session, number, HARNESS_PATIENCE));
    cr_expect(seen->ended);
    cr_expect_eq(seen->signal, SIGSEGV);
    seen->calls = 0;
    HARNESS_MUST(fixture, jitd_wait(fixture->session, call_answer(fixture), HARNESS_PATIENCE));
    expect_answer(seen);
    cr_expect_eq(seen->runner_ends, 1);
    fixture_close(fixture);
}
