/*
 * under CONDITION... -- COMMAND [ARGUMENT...]: runs a command as it would run on another kernel, in a container, or
 * started by somebody else. The exit status is the command's, or 77 where a condition cannot be made here.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/under.h"

static const struct condition *const lists[] = {call_conditions, space_conditions, start_conditions};
#define LISTS (sizeof lists / sizeof lists[0])

void cannot(int number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s%s\n", number != 0 ? ": " : "", number != 0 ? strerror(number) : "");
    exit(STATUS_CANNOT);
}

void go_on_in_child(void)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        cannot(errno, "fork");
    if (child == 0)
        return;
    signal(SIGINT, SIG_IGN);
    /* The first process of a pid namespace inherits everybody's orphans. */
    int status = 0;
    for (pid_t ended; (ended = waitpid(-1, &status, 0)) != child;)
        if (ended < 0 && errno != EINTR)
            _exit(STATUS_CANNOT);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static const char *value_in(const char *name, const char *argument)
{
    size_t length = strlen(name);
    if (name[length - 1] != '=')
        return strcmp(name, argument) == 0 ? "" : NULL;
    return strncmp(name, argument, length) == 0 ? argument + length : NULL;
}

static void impose(const char *argument)
{
    for (size_t i = 0; i < LISTS; i++)
        for (const struct condition *condition = lists[i]; condition->name; condition++) {
            const char *value = value_in(condition->name, argument);
            if (!value)
                continue;
            condition->impose(condition->name, value);
            return;
        }
    fprintf(stderr, "under: there is no condition '%s'; see under --list\n", argument);
    exit(2);
}

static int list(void)
{
    for (size_t i = 0; i < LISTS; i++)
        for (const struct condition *condition = lists[i]; condition->name; condition++)
            printf("%-22s %s\n", condition->name, condition->text);
    return 0;
}

int main(int argc, char **argv)
{
    int at = 1;
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    while (at < argc && strcmp(argv[at], "--") != 0)
        impose(argv[at++]);
    if (at + 1 >= argc) {
        fputs("usage: under CONDITION... -- COMMAND [ARGUMENT...] | under --list\n", stderr);
        return 2;
    }
    execvp(argv[at + 1], argv + at + 1);
    fprintf(stderr, "under: %s: %s\n", argv[at + 1], strerror(errno));
    return 126;
}
