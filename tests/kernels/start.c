/*
 * What whoever starts a program decides: limits, descriptors, the user, the environment, how memory is laid out.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kernels/under.h"

static const struct {
    const char *name;
    __rlimit_resource_t resource;
} limits[] = {
    {"limit-nofile=", RLIMIT_NOFILE},   {"limit-nproc=", RLIMIT_NPROC}, {"limit-as=", RLIMIT_AS},
    {"limit-data=", RLIMIT_DATA},       {"limit-fsize=", RLIMIT_FSIZE}, {"limit-stack=", RLIMIT_STACK},
    {"limit-memlock=", RLIMIT_MEMLOCK},
};

static void impose_limit(const char *name, const char *value)
{
    rlim_t amount = strcmp(value, "unlimited") == 0 ? RLIM_INFINITY : (rlim_t)strtoull(value, NULL, 10);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (strcmp(limits[i].name, name) == 0 &&
            setrlimit(limits[i].resource, &(struct rlimit){.rlim_cur = amount, .rlim_max = amount}) != 0)
            cannot(errno, "%s%s", name, value);
}

static void impose_user(const char *name, const char *value)
{
    (void)name, (void)value;
    enum { NOBODY = 65534 };
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        cannot(errno, "it is not possible to become another user");
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self stays root's */
}

static void impose_umask(const char *name, const char *value)
{
    (void)name;
    umask((mode_t)strtoul(value, NULL, 8));
}

/* "0", "012" */
static void impose_closed(const char *name, const char *value)
{
    (void)name;
    for (; *value != '\0'; value++)
        close(*value - '0');
}

static void impose_bare_environment(const char *name, const char *value)
{
    (void)name, (void)value;
    static const char *const kept[] = {"O", "T", "CC", "PATH"};
    char *values[sizeof kept / sizeof kept[0]];
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        values[i] = getenv(kept[i]);
    clearenv();
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (values[i])
            setenv(kept[i], values[i], 1);
}

/* Mappings from the bottom up: vm.legacy_va_layout. */
static void impose_legacy_layout(const char *name, const char *value)
{
    (void)name, (void)value;
    if (personality(ADDR_COMPAT_LAYOUT) < 0)
        cannot(errno, "personality");
}

static void impose_no_randomization(const char *name, const char *value)
{
    (void)name, (void)value;
    if (personality(ADDR_NO_RANDOMIZE) < 0)
        cannot(errno, "personality");
}

const struct condition start_conditions[] = {
    {"limit-nofile=", "at most so many descriptors", impose_limit},
    {"limit-nproc=", "at most so many processes of the user", impose_limit},
    {"limit-as=", "at most so many bytes of addresses", impose_limit},
    {"limit-data=", "at most so many bytes that can be written to: as strict overcommit, but for each process",
     impose_limit},
    {"limit-fsize=", "files of at most so many bytes", impose_limit},
    {"limit-stack=", "stacks of so many bytes", impose_limit},
    {"limit-memlock=", "at most so many bytes locked", impose_limit},
    {"ordinary-user", "a user without privileges", impose_user},
    {"umask=", "that mask, in octal digits", impose_umask},
    {"closed=", "those of the descriptors 0, 1, 2 are closed", impose_closed},
    {"bare-environment", "no HOME, no TMPDIR, nothing but PATH and what tests/run takes", impose_bare_environment},
    {"legacy-layout", "mappings from the bottom up", impose_legacy_layout},
    {"no-randomization", "addresses that are the same each time", impose_no_randomization},
    {NULL, NULL, NULL},
};
