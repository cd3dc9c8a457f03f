/*
 * Options: one table, from which getopt's tables, the checks and the help text all come.
 */
#include "client/jitctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/complain.h"
#include "common/bytes.h"

typedef int options_setter(struct options *options, const char *value);

static int options_set_number(const char *option, const char *value, uint64_t *number)
{
    static const struct {
        const char *suffix;
        unsigned shift;
    } suffixes[] = {{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}};
    char *end;
    errno = 0;
    unsigned long long digits = strtoull(value, &end, 10);
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++)
        if (!errno && *value >= '0' && *value <= '9' && digits && strcmp(end, suffixes[i].suffix) == 0 &&
            digits <= UINT64_MAX >> suffixes[i].shift) {
            *number = digits << suffixes[i].shift;
            return 0;
        }
    return complain("%s takes a number above 0, with K, M or G for its powers of 1024, not '%s'", option, value);
}

static int options_set_profile(struct options *options, const char *value)
{
    static const struct {
        const char *name;
        enum jitd_profile profile;
    } profiles[] = {
        {"default", JITD_PROFILE_DEFAULT}, {"compute", JITD_PROFILE_COMPUTE}, {"trusted", JITD_PROFILE_TRUSTED}};
    for (size_t i = 0; i < ARRAY_LENGTH(profiles); i++)
        if (strcmp(value, profiles[i].name) == 0) {
            options->profile = profiles[i].profile;
            return 0;
        }
    return complain("--sandbox is compute, default or trusted, not '%s'", value);
}

static int options_set_argument0(struct options *options, const char *value)
{
    options->argument0 = value;
    return 0;
}

static int options_set_connect(struct options *options, const char *value)
{
    options->connect = value;
    return 0;
}

static int options_set_report(struct options *options, const char *value)
{
    options->report = value;
    return 0;
}

static int options_set_json(struct options *options, const char *value)
{
    (void)value;
    options->json = true;
    return 0;
}

static int options_set_dot(struct options *options, const char *value)
{
    (void)value;
    options->dot = true;
    return 0;
}

static int options_set_units(struct options *options, const char *value)
{
    (void)value;
    options->units = true;
    return 0;
}

static int options_set_environment_all(struct options *options, const char *value)
{
    (void)value;
    options->environment_all = true;
    return 0;
}

static int options_add_environment(struct options *options, const char *value)
{
    if (*value == '\0' || *value == '=')
        return complain("--env takes NAME or NAME=VALUE, not '%s'", value);
    options->environment = allocate_room(options->environment, options->environment_count, sizeof(char *));
    options->environment[options->environment_count++] = value;
    return 0;
}

static int options_add_directory(struct options *options, const char *value)
{
    options->directories = allocate_room(options->directories, options->directory_count, sizeof(char *));
    options->directories[options->directory_count++] = value;
    return 0;
}

static int options_add_operand(struct options *options, enum operand_kind kind, const char *text)
{
    options->operands = allocate_room(options->operands, options->operand_count, sizeof *options->operands);
    options->operands[options->operand_count++] =
        (struct operand){.kind = kind, .text = text, .manner = options->manner};
    return 0;
}

static int options_add_library(struct options *options, const char *value)
{
    return options_add_operand(options, OPERAND_LIBRARY, value);
}

static int options_add_undefined(struct options *options, const char *value)
{
    options->undefined = allocate_room(options->undefined, options->undefined_count, sizeof(char *));
    options->undefined[options->undefined_count++] = value;
    return 0;
}

static int options_begin_group(struct options *options, const char *value)
{
    (void)value;
    if (options->in_group)
        return complain("--start-group stands within a group, and groups do not nest");
    options->in_group = true;
    return options_add_operand(options, OPERAND_GROUP_BEGIN, NULL);
}

static int options_end_group(struct options *options, const char *value)
{
    (void)value;
    if (!options->in_group)
        return complain("--end-group without --start-group");
    options->in_group = false;
    return options_add_operand(options, OPERAND_GROUP_END, NULL);
}

static int options_set_whole(struct options *options, const char *value)
{
    (void)value;
    options->manner.whole = true;
    return 0;
}

static int options_clear_whole(struct options *options, const char *value)
{
    (void)value;
    options->manner.whole = false;
    return 0;
}

static int options_set_archives_only(struct options *options, const char *value)
{
    options->manner.archives_only = strcmp(value, "static") == 0;
    if (options->manner.archives_only || strcmp(value, "dynamic") == 0)
        return 0;
    return complain("-B is -Bstatic or -Bdynamic, not '-B%s'", value);
}

static int options_set_as_needed(struct options *options, const char *value)
{
    (void)value;
    options->manner.as_needed = true;
    return 0;
}

