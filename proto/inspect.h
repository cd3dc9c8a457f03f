/*
 * Looking into a daemon that listens at PATH: what passes over PATH.inspect before any frame does.
 *
 * A client sends one struct inspect_request and is sent one struct inspect_answer. After LIST `count` structs
 * inspect_session follow, and the connection ends. After ATTACH, where the status is OK, the other end is from then on
 * the linker of that session, which answers frames of type Inspect (docs/protocol.md) and ends the connection where it
 * cannot take one more observer. Both sides are on one machine and of one user: numbers are the host's.
 */
#ifndef PROTO_INSPECT_H
#define PROTO_INSPECT_H

#include <stdint.h>

#define INSPECT_SUFFIX ".inspect"

#define INSPECT_MAGIC 0x4a495301u /* "JIS", version 1 */

enum inspect_kind { INSPECT_LIST = 1, INSPECT_ATTACH };

struct inspect_request {
    uint32_t magic;
    uint32_t kind;
    uint64_t session; /* ATTACH: whom to; LIST: 0 */
};

enum inspect_status {
    INSPECT_OK,
    INSPECT_MALFORMED,  /* not a request of this version */
    INSPECT_NO_SESSION, /* none has this number, or it is ending */
    INSPECT_TOO_EARLY   /* it has no runner yet, and holds nothing */
};

struct inspect_answer {
    uint32_t magic;
    uint32_t status;
    uint64_t count; /* LIST: sessions that follow, at most LIMIT_SESSIONS */
};

enum inspect_state { INSPECT_STARTING, INSPECT_OPEN, INSPECT_ENDING };

struct inspect_session {
    uint64_t session;   /* from 1 on, never used again by the same daemon */
    uint64_t age_ms;    /* since its controller came */
    int32_t linker;     /* the process's id */
    int32_t controller; /* the process's that connected, as the kernel saw it then; 0: not known */
    uint32_t user;      /* of the controller */
    uint32_t state;     /* enum inspect_state */
};

#endif
