/*
 * Inside the daemon: what the supervisor hands to the processes it starts, and the fixed-size messages between them.
 *
 * Two SOCK_SEQPACKET socket pairs per session, one message a packet:
 *   control    supervisor <-> linker     CONTROL_START, then CONTROL_STARTED or CONTROL_REFUSED, then any number of
 *                                        CONTROL_INSPECT
 *   lifecycle  template   <-> linker     LIFECYCLE_* : the template's word on the lives of the runner, and the linker's
 *                                        that one is to end
 * The supervisor reads nothing else that a session sends. Neither structure holds a pointer, a length or a string that
 * its reader follows; a packet of another size ends the session.
 */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

/*
 * Command lines (the supervisor's own words, decimal numbers):
 *   jitd-linker DISABLED WAITING THREADS ARENA LIBRARY...
 *                                        layers not to put on (bits 1 << Layer); bytes that units which are not ready
 *                                        may hold; threads for large batches; bytes that all zones together may have;
 *                                        the allowed libraries, in index order
 *   jitd-runner ""...                    as many arguments as the program has, at least one
 * The linker's environment holds JITD_LOG and JITD_TRACE (and the sanitizers' options in a sanitizer build) where the
 * daemon has them. The runner's holds
 *   JITD_RUNNER=DISABLED LAYERS X S R D Z LEAST
 *                                        the same layers; layers that the supervisor has already put on; sizes of the
 *                                        zones; what Z may not fall below
 * first, LD_PRELOAD with the session's libraries where there are any, and empty strings, so that it is no shorter than
 * the program's: each life puts the program's arguments and environment in the place of these.
 */

#include <stdint.h>

#include "proto/limits.h"
#include "proto/zones.h"

/* The descriptors that the linker and the template are started with, by number. All others are closed. 0 and 1 of the
   linker are /dev/null and 2 is the daemon's standard error; 0, 1 and 2 of the template are the program's own. */
enum inherited_descriptor {
    FD_CONTROLLER = 3, /* linker: the controller's socket */
    FD_CONTROL = 4,    /* linker */
    FD_LIFECYCLE = 5,  /* both: their ends of the pair */
    FD_WAKE = 6,       /* both: eventfd, runner -> linker: "look at the replies" */
    FD_CHANNEL = 7,    /* both: memfd, struct channel */
    FD_SYMBOLS = 8,    /* both: memfd, process symbols (proto/process_symbols.h) */
    FD_ZONE_X = 9,     /* both: memfds of the zones; the linker maps and seals them before it says CONTROL_START */
    FD_ZONE_S = 10,
    FD_ZONE_R = 11,
    FD_ZONE_D = 12,
    FD_INHERITED_END = 13
};

enum control_kind { CONTROL_START = 1, CONTROL_STARTED, CONTROL_REFUSED, CONTROL_INSPECT, CONTROL_END };

/* Why the supervisor has the session ended. */
enum control_end {
    CONTROL_END_SIGNAL = 1,      /* jitd itself was told to end; `os` is the signal */
    CONTROL_END_LOGIN,           /* no CONTROL_START within jitd --login-seconds, which are `os` */
    CONTROL_END_TEMPLATE_KILLED, /* `os` is the signal */
    CONTROL_END_TEMPLATE_EXITED  /* `os` is the status */
};

/* linker -> supervisor, once, after Hello: start the template. Three descriptors ride with it where `streams` is 1.
   Everything is an enumeration, a number or an index; the supervisor checks each against its configuration. */
struct control_start {
    uint32_t kind; /* CONTROL_START */
    uint32_t placement;
    uint32_t profile;
    uint32_t streams;
    uint32_t library_count;
    uint32_t libraries[LIMIT_LIBRARIES]; /* indices into the daemon's allowed libraries */
    uint32_t argument_count;             /* of the program; the strings are none of the supervisor's business */
    uint32_t environment_count;
    uint32_t zero;
    uint64_t address_space_bytes; /* 0: the daemon's own */
    uint64_t cpu_seconds;
    uint64_t open_files;
    struct zone_sizes zones;
    uint64_t least_zeros; /* to this the template may shrink zone Z for the sake of the libraries */
};

/* supervisor -> linker: the answer. The template's own first word follows on the lifecycle socket. After
   CONTROL_STARTED the same struct, all but its kind 0, may bring one descriptor each time: an observer's socket
   (proto/inspect.h). CONTROL_END may come at any time: the linker says goodbye to its controller and ends. */
struct control_answer {
    uint32_t kind;   /* CONTROL_STARTED, CONTROL_REFUSED, CONTROL_INSPECT or CONTROL_END */
    int32_t error;   /* enum error_code where refused; enum control_end */
    int32_t os;      /* errno or 0 */
    uint32_t layers; /* bit (1 << Layer) that the supervisor put on */
};

enum lifecycle_kind {
    LIFECYCLE_TEMPLATE_READY = 1, /* zones mapped, symbols written; the arena's base is known */
    LIFECYCLE_TEMPLATE_FAILED,    /* set-up failed at `stage` with errno `value`; the template exits */
    LIFECYCLE_RUNNER_STARTED,     /* its turn has come; it waits for channel.epoch to become `epoch` */
    LIFECYCLE_RUNNER_ENDED,       /* `value` is the status from wait(2) */
    LIFECYCLE_END_RUNNER          /* from the linker: kill the runner of `epoch`, if that still lives */
};

/* template -> linker, and END_RUNNER the other way. */
struct lifecycle {
    uint32_t kind;
    uint32_t epoch; /* 1 for the first life */
    int32_t value;
    uint32_t layers;       /* READY: bits of the layers that are on, the supervisor's included */
    uint64_t arena_base;   /* READY */
    uint64_t zero_bytes;   /* READY: the size of zone Z */
    uint64_t lazy_entry;   /* READY: where a stub leads whose function is not there; never 0 */
    uint64_t symbol_bytes; /* READY: bytes used of the symbols memfd */
    uint64_t span_low;     /* READY: lowest and one past the highest address of the libraries */
    uint64_t span_high;
    char stage[128]; /* FAILED: NUL-terminated: "map zone X" */
};

#endif
