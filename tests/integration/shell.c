#include "tests/integration/shell.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct shell shell_open(void)
{
    struct shell shell = {.temp = temp_make()};
    const char *build = getenv("O");
    char relative[300];
    snprintf(relative, sizeof relative, "%s/bin/jitctl", build ? build : "build");
    char *path = realpath(relative, NULL);
    cr_assert(path, "%s is not there", relative);
    snprintf(shell.jitctl, sizeof shell.jitctl, "%s", path);
    free(path);
    return shell;
}

void shell_close(struct shell *shell)
{
    object_free(&shell->out);
    object_free(&shell->error);
    temp_remove(&shell->temp);
}

struct object_bytes shell_read_text(const char *path)
{
    struct object_bytes file = object_read(path);
    struct object_bytes text = {.bytes = calloc(1, file.length + 1), .length = file.length};
    cr_assert(text.bytes);
    memcpy(text.bytes, file.bytes, file.length);
    object_free(&file);
    return text;
}

int shell_run(struct shell *shell, const char *format, ...)
{
    char text[2048], command[4096], path[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(command, sizeof command, "cd %s && { J=%s; %s; } >out 2>error </dev/null", shell->temp.path, shell->jitctl,
             text);
    int status = system(command);
    shell->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    object_free(&shell->out);
    object_free(&shell->error);
    shell->out = shell_read_text(temp_path(&shell->temp, "out", path));
    shell->error = shell_read_text(temp_path(&shell->temp, "error", path));
    return shell->status;
}
