/*
 * libjitd: the controller's side of jitd, the executor of just-made code.
 *
 * A session is one connection to a daemon: one linker, one sandboxed runner. The library has no threads, no globals
 * and no event loop of its own: poll jitd_fd for jitd_events and call jitd_dispatch when it is ready, from whatever
 * loop the program has. Callbacks run inside jitd_dispatch (and inside the blocking helpers), on the caller's thread,
 * and may call every function here except jitd_close and jitd_dispatch. For programs without a loop there is jitd_wait.
 *
 * Functions that can fail return 0 or a positive enum jitd_error_code, and fill the session's last error
 * (jitd_last_error). A session whose connection broke answers every call with JITD_ERROR_DISCONNECTED; each request
 * that was outstanding has by then been completed with that code, exactly once.
 *
 * A session belongs to one thread at a time. Different sessions do not know of each other. Pointers handed to
 * callbacks are valid until the callback returns. The library ignores no signals: it sends with MSG_NOSIGNAL.
 */
#ifndef JITD_H
#define JITD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define JITD_VERSION "0.1.0"

/* Stable: a number never changes its meaning. */
enum jitd_error_code {
    JITD_OK = 0,
    JITD_ERROR_PROTOCOL = 1,
    JITD_ERROR_VERSION = 2,
    JITD_ERROR_LIMIT = 3,
    JITD_ERROR_NO_MEMORY = 4,
    JITD_ERROR_SYSTEM = 5,
    JITD_ERROR_UNSUPPORTED = 6,
    JITD_ERROR_NOT_FOUND = 7,
    JITD_ERROR_INVALID = 8,
    JITD_ERROR_DISCONNECTED = 9,
    JITD_ERROR_TIMEOUT = 10,
    JITD_ERROR_CANCELLED = 11,
    JITD_ERROR_INTERRUPTED = 12,
    JITD_ERROR_OBJECT_FORMAT = 20,
    JITD_ERROR_OBJECT_MACHINE = 21,
    JITD_ERROR_OBJECT_TYPE = 22,
    JITD_ERROR_OBJECT_TRUNCATED = 23,
    JITD_ERROR_OBJECT_SECTION = 24,
    JITD_ERROR_OBJECT_SYMBOL = 25,
    JITD_ERROR_OBJECT_RELOCATION = 26,
    JITD_ERROR_EXECUTABLE_STACK = 27,
    JITD_ERROR_RELOCATION_UNSUPPORTED = 30,
    JITD_ERROR_RELOCATION_RANGE = 31,
    JITD_ERROR_SYMBOL_MISSING = 32,
    JITD_ERROR_SYMBOL_DUPLICATE = 33,
    JITD_ERROR_ARENA_FULL = 34,
    JITD_ERROR_DEPENDENCY_FAILED = 35,
    JITD_ERROR_INITIALISER_FAILED = 36,
    JITD_ERROR_NOT_CALLABLE = 37,
    JITD_ERROR_RUNNER_ENDED = 38,
    JITD_ERROR_RUNNER_PROTOCOL = 39,
    JITD_ERROR_SETUP = 40,
    JITD_ERROR_CONVENTION = 41,
    JITD_ERROR_DEPENDENTS = 42,
    JITD_ERROR_ACTION_FAILED = 43,
    JITD_ERROR_LAYER_MISSING = 44
};

/* "RELOCATION_RANGE", and a short text; never NULL. */
const char *jitd_error_name(int code);
const char *jitd_error_text(int code);

struct jitd_reference {
    const char *unit;
    const char *section;
    uint64_t offset;
    uint64_t unit_id;       /* 0 where its batch was refused... */
    size_t unit_place;      /* ...and then its place in that batch, from 1 on; else 0 */
    uint32_t section_index; /* in the section header table of its object; 0 where no section is told */
};

/* One link of the chain from a unit that failed to the one whose failure began it: `unit` needed `symbol` of the next.
   "" where the two belong together for another reason (a cycle of needs, an atomic batch), and in the last link. */
struct jitd_cause {
    const char *unit;
    const char *symbol;
};

/* One error. Strings are never NULL; "" where they do not apply. `text` is complete without the rest. */
struct jitd_error {
    int code;
    const char *text;
    const char *unit;
    const char *section;
    uint64_t offset;
    const char *relocation;
    const char *symbol;
    const struct jitd_reference *references;
    size_t reference_count;
    size_t references_omitted;
    const struct jitd_cause *causes; /* DEPENDENCY_FAILED: from this unit to the first that failed */
    size_t cause_count;
    size_t causes_omitted; /* before the last */
};

struct jitd_errors {
    const struct jitd_error *list;
    size_t count;
    size_t omitted; /* further ones that the daemon counted but did not send */
};

/* ---- sessions ---- */

struct jitd_session;

