/*
 * Every cap in one place. A number here bounds what a peer can make a process allocate, keep or loop over; both sides
 * check the ones that are theirs. Sizes are in bytes.
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#define KIB(n) ((n)*1024ull)
#define MIB(n) ((n)*1024ull * 1024ull)

/* Frames. */
#define LIMIT_MESSAGE_BYTES     MIB(16)  /* the protobuf part of one frame */
#define LIMIT_ATTACHMENT_BYTES  MIB(256) /* the raw bytes behind it */
#define LIMIT_FRAME_DESCRIPTORS 16       /* riding on one frame */
#define LIMIT_DECODE_FACTOR     64       /* heap for one decoded message, as a multiple of its wire size, plus... */
#define LIMIT_DECODE_FLOOR      KIB(64)  /* ...this; and never more than... */
#define LIMIT_DECODE_BYTES      MIB(256) /* ...this */

/* Flow control (docs/protocol.md). */
#define LIMIT_OUTPUT_BYTES  MIB(8)    /* unread by the controller; past it nothing more is read from it */
#define LIMIT_NEWS_BYTES    MIB(4)    /* of news of units, about; past it a message is sent */
#define LIMIT_WAITING_BYTES MIB(1024) /* held by units that are neither ready nor failed; jitd may be told less */
#define LIMIT_KEPT_BYTES    MIB(4096) /* names and tables of units, kept until the session ends */
#define LIMIT_QUEUED_BYTES  MIB(1024) /* libjitd: requests that the daemon has not taken yet; a program may say less */

/* Hello. */
#define LIMIT_STARTUP_BYTES   MIB(1) /* arguments, environment and working directory together */
#define LIMIT_STARTUP_STRINGS 16384
#define LIMIT_LIBRARIES       32
#define LIMIT_PATH_BYTES      4096

/* Submissions. */
#define LIMIT_UNITS_PER_BATCH   65536
#define LIMIT_UNITS_PER_SESSION 4194304
#define LIMIT_OBJECT_BYTES      MIB(256)
#define LIMIT_NAME_BYTES        MIB(1)   /* one symbol's name: templates make names of more than 64 KiB */
#define LIMIT_UNIT_NAME_BYTES   KIB(4)   /* one unit's name: a path */
#define LIMIT_SECTIONS          1048576  /* of one object */
#define LIMIT_SYMBOLS           4194304  /* of one object */
#define LIMIT_RELOCATIONS       16777216 /* of one object */
#define LIMIT_ALIGNMENT         MIB(2)   /* of one section */
#define LIMIT_LIBRARY_NUMBERS   65536    /* a library's number is below this */
#define LIMIT_ADAPTERS          65536    /* pairs of calling conventions that have one */
#define LIMIT_SEARCH_ORDER      1024     /* libraries that one library names */
#define LIMIT_ACTIONS           1024     /* of one unit */
#define LIMIT_ACTION_BYTES      MIB(1)   /* of one action's argument */

/* Replies and events. */
#define LIMIT_ERRORS_PER_REPLY      256 /* listed; the rest are counted */
#define LIMIT_REFERENCES_PER_ERROR  8   /* who refers to a missing symbol; the rest are counted */
#define LIMIT_CAUSES_PER_ERROR      16  /* links of a chain of failures; the rest are counted */
#define LIMIT_LOOKUPS_PER_REQUEST   65536
#define LIMIT_LAZY_DEADLINE_MS      30000 /* where Hello says nothing */
#define LIMIT_REDIRECTS_PER_REQUEST 65536
#define LIMIT_REMOVAL_GROUPS        256 /* tags and libraries in one removal */
#define LIMIT_CALLS_QUEUED          1024
#define LIMIT_CALL_ARGUMENTS        32
#define LIMIT_BACKTRACE_FRAMES      128

/* The runner. */
#define LIMIT_THREAD_STACK_BYTES   MIB(8)
#define LIMIT_PROCESS_SYMBOL_BYTES MIB(64) /* names and tables of all the libraries of one session */

/* Observers (proto/inspect.h). */
#define LIMIT_OBSERVERS              4        /* of one session */
#define LIMIT_OBSERVER_REQUEST_BYTES KIB(4)   /* a request's message; it has no attachment */
#define LIMIT_OBSERVER_REPLY_BYTES   KIB(512) /* from here on a list of units is cut off */
#define LIMIT_OBSERVER_HEAP_BYTES    MIB(64)  /* for one request and its reply, until it is sent */
#define LIMIT_INSPECT_CLIENTS        8        /* of a daemon, that have not asked yet */

/* Daemon. */
#define LIMIT_SESSIONS          4096 /* jitd --max-sessions; 1,024 unless it says otherwise */
#define LIMIT_ALLOWED_LIBRARIES 256
#define LIMIT_LINK_THREADS      7 /* of one linker, beside its first */

#endif
