/*
 * Two objects and a call, driven from a libuv loop.
 *
 *     cc uv_loop.c $(pkg-config --cflags --libs jitd libuv) -o uv_loop
 *     ./uv_loop main.o helper.o answer            calls `int answer(void)`
 *
 * One uv_poll_t watches the session's descriptor. What libuv must know: requests only queue, so after a batch of them
 * the handle is started again with what jitd_events asks for; and when a session ends, its descriptor stays open until
 * `disconnected` has returned, so the handle is closed there.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <jitd.h>
#include <uv.h>

struct program {
    const char *function;
    struct jitd_session *session;
    uv_poll_t watcher;
    int left; /* units that are not ready yet */
    int status;
};

static void ready(uv_poll_t *watcher, int status, int events);

/* To be called when requests were queued outside jitd_dispatch, and after each dispatch. */
static void watch(struct program *program)
{
    short events = jitd_events(program->session);
    uv_poll_start(&program->watcher, (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0), ready);
}

static void finish(struct program *program, int status)
{
    program->status = status;
    if (!uv_is_closing((uv_handle_t *)&program->watcher))
        uv_close((uv_handle_t *)&program->watcher, NULL);
}

static void ready(uv_poll_t *watcher, int status, int events)
{
    (void)status; /* whatever it is, dispatching finds out */
    (void)events;
    struct program *program = watcher->data;
    jitd_dispatch(program->session);
    if (!uv_is_closing((uv_handle_t *)watcher))
        watch(program);
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

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s OBJECT OBJECT FUNCTION\n", argv[0]);
        return 2;
    }
    struct program program = {.function = argv[3], .left = 2, .status = 1};
    static const struct jitd_listener listener = {.unit = unit, .disconnected = disconnected};
    if (jitd_spawn(NULL, &listener, &program, &program.session) != JITD_OK) {
        fprintf(stderr, "%s\n", program.session ? jitd_last_error(program.session)->text : "out of memory");
        jitd_close(program.session);
        return 1;
    }
    uv_loop_t *loop = uv_default_loop();
    uv_poll_init(loop, &program.watcher, jitd_fd(program.session));
    program.watcher.data = &program;

    char *first = NULL;
    char *second = NULL;
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    if (batch && add_file(batch, argv[1], &first) == 0 && add_file(batch, argv[2], &second) == 0) {
        if (jitd_submit(program.session, batch, submitted, &program, NULL) == JITD_OK) {
            watch(&program);
            uv_run(loop, UV_RUN_DEFAULT);
        }
    } else {
        jitd_batch_free(batch);
    }
    free(first);
    free(second);
    jitd_close(program.session);
    uv_loop_close(loop);
    return program.status;
}
