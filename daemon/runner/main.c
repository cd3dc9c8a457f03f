/*
 * jitd-runner: the process that submitted code runs in.
 *
 * Started by the supervisor, once for a session, with the command line and the descriptors of proto/control.h. This
 * process is the template; the program runs in its forks.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/runner/template.h"

static bool parse_mask(const char *text, uint32_t *mask)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *mask = (uint32_t)value;
    return *text != '\0' && *end == '\0' && value <= UINT32_MAX;
}

int main(int argc, char **argv)
{
    uint32_t disabled, layers;
    if (argc != 3 || !parse_mask(argv[1], &disabled) || !parse_mask(argv[2], &layers)) {
        fputs("jitd-runner is started by jitd, not by hand\n", stderr);
        return 125;
    }
    /* Not exit: whatever handlers the session's libraries registered are the program's, not the template's. */
    _exit(template_run(disabled, layers));
}
