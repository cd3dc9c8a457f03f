#include "tests/integration/harness.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define COPY_TEXT(field, text) snprintf(field, sizeof(field), "%s", text)

static void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* ---- copies of what was reported ---- */

static void copy_error(struct harness_error *to, const struct jitd_error *from)
{
    *to = (struct harness_error){.code = from->code};
    COPY_TEXT(to->text, from->text);
    COPY_TEXT(to->unit, from->unit);
    COPY_TEXT(to->section, from->section);
    COPY_TEXT(to->relocation, from->relocation);
    COPY_TEXT(to->symbol, from->symbol);
    for (size_t i = 0; i < from->reference_count && to->reference_count < 8; i++) {
        to->reference_places[i] = from->references[i].unit_place;
        snprintf(to->references[to->reference_count++], sizeof to->references[0], "%s:%s", from->references[i].unit,
                 from->references[i].section);
    }
    for (size_t i = 0; i < from->cause_count && to->cause_count < 16; i++)
        snprintf(to->causes[to->cause_count++], sizeof to->causes[0], "%s:%s", from->causes[i].unit,
                 from->causes[i].symbol);
    to->causes_omitted = from->causes_omitted;
}

static void copy_end(struct harness_end *to, const struct jitd_end *from)
{
    *to = (struct harness_end){.epoch = from->epoch,
                               .exited = from->exited,
                               .exit_status = from->exit_status,
                               .signal = from->signal,
                               .record = from->record,
                               .record_signal = from->record_signal,
                               .fault_address = from->fault_address,
                               .stack_overflow = from->stack_overflow,
                               .register_count = from->register_count,
                               .deadline_ms = from->deadline_ms};
    COPY_TEXT(to->initialiser_of, from->initialiser_of);
    COPY_TEXT(to->finaliser_of, from->finaliser_of);
    COPY_TEXT(to->action_of, from->action_of);
    COPY_TEXT(to->lazy_symbol, from->lazy_symbol);
    copy_error(&to->lazy_error, &from->lazy_error);
    for (size_t i = 0; i < from->register_count; i++) {
        if (strcmp(from->registers[i].name, "rip") == 0)
            to->program_counter = from->registers[i].value;
        if (strcmp(from->registers[i].name, "rsp") == 0)
            to->stack_pointer = from->registers[i].value;
    }
    for (size_t i = 0; i < from->frame_count && i < sizeof to->frames / sizeof to->frames[0]; i++) {
        struct harness_frame *frame = &to->frames[to->frame_count++];
        frame->pc = from->frames[i].pc;
        frame->function_offset = from->frames[i].function_offset;
        frame->unit_id = from->frames[i].unit_id;
        frame->section_index = from->frames[i].section_index;
        frame->section_offset = from->frames[i].section_offset;
        frame->exact = from->frames[i].exact;
        COPY_TEXT(frame->section, from->frames[i].section);
        COPY_TEXT(frame->unit, from->frames[i].unit);
        COPY_TEXT(frame->function, from->frames[i].function);
    }
}

/* ---- news ---- */

static void on_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct harness *harness = data;
    for (size_t i = 0; i < harness->unit_count; i++) {
        struct harness_unit *unit = &harness->units[i];
        if (unit->id != event->unit)
            continue;
        unit->state = event->state;
        if (event->state == JITD_UNIT_READY || event->state == JITD_UNIT_FAILED)
            unit->order = ++harness->told;
        if (event->errors.count > 0)
            copy_error(&unit->error, &event->errors.list[0]);
    }
}

static void on_runner_ended(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    struct harness *harness = data;
    harness->runner_ends++;
    copy_end(&harness->last_end, end);
}

static void on_materialize(struct jitd_session *session, const struct jitd_materialize *wanted, void *data)
{
    struct harness *harness = data;
    cr_assert(harness->asked < HARNESS_QUESTIONS, "the program asks again and again");
    struct harness_question *question = &harness->questions[harness->asked++];
    *question =
        (struct harness_question){.ask = wanted->ask, .library = wanted->library, .convention = wanted->convention};
    COPY_TEXT(question->symbol, wanted->symbol);
}

