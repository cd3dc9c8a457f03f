/*
 * Mounts and namespaces of the command's own: what is hidden or set here, nobody else sees.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/kernels/under.h"

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, strlen(text));
    int number = errno;
    close(fd);
    errno = number;
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

/* The user and the group keep their numbers; others have none inside. */
static void enter_user_namespace(void)
{
    char user[64], group[64];
    snprintf(user, sizeof user, "%u %u 1", geteuid(), geteuid());
    snprintf(group, sizeof group, "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER) != 0 || write_text("/proc/self/setgroups", "deny") != 0 ||
        write_text("/proc/self/uid_map", user) != 0 || write_text("/proc/self/gid_map", group) != 0)
        cannot(errno, "no user namespace");
}

/* Without privileges in a user namespace, where the command has them. */
static void enter(int namespaces)
{
    if (unshare(namespaces) == 0)
        return;
    if (errno != EPERM)
        cannot(errno, "no namespace of its own");
    enter_user_namespace();
    if (unshare(namespaces) != 0)
        cannot(errno, "no namespace of its own");
}

static void enter_mounts(void)
{
    enter(CLONE_NEWNS);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cannot(errno, "no mounts of its own");
}

static void hide(const char *path)
{
    enter_mounts();
    if (mount("none", path, "tmpfs", MS_NOSUID, "size=1m,mode=755") != 0)
        cannot(errno, "%s cannot be hidden", path);
}

static void impose_no_proc(const char *name, const char *value)
{
    (void)name, (void)value;
    hide("/proc");
}

static void impose_no_dev(const char *name, const char *value)
{
    (void)name, (void)value;
    hide("/dev");
}

static void impose_read_only(const char *name, const char *value)
{
    (void)name, (void)value;
    struct { /* mount_attr(2) */
        uint64_t set, clear, propagation, user_namespace;
    } attributes = {.set = 1 /* MOUNT_ATTR_RDONLY */};
    enter_mounts();
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0x8000 /* AT_RECURSIVE */, &attributes, sizeof attributes) != 0)
        cannot(errno, "file systems cannot be made read-only");
}

static void impose_root(const char *name, const char *value)
{
    (void)name;
    if (chroot(value) != 0) {
        if (errno != EPERM)
            cannot(errno, "chroot to %s", value);
        enter_user_namespace();
        if (chroot(value) != 0)
            cannot(errno, "chroot to %s", value);
    }
    if (chdir("/") != 0)
        cannot(errno, "chdir");
}

/* The limits of a user namespace hold for those below it. */
static void impose_no_namespaces_left(const char *name, const char *value)
{
    (void)name, (void)value;
    enter_user_namespace();
    if (write_text("/proc/sys/user/max_user_namespaces", "0") != 0 ||
        write_text("/proc/sys/user/max_pid_namespaces", "0") != 0)
        cannot(errno, "the number of namespaces cannot be limited");
}

/* A setting of each pid namespace. */
static void impose_memfd_noexec(const char *name, const char *value)
{
    (void)name;
    enter(CLONE_NEWPID | CLONE_NEWNS);
    go_on_in_child();
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0)
        cannot(errno, "no /proc of its own");
    if (write_text("/proc/sys/vm/memfd_noexec", value) != 0)
        cannot(errno, "vm.memfd_noexec cannot be set");
    go_on_in_child(); /* the first process of a namespace is not killed by most signals */
}

static void impose_time(const char *name, const char *value)
{
    (void)name, (void)value;
    enter(CLONE_NEWTIME);
    if (write_text("/proc/self/timens_offsets", "monotonic 864000 0\nboottime 864000 0\n") != 0)
        cannot(errno, "clocks cannot be set off");
    go_on_in_child();
}

static void impose_no_network(const char *name, const char *value)
{
    (void)name, (void)value;
    enter(CLONE_NEWNET);
}

const struct condition space_conditions[] = {
    {"no-proc", "/proc is empty", impose_no_proc},
    {"no-dev", "/dev is empty", impose_no_dev},
    {"read-only", "all file systems are read-only", impose_read_only},
    {"root=", "that directory is the root", impose_root},
    {"no-namespaces-left", "another namespace would be one too many", impose_no_namespaces_left},
    {"memfd-noexec=", "that value of vm.memfd_noexec", impose_memfd_noexec},
    {"other-time", "a time namespace that is ten days ahead", impose_time},
    {"no-network", "a network namespace with nothing in it", impose_no_network},
    {NULL, NULL, NULL},
};
