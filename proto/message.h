/*
 * The messages of proto/jitd.proto: their type numbers, and decoding under a budget.
 *
 * Generated types (proto/jitd.pb-c.h) are used by the layers that speak the protocol, client/ and the linker's
 * session, and by nobody behind them.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/pool.h"
#include "proto/jitd.pb-c.h"

/* X(NAME, number, generated C type prefix, descriptor, direction) */
#define MESSAGE_TYPES(X)                                                                                               \
    X(HELLO, 1, Hello, hello, REQUEST)                                                                                 \
    X(SUBMIT, 2, Submit, submit, REQUEST)                                                                              \
    X(LOOKUP, 3, Lookup, lookup, REQUEST)                                                                              \
    X(CALL, 4, Call, call, REQUEST)                                                                                    \
    X(INSPECT, 5, Inspect, inspect, REQUEST)                                                                           \
    X(DEFINE_LIBRARY, 6, DefineLibrary, define_library, REQUEST)                                                       \
    X(CANCEL, 7, Cancel, cancel, REQUEST)                                                                              \
    X(REMOVE, 8, Remove, remove, REQUEST)                                                                              \
    X(RUN, 9, Run, run, REQUEST)                                                                                       \
    X(REFUSE, 10, Refuse, refuse, REQUEST)                                                                             \
    X(REDIRECT, 11, Redirect, redirect, REQUEST)                                                                       \
    X(ADAPT, 12, Adapt, adapt, REQUEST)                                                                                \
    X(FAILED, 128, Failed, failed, REPLY)                                                                              \
    X(WELCOME, 129, Welcome, welcome, REPLY)                                                                           \
    X(SUBMITTED, 130, Submitted, submitted, REPLY)                                                                     \
    X(ADDRESSES, 131, Addresses, addresses, REPLY)                                                                     \
    X(RETURNED, 132, Returned, returned, REPLY)                                                                        \
    X(ENDED, 133, Ended, ended, REPLY)                                                                                 \
    X(INSPECTION, 134, Inspection, inspection, REPLY)                                                                  \
    X(LIBRARY_DEFINED, 135, LibraryDefined, library_defined, REPLY)                                                    \
    X(CANCELLED, 136, Cancelled, cancelled, REPLY)                                                                     \
    X(REMOVED, 137, Removed, removed, REPLY)                                                                           \
    X(REFUSED, 138, Refused, refused, REPLY)                                                                           \
    X(REDIRECTED, 139, Redirected, redirected, REPLY)                                                                  \
    X(ADAPTED, 140, Adapted, adapted, REPLY)                                                                           \
    X(UNITS, 192, Units, units, EVENT)                                                                                 \
    X(RUNNER_ENDED, 193, RunnerEnded, runner_ended, EVENT)                                                             \
    X(MATERIALIZE, 194, Materialize, materialize, EVENT)                                                               \
    X(GOODBYE, 195, Goodbye, goodbye, EVENT)

enum message_direction { MESSAGE_REQUEST, MESSAGE_REPLY, MESSAGE_EVENT };

enum message_type {
#define MESSAGE_TYPE_ENUM(name, number, type, descriptor, direction) MESSAGE_##name = (number),
    MESSAGE_TYPES(MESSAGE_TYPE_ENUM)
#undef MESSAGE_TYPE_ENUM
};

struct message_kind {
    const char *name; /* "SUBMIT" */
    uint16_t type;
    enum message_direction direction;
    const ProtobufCMessageDescriptor *descriptor;
};

/* NULL for a type that is none. */
const struct message_kind *message_kind(uint16_t type);

/* Decodes `length` bytes as a message of the type into the pool (whose reset frees it) and gives it in *out.
   `bytes` fields are copies in the pool. PROTOCOL where the bytes do not parse, or an enumeration has a value that the
   schema lacks; LIMIT where the decoded form would exceed the budget of limits.h;
   UNSUPPORTED for a type that is none. The caller still checks counts and
   ranges: this knows nothing of meaning. */
int message_decode(struct pool *pool, uint16_t type, const uint8_t *bytes, size_t length, ProtobufCMessage **out,
                   struct error *error);

/* One line for JITD_TRACE=proto: "-> SUBMIT #7 message 312 attachment 2048 descriptors 0". */
void message_trace(const char *arrow, uint16_t type, uint64_t request, size_t message_bytes, size_t attachment_bytes,
                   size_t descriptors);

#endif
