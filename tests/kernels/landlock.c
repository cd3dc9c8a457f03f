/*
 * An older version of Landlock's interface on a newer kernel: a thread of ours answers who asks for the version, and
 * refuses what that version does not know; everything else the kernel does itself (seccomp_unotify(2)).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/kernels/under.h"

#define QUERY_VERSION 1u
#define FIELDS        3 /* of struct landlock_ruleset_attr: files, TCP, scopes */

/* linux/landlock.h as of each version. */
static const struct {
    size_t bytes;
    uint64_t known[FIELDS];
} versions[] = {
    {0, {0, 0, 0}},         {8, {0x1fff, 0, 0}},    {8, {0x3fff, 0, 0}},      {8, {0x7fff, 0, 0}},
    {16, {0x7fff, 0x3, 0}}, {16, {0xffff, 0x3, 0}}, {24, {0xffff, 0x3, 0x3}},
};
#define VERSIONS (sizeof versions / sizeof versions[0])

static int listener;
static unsigned long version;

/* 0, or what such a kernel answers to a ruleset that it does not know all of. */
static int judge_ruleset(const struct seccomp_notif *asked)
{
    uint64_t fields[FIELDS] = {0};
    size_t bytes = asked->data.args[1];
    if (bytes < 8 || bytes > sizeof fields)
        return bytes < 8 ? EINVAL : E2BIG;
    struct iovec to = {fields, bytes}, from = {(void *)(uintptr_t)asked->data.args[0], bytes};
    if (process_vm_readv((pid_t)asked->pid, &to, 1, &from, 1, 0) != (ssize_t)bytes)
        return EFAULT;
    for (size_t i = 0; i < FIELDS; i++)
        if ((fields[i] & ~versions[version].known[i]) != 0)
            return 8 * i >= versions[version].bytes ? E2BIG : EINVAL;
    return 0;
}

static void *answer_all(void *unused)
{
    struct seccomp_notif asked;
    for (;;) {
        memset(&asked, 0, sizeof asked);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
            if (errno == EINTR || errno == ENOENT) /* who asked has gone */
                continue;
            return unused;
        }
        struct seccomp_notif_resp reply = {.id = asked.id};
        if ((asked.data.args[2] & QUERY_VERSION) != 0)
            reply.val = (int64_t)version;
        else if ((reply.error = -judge_ruleset(&asked)) == 0)
            reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

void impose_landlock_version(const char *name, const char *value)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    (void)name;
    version = strtoul(value, NULL, 10);
    if (version < 1 || version >= VERSIONS)
        cannot(0, "what version %s of Landlock has is not known here", value);
    long own = syscall(SYS_landlock_create_ruleset, NULL, 0, QUERY_VERSION);
    if (own < (long)version)
        cannot(0, "this kernel's Landlock has version %ld only", own < 0 ? 0 : own);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0)
        cannot(errno, "system calls cannot be answered from here");
    pthread_t thread;
    if (pthread_create(&thread, NULL, answer_all, NULL) != 0)
        cannot(0, "no thread to answer");
    go_on_in_child();
    close(listener);
}
