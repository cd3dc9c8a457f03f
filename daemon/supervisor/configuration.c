/*
 * The command line. Every option is a row: its name and the function that takes its value.
 */
#include "daemon/supervisor/configuration.h"

#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/own_path.h"
#include "daemon/supervisor/usual_arena.h"
#include "proto/layers.h"
#include "proto/message.h"
#include "proto/zones.h"

const char configuration_help[] =
    "usage: jitd --fd N | --listen PATH | --stdio  [OPTION...]\n"
    "\n"
    "  --fd N                serve one session on the inherited socket N\n"
    "  --listen PATH         serve sessions on a Unix socket; systemd: for the one that systemd passes\n"
    "  --stdio               serve one session on standard input and output\n"
    "  --library NAME        a shared library, as a path or a soname, that sessions may load; repeatable\n"
    "  --max-sessions N      at most N sessions at a time (1024)\n"
    "  --login-seconds N     a controller says Hello within N seconds, or its session ends (30; 0: no bound)\n"
    "  --waiting-bytes N     at most N bytes held by units of a session that are not ready (1 GiB)\n"
    "  --arena-max BYTES     at most this much for all zones of a session (2032 MiB)\n"
    "  --address-space BYTES at most this much memory for a runner, beside the arena (4 GiB; 0: no bound)\n"
    "  --cpu SECONDS         at most this much processor time for one life of a runner (no bound)\n"
    "  --open-files N        at most N descriptors in a runner (256)\n"
    "  --link-threads N      N more threads that a linker uses for large batches (one for each further CPU, at most "
    "7)\n"
    "  --linker PATH         the program jitd-linker\n"
    "  --runner PATH         the program jitd-runner\n"
    "  --disable-layer NAME  for debugging: leave out a layer of confinement, as seccomp or landlock\n"
    "  --help, --version\n"
    "\n"
    "JITD_LOG=LEVEL[,TAG=LEVEL...] and JITD_TRACE=CLASS[,CLASS...] choose what is written to standard error.\n";

static int parse_number(const char *text, uint64_t maximum, uint64_t *out, struct error *error)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > maximum)
        return error_set(error, ERROR_INVALID, "'%s' is not a number up to %llu", text, (unsigned long long)maximum);
    *out = value;
    return 0;
}

static int set_mode(struct configuration *out, enum configuration_mode mode, struct error *error)
{
    if (out->mode != MODE_HELP)
        return error_set(error, ERROR_INVALID, "--fd, --listen and --stdio exclude each other");
    out->mode = mode;
    return 0;
}

static int take_fd(struct configuration *out, const char *text, struct error *error)
{
    uint64_t fd = 0;
    if (parse_number(text, INT_MAX, &fd, error) != 0)
        return error->code;
    out->fd = (int)fd;
    return set_mode(out, MODE_FD, error);
}

static int take_listen(struct configuration *out, const char *text, struct error *error)
{
    out->path = text;
    return set_mode(out, MODE_LISTEN, error);
}

static int take_stdio(struct configuration *out, const char *text, struct error *error)
{
    (void)text;
    return set_mode(out, MODE_STDIO, error);
}

/* The name reaches the dynamic loader in LD_PRELOAD, whose separators it can therefore not contain. */
static int take_library(struct configuration *out, const char *text, struct error *error)
{
    if (out->library_count == LIMIT_ALLOWED_LIBRARIES)
        return error_set(error, ERROR_LIMIT, "more than %d libraries", LIMIT_ALLOWED_LIBRARIES);
    if (text[0] == '\0' || strpbrk(text, ": \t\n") || strlen(text) >= LIMIT_PATH_BYTES)
        return error_set(error, ERROR_INVALID, "the library '%s' cannot be preloaded: bad name", text);
    if (strchr(text, '/') && access(text, R_OK) != 0)
        return error_system(error, "library '%s'", text);
    out->libraries[out->library_count++] = text;
    return 0;
}

static int take_sessions(struct configuration *out, const char *text, struct error *error)
{
    uint64_t count = 0;
    if (parse_number(text, LIMIT_SESSIONS, &count, error) != 0)
        return error->code;
    out->maximum_sessions = count;
    return 0;
}

static int take_login(struct configuration *out, const char *text, struct error *error)
{
    uint64_t seconds = 0;
    if (parse_number(text, 86400, &seconds, error) != 0)
        return error->code;
    out->login_seconds = (unsigned)seconds;
    return 0;
}

static int take_waiting(struct configuration *out, const char *text, struct error *error)
{
    return parse_number(text, LIMIT_WAITING_BYTES, &out->waiting_bytes, error);
}

static int take_arena(struct configuration *out, const char *text, struct error *error)
{
    if (parse_number(text, ARENA_REACH, &out->arena_bytes, error) != 0)
        return error->code;
    if (out->arena_bytes < ARENA_LEAST)
        return error_set(error, ERROR_INVALID, "'%s' is less than %llu, which every session needs", text, ARENA_LEAST);
    out->arena_bytes &= ~(ARENA_ALIGNMENT - 1);
    return 0;
}

static int take_address_space(struct configuration *out, const char *text, struct error *error)
{
    return parse_number(text, UINT64_MAX >> 16, &out->address_space_bytes, error);
}

static int take_cpu(struct configuration *out, const char *text, struct error *error)
{
    return parse_number(text, UINT32_MAX, &out->cpu_seconds, error);
}

static int take_open_files(struct configuration *out, const char *text, struct error *error)
{
    return parse_number(text, 1048576, &out->open_files, error);
}

