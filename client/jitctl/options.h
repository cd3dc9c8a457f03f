/*
 * The command lines of all commands, as one struct.
 *
 * Files and -l names keep their common order, since the search of archives depends on it.
 */
#ifndef JITCTL_OPTIONS_H
#define JITCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/jitctl/words.h"
#include "client/jitd.h"

enum operand_kind { OPERAND_FILE, OPERAND_LIBRARY, OPERAND_GROUP_BEGIN, OPERAND_GROUP_END };

/* What options before an operand say of it, as ld's do. */
struct operand_manner {
    bool whole;         /* every member of an archive */
    bool archives_only; /* no shared library */
    bool as_needed;     /* shared libraries only if one of their symbols is needed */
};

struct operand {
    enum operand_kind kind;
    const char *text; /* the path, or what follows -l; NULL for groups */
    struct operand_manner manner;
};

enum options_command { OPTIONS_RUN = 1, OPTIONS_LINK = 2, OPTIONS_INSPECT = 4 };

/* All strings are borrowed from argv or lie in `words`; the arrays are owned. */
struct options {
    struct words words; /* the command line with response files read */
    struct operand *operands;
    size_t operand_count;
    struct operand_manner manner; /* of what follows */
    bool in_group;
    const char **undefined; /* of -u */
    size_t undefined_count;
    const char **directories; /* of -L */
    size_t directory_count;
    const char **environment; /* of --env */
    size_t environment_count;
    char *const *arguments; /* what follows "--"; NULL-terminated */
    const char *argument0;  /* NULL: the first operand */
    const char *connect;    /* NULL: a daemon of our own */
    const char *report;     /* NULL: standard error */
    bool environment_all;
    bool json;
    bool dot;
    bool units;       /* all of them */
    uint64_t session; /* 0: the only one */
    enum jitd_profile profile;
    uint64_t address_space_bytes; /* 0: the daemon's own limits */
    uint64_t cpu_seconds;
    uint64_t open_files;
    bool has_arena;                  /* of these one at least is not 0 */
    uint64_t zone_bytes[JITD_ZONES]; /* 0: the daemon's choice */
};

/* argv[0] is the command's name. Returns 0, or EXIT_JITCTL after having said what is wrong. End with options_free in
   both cases. */
int options_parse(struct options *options, enum options_command command, int argc, char **argv);
void options_free(struct options *options);

/* Prints one line an option of the command. */
void options_print(enum options_command command, FILE *out);

#endif
