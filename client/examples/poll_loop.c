/*
 * Two objects and a call, driven from a poll loop of the program's own.
 *
 *     cc poll_loop.c $(pkg-config --cflags --libs jitd) -o poll_loop
 *     ./poll_loop main.o helper.o answer          calls `int answer(void)`
 *
 * A program with a loop polls jitd_fd for jitd_events beside all else it has and calls jitd_dispatch when there is
 * something; whatever happens next begins in a callback.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <jitd.h>

struct program {
    const char *function;
    int left; /* units that are not ready yet */
    bool done;
    int status;
};

static void finish(struct program *program, int status)
{
    program->done = true;
    program->status = status;
}

static void fail(struct program *program, const struct jitd_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        fprintf(stderr, "%s\n", errors->list[i].text);
    finish(program, 1);
}

static void returned(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                     const struct jitd_errors *errors, void *data)
{
    (void)session;
    struct program *program = data;
    if (errors) {
        fail(program, errors);
        return;
    }
    if (end)
        printf("%s did not return: signal %d, exit status %d\n", program->function, end->signal, end->exit_status);
    else
        printf("%s() = %d\n", program->function, (int)result->integer);
    finish(program, end != NULL);
}

static void unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct program *program = data;
    if (event->state == JITD_UNIT_FAILED)
        fail(program, &event->errors);
    else if (event->state == JITD_UNIT_READY && --program->left == 0)
        jitd_call(session, program->function, JITD_INT32, NULL, 0, returned, program, NULL);
}

static void submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)units;
    (void)count;
    if (errors)
        fail(data, errors);
}

static void disconnected(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    (void)session;
    fprintf(stderr, "the daemon has gone: %s\n", why->text);
    finish(data, 1);
}

/* A compiler has its objects in memory already; this program reads them from files. */
static int add_file(struct jitd_batch *batch, const char *path, char **bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return perror(path), -1;
    size_t length = (size_t)ftell(file);
    rewind(file);
    *bytes = malloc(length + 1);
    size_t got = *bytes ? fread(*bytes, 1, length, file) : 0;
    fclose(file);
    return got == length ? jitd_batch_add(batch, path, *bytes, length) : -1;
}

static void loop(struct jitd_session *session, const struct program *program)
{
    while (!program->done) {
        struct pollfd polled = {.fd = jitd_fd(session), .events = jitd_events(session)};
        if (poll(&polled, 1, -1) > 0)
            jitd_dispatch(session);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s OBJECT OBJECT FUNCTION\n", argv[0]);
        return 2;
    }
    struct program program = {.function = argv[3], .left = 2};
    static const struct jitd_listener listener = {.unit = unit, .disconnected = disconnected};
    struct jitd_session *session = NULL;
    if (jitd_spawn(NULL, &listener, &program, &session) != JITD_OK) {
        fprintf(stderr, "%s\n", session ? jitd_last_error(session)->text : "out of memory");
        jitd_close(session);
        return 1;
    }

    char *first = NULL;
    char *second = NULL;
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    if (batch && add_file(batch, argv[1], &first) == 0 && add_file(batch, argv[2], &second) == 0) {
        if (jitd_submit(session, batch, submitted, &program, NULL) == JITD_OK && jitd_flush(session) == JITD_OK)
            loop(session, &program);
    } else {
        jitd_batch_free(batch);
        program.status = 1;
    }
    free(first);
    free(second);
    jitd_close(session);
    return program.status;
}