static void on_disconnected(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    struct harness *harness = data;
    harness->disconnected = true;
    harness->end_code = why->code;
    snprintf(harness->end_text, sizeof harness->end_text, "%s", why->text);
}

/* ---- sessions ---- */

const char *harness_daemon_path(void)
{
    static char path[4096];
    const char *build = getenv("O");
    snprintf(path, sizeof path, "%s/bin/jitd", build ? build : "build");
    return path;
}

static struct harness *open_session(struct harness *harness, struct jitd_options options)
{
    static const struct jitd_listener listener = {.unit = on_unit,
                                                  .runner_ended = on_runner_ended,
                                                  .materialize = on_materialize,
                                                  .disconnected = on_disconnected};
    if (!options.daemon)
        options.daemon = harness_daemon_path();
    cr_assert(jitd_spawn(&options, &listener, harness, &harness->session) == 0, "%s: %s", options.daemon,
              jitd_last_error(harness->session)->text);
    harness->daemon = harness_only_child();
    HARNESS_MUST(harness, jitd_wait(harness->session, 0, HARNESS_PATIENCE));
    return harness;
}

static struct harness *harness_new(void)
{
    struct harness *harness = calloc(1, sizeof *harness);
    cr_assert(harness);
    harness->output = -1;
    return harness;
}

struct harness *harness_open(const struct jitd_options *options)
{
    return open_session(harness_new(), options ? *options : (struct jitd_options){0});
}

struct harness *harness_open_with_output(const struct jitd_options *options)
{
    struct harness *harness = harness_new();
    struct jitd_options with_output = options ? *options : (struct jitd_options){0};
    harness->output = memfd_create("output", MFD_CLOEXEC);
    cr_assert(harness->output >= 0);
    const int streams[3] = {0, harness->output, harness->output};
    with_output.streams = streams;
    return open_session(harness, with_output);
}

char *harness_output(const struct harness *harness)
{
    char *text = calloc(1, 65536);
    cr_assert(text && pread(harness->output, text, 65535, 0) >= 0);
    return text;
}

static void drop_batch(struct harness *harness)
{
    for (size_t i = 0; i < harness->object_count; i++)
        object_free(&harness->objects[i]);
    free(harness->objects);
    free(harness->inputs);
    harness->objects = NULL;
    harness->inputs = NULL;
    harness->object_count = 0;
}

struct harness *harness_open_with_libstdcxx(void)
{
    static char path[512];
    FILE *output = popen("cc -print-file-name=libstdc++.so.6", "r");
    cr_assert(output && fscanf(output, "%511s", path) == 1 && pclose(output) == 0);
    const struct jitd_options options = {.libraries = (const char *const[]){path, NULL},
                                         .daemon_arguments = (const char *const[]){"--library", path, NULL}};
    return harness_open(&options);
}

void harness_close(struct harness *harness)
{
    pid_t pids[HARNESS_PROCESSES];
    size_t count = harness_processes(harness->daemon, pids);
    jitd_close(harness->session);
    harness_expect_gone(pids, count);
    drop_batch(harness);
    if (harness->output >= 0)
        close(harness->output);
    free(harness->units);
    free(harness);
}

/* ---- submitting ---- */

/* Takes the object over. */
static void add_input(struct harness *harness, const struct jitd_unit_input *unit, struct object_bytes object)
{
    size_t count = harness->object_count;
    harness->objects = realloc(harness->objects, (count + 1) * sizeof *harness->objects);
    harness->inputs = realloc(harness->inputs, (count + 1) * sizeof *harness->inputs);
    cr_assert(harness->objects && harness->inputs);
    harness->objects[count] = object;
    harness->inputs[count] = *unit;
    harness->inputs[count].object = object.bytes;
    harness->inputs[count].bytes = object.length;
    harness->object_count++;
}

void harness_add_unit(struct harness *harness, const struct jitd_unit_input *unit, const char *source)
{
    add_input(harness, unit, source ? compile_c(source, HARNESS_FLAGS) : (struct object_bytes){0});
}

void harness_add_object(struct harness *harness, const struct jitd_unit_input *unit, const struct object_bytes *object)
{
    add_input(harness, unit, object_copy(object));
}

