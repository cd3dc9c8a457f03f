/*
 * Errands for bench/run (errands.h).
 */
#include "bench/errands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/client.h"
#include "bench/measure.h"
#include "bench/shapes.h"

#define NUMBER "000000"

/* From the last object to the first, each batch waited for. Not inlined: callgrind knows it by its name. */
static __attribute__((noinline)) void errand_drive_units(struct jitd_session *session,
                                                         const struct written_object *objects, size_t units,
                                                         size_t batch)
{
    for (size_t left = units; left > 0;) {
        size_t count = batch < left ? batch : left;
        left -= count;
        client_time_units(session, objects + left, count);
    }
}

static __attribute__((noinline)) void errand_drive_calls(struct jitd_session *session, size_t calls)
{
    for (size_t i = 0; i < calls; i++)
        client_time_call(session, "settled", 1);
}

void errand_submit(const char *daemon, size_t units, size_t batch, bool local)
{
    struct written_object *tree = local ? object_write_local_tree("s", units) : object_write_tree("s", units);
    struct jitd_session *session = client_open_settled(daemon);
    errand_drive_units(session, tree, units, batch);
    client_time_call(session, tree->name, (int)units);
    jitd_close(session);
    object_free_all(tree, units);
}

void errand_call(const char *daemon, size_t calls)
{
    struct jitd_session *session = client_open_settled(daemon);
    errand_drive_calls(session, calls);
    jitd_close(session);
}

void errand_shape(const char *daemon, const char *name, size_t units, size_t batch)
{
    struct written_object *objects = shape_write(name, units);
    struct jitd_session *session = client_open_settled(daemon);
    client_time_stream(session, objects, units, batch);
    jitd_close(session);
    object_free_all(objects, units);
}

static void errand_read(const char *path, struct written_object *out)
{
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "re");
    if (!file)
        measure_die("cannot open %s", path);
    out->bytes = measure_allocate(MOST);
    out->length = fread(out->bytes, 1, MOST, file);
    fclose(file);
    if (out->length == 0 || out->length == MOST)
        measure_die("%s is empty, or too large", path);
}

static void errand_number(struct written_object *object, size_t number)
{
    const uint8_t *end = object->bytes + object->length;
    snprintf(object->name, sizeof object->name, "%06zu", number);
    for (uint8_t *at = object->bytes; (at = memmem(at, (size_t)(end - at), NUMBER, strlen(NUMBER))) != NULL;)
        memcpy(at, object->name, strlen(NUMBER));
}

void errand_copies(const char *daemon, const char *object, size_t units, size_t batch)
{
    struct written_object *copies = measure_allocate(units * sizeof *copies);
    if (units >= 1000000)
        measure_die("%zu copies are too many for the numbers", units);
    for (size_t i = 0; i < units; i++) {
        errand_read(object, &copies[i]);
        errand_number(&copies[i], i + 1);
    }
    struct jitd_session *session = client_open_settled(daemon);
    errand_drive_units(session, copies, units, batch);
    jitd_close(session);
    object_free_all(copies, units);
}

static void errand_count_failed(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    (void)session;
    size_t *failed = data;
    *failed += event->state == JITD_UNIT_FAILED;
}

static struct jitd_session *errand_open_with_output(const char *daemon, size_t *failed)
{
    static const struct jitd_listener listener = {.unit = errand_count_failed};
    int output = memfd_create("output", MFD_CLOEXEC);
    struct jitd_session *session = NULL;
    if (output < 0 || jitd_spawn(&(struct jitd_options){.daemon = daemon, .streams = (int[]){output, output, output}},
                                 &listener, failed, &session) != 0)
        measure_die("no session with an output");
    close(output);
    client_wait_welcome(session);
    return session;
}

static void errand_fail_all(struct jitd_session *session, struct written_object *settled)
{
    struct written_object crash;
    struct client_call call;
    object_write_crash(&crash, "crash");
    client_time_units(session, &crash, 1);
    client_time_units(session, settled, 1);
    client_call(session, "crash", &call);
    client_wait_call(session, &call, CLIENT_CRASH);
    client_time_call(session, "settled", 1); /* in the life that all of them are gone from */
    free(crash.bytes);
}

void errand_fail(const char *daemon, const char *object, size_t units, size_t batch)
{
    struct written_object *chain = measure_allocate(units * sizeof *chain), settled;
    size_t failed = 0;
    errand_read(object, &chain[0]);
    snprintf(chain[0].name, sizeof chain[0].name, "base");
    for (size_t i = 1; i < units; i++) {
        char name[32];
        snprintf(name, sizeof name, "f_%zu", i);
        object_write_function(&chain[i], name, chain[i - 1].name, "base");
    }
    struct jitd_session *session = errand_open_with_output(daemon, &failed);
    for (size_t first = 0; first < units; first += batch)
        client_time_units(session, chain + first, batch < units - first ? batch : units - first);
    object_write_function(&settled, "settled", NULL, NULL);
    errand_fail_all(session, &settled);
    if (failed != units)
        measure_die("%zu of %zu units failed", failed, units);
    jitd_close(session);
    free(settled.bytes);
    object_free_all(chain, units);
}

void errand_write(const char *directory, size_t units)
{
    struct written_object *tree = object_write_tree("s", units);
    for (size_t i = 0; i < units; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%zu.o", directory, i);
        FILE *file = fopen(path, "we");
        if (!file || fwrite(tree[i].bytes, 1, tree[i].length, file) != tree[i].length || fclose(file) != 0)
            measure_die("cannot write %s", path);
    }
    object_free_all(tree, units);
}
