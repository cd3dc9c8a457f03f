/*
 * jitd-runner: the process that submitted code runs in.
 *
 * Started by the supervisor, once for a session, with the command line, the environment and the descriptors of
 * proto/control.h. ld.so comes here first, before any constructor of a library (gABI, DT_PREINIT_ARRAY). This process,
 * the template, stays there. Each fork of it that becomes a life returns to ld.so: the libraries are initialised in
 * it, as in a program that ld has linked with them, and with their threads, which a fork would not have; then main
 * serves.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "daemon/runner/live.h"
#include "daemon/runner/template.h"

#define SETTINGS "JITD_RUNNER="

typedef void preinitialiser_function(int argc, char **argv, char **envp);

/* So many numbers, and a space between each two. */
static bool parse_numbers(const char *text, uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *end;
        numbers[i] = strtoull(text, &end, 10);
        if (end == text || *end != (i + 1 < count ? ' ' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

/* libc's own constructor has not run either, and getenv finds nothing yet. */
static bool parse_settings(char *const *envp, struct template_orders *orders)
{
    uint64_t numbers[3 + ZONE_COUNT];
    if (envp[0] == NULL || strncmp(envp[0], SETTINGS, strlen(SETTINGS)) != 0 ||
        !parse_numbers(envp[0] + strlen(SETTINGS), numbers, ARRAY_LENGTH(numbers)) || numbers[0] > UINT32_MAX ||
        numbers[1] > UINT32_MAX)
        return false;
    orders->disabled = (uint32_t)numbers[0];
    orders->layers = (uint32_t)numbers[1];
    memcpy(orders->zones.bytes, numbers + 2, sizeof orders->zones.bytes);
    orders->least_zeros = numbers[2 + ZONE_COUNT];
    return true;
}

static void begin(int argc, char **argv, char **envp)
{
    static const char by_hand[] = "jitd-runner is started by jitd, not by hand\n";
    struct template_orders orders = {.place = {.argument_count = argc, .arguments = argv, .environment = envp}};
    if (parse_settings(envp, &orders)) {
        template_run(&orders);
        return;
    }
    ssize_t written = write(STDERR_FILENO, by_hand, sizeof by_hand - 1);
    (void)written;
    _exit(125);
}

__attribute__((section(".preinit_array"), used)) static preinitialiser_function *const preinitialiser = begin;

int main(void)
{
    live_serve();
}