enum jitd_placement { JITD_PLACEMENT_NEAR = 0, JITD_PLACEMENT_LOW = 1 };
enum jitd_profile { JITD_PROFILE_DEFAULT = 0, JITD_PROFILE_COMPUTE = 1, JITD_PROFILE_TRUSTED = 2 };

/* The arena, from which units get their memory, has five zones (docs/architecture.md): X, S, R, D, Z. */
enum jitd_zone_kind {
    JITD_ZONE_CODE = 0,
    JITD_ZONE_SLOTS = 1,     /* pointers that code loads or jumps through */
    JITD_ZONE_CONSTANTS = 2, /* also unwind tables, and a quarter of JITD_ZONE_CODE for what leads to them */
    JITD_ZONE_DATA = 3,
    JITD_ZONE_ZEROS = 4, /* .bss and common symbols; takes no memory before it is written */
    JITD_ZONES           /* how many there are */
};

/* All that is fixed for a session. Zero-initialise it; every zero is a usable default. Borrowed during the call. */
struct jitd_options {
    enum jitd_placement placement;
    enum jitd_profile profile;
    const char *const *libraries;   /* NULL-terminated, or NULL */
    const char *const *arguments;   /* argv of main, NULL-terminated; NULL: one empty argv[0] */
    const char *const *environment; /* "NAME=value", NULL-terminated; NULL: empty */
    const char *working_directory;  /* NULL: the daemon's */
    const int *streams;             /* three descriptors for stdin, stdout, stderr, duplicated; NULL: /dev/null */
    uint64_t address_space_bytes;   /* limits of the runner; 0: the daemon's own */
    uint64_t cpu_seconds;
    uint64_t open_files;
    /* Sizes of the arena's zones, by enum jitd_zone_kind, in bytes; 0: what the daemon shares out, which is enough for
       the largest object in code, constants and data, and some 1,100 MiB of zeros. Others are rounded up to 2 MiB. All
       together, with the libraries, are less than 2 GiB, the reach of 32-bit displacements, or what the daemon allows
       (jitd --arena-max); a session that asks for more is refused (JITD_ERROR_LIMIT). */
    uint64_t zone_bytes[JITD_ZONES];
    uint32_t lazy_deadline_ms;           /* how long a thread waits for a lazy function; 0: 30,000 */
    bool one_life;                       /* the session is one program: when its life has ended no further one begins,
                                            and what would need one fails with JITD_ERROR_RUNNER_ENDED */
    size_t queue_bytes;                  /* see jitd_queued; 0: 1 GiB */
    const char *daemon;                  /* path of jitd for jitd_spawn, see there; NULL: found */
    const char *const *daemon_arguments; /* jitd_spawn: further arguments, NULL-terminated, or NULL */
    bool foreground; /* jitd_spawn: the daemon and the program stay in the caller's process group, so that keys of the
                        terminal (Ctrl-C, Ctrl-Z) reach them and the program may read from it; else they have a group of
                        their own, and Ctrl-C is the caller's alone */
    bool interruptible; /* jitd_wait and jitd_wait_units return JITD_ERROR_INTERRUPTED when a signal handler has run;
                           else they go on waiting */
};

/* News that no request asked for. Any member may be NULL. */
enum jitd_unit_state {
    JITD_UNIT_ACCEPTED = 0,
    JITD_UNIT_RESOLVED = 1,
    JITD_UNIT_LINKED = 2,
    JITD_UNIT_INITIALISED = 3,
    JITD_UNIT_READY = 4,
    JITD_UNIT_FAILED = 5,
    JITD_UNIT_REMOVED = 6, /* it was READY or FAILED before; its id is never used again */
    JITD_UNIT_STATES       /* how many there are */
};

/* "ready"; "unknown" for a number that is none of these. */
const char *jitd_unit_state_name(unsigned state);

struct jitd_definition {
    const char *name;
    uint64_t address;
    uint64_t bytes;
};

struct jitd_unit_event {
    uint64_t unit;
    enum jitd_unit_state state;
    struct jitd_errors errors;                 /* FAILED */
    const struct jitd_definition *definitions; /* RESOLVED, where asked for */
    size_t definition_count;
};

struct jitd_end; /* below */

/* A thread of the program has called a lazy function that no unit offers, and waits. */
struct jitd_materialize {
    uint64_t ask;        /* for jitd_refuse */
    const char *symbol;  /* that a unit is to define... */
    uint32_t library;    /* ...in this library, or in one that it searches */
    uint64_t convention; /* by which it is called */
};

