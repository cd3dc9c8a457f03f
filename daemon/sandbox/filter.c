/*
 * Loading a prebuilt filter. The arrays and the table `filter_images` come from generate.c; the only thing that is not
 * known when jitd is built is the process id, which some conditions compare with.
 */
#include "daemon/sandbox/filter.h"

#include <assert.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/bytes.h"
#include "daemon/sandbox/rules.h"

struct filter_image {
    const struct sock_filter *instructions;
    size_t count;
    size_t own_pids; /* instructions that compare with OWN_PID_PLACEHOLDER */
};

#include "sandbox/filters.inc"

static_assert(ARRAY_LENGTH(filter_images) == FILTER_ROLE_COUNT, "a filter for each role");

size_t filter_program(enum filter_role role, unsigned pid, struct sock_filter *out)
{
    if ((unsigned)role >= FILTER_ROLE_COUNT)
        return 0;
    const struct filter_image *image = &filter_images[role];
    memcpy(out, image->instructions, image->count * sizeof *out);
    size_t found = 0;
    for (size_t i = 0; i < image->count; i++) {
        if (out[i].code != (BPF_JMP | BPF_JEQ | BPF_K) || out[i].k != OWN_PID_PLACEHOLDER)
            continue;
        out[i].k = pid;
        found++;
    }
    return found == image->own_pids ? image->count : 0;
}

int filter_install(enum filter_role role, struct error *error)
{
    struct sock_filter instructions[FILTER_INSTRUCTIONS];
    size_t count = filter_program(role, (unsigned)getpid(), instructions);
    if (count == 0)
        return error_set(error, ERROR_INVALID, "no usable system-call filter for role %d", (int)role);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_system(error, "set no_new_privs");
    struct sock_fprog program = {.len = (unsigned short)count, .filter = instructions};
    /* prctl(2) is older, and some filters of containers know it alone. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return error_system(error, "load the system-call filter");
    return 0;
}
