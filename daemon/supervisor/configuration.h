/*
 * What the daemon was told on its command line: how it is reached, and the bounds of what a session may ask for.
 */
#ifndef SUPERVISOR_CONFIGURATION_H
#define SUPERVISOR_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/limits.h"

#define CONFIGURATION_SESSIONS 1024 /* at a time, unless the command line says otherwise */

enum configuration_mode {
    MODE_FD,     /* one session, on an inherited socket */
    MODE_LISTEN, /* any number, on a socket of its own or systemd's */
    MODE_STDIO,  /* one session, on standard input and output */
    MODE_HELP,
    MODE_VERSION
};

struct configuration {
    enum configuration_mode mode;
    int fd;                                         /* MODE_FD */
    const char *path;                               /* MODE_LISTEN; borrowed from argv */
    const char *libraries[LIMIT_ALLOWED_LIBRARIES]; /* borrowed from argv */
    size_t library_count;
    size_t maximum_sessions;
    unsigned login_seconds; /* 0: unlimited */
    uint32_t disabled;      /* bits 1 << Layer */
    char linker[LIMIT_PATH_BYTES];
    char runner[LIMIT_PATH_BYTES];
    uint64_t waiting_bytes;       /* that units which are not ready may hold in a session's linker */
    uint64_t arena_bytes;         /* that all zones of a session may have together; a multiple of ARENA_ALIGNMENT */
    uint64_t address_space_bytes; /* upper bounds of a session's own limits, and what it gets where it names none; */
    uint64_t cpu_seconds;         /* 0: unlimited */
    uint64_t open_files;
    unsigned link_threads; /* of a linker, beside its first */
};

/* Fills *out from the command line; programs that it does not name are looked for beside jitd itself and then in
   ../libexec/jitd. Errors: INVALID (an unknown option, a bad value, not exactly one way to be reached), NOT_FOUND (no
   such program), LIMIT. Prints nothing. */
int configuration_parse(int argc, char **argv, struct configuration *out, struct error *error);

bool configuration_disables(const struct configuration *configuration, unsigned layer);

extern const char configuration_help[];

#endif