struct jitd_listener {
    void (*unit)(struct jitd_session *session, const struct jitd_unit_event *event, void *data);
    void (*runner_ended)(struct jitd_session *session, const struct jitd_end *end, void *data);
    /* Asked once, however many threads wait. The answer is a unit that defines the symbol (jitd_submit; from within the
       callback, or later), or jitd_refuse. Threads go on when that unit is ready. A submission that is refused leaves
       the question open. Where the unit fails, the question is refused or lazy_deadline_ms have passed, the program's
       life ends, and jitd_end says why. After a unit that had answered is gone the next call asks again. Where the
       member is NULL the library refuses. */
    void (*materialize)(struct jitd_session *session, const struct jitd_materialize *wanted, void *data);
    /* The connection is gone; called once, after every outstanding request was completed. `why` names the process that
       ended and its exit status or signal, if that is known. The descriptor that jitd_fd gave is closed when this
       returns: an event loop drops its watch here. */
    void (*disconnected)(struct jitd_session *session, const struct jitd_error *why, void *data);
};

/* Starts `jitd --fd` as a child of this process and opens a session with it: options->daemon, or the one that the
   environment variable JITD names, or that lies in the directory of the running program or in the `bin` next to that,
   or that was installed with the library, or that PATH leads to, the first that is there. jitd_connect uses the socket
   of a listening daemon; jitd_attach a connected stream socket, which the session owns from then on, also on failure.
   The request of Hello is sent at once; requests may follow before the daemon has answered. *out is set in every case
   but JITD_ERROR_NO_MEMORY, so that jitd_last_error can be asked; close it. `listener` is copied, its `data` is handed
   back. */
int jitd_spawn(const struct jitd_options *options, const struct jitd_listener *listener, void *data,
               struct jitd_session **out);
int jitd_connect(const char *path, const struct jitd_options *options, const struct jitd_listener *listener, void *data,
                 struct jitd_session **out);
int jitd_attach(int socket, const struct jitd_options *options, const struct jitd_listener *listener, void *data,
                struct jitd_session **out);

/* Ends the session: the daemon ends its processes. Outstanding callbacks are not called. A spawned daemon is reaped
   (within two seconds it is killed). Frees the session, which must not be used, or closed, again. NULL is allowed. */
void jitd_close(struct jitd_session *session);

/* The error of the last call that failed; valid until the next call on the session. */
const struct jitd_error *jitd_last_error(const struct jitd_session *session);

/* What to poll, and for what (POLLIN, POLLOUT); ask again after each call that sends. -1 once disconnected. */
int jitd_fd(const struct jitd_session *session);
short jitd_events(const struct jitd_session *session);

/* Reads what has come, runs callbacks, sends what is queued; never waits. */
int jitd_dispatch(struct jitd_session *session);

/* Sends what is queued as far as the socket takes it. Requests are only queued: call this (or jitd_dispatch, or
   jitd_wait) to send them, once for many. */
int jitd_flush(struct jitd_session *session);

/* Bytes of requests that are queued and that the socket has not taken: a daemon that links more slowly than a program
   submits, or that waits for it to read, leaves them here. Pace a sender by it: submit while it is under some bytes,
   else poll for jitd_events and dispatch. Once it has reached the session's queue_bytes each further request is refused
   with JITD_ERROR_LIMIT, so that it never exceeds those by more than one request. 0 once disconnected. */
size_t jitd_queued(const struct jitd_session *session);

/* Layers of confinement (docs/trust.md). Stable: a number never changes its meaning. */
enum jitd_layer {
    JITD_LAYER_NO_NEW_PRIVILEGES = 1,
    JITD_LAYER_SECCOMP = 2, /* of the runner */
    JITD_LAYER_RLIMITS = 3,
    JITD_LAYER_LANDLOCK = 4,
    JITD_LAYER_PID_NAMESPACE = 5,
    JITD_LAYER_LINKER_SECCOMP = 6,
    JITD_LAYER_SEALS = 7,
    JITD_LAYER_CAPABILITIES = 8, /* dropped, all */
    JITD_LAYER_UID = 9,          /* the runner's and the linker's own */
    JITD_LAYER_MOUNT_NAMESPACE = 10,
    JITD_LAYER_PRIVATE_PROC = 11,
    JITD_LAYER_CGROUP = 12,
    JITD_LAYER_USER_NAMESPACE = 13
};

/* What the daemon said of itself. */
struct jitd_welcome {
    const char *triple;
    const char *const *cpu_features;
    size_t cpu_feature_count;
    uint32_t page_bytes;
    uint64_t arena_base;
    uint64_t arena_bytes;
    const char *libc;
    const char *daemon;
    uint32_t layers;        /* that are on: bits 1u << enum jitd_layer */
    uint64_t waiting_bytes; /* that units which are neither ready nor failed may hold; a batch past it is refused */
    uint64_t zone_bytes[JITD_ZONES]; /* of arena_bytes */
};

/* NULL until the daemon has answered; then valid as long as the session. */
const struct jitd_welcome *jitd_welcome(const struct jitd_session *session);