void harness_add(struct harness *harness, const char *name, const struct object_bytes *object)
{
    add_input(harness, &(struct jitd_unit_input){.name = name}, object_copy(object));
}

void harness_add_c(struct harness *harness, const char *name, const char *source)
{
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name}, source);
}

void harness_add_assembly(struct harness *harness, const char *name, const char *source)
{
    add_input(harness, &(struct jitd_unit_input){.name = name}, compile_assembly(source, NULL));
}

static void on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct harness *harness = data;
    for (size_t i = 0; errors && i < errors->count && harness->error_count < HARNESS_ERRORS; i++)
        copy_error(&harness->errors[harness->error_count++], &errors->list[i]);
    harness->units = realloc(harness->units, (harness->unit_count + count + 1) * sizeof *harness->units);
    cr_assert(harness->units);
    for (size_t i = 0; i < count; i++) {
        struct harness_unit *unit = &harness->units[harness->unit_count++];
        *unit = (struct harness_unit){.id = units[i]};
        COPY_TEXT(unit->name, harness->inputs[i].name);
    }
}

int harness_submit(struct harness *harness, unsigned flags)
{
    jitd_request request;
    struct jitd_batch *batch = jitd_batch_new(flags);
    cr_assert(batch);
    for (size_t i = 0; i < harness->object_count; i++)
        HARNESS_MUST(harness, jitd_batch_add_unit(batch, &harness->inputs[i]));
    jitd_batch_set_deadline(batch, harness->deadline_ms);
    harness->error_count = 0;
    harness->errors[0] = (struct harness_error){0};
    HARNESS_MUST(harness, jitd_submit(harness->session, batch, on_submitted, harness, &request));
    harness_wait(harness, request);
    drop_batch(harness);
    return harness->errors[0].code;
}

void harness_accept(struct harness *harness, unsigned flags)
{
    cr_assert_eq(harness_submit(harness, flags), 0, "%s", harness->errors[0].text);
}

void harness_settle(struct harness *harness)
{
    HARNESS_MUST(harness, jitd_wait_units(harness->session, HARNESS_PATIENCE));
}

void harness_link_batch(struct harness *harness, unsigned flags)
{
    harness_accept(harness, flags);
    harness_settle(harness);
}

void harness_expect_ready(struct harness *harness, const char *name)
{
    harness_settle(harness);
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_assert_eq(unit->state, JITD_UNIT_READY, "%s: %s", name, unit->error.text);
}

void harness_expect_state(const struct harness *harness, const char *name, enum jitd_unit_state state)
{
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_expect_eq(unit->state, state, "%s is %s: %s", name, jitd_unit_state_name(unit->state), unit->error.text);
}

void harness_link(struct harness *harness, const char *name, const struct object_bytes *object)
{
    harness_add(harness, name, object);
    harness_accept(harness, JITD_BATCH_CLOSED);
    harness_expect_ready(harness, name);
}

void harness_link_c(struct harness *harness, const char *name, const char *source)
{
    harness_add_c(harness, name, source);
    harness_accept(harness, JITD_BATCH_CLOSED);
    harness_expect_ready(harness, name);
}

void harness_add_to(struct harness *harness, uint32_t library, const char *name, const char *source,
                    const struct jitd_manifest *manifest)
{
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name, .library = library, .manifest = manifest},
                     source);
}

void harness_add_named(struct harness *harness, const char *name, const char *source,
                       const struct jitd_manifest *manifest)
{
    harness_add_to(harness, JITD_LIBRARY_MAIN, name, source, manifest);
}

void harness_submit_to(struct harness *harness, uint32_t library, const char *name, const char *source,
                       const struct jitd_manifest *manifest)
{
    harness_add_to(harness, library, name, source, manifest);
    harness_accept(harness, 0);
}

void harness_submit_named(struct harness *harness, const char *name, const char *source,
                          const struct jitd_manifest *manifest)
{
    harness_submit_to(harness, JITD_LIBRARY_MAIN, name, source, manifest);
}