static int options_clear_as_needed(struct options *options, const char *value)
{
    (void)value;
    options->manner.as_needed = false;
    return 0;
}

static int options_set_memory(struct options *options, const char *value)
{
    return options_set_number("--memory", value, &options->address_space_bytes);
}

/* X=64M,Z=1G */
static int options_set_arena(struct options *options, const char *value)
{
    static const char letters[] = {[JITD_ZONE_CODE] = 'X',
                                   [JITD_ZONE_SLOTS] = 'S',
                                   [JITD_ZONE_CONSTANTS] = 'R',
                                   [JITD_ZONE_DATA] = 'D',
                                   [JITD_ZONE_ZEROS] = 'Z'};
    int code = 0;
    char *list = allocate_format("%s", value), *rest = list;
    for (char *word; code == 0 && (word = strsep(&rest, ",")) != NULL;) {
        const char *letter = *word ? memchr(letters, *word, sizeof letters) : NULL;
        if (!letter || word[1] != '=')
            code = complain("--arena takes sizes of the zones X, S, R, D, Z, as in Z=1G,D=300M, not '%s'", value);
        else
            code = options_set_number("--arena", word + 2, &options->zone_bytes[letter - letters]);
    }
    free(list);
    options->has_arena = true;
    return code;
}

static int options_set_cpu(struct options *options, const char *value)
{
    return options_set_number("--cpu", value, &options->cpu_seconds);
}

static int options_set_open_files(struct options *options, const char *value)
{
    return options_set_number("--open-files", value, &options->open_files);
}

static int options_set_session(struct options *options, const char *value)
{
    return options_set_number("--session", value, &options->session);
}

#define OPTIONS_BOTH (OPTIONS_RUN | OPTIONS_LINK)

static const struct options_row {
    const char *name; /* one letter: a short option */
    const char *value;
    options_setter *set;
    unsigned commands;
    const char *help;
} options_table[] = {
    {"l", "NAME", options_add_library, OPTIONS_BOTH, "search libNAME.so, then libNAME.a (:FILE for that very file)"},
    {"L", "DIR", options_add_directory, OPTIONS_BOTH, "search DIR for -l before the system's directories"},
    {"u", "SYMBOL", options_add_undefined, OPTIONS_BOTH, "as if SYMBOL were used: archives that define it give it"},
    {"undefined", "SYMBOL", options_add_undefined, OPTIONS_BOTH, "the same"},
    {"start-group", NULL, options_begin_group, OPTIONS_BOTH, "search the archives from here to --end-group in circles"},
    {"end-group", NULL, options_end_group, OPTIONS_BOTH, "end of the group"},
    {"whole-archive", NULL, options_set_whole, OPTIONS_BOTH, "take every member of the archives that follow"},
    {"no-whole-archive", NULL, options_clear_whole, OPTIONS_BOTH, "take those that are needed, as at first"},
    {"as-needed", NULL, options_set_as_needed, OPTIONS_BOTH,
     "load shared libraries that follow only if they are needed"},
    {"no-as-needed", NULL, options_clear_as_needed, OPTIONS_BOTH, "load them in any case, as at first"},
    {"B", "static|dynamic", options_set_archives_only, OPTIONS_BOTH,
     "for each -l that follows, search libNAME.a only, or libNAME.so too"},
    {"argv0", "NAME", options_set_argument0, OPTIONS_RUN, "the program's argv[0]; the first FILE if not given"},
    {"env", "NAME[=VALUE]", options_add_environment, OPTIONS_RUN, "pass one more variable, or set it"},
    {"env-all", NULL, options_set_environment_all, OPTIONS_RUN, "pass the whole environment"},
    {"sandbox", "PROFILE", options_set_profile, OPTIONS_BOTH, "compute, default or trusted"},
    {"memory", "BYTES", options_set_memory, OPTIONS_RUN, "limit the address space (512M, 4G)"},
    {"arena", "ZONE=BYTES,...", options_set_arena, OPTIONS_BOTH,
     "sizes of X code, S slots, R constants, D data, Z zeros"},
    {"cpu", "SECONDS", options_set_cpu, OPTIONS_RUN, "limit the processor time"},
    {"open-files", "COUNT", options_set_open_files, OPTIONS_RUN, "limit the open files"},
    {"json", NULL, options_set_json, OPTIONS_BOTH | OPTIONS_INSPECT,
     "run: a crash report, link: the address map, inspect: all, as JSON"},
    {"session", "N", options_set_session, OPTIONS_INSPECT, "the session of this number"},
    {"units", NULL, options_set_units, OPTIONS_INSPECT, "show every unit, with what it defines and uses"},
    {"dot", NULL, options_set_dot, OPTIONS_INSPECT, "a graph of the units, for dot(1)"},
    {"report", "FILE", options_set_report, OPTIONS_RUN, "write a crash report to FILE, not to standard error"},
    {"connect", "PATH", options_set_connect, OPTIONS_BOTH, "use the daemon that listens at PATH, start none"},
};