/* ---- requests ----
 * Each is queued and gets a number, never 0, in *request (which may be NULL). Its callback (which may be NULL) is
 * called exactly once, unless the session is closed first. `errors` is NULL where the request succeeded. A function
 * that fails sends nothing, calls nothing back and sets *request to 0. */

typedef uint64_t jitd_request;

/* A batch being put together. Submitting consumes it, also on failure. */
struct jitd_batch;

enum jitd_batch_flags {
    JITD_BATCH_CLOSED = 1,           /* refers to nothing that comes later */
    JITD_BATCH_REPORT_ADDRESSES = 2, /* `resolved` events list the definitions */
    JITD_BATCH_ATOMIC = 4            /* becomes ready as a whole, or fails as a whole */
};

/* `flags` are of enum jitd_batch_flags; jitd_submit refuses a batch with others. NULL when out of memory. */
struct jitd_batch *jitd_batch_new(unsigned flags);
void jitd_batch_free(struct jitd_batch *batch); /* one that was not submitted; NULL is allowed */

/* Adds an object that lies in memory; the bytes are borrowed until the batch is submitted or freed, the name is
   copied. */
int jitd_batch_add(struct jitd_batch *batch, const char *name, const void *object, size_t bytes);

/* Adds an object in a memfd that is sealed against writing, shrinking and growing; it is not copied. The descriptor is
   duplicated. At most 16 in a batch. */
int jitd_batch_add_memfd(struct jitd_batch *batch, const char *name, int memfd);

/* ---- manifests: what the names of an object mean (docs/manifests.md) ---- */

#define JITD_LIBRARY_MAIN 0u

enum jitd_definition_flags {
    JITD_DEFINITION_WEAK = 1,     /* as a weak symbol */
    JITD_DEFINITION_HIDDEN = 2,   /* for the units of its library alone */
    JITD_DEFINITION_FUNCTION = 4, /* what it is, where the object's symbol does not say */
    JITD_DEFINITION_DATA = 8,
    JITD_DEFINITION_REDIRECTABLE = 16 /* a function of the object that jitd_redirect may replace later */
};

enum jitd_use_flags {
    JITD_USE_WEAK = 1,      /* waits for nobody; its address is 0 where nobody offers it when the unit comes */
    JITD_USE_BY_SLOT = 2,   /* reached through a pointer that only the daemon writes */
    JITD_USE_LAZY = 4,      /* a function that need not be there before it is called: see jitd_listener.materialize */
    JITD_USE_LIBRARY = 1024 /* looked for in `library` and what that re-exports, not from the unit's own library on */
};

/* A symbol that the object defines, and the global name under which others find it. */
struct jitd_manifest_definition {
    const char *local;
    const char *global; /* NULL: the same */
    unsigned flags;
    uint64_t convention; /* calling convention: a number of the program's choice; 0: the platform's C ABI; jitd_adapt */
};

/* A symbol that the object refers to, and the global name that it is bound to. */
struct jitd_manifest_use {
    const char *local;  /* NULL: nothing refers to it, the unit is to wait for it all the same */
    const char *global; /* NULL: the same; one of the two must be there */
    unsigned flags;
    uint64_t convention; /* by which it is called */
    uint32_t library;    /* with JITD_USE_LIBRARY */
};

/* A definition that is an address in the runner. */
struct jitd_absolute {
    const char *name;
    uint64_t address;
    unsigned flags; /* enum jitd_definition_flags; data unless JITD_DEFINITION_FUNCTION */
    uint64_t convention;
};

/* A further name for `target`, which is looked for as a use is. */
struct jitd_alias {
    const char *name;
    const char *target;
    unsigned flags;   /* enum jitd_definition_flags, and JITD_USE_LIBRARY */
    uint32_t library; /* with JITD_USE_LIBRARY */
};

/* A name for a function that need not be there yet. It is callable at once, has an address that stays, and its calls
   reach `target`, which is looked for as a use is: the first of them asks for it where no unit offers it
   (jitd_listener.materialize). */
struct jitd_lazy_definition {
    const char *name;
    const char *target;
    unsigned flags; /* enum jitd_definition_flags, and JITD_USE_LIBRARY */
    uint64_t convention;
    uint32_t library; /* with JITD_USE_LIBRARY */
};

/* Calls of functions in the program, `int function(const void *argument, size_t bytes)` in the platform's own
   convention, when the unit is published and when it is removed; 0 says that it went well. Functions are global names
   that are looked for as uses are; the unit waits for them, may define them itself, and keeps them from being removed.
   Either may be NULL, not both. The arguments are copied to where the program reads them, at a multiple of 16, and can
   only read them; a function without one gets NULL and 0. At most 1,024 for a unit, of 1 MiB each. */
