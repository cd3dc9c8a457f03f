/*
 * A session of libjitd whose daemon is the test: the far end of a socket pair, spoken to through proto/connection, and
 * plain copies of what the callbacks were told.
 */
#ifndef TESTS_UNIT_CLIENT_PAIR_H
#define TESTS_UNIT_CLIENT_PAIR_H

#include "client/jitd.h"
#include "proto/connection.h"
#include "proto/message.h"

struct heard {
    int submitted;
    int looked_up;
    int called;
    int inspected;
    int unit_events;
    int runner_ended;
    int disconnected;
    int order; /* counts up with each callback of a completed request */
    int disconnected_after;
    int code;
    char text[512];
    char symbol[64];
    size_t error_count;
    size_t reference_count;
    uint64_t units[4];
    size_t unit_count;
    struct jitd_value value;
    int signal;
    uint64_t address;
    enum jitd_unit_state last_state;
};

struct pair {
    struct jitd_session *session;
    struct connection *far;
    struct heard heard;
};

/* All of these have a struct heard for their data; pair_open listens with the pair's. */
extern const struct jitd_listener pair_listener;
void hear_submit(struct jitd_session *session, const uint64_t *units, size_t count, const struct jitd_errors *errors,
                 void *data);
void hear_lookup(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                 const struct jitd_errors *errors, void *data);
void hear_call(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
               const struct jitd_errors *errors, void *data);
void hear_inspect(struct jitd_session *session, const struct jitd_inspection *inspection,
                  const struct jitd_errors *errors, void *data);

struct pair *pair_open(const struct jitd_options *options);
void pair_close(struct pair *pair);

/* The next request, which must be of that type. */
struct frame *pair_receive(struct pair *pair, uint16_t type);

/* The same, decoded into the pool. */
void *pair_decode(struct pair *pair, uint16_t type, struct pool *pool, struct frame **out);

/* The next request's number; the rest of it is dropped. */
uint64_t pair_skip(struct pair *pair, uint16_t type);

/* From the daemon. */
void pair_send(struct pair *pair, uint16_t type, uint64_t request, const void *message);

ProtobufCBinaryData bytes_of(const char *text);

#endif
