/*
 * libjitd with no failure survived (client.h).
 */
#include "bench/client.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bench/measure.h"

#define CLIENT_TIMEOUT_MS 60000

static void client_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    (void)session;
    (void)data;
    if (event->state == JITD_UNIT_FAILED)
        measure_die("a unit failed: %s", event->errors.count ? event->errors.list[0].text : "no reason given");
}

static const struct jitd_listener client_listener = {.unit = client_unit};

static void client_check(const struct jitd_session *session, int code)
{
    if (code != 0)
        measure_die("%s: %s", jitd_error_name(code), session ? jitd_last_error(session)->text : "no session");
}

static void client_check_errors(const struct jitd_errors *errors)
{
    if (errors)
        measure_die("a request failed: %s", errors->count ? errors->list[0].text : "no reason given");
}

struct jitd_session *client_open(const char *daemon, const char *path)
{
    struct jitd_options options = {.daemon = daemon};
    struct jitd_session *session = NULL;
    int code = daemon ? jitd_spawn(&options, &client_listener, NULL, &session)
                      : jitd_connect(path, &options, &client_listener, NULL, &session);
    client_check(session, code);
    return session;
}

struct jitd_session *client_attach(int socket)
{
    struct jitd_session *session = NULL;
    int code = jitd_attach(socket, NULL, &client_listener, NULL, &session);
    client_check(session, code);
    return session;
}

void client_wait_welcome(struct jitd_session *session)
{
    client_check(session, jitd_wait(session, 0, CLIENT_TIMEOUT_MS));
    if (!jitd_welcome(session))
        measure_die("the daemon refused Hello");
}

static void client_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                             const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)units;
    (void)count;
    (void)data;
    client_check_errors(errors);
}

/* Manifests are borrowed until the batch is submitted. */
struct client_manifest {
    struct jitd_manifest manifest;
    struct jitd_manifest_definition definition;
    struct jitd_manifest_use uses[2];
};

static void client_add_local(struct jitd_session *session, struct jitd_batch *batch,
                             const struct written_object *object, struct client_manifest *room)
{
    room->definition = (struct jitd_manifest_definition){.local = "f_0", .global = object->name};
    room->uses[0] = (struct jitd_manifest_use){.local = "g_0", .global = object->callees[0]};
    room->uses[1] = (struct jitd_manifest_use){.local = "g_1", .global = object->callees[1]};
    room->manifest =
        (struct jitd_manifest){.definitions = &room->definition,
                               .definition_count = 1,
                               .uses = room->uses,
                               .use_count = (size_t)(*object->callees[0] != 0) + (*object->callees[1] != 0)};
    client_check(session, jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = object->name,
                                                                               .object = object->bytes,
                                                                               .bytes = object->length,
                                                                               .manifest = &room->manifest}));
}

void client_submit(struct jitd_session *session, const struct written_object *objects, size_t count)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    struct client_manifest *manifests = NULL;
    if (!batch)
        measure_die("out of memory for a batch");
    if (count > 0 && objects[0].local)
        manifests = measure_allocate(count * sizeof *manifests);
    for (size_t i = 0; i < count; i++) {
        if (manifests)
            client_add_local(session, batch, &objects[i], &manifests[i]);
        else
            client_check(session, jitd_batch_add(batch, objects[i].name, objects[i].bytes, objects[i].length));
    }
    client_check(session, jitd_submit(session, batch, client_submitted, NULL, NULL));
    free(manifests);
}

void client_submit_unit(struct jitd_session *session, const struct written_object *object,
                        const struct jitd_manifest *manifest)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    const struct jitd_unit_input unit = {
        .name = object->name, .object = object->bytes, .bytes = object->length, .manifest = manifest};
    if (!batch)
        measure_die("out of memory for a batch");
    client_check(session, jitd_batch_add_unit(batch, &unit));
    client_check(session, jitd_submit(session, batch, client_submitted, NULL, NULL));
}

void client_send(struct jitd_session *session)
{
    client_check(session, jitd_flush(session));
    while (jitd_events(session) & POLLOUT) {
        struct pollfd polled = {.fd = jitd_fd(session), .events = jitd_events(session)};
        if (poll(&polled, 1, CLIENT_TIMEOUT_MS) <= 0)
            measure_die("the daemon reads nothing");
        client_check(session, jitd_dispatch(session));
    }
}