struct jitd_manifest_action {
    const char *publish;
    const void *publish_argument;
    size_t publish_bytes;
    const char *remove;
    const void *remove_argument;
    size_t remove_bytes;
    unsigned flags;   /* 0 or JITD_USE_LIBRARY */
    uint32_t library; /* with JITD_USE_LIBRARY: of both functions */
};

/* With a manifest the names of an object are its own but for those that stand here. Symbols that the object refers to
   and neither defines nor lists must be the runner's libraries' own (memcpy and the like). */
struct jitd_manifest {
    const struct jitd_manifest_definition *definitions;
    size_t definition_count;
    const struct jitd_manifest_use *uses;
    size_t use_count;
    const struct jitd_absolute *absolutes;
    size_t absolute_count;
    const struct jitd_alias *aliases;
    size_t alias_count;
    const struct jitd_lazy_definition *lazies;
    size_t lazy_count;
    const struct jitd_manifest_action *actions; /* made in order, before initialisers; undone in reverse */
    size_t action_count;
};

/* One unit. Zero-initialise it. */
struct jitd_unit_input {
    const char *name; /* copied */
    const void *object;
    size_t bytes;
    uint32_t library;                     /* JITD_LIBRARY_MAIN, or one that was defined */
    const struct jitd_manifest *manifest; /* NULL: every global name of the object is offered and used as it is */
    uint64_t tag;                         /* of the program's choice, for jitd_remove; 0: none */
};

/* Adds a unit. The object's bytes, the manifest and all that it leads to are borrowed until the batch is submitted or
   freed. Without an object the unit is its manifest alone: absolute symbols, aliases, lazy
   definitions, actions, and uses to wait for. */
int jitd_batch_add_unit(struct jitd_batch *batch, const struct jitd_unit_input *input);

/* Units of the batch that still wait for others so many milliseconds after the daemon has taken it fail with
   JITD_ERROR_TIMEOUT and the name of what never came; 0, the default, lets them wait for ever. So do those whose
   actions or initialisers have not returned by then: where these run, the runner's life ends and the next one begins
   (jitd_end.deadline_ms). */
void jitd_batch_set_deadline(struct jitd_batch *batch, uint32_t milliseconds);

/* `units` are the ids in the order of adding. jitd_submit answers JITD_ERROR_INVALID where the batch is NULL, has no
   units or has flags that this library does not know. */
typedef void jitd_submit_callback(struct jitd_session *session, const uint64_t *units, size_t count,
                                  const struct jitd_errors *errors, void *data);
int jitd_submit(struct jitd_session *session, struct jitd_batch *batch, jitd_submit_callback *callback, void *data,
                jitd_request *request);

struct jitd_address {
    uint64_t address; /* 0: not known */
    bool ready;
};
typedef void jitd_lookup_callback(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                                  const struct jitd_errors *errors, void *data);
int jitd_lookup(struct jitd_session *session, const char *const *names, size_t count, jitd_lookup_callback *callback,
                void *data, jitd_request *request);

/* As jitd_lookup, from `library` on, and answered when all of the names are ready: with JITD_ERROR_DEPENDENCY_FAILED
   when one of them failed, JITD_ERROR_TIMEOUT when the deadline (0: none) has passed, JITD_ERROR_CANCELLED. */
int jitd_lookup_ready(struct jitd_session *session, uint32_t library, const char *const *names, size_t count,
                      uint32_t deadline_ms, jitd_lookup_callback *callback, void *data, jitd_request *request);

/* As jitd_lookup, from `library` on. */
int jitd_lookup_in(struct jitd_session *session, uint32_t library, const char *const *names, size_t count,
                   jitd_lookup_callback *callback, void *data, jitd_request *request);

/* One library that another one searches. */
struct jitd_search {
    uint32_t library;
    bool hidden;    /* also what it keeps to itself */
    bool re_export; /* whoever searches the library that has this entry finds what is exported there */
};

enum jitd_process_symbols { JITD_PROCESS_ALL = 0, JITD_PROCESS_NONE = 1, JITD_PROCESS_LISTED = 2 };

/* A library, a namespace of global symbols; borrowed during the call. A name that one of its units uses is looked for
   in the library itself, then in those of the search order, then among the symbols of the runner's own libraries. */
struct jitd_library {
    uint32_t number;                  /* of the program's choice, below 65,536; 0 is "main" and always there */
    const char *name;                 /* for reports; NULL: none */
    const struct jitd_search *search; /* libraries that have been defined, or this one */
    size_t search_count;
    enum jitd_process_symbols process_symbols;
    const char *const *process_names; /* JITD_PROCESS_LISTED; NULL-terminated, or NULL */
};

/* Called with `errors` NULL where it was done. */
typedef void jitd_done_callback(struct jitd_session *session, const struct jitd_errors *errors, void *data);

/* Makes a library, or changes the one of that number: what is bound stays bound, what waits looks again. Later requests
   may name it without waiting for the answer. */
