/*
 * Handlers rather than signalfd, which would need the signals blocked: a mask is inherited across exec, and the program
 * would then run with SIGINT blocked.
 */
#include "client/jitctl/interruption.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t interruption_number;
static int interruption_fd = -1;

static void interruption_handle(int number)
{
    int saved = errno;
    uint64_t one = 1;
    if (interruption_number == 0)
        interruption_number = number;
    if (write(interruption_fd, &one, sizeof one) < 0) {
        /* The counter is full, hence the descriptor readable already. */
    }
    errno = saved;
}

int interruption_open(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    interruption_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (interruption_fd < 0)
        return -1;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = interruption_handle, .sa_flags = SA_RESTART}, before;
        /* nohup and background jobs of a shell ignore them, and mean it. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    return interruption_fd;
}

int interruption_signal(void)
{
    return interruption_number;
}