void client_wait_ready(struct jitd_session *session)
{
    client_check(session, jitd_wait_units(session, CLIENT_TIMEOUT_MS));
}

static void client_keep_id(struct jitd_session *session, const uint64_t *units, size_t count,
                           const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)count;
    client_check_errors(errors);
    *(uint64_t *)data = units[0];
}

uint64_t client_submit_one(struct jitd_session *session, const struct written_object *object)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    uint64_t unit = 0;
    if (!batch)
        measure_die("out of memory for a batch");
    client_check(session, jitd_batch_add(batch, object->name, object->bytes, object->length));
    client_check(session, jitd_submit(session, batch, client_keep_id, &unit, NULL));
    client_wait_ready(session);
    return unit;
}

static void client_removed(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)data;
    client_check_errors(errors);
    if (count != 1)
        measure_die("%zu units were removed instead of one", count);
}

void client_remove(struct jitd_session *session, uint64_t unit)
{
    const struct jitd_removal removal = {.units = &unit, .unit_count = 1};
    jitd_request request;
    client_check(session, jitd_remove(session, &removal, client_removed, NULL, &request));
    client_check(session, jitd_wait(session, request, CLIENT_TIMEOUT_MS));
}

static void client_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                          const struct jitd_errors *errors, void *data)
{
    struct client_call *call = data;
    (void)session;
    client_check_errors(errors);
    call->result = end ? CLIENT_CRASH : (int)result->integer;
}

void client_call(struct jitd_session *session, const char *function, struct client_call *call)
{
    client_check(session, jitd_call(session, function, JITD_INT32, NULL, 0, client_called, call, &call->request));
}

void client_wait_call(struct jitd_session *session, struct client_call *call, int expected)
{
    client_check(session, jitd_wait(session, call->request, CLIENT_TIMEOUT_MS));
    if (call->result != expected)
        measure_die("a call gave %d instead of %d", call->result, expected);
}

void client_run(struct jitd_session *session, const struct written_object *object, int expected)
{
    const struct jitd_unit_input unit = {.name = object->name, .object = object->bytes, .bytes = object->length};
    struct client_call call;
    client_check(session,
                 jitd_run(session, &unit, object->name, JITD_INT32, NULL, 0, client_called, &call, &call.request));
    client_wait_call(session, &call, expected);
}

uint64_t client_time_call(struct jitd_session *session, const char *function, int expected)
{
    struct client_call call;
    uint64_t start = measure_now();
    client_call(session, function, &call);
    client_wait_call(session, &call, expected);
    return measure_now() - start;
}

uint64_t client_time_units(struct jitd_session *session, const struct written_object *objects, size_t count)
{
    uint64_t start = measure_now();
    client_submit(session, objects, count);
    client_wait_ready(session);
    return measure_now() - start;
}

uint64_t client_time_stream(struct jitd_session *session, const struct written_object *objects, size_t count,
                            size_t batch)
{
    uint64_t start = measure_now();
    for (size_t i = 0; i < count; i += batch) {
        client_submit(session, objects + i, batch < count - i ? batch : count - i);
        client_send(session);
    }
    client_wait_ready(session);
    return measure_now() - start;
}

static void client_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                             const struct jitd_errors *errors, void *data)
{
    size_t *used = data;
    (void)session;
    client_check_errors(errors);
    for (size_t i = 0; i < inspection->zone_count; i++)
        *used += inspection->zones[i].used;
}

size_t client_arena_used(struct jitd_session *session)
{
    size_t used = 0;
    jitd_request request;
    client_check(session, jitd_inspect(session, 0, client_inspected, &used, &request));
    client_check(session, jitd_wait(session, request, CLIENT_TIMEOUT_MS));
    return used;
}

struct jitd_session *client_open_settled(const char *daemon)
{
    struct stat status;
    bool listens = stat(daemon, &status) == 0 && S_ISSOCK(status.st_mode);
    struct jitd_session *session = client_open(listens ? NULL : daemon, daemon);
    struct written_object settled;
    object_write_function(&settled, "settled", NULL, NULL);
    client_time_units(session, &settled, 1);
    client_time_call(session, "settled", 1);
    free(settled.bytes);
    return session;
}