int jitd_define_library(struct jitd_session *session, const struct jitd_library *library, jitd_done_callback *callback,
                        void *data, jitd_request *request);

/* Takes back what still waits. A lookup or a run that waits or a call that has not begun is completed with
   JITD_ERROR_CANCELLED; units that wait for others fail with that code, and all that depend on them with them. `count`
   is how many were cancelled: 0 where none waited any more. */
typedef void jitd_cancel_callback(struct jitd_session *session, size_t count, const struct jitd_errors *errors,
                                  void *data);
int jitd_cancel(struct jitd_session *session, jitd_request waiting, jitd_cancel_callback *callback, void *data,
                jitd_request *request);
int jitd_cancel_units(struct jitd_session *session, const uint64_t *units, size_t count, jitd_cancel_callback *callback,
                      void *data, jitd_request *request);

/* ---- taking units away ---- */

/* Which units are to go: those listed, those of the tags, and all of the libraries. Zero-initialise it. Borrowed during
   the call. */
struct jitd_removal {
    const uint64_t *units; /* a number that is no unit, or none any more, is passed over */
    size_t unit_count;
    const uint64_t *tags; /* struct jitd_unit_input.tag; not 0 */
    size_t tag_count;
    const uint32_t *libraries;
    size_t library_count; /* with the tags at most 256 */
    bool cascade;         /* units that use them go too, and those that use these */
};

/* `count` units have gone. Where it is not 0, `errors` may still list removal actions that returned other than 0, one
   error for each unit: JITD_ERROR_ACTION_FAILED; else `errors` says why none has gone. */
typedef void jitd_remove_callback(struct jitd_session *session, size_t count, const struct jitd_errors *errors,
                                  void *data);

/* Takes units away, all or none: JITD_ERROR_DEPENDENTS where others use them and `cascade` is not set (the error's
   references are the users), JITD_ERROR_INVALID where the initialisers of one are running or one is being removed
   already, JITD_ERROR_LIMIT. From the daemon's taking the request on their names are free, and what is sent after this
   may define them again; a call that has not begun fails with JITD_ERROR_NOT_CALLABLE, one that is under way goes on. A
   unit that waits for others fails first, with JITD_ERROR_CANCELLED. A JITD_UNIT_REMOVED event tells of each. The
   request is complete when finalisers have run: C++ static destructors first, then .fini_array, as at the program's
   exit, but of these units alone; and then the removal actions of those that were published, last ones first. One that
   ends the runner's life (jitd_end.finaliser_of, action_of) completes it too.
   Memory is used again when no thread can be in it: while a call that was under way goes on, or a thread that the
   program has made, it is not. */
int jitd_remove(struct jitd_session *session, const struct jitd_removal *removal, jitd_remove_callback *callback,
                void *data, jitd_request *request);

/* ---- functions that come when they are called, and that others replace ---- */

/* Says that no unit will define what jitd_materialize.ask asked for: the threads that wait end their process, and
   jitd_end.lazy_error has the text (borrowed during the call; NULL: none). `callback` gets JITD_ERROR_NOT_FOUND where
   no such question is open any more. */
int jitd_refuse(struct jitd_session *session, uint64_t ask, const char *text, jitd_done_callback *callback, void *data,
                jitd_request *request);

/* Puts the functions `targets` in the place of `symbols`, both looked for from `library` on and borrowed during the
   call; a target that is NULL or "" gives a function its own body back. A symbol is a redirectable definition of a
   ready unit or a lazy one; a target is a function of a ready unit with the same calling convention or one that
   an adapter leads to (jitd_adapt), whose unit cannot be removed while it stands there. Calls and function pointers
   alike reach the one or the other from one moment to the next, threads that wait for a lazy function go on at its
   target, and crashes change nothing of it. All of them are done or, with the first error, none: JITD_ERROR_NOT_FOUND,
   JITD_ERROR_NOT_CALLABLE, JITD_ERROR_CONVENTION, and JITD_ERROR_INVALID where a symbol is not redirectable or calls
   would go in a circle. At most 65,536. */
int jitd_redirect(struct jitd_session *session, uint32_t library, const char *const *symbols,
                  const char *const *targets, size_t count, jitd_done_callback *callback, void *data,
                  jitd_request *request);