#define OPTIONS_ROWS ARRAY_LENGTH(options_table)

/* What getopt_long returns for row i of the table, clear of all characters. */
#define OPTIONS_LONG 256

struct options_getopt {
    char short_options[2 * OPTIONS_ROWS + 3];
    struct option long_options[OPTIONS_ROWS + 1];
};

static bool options_is_short(const struct options_row *row)
{
    return row->name[1] == '\0';
}

static void options_fill_getopt(struct options_getopt *getopt, enum options_command command)
{
    /* '-': operands come in their place, as if of an option with the value 1. ':': a missing value is told apart. */
    char *letters = stpcpy(getopt->short_options, "-:");
    size_t count = 0;
    memset(getopt->long_options, 0, sizeof getopt->long_options);
    for (size_t i = 0; i < OPTIONS_ROWS; i++) {
        const struct options_row *row = &options_table[i];
        if (!(row->commands & command))
            continue;
        if (options_is_short(row)) {
            *letters++ = row->name[0];
            *letters++ = ':';
            continue;
        }
        getopt->long_options[count++] = (struct option){
            .name = row->name,
            .has_arg = row->value ? required_argument : no_argument,
            .val = (int)(OPTIONS_LONG + i),
        };
    }
    *letters = '\0';
}

static const struct options_row *options_find(int value)
{
    if (value >= OPTIONS_LONG)
        return &options_table[value - OPTIONS_LONG];
    for (size_t i = 0; i < OPTIONS_ROWS; i++)
        if (options_is_short(&options_table[i]) && options_table[i].name[0] == value)
            return &options_table[i];
    return NULL;
}

static int options_take(struct options *options, int value)
{
    if (value == 1)
        return options_add_operand(options, OPERAND_FILE, optarg);
    const struct options_row *row = options_find(value);
    return row ? row->set(options, optarg) : 0;
}

static int options_refuse(const char *command, int value, const char *word)
{
    const char *why = value == ':' ? "needs a value" : "is no option of this command";
    return complain("%s %s; see 'jitctl help %s'", word, why, command);
}

static bool options_have_files(const struct options *options)
{
    for (size_t i = 0; i < options->operand_count; i++)
        if (options->operands[i].text)
            return true;
    return false;
}

static int options_check(const struct options *options, enum options_command command, const char *name)
{
    if (command == OPTIONS_INSPECT && options->operand_count != 1)
        return complain("inspect takes the socket of one daemon; see 'jitctl help inspect'");
    if (command == OPTIONS_INSPECT && options->json && options->dot)
        return complain("--json and --dot exclude each other");
    if (options->in_group)
        return complain("--start-group without --end-group");
    if (!options_have_files(options))
        return complain("no files given; see 'jitctl help %s'", name);
    if (command != OPTIONS_RUN && *options->arguments)
        return complain("%s runs nothing, so '%s' after -- is of no use", name, *options->arguments);
    return 0;
}

int options_parse(struct options *options, enum options_command command, int argc, char **argv)
{
    *options = (struct options){0};
    if (words_expand(&options->words, argc, argv))
        return EXIT_JITCTL;
    argc = (int)options->words.count;
    argv = options->words.list;
    struct options_getopt getopt;
    options_fill_getopt(&getopt, command);
    opterr = 0;
    optind = 0;
    int value;
    while ((value = getopt_long(argc, argv, getopt.short_options, getopt.long_options, NULL)) != -1) {
        if (value == '?' || value == ':')
            return options_refuse(argv[0], value, argv[optind - 1]);
        if (options_take(options, value))
            return EXIT_JITCTL;
    }
    options->arguments = argv + optind;
    return options_check(options, command, argv[0]);
}

void options_free(struct options *options)
{
    words_free(&options->words);
    free(options->operands);
    free(options->undefined);
    free(options->directories);
    free(options->environment);
    *options = (struct options){0};
}

void options_print(enum options_command command, FILE *out)
{
    for (size_t i = 0; i < OPTIONS_ROWS; i++) {
        const struct options_row *row = &options_table[i];
        if (!(row->commands & command))
            continue;
        char usage[64];
        snprintf(usage, sizeof usage, "%s%s%s%s", options_is_short(row) ? "-" : "--", row->name, row->value ? " " : "",
                 row->value ? row->value : "");
        fprintf(out, "  %-22s %s\n", usage, row->help);
    }
}
