/*
 * The controller's side for the benchmarks: libjitd's functions with every failure ending the program.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "bench/object_writer.h"
#include "client/jitd.h"

/* Spawns `daemon` or, where it is NULL, connects to `path`; Hello has been sent when it returns. */
struct jitd_session *client_open(const char *daemon, const char *path);
struct jitd_session *client_attach(int socket);

/* Waits for Welcome; jitd_close ends the session. */
void client_wait_welcome(struct jitd_session *session);

/* Queues one batch. */
void client_submit(struct jitd_session *session, const struct written_object *objects, size_t count);

/* Queues a batch of one unit with a manifest, or NULL; the object's bytes are copied. */
void client_submit_unit(struct jitd_session *session, const struct written_object *object,
                        const struct jitd_manifest *manifest);

/* Sends what is queued and, meanwhile, reads what comes: the queue is empty when it returns. */
void client_send(struct jitd_session *session);

/* Waits until all that was submitted is ready. */
void client_wait_ready(struct jitd_session *session);

/* Submits one unit, waits until it is ready, and gives its id; removes it and waits for the answer. */
uint64_t client_submit_one(struct jitd_session *session, const struct written_object *object);
void client_remove(struct jitd_session *session, uint64_t unit);

/* jitd_run of the object's function, waited for and its result checked. */
void client_run(struct jitd_session *session, const struct written_object *object, int expected);

/* Queues a call that gives an int32; client_wait_call waits for it and checks the result, or that the call ended a
   life of the runner where CLIENT_CRASH is expected. */
#define CLIENT_CRASH (-1)
struct client_call {
    jitd_request request;
    int result;
};
void client_call(struct jitd_session *session, const char *function, struct client_call *call);
void client_wait_call(struct jitd_session *session, struct client_call *call, int expected);

/* Both; nanoseconds. */
uint64_t client_time_call(struct jitd_session *session, const char *function, int expected);

/* Submits one batch and waits until it is ready; nanoseconds. */
uint64_t client_time_units(struct jitd_session *session, const struct written_object *objects, size_t count);

/* Submits batches as fast as the socket takes them and waits until all is ready; nanoseconds. */
uint64_t client_time_stream(struct jitd_session *session, const struct written_object *objects, size_t count,
                            size_t batch);

/* Bytes in use in all zones of the arena. */
size_t client_arena_used(struct jitd_session *session);

/* A session for measuring steady state: past Welcome, and past the result of a first call, which it has submitted as
   the function "settled". Where `daemon` is a socket and not a program, it is that of one that listens. */
struct jitd_session *client_open_settled(const char *daemon);

#endif