/* Registers the function `symbol` (looked for from `library` on, borrowed during the call) as the adapter through which
   calls by convention `wanted` reach functions of convention `given`. It is entered in the place of such a function,
   with all registers and the stack as the caller left them for `wanted`, and the function's address in r11 (x86-64); it
   calls that by `given`, with its own stack kept as unwinding wants it, and returns to the caller. It is a function of
   a ready unit's object, neither lazy nor redirectable. It counts for what is submitted after it; a lazy function goes
   through one that is registered before the call, too.

   A convention is all that a call depends on besides the function, parameters included that nobody writes down: two
   functions of which one takes a hidden context are of two conventions.

   The registration goes when the adapter's unit goes. It does not keep that; what goes through it does: a unit that
   defines a function which is reached so uses the adapter, and where that is a symbol of the runner's libraries, the
   units that call it do. JITD_ERROR_NOT_FOUND, JITD_ERROR_NOT_CALLABLE, JITD_ERROR_INVALID where the two are one,
   JITD_ERROR_SYMBOL_DUPLICATE where the pair has an adapter, JITD_ERROR_LIMIT past 65,536. */
int jitd_adapt(struct jitd_session *session, uint32_t library, const char *symbol, uint64_t wanted, uint64_t given,
               jitd_done_callback *callback, void *data, jitd_request *request);

/* ---- calls ---- */

enum jitd_type {
    JITD_VOID = 0,
    JITD_INT32 = 1,
    JITD_UINT32 = 2,
    JITD_INT64 = 3,
    JITD_UINT64 = 4,
    JITD_FLOAT32 = 5,
    JITD_FLOAT64 = 6,
    JITD_POINTER = 7
};

struct jitd_value {
    enum jitd_type type;
    union {
        int64_t integer; /* also for INT32 */
        uint64_t unsigned_integer;
        double float64;
        float float32;
        uint64_t pointer; /* an address in the runner */
    };
};

/* Who vouches for a member: K the kernel through the template, L the linker, R the runner, which could have forged it.
 */
struct jitd_frame {
    uint64_t pc;             /* R */
    const char *unit;        /* L; unit or library, "" where neither */
    const char *section;     /* L; of the unit's object */
    uint64_t section_offset; /* L */
    const char *function;    /* L; "" where no symbol covers it */
    uint64_t function_offset;
    uint64_t unit_id;       /* L; 0 where `unit` is none of the session's */
    uint32_t section_index; /* L; in the section header table of the unit's object; 0: none */
    bool exact; /* R; the instruction at pc was interrupted; else a call returns there, and pc - 1 is in the call */
};

struct jitd_register {
    const char *name;
    uint64_t value; /* R */
};

struct jitd_end {
    uint64_t epoch;
    bool exited;            /* K */
    int exit_status;        /* K, where exited */
    int signal;             /* K, where not */
    bool record;            /* whether the crash handler wrote what follows */
    int record_signal;      /* R */
    int signal_code;        /* R; si_code */
    uint64_t fault_address; /* R; si_addr */
    bool stack_overflow;    /* R */
    uint64_t thread;        /* R */
    const struct jitd_register *registers;
    size_t register_count;
    const struct jitd_frame *frames; /* innermost first */
    size_t frame_count;
    const char *initialiser_of; /* L; the unit whose initialiser ran on the thread that ended it (which that is: R), or
                                   one that ran where this is not known; else "" */
    const char *finaliser_of;   /* L; the same, of a finaliser because the unit was being removed */
    const char *action_of;      /* L; the same, of an action; also one that could not be made again in a new life */
    uint32_t deadline_ms;    /* L; that initialiser or action had not returned when its batch's deadline had passed, or
                                a call when its own had, and jitd has ended the life; 0: not so */
    const char *lazy_symbol; /* L; the lazy function that a thread waited for and that will not come, or ""... */
    struct jitd_error lazy_error; /* L; ...and why; code 0: no thread waited in vain */
};

/* Exactly one of result, end and errors is not NULL. */
typedef void jitd_call_callback(struct jitd_session *session, const struct jitd_value *result,
                                const struct jitd_end *end, const struct jitd_errors *errors, void *data);

/* Calls and runs that are sent from now on have so many milliseconds, from when the daemon has taken them; 0, as at
   first: as long as they take. One that has not begun by then is completed with JITD_ERROR_TIMEOUT. One that has not
   returned is ended with the runner's life: jitd_end.deadline_ms says why. */
void jitd_set_call_deadline(struct jitd_session *session, uint32_t milliseconds);

/* Calls a function of a ready unit or library by name. */
int jitd_call(struct jitd_session *session, const char *symbol, enum jitd_type result,
              const struct jitd_value *arguments, size_t argument_count, jitd_call_callback *callback, void *data,
              jitd_request *request);

/* The same, looked for from `library` on. */
int jitd_call_in(struct jitd_session *session, uint32_t library, const char *symbol, enum jitd_type result,
                 const struct jitd_value *arguments, size_t argument_count, jitd_call_callback *callback, void *data,
                 jitd_request *request);

/* The same at an address inside a ready unit. */
int jitd_call_address(struct jitd_session *session, uint64_t address, enum jitd_type result,
                      const struct jitd_value *arguments, size_t argument_count, jitd_call_callback *callback,
                      void *data, jitd_request *request);

