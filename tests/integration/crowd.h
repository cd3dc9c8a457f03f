/*
 * A session with units by the thousand, which remembers what it has heard of each of them and when, counted in events:
 * an order that is wrong shows as two numbers. Positions are those of submission; units are called after numbers.
 */
#ifndef TESTS_INTEGRATION_CROWD_H
#define TESTS_INTEGRATION_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/jitd.h"
#include "tests/lib/compile.h"

#define CROWD_PATIENCE 50000 /* ms for all of them; a test takes just above at most */
#define NEVER          0u

/* One unit's news; when it came, as a number of events from 1 on. */
struct life {
    unsigned resolved, ready, failed;
    unsigned repeated; /* news that came twice, or after the last */
};

struct crowd {
    struct jitd_session *session;
    struct life *lives;      /* owned; by position */
    unsigned *position_of;   /* owned; by id, plus 1 */
    size_t room;             /* of both */
    size_t sent;             /* units */
    size_t accepted;         /* units */
    size_t ready, failed;    /* units */
    unsigned clock;          /* events */
    bool read_while_sending; /* the daemon had to be read before it took all */
};

/* One submission, until it is answered. */
struct submission {
    struct crowd *crowd;
    size_t position, count;
    int code;
    size_t errors, references;
    char text[256], symbol[64];
    bool kept; /* looked at later by whoever submitted it */
};

#define CROWD_MUST(crowd, expression)                                                                                  \
    do {                                                                                                               \
        int code_ = (expression);                                                                                      \
        cr_assert(code_ == 0, #expression ": %s", jitd_last_error((crowd)->session)->text);                            \
    } while (0)

struct crowd *crowd_open(size_t room);
void crowd_close(struct crowd *crowd); /* asserts that no process is left */

void crowd_await(struct crowd *crowd, jitd_request request);

/* Whatever the daemon had to say up to now has been heard when it returns. */
void crowd_hear(struct crowd *crowd);

/* Queues a batch of objects, each called after its number; frees them. `keep` may be NULL: then it must be accepted. */
jitd_request crowd_submit(struct crowd *crowd, unsigned flags, struct object_bytes *objects, const unsigned *numbers,
                          size_t count, struct submission *keep);

/* Sends all that is queued without reading, for as long as the daemon takes it so. */
void crowd_send_queued(struct crowd *crowd);

struct outcome {
    int code;
    unsigned value;
};

struct outcome crowd_call(struct crowd *crowd, unsigned unit, int64_t depth);

#endif
