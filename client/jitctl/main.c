/*
 * jitctl: the command table, and help.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/commands.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/options.h"
#include "client/jitd.h"
#include "common/bytes.h"
#include "common/descriptor.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    enum options_command options;
    const char *usage;
    const char *summary;
    const char *help;
} commands[] = {
    {"run", run_command, OPTIONS_RUN, "jitctl run [OPTION...] FILE... [-- ARGUMENT...]",
     "link objects and archives and run main, as cc FILE... && ./a.out would",
     "FILEs are relocatable objects, archives, of which the members that are needed are taken, and shared\n"
     "libraries. The program has jitctl's standard streams and working directory; of the environment it gets\n"
     "PATH, HOME, LANG, LC_*, TERM, TZ, USER, TMPDIR and what --env says. The exit status is the program's own,\n"
     "128 + N if signal N ended it, and 125 for errors of jitctl or jitd.\n"},
    {"link", link_command, OPTIONS_LINK, "jitctl link [OPTION...] FILE...",
     "link, and print the addresses of zones, units and symbols", "Links as run does, but does not call main.\n"},
    {"inspect", inspect_command, OPTIONS_INSPECT, "jitctl inspect [OPTION...] SOCKET",
     "show what the sessions of a daemon hold: their units, and who waits for what",
     "SOCKET is the PATH of 'jitd --listen PATH'. Without --session: the only session, or a list where there is not\n"
     "exactly one. Units that are ready are only counted.\n"},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int print_help(void)
{
    puts("jitctl runs compiled code in a sandbox, through jitd.\n");
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        printf("  %s\n      %s\n", commands[i].usage, commands[i].summary);
    puts("  jitctl help [COMMAND]\n  jitctl --version");
    return 0;
}

static int print_command_help(const char *name)
{
    const struct command *command = find_command(name);
    if (!command)
        return complain("no command '%s'; see 'jitctl --help'", name);
    printf("%s\n\n%s\n", command->usage, command->help);
    options_print(command->options, stdout);
    return 0;
}

/* A closed standard stream would become whatever is opened next, and the program's output would go there. */
static int open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && (descriptor_open_null() != fd || fcntl(fd, F_SETFD, 0) < 0))
            return complain("there is nothing to open in the place of descriptor %d: %s", fd, strerror(errno));
    return 0;
}

static int run_arguments(int argc, char **argv)
{
    if (argc < 2)
        return complain("no command given; see 'jitctl --help'");
    if (strcmp(argv[1], "--version") == 0)
        return printf("jitctl %s\n", JITD_VERSION) < 0 ? EXIT_JITCTL : 0;
    if (strcmp(argv[1], "help") == 0 && argc > 2)
        return print_command_help(argv[2]);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return print_help();
    const struct command *command = find_command(argv[1]);
    if (!command)
        return complain("no command '%s'; see 'jitctl --help'", argv[1]);
    if (argc > 2 && strcmp(argv[2], "--help") == 0)
        return print_command_help(argv[1]);
    return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    if (open_standard_streams())
        return EXIT_JITCTL;
    int status = run_arguments(argc, argv);
    if (fflush(stdout) != 0 && status == 0)
        return complain("standard output: %s", strerror(errno));
    return status;
}