void harness_link_named(struct harness *harness, const char *name, const char *source,
                        const struct jitd_manifest *manifest)
{
    harness_submit_named(harness, name, source, manifest);
    harness_expect_ready(harness, name);
}

const struct harness_unit *harness_unit(const struct harness *harness, const char *name)
{
    for (size_t i = harness->unit_count; i-- > 0;)
        if (strcmp(harness->units[i].name, name) == 0)
            return &harness->units[i];
    cr_assert_fail("there is no unit %s", name);
    return NULL;
}

/* ---- removing ---- */

static void on_removed(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    struct harness_removal *removal = data;
    removal->completed = true;
    removal->count = count;
    if (errors)
        copy_error(&removal->error, &errors->list[0]);
}

jitd_request harness_remove_begin(struct harness *harness, const struct jitd_removal *what,
                                  struct harness_removal *removal)
{
    jitd_request request;
    *removal = (struct harness_removal){0};
    HARNESS_MUST(harness, jitd_remove(harness->session, what, on_removed, removal, &request));
    HARNESS_MUST(harness, jitd_flush(harness->session));
    return request;
}

struct harness_removal harness_remove(struct harness *harness, const struct jitd_removal *what)
{
    struct harness_removal removal;
    harness_wait(harness, harness_remove_begin(harness, what, &removal));
    return removal;
}

struct harness_removal harness_try_removing(struct harness *harness, const char *name, bool cascade)
{
    const struct jitd_removal what = {.units = &harness_unit(harness, name)->id, .unit_count = 1, .cascade = cascade};
    return harness_remove(harness, &what);
}

void harness_remove_unit(struct harness *harness, const char *name)
{
    struct harness_removal removal = harness_try_removing(harness, name, false);
    cr_assert(removal.error.code == 0, "%s: %s", name, removal.error.text);
    cr_assert_eq(removal.count, 1);
    cr_assert_eq(harness_unit(harness, name)->state, JITD_UNIT_REMOVED);
}

/* ---- calling ---- */

static void on_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                      const struct jitd_errors *errors, void *data)
{
    struct harness_call *call = data;
    call->completed = true;
    call->returned = result != NULL;
    call->ended = end != NULL;
    if (result)
        call->value = result->integer;
    if (end)
        copy_end(&call->end, end);
    if (errors) {
        call->code = errors->list[0].code;
        COPY_TEXT(call->text, errors->list[0].text);
    }
}

jitd_request harness_call_begin(struct harness *harness, const char *name, int64_t argument, struct harness_call *call)
{
    const struct jitd_value value = {.type = JITD_INT64, .integer = argument};
    jitd_request request;
    *call = (struct harness_call){0};
    HARNESS_MUST(harness, jitd_call(harness->session, name, JITD_INT64, &value, 1, on_called, call, &request));
    HARNESS_MUST(harness, jitd_flush(harness->session));
    return request;
}

void harness_wait(struct harness *harness, jitd_request request)
{
    HARNESS_MUST(harness, jitd_wait(harness->session, request, HARNESS_PATIENCE));
}

struct harness_call harness_call(struct harness *harness, const char *name, int64_t argument)
{
    struct harness_call call;
    harness_wait(harness, harness_call_begin(harness, name, argument, &call));
    return call;
}

jitd_request harness_run_begin(struct harness *harness, const char *name, const struct object_bytes *object,
                               const char *function, int64_t argument, struct harness_call *call)
{
    const struct jitd_value value = {.type = JITD_INT64, .integer = argument};
    const struct jitd_unit_input unit = {.name = name, .object = object->bytes, .bytes = object->length};
    jitd_request request;
    *call = (struct harness_call){0};
    HARNESS_MUST(harness,
                 jitd_run(harness->session, &unit, function, JITD_INT64, &value, 1, on_called, call, &request));
    HARNESS_MUST(harness, jitd_flush(harness->session));
    return request;
}

struct harness_call harness_run(struct harness *harness, const char *source, const char *function, int64_t argument)
{
    struct object_bytes object = compile_c(source, HARNESS_FLAGS);
    struct harness_call call;
    harness_wait(harness, harness_run_begin(harness, "run.o", &object, function, argument, &call));
    object_free(&object);
    return call;
}

