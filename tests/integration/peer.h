/*
 * A controller without libjitd: a daemon of its own over a socket pair, spoken to frame by frame, or byte by byte.
 *
 * As in harness.h, what a test does not expect to fail is asserted here. A daemon does not outlive its test.
 */
#ifndef TESTS_INTEGRATION_PEER_H
#define TESTS_INTEGRATION_PEER_H

#include "common/pool.h"
#include "proto/connection.h"
#include "proto/message.h"
#include "tests/integration/harness.h"

struct peer {
    pid_t daemon;
    int socket;                    /* owned, until there is a connection, which then owns it */
    struct connection *connection; /* owned; NULL before peer_connect */
    struct pool pool;              /* of the message read last */
    struct frame *frame;           /* the one read last */
    pid_t pids[HARNESS_PROCESSES]; /* of the session, as of peer_welcomed */
    size_t pid_count;
};

/* ---- sessions ---- */

/* Starts a daemon; not a byte has been sent. */
struct peer peer_open(void);

/* From here on frames are sent and read, and the socket is the connection's. */
void peer_connect(struct peer *peer);

/* Says Hello, as request 1, and reads Welcome. */
void peer_welcomed(struct peer *peer);

/* All of the above. */
struct peer peer_open_welcomed(void);

/* Hangs up; the daemon must then end by itself and leave no process. */
void peer_close(struct peer *peer);

/* ---- frames ---- */

/* Queues a frame; peer_flush sends all that is queued, and peer_send does both for a message alone. */
void peer_write(struct peer *peer, uint16_t type, uint64_t request, const ProtobufCMessage *message,
                const struct connection_range *ranges, size_t range_count, const int *fds, size_t fd_count);
void peer_flush(struct peer *peer);
void peer_send(struct peer *peer, uint16_t type, uint64_t request, const ProtobufCMessage *message);

/* The next frame, whatever it is: peer->frame has its header. Its message is valid until the next call. */
ProtobufCMessage *peer_next(struct peer *peer);

/* The same, which must be of that type and for that request. */
ProtobufCMessage *peer_read(struct peer *peer, uint16_t type, uint64_t request);

/* ---- expectations ---- */

/* The next frame is Failed, with that code first. */
void peer_expect_failed(struct peer *peer, uint64_t request, uint32_t code);

/* Whatever the session was told last, it answers. */
void peer_expect_alive(struct peer *peer);

/* The daemon has had enough of this peer: the socket comes to its end, whatever it still says before. Closes it. */
void peer_expect_hung_up(struct peer *peer, const char *after);

#endif
