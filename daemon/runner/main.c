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

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 10);
    return *text != '\0' && *end == '\0';
}

static bool parse_mask(const char *text, uint32_t *mask)
{
    uint64_t value;
    bool parsed = parse_number(text, &value) && value <= UINT32_MAX;
    *mask = (uint32_t)value;
    return parsed;
}

static bool parse_sizes(char *const *texts, struct template_orders *orders)
{
    for (size_t z = 0; z < ZONE_COUNT; z++)
        if (!parse_number(texts[z], &orders->zones.bytes[z]))
            return false;
    return parse_number(texts[ZONE_COUNT], &orders->least_zeros);
}

int main(int argc, char **argv)
{
    struct template_orders orders;
    if (argc != 3 + ZONE_COUNT + 1 || !parse_mask(argv[1], &orders.disabled) || !parse_mask(argv[2], &orders.layers) ||
        !parse_sizes(argv + 3, &orders)) {
        fputs("jitd-runner is started by jitd, not by hand\n", stderr);
        return 125;
    }
    /* Not exit: whatever handlers the session's libraries registered are the program's, not the template's. */
    _exit(template_run(&orders));
}