/* Runs `symbol` (NULL: "main") as a program's main with the session's arguments; always completed with `end` or
   errors. */
int jitd_call_main(struct jitd_session *session, const char *symbol, jitd_call_callback *callback, void *data,
                   jitd_request *request);

/* One unit, one call, and gone: links `unit` as a closed batch of its own, calls its function `symbol` when it is ready
   and removes it when the call is over, in one message. No event tells of the unit; its tag is not used. All is
   borrowed until the function returns. The unit's names are its library's like any other unit's, so that two runs which
   define one name must not overlap: send the second when the first is complete. Where other units have come to use it
   meanwhile it stays until the last of them goes, and goes with that one, by removal or failure; it is not counted.
   Completed as a call is, or with the errors of whichever step failed. Of several runs that overlap the calls are made
   in the order in which their units become ready. */
int jitd_run(struct jitd_session *session, const struct jitd_unit_input *unit, const char *symbol,
             enum jitd_type result, const struct jitd_value *arguments, size_t argument_count,
             jitd_call_callback *callback, void *data, jitd_request *request);

/* ---- inspection ---- */

struct jitd_zone {
    const char *name;
    uint64_t address;
    uint64_t bytes;
    uint64_t used; /* up to the end of the last unit, and what leads the unwinder to units */
    uint64_t digest;
};

struct jitd_extent {
    const char *zone; /* "X" */
    uint64_t address;
    uint64_t bytes;
};

/* A function of the unit's that has been registered with jitd_adapt. */
struct jitd_adapter {
    uint64_t wanted; /* convention of the calls... */
    uint64_t given;  /* ...and that of the functions which they reach through it */
    const char *symbol;
    uint64_t address;
    uint64_t ways; /* functions that are reached through it, each counted once */
};

struct jitd_unit {
    uint64_t unit;
    const char *name;
    enum jitd_unit_state state;
    const struct jitd_definition *definitions;
    size_t definition_count;
    uint32_t library;
    const struct jitd_extent *extents; /* its room in the arena */
    size_t extent_count;

    /* With JITD_INSPECT_DEPENDENCIES. */
    const uint64_t *uses; /* units, each once, in the order of their ids */
    size_t use_count;
    uint64_t waits_for;         /* the unit that it waits for now, or 0 */
    const char *const *missing; /* names that it needs and nobody offers, as often as there are uses */
    size_t missing_count;

    /* With JITD_INSPECT_ADAPTERS. */
    const struct jitd_adapter *adapters; /* in the order of their registration */
    size_t adapter_count;
};

struct jitd_library_info {
    uint32_t number;
    const char *name;
    const struct jitd_search *search;
    size_t search_count;
};

struct jitd_inspection {
    uint64_t epoch;
    uint64_t unit_count;
    const struct jitd_zone *zones;
    size_t zone_count;
    const struct jitd_unit *units; /* in the order of their ids */
    size_t units_listed;
    uint64_t next_unit; /* where the list was cut off: ask again from there on; 0: it was not */
    const struct jitd_library_info *libraries;
    size_t library_count;
};

enum jitd_inspect_flags {
    JITD_INSPECT_UNITS = 1,
    JITD_INSPECT_DIGESTS = 2,
    JITD_INSPECT_DEPENDENCIES = 4, /* of the units */
    JITD_INSPECT_LIBRARIES = 8,
    JITD_INSPECT_ADAPTERS = 16 /* of the units */
};

typedef void jitd_inspect_callback(struct jitd_session *session, const struct jitd_inspection *inspection,
                                   const struct jitd_errors *errors, void *data);
int jitd_inspect(struct jitd_session *session, unsigned flags, jitd_inspect_callback *callback, void *data,
                 jitd_request *request);

/* The same, units from `first` on (an id), at most `limit` of them (0: as many as one answer holds). */
int jitd_inspect_from(struct jitd_session *session, unsigned flags, uint64_t first, uint32_t limit,
                      jitd_inspect_callback *callback, void *data, jitd_request *request);

/* ---- waiting ---- */

/* Dispatches until the request is complete, its callback having run; 0 as the number waits for Welcome. A timeout in
   milliseconds, negative for none: JITD_ERROR_TIMEOUT leaves the request outstanding. An unknown number, or one that is
   complete, returns 0 at once. With jitd_options.interruptible JITD_ERROR_INTERRUPTED, which leaves it outstanding too;
   a signal that is handled just before the wait begins is not noticed by it. */
int jitd_wait(struct jitd_session *session, jitd_request request, int timeout_ms);

/* Dispatches until no submission is outstanding and every unit that was accepted is READY, FAILED or REMOVED. Errors as
   jitd_wait; that of JITD_ERROR_TIMEOUT says how many units still wait. */
int jitd_wait_units(struct jitd_session *session, int timeout_ms);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