static int take_link_threads(struct configuration *out, const char *text, struct error *error)
{
    uint64_t count = 0;
    if (parse_number(text, LIMIT_LINK_THREADS, &count, error) != 0)
        return error->code;
    out->link_threads = (unsigned)count;
    return 0;
}

static int take_program(char *out, const char *text, struct error *error)
{
    if (strlen(text) >= LIMIT_PATH_BYTES)
        return error_set(error, ERROR_LIMIT, "the path '%s' is too long", text);
    strcpy(out, text);
    return 0;
}

static int take_linker(struct configuration *out, const char *text, struct error *error)
{
    return take_program(out->linker, text, error);
}

static int take_runner(struct configuration *out, const char *text, struct error *error)
{
    return take_program(out->runner, text, error);
}

static int take_layer(struct configuration *out, const char *text, struct error *error)
{
    unsigned layer;
    if (layer_by_name(text, &layer) && layer_can_be_disabled(layer)) {
        out->disabled |= 1u << layer;
        return 0;
    }
    return error_set(error, ERROR_INVALID, "there is no layer '%s' to disable", text);
}

struct option_row {
    const char *name;
    bool has_value;
    int (*take)(struct configuration *out, const char *text, struct error *error);
};

static const struct option_row option_rows[] = {
    {"fd", true, take_fd},
    {"listen", true, take_listen},
    {"stdio", false, take_stdio},
    {"library", true, take_library},
    {"max-sessions", true, take_sessions},
    {"login-seconds", true, take_login},
    {"arena-max", true, take_arena},
    {"address-space", true, take_address_space},
    {"cpu", true, take_cpu},
    {"open-files", true, take_open_files},
    {"linker", true, take_linker},
    {"runner", true, take_runner},
    {"disable-layer", true, take_layer},
    {"waiting-bytes", true, take_waiting},
    {"link-threads", true, take_link_threads},
};

#define ROW_COUNT    ARRAY_LENGTH(option_rows)
#define OPTION_FIRST 256 /* getopt's value of row 0; above every character */

static void fill_options(struct option *options)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        int argument = option_rows[i].has_value ? required_argument : no_argument;
        options[i] = (struct option){option_rows[i].name, argument, NULL, OPTION_FIRST + (int)i};
    }
    options[ROW_COUNT] = (struct option){"help", no_argument, NULL, 'h'};
    options[ROW_COUNT + 1] = (struct option){"version", no_argument, NULL, 'v'};
    options[ROW_COUNT + 2] = (struct option){0};
}

/* `out` is empty where the command line named no program. */
static int find_program(char *out, const char *name, struct error *error)
{
    if (out[0] != '\0')
        return 0;
    static const char *const places[] = {"", "../libexec/jitd/"};
    char self[PATH_MAX];
    if (!own_path(self, true))
        return error_set(error, ERROR_NOT_FOUND, "the folder of jitd is not known without /proc; name %s with --%s",
                         name, name + strlen("jitd-"));
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        int length = snprintf(out, LIMIT_PATH_BYTES, "%s%s%s", self, places[i], name);
        if (length < LIMIT_PATH_BYTES && access(out, X_OK) == 0)
            return 0;
    }
    return error_set(error, ERROR_NOT_FOUND, "there is no %s in %s or its ../libexec/jitd; name it with --%s", name,
                     self, name + strlen("jitd-"));
}

static int parse_rows(int argc, char **argv, struct configuration *out, struct error *error)
{
    struct option options[ROW_COUNT + 3];
    fill_options(options);
    optind = 0; /* glibc: start over, whoever has parsed before */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "+:", options, NULL)) != -1;) {
        if (option == 'h' || option == 'v') {
            out->mode = option == 'h' ? MODE_HELP : MODE_VERSION;
            return 0;
        }
        if (option < OPTION_FIRST)
            return error_set(error, ERROR_INVALID, option == ':' ? "%s needs a value" : "%s is not an option of jitd",
                             argv[optind - 1]);
        const struct option_row *row = &option_rows[option - OPTION_FIRST];
        if (row->take(out, optarg, error) != 0)
            return error_prefix(error, "--%s", row->name);
    }
    if (optind < argc)
        return error_set(error, ERROR_INVALID, "unexpected argument '%s'", argv[optind]);
    if (out->mode == MODE_HELP)
        return error_set(error, ERROR_INVALID, "one of --fd, --listen and --stdio is needed; see jitd --help");
    return 0;
}

/* The CPUs that this process may use, but for the one that a linker's first thread needs. */
static unsigned spare_cpus(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 0;
    return (unsigned)min_u64((uint64_t)CPU_COUNT(&cpus) - 1, LIMIT_LINK_THREADS);
}

int configuration_parse(int argc, char **argv, struct configuration *out, struct error *error)
{
    *out = (struct configuration){.mode = MODE_HELP,
                                  .fd = -1,
                                  .maximum_sessions = CONFIGURATION_SESSIONS,
                                  .login_seconds = 30,
                                  .waiting_bytes = LIMIT_WAITING_BYTES,
                                  .address_space_bytes = MIB(4096),
                                  .open_files = 256,
                                  .link_threads = spare_cpus()};
    int code = parse_rows(argc, argv, out, error);
    if (code != 0 || out->mode == MODE_HELP || out->mode == MODE_VERSION)
        return code;
    if (out->arena_bytes == 0)
        out->arena_bytes = usual_arena();
    code = find_program(out->linker, "jitd-linker", error);
    return code != 0 ? code : find_program(out->runner, "jitd-runner", error);
}

bool configuration_disables(const struct configuration *configuration, unsigned layer)
{
    return (configuration->disabled & 1u << layer) != 0;
}