struct harness_call harness_main(struct harness *harness)
{
    struct harness_call call = {0};
    jitd_request request;
    HARNESS_MUST(harness, jitd_call_main(harness->session, NULL, on_called, &call, &request));
    harness_wait(harness, request);
    return call;
}

int64_t harness_value(struct harness *harness, const char *name, int64_t argument)
{
    struct harness_call call = harness_call(harness, name, argument);
    cr_assert(call.returned, "%s(%lld) did not return: signal %d, %s", name, (long long)argument, call.end.signal,
              call.text);
    return call.value;
}

static void on_looked_up(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    cr_assert(!errors && count == 1);
    *(uint64_t *)data = addresses[0].address;
}

uint64_t harness_address(struct harness *harness, const char *name)
{
    uint64_t address = 0;
    jitd_request request;
    HARNESS_MUST(harness, jitd_lookup(harness->session, &name, 1, on_looked_up, &address, &request));
    harness_wait(harness, request);
    return address;
}

void harness_expect_output(const struct harness *harness, const char *wanted)
{
    char *output = harness_output(harness);
    cr_expect_str_eq(output, wanted);
    free(output);
}

void harness_await_output(const struct harness *harness, const char *wanted)
{
    bool there = false;
    for (int waited = 0; !there; waited += 2) {
        cr_assert(waited < HARNESS_PATIENCE, "the program does not say '%s'", wanted);
        char *output = harness_output(harness);
        there = strstr(output, wanted) != NULL;
        free(output);
        pause_ms(2);
    }
}

static void poll_session(const struct harness *harness)
{
    struct pollfd polled = {.fd = jitd_fd(harness->session), .events = jitd_events(harness->session)};
    poll(&polled, 1, 10);
}

void harness_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    if (data && errors)
        copy_error(data, &errors->list[0]);
    else if (data)
        ((struct harness_error *)data)->code = 0;
}

void harness_refuse(struct harness *harness, uint64_t ask, const char *text)
{
    HARNESS_MUST(harness, jitd_refuse(harness->session, ask, text, harness_done, NULL, NULL));
    HARNESS_MUST(harness, jitd_flush(harness->session));
}

const struct harness_question *harness_expect_question(struct harness *harness, int number, const char *symbol)
{
    harness_dispatch_until(harness, &harness->asked, number);
    const struct harness_question *question = &harness->questions[number - 1];
    cr_assert_str_eq(question->symbol, symbol);
    return question;
}

struct harness_error harness_redirect_all(struct harness *harness, const char *const *symbols,
                                          const char *const *targets, size_t count)
{
    struct harness_error answer = {.code = HARNESS_UNANSWERED};
    jitd_request request;
    HARNESS_MUST(harness, jitd_redirect(harness->session, JITD_LIBRARY_MAIN, symbols, targets, count, harness_done,
                                        &answer, &request));
    harness_wait(harness, request);
    cr_assert_neq(answer.code, HARNESS_UNANSWERED);
    return answer;
}

int harness_redirect(struct harness *harness, const char *symbol, const char *target)
{
    return harness_redirect_all(harness, &symbol, &target, 1).code;
}

void harness_dispatch_for(struct harness *harness, int milliseconds)
{
    for (int waited = 0; waited < milliseconds; waited += 10) {
        poll_session(harness);
        HARNESS_MUST(harness, jitd_dispatch(harness->session));
    }
}

void harness_dispatch_until(struct harness *harness, const int *value, int wanted)
{
    for (int waited = 0; *value < wanted; waited += 10) {
        cr_assert(waited < HARNESS_PATIENCE, "what was waited for did not come");
        poll_session(harness);
        HARNESS_MUST(harness, jitd_dispatch(harness->session));
    }
}

void harness_begin_life(struct harness *harness)
{
    harness_call(harness, "getpid", 0);
}

void harness_await_disconnection(struct harness *harness)
{
    for (int waited = 0; !harness->disconnected; waited += 10) {
        cr_assert(waited < HARNESS_PATIENCE, "the session goes on");
        poll_session(harness);
        jitd_dispatch(harness->session);
    }
}
