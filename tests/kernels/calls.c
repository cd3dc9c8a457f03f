/*
 * System calls that are refused, as by an older kernel or by the filter of a container: one table, compiled to a
 * seccomp filter that lies above those which the command loads itself.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/under.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#define CLOSE_RANGE_ON_EXEC 4 /* CLOSE_RANGE_CLOEXEC */
#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

enum how { ALWAYS, WITH_BITS, WITH_VALUE };

struct refusal {
    const char *condition;
    int call;
    int error;
    enum how how;
    unsigned argument; /* whose lower word has any of the bits, or is the value */
    uint32_t bits;
};

/* Kernels before 6.3, 5.11, 5.9; before 5.3 there was no way to hold a process by a descriptor. */
#define NO_NOEXEC(condition)                                                                                           \
    {                                                                                                                  \
        condition, SYS_memfd_create, EINVAL, WITH_BITS, 1, MFD_NOEXEC_SEAL                                             \
    }
#define NO_CLOSE_RANGE(condition)                                                                                      \
    {                                                                                                                  \
        condition, SYS_close_range, ENOSYS, ALWAYS, 0, 0                                                               \
    }
#define NO_CLONE3(condition)                                                                                           \
    {                                                                                                                  \
        condition, SYS_clone3, ENOSYS, ALWAYS, 0, 0                                                                    \
    }
#define NO_LANDLOCK(condition, error)                                                                                  \
    {condition, SYS_landlock_create_ruleset, error, ALWAYS, 0, 0},                                                     \
        {condition, SYS_landlock_add_rule, error, ALWAYS, 0, 0},                                                       \
    {                                                                                                                  \
        condition, SYS_landlock_restrict_self, error, ALWAYS, 0, 0                                                     \
    }
/* The flags of clone3 lie in memory, where no filter sees them: who forbids namespaces has no clone3 at all. */
#define NO_NAMESPACES(condition, which)                                                                                \
    NO_CLONE3(condition), {condition, SYS_clone, EPERM, WITH_BITS, 0, (which)},                                        \
    {                                                                                                                  \
        condition, SYS_unshare, EPERM, WITH_BITS, 0, (which)                                                           \
    }
#define NEVER(condition, call, error)                                                                                  \
    {                                                                                                                  \
        condition, call, error, ALWAYS, 0, 0                                                                           \
    }

static const struct refusal refusals[] = {
    NO_LANDLOCK("no-landlock", ENOSYS),
    NO_LANDLOCK("landlock-off", EOPNOTSUPP),
    NO_CLONE3("no-clone3"),
    NEVER("no-pidfd", SYS_pidfd_open, ENOSYS),
    NEVER("no-pidfd", SYS_pidfd_send_signal, ENOSYS),
    {"no-pidfd", SYS_waitid, EINVAL, WITH_VALUE, 0, 3 /* P_PIDFD */},
    NO_CLOSE_RANGE("no-close-range"),
    {"old-close-range", SYS_close_range, EINVAL, WITH_BITS, 2, CLOSE_RANGE_ON_EXEC},
    NO_NOEXEC("old-memfd"),
    NO_NAMESPACES("no-user-namespaces", CLONE_NEWUSER),
    NO_NAMESPACES("no-namespaces", CLONE_NEWUSER | CLONE_NEWPID),
    NEVER("no-ptrace", SYS_ptrace, EPERM),
    NEVER("no-ptrace", SYS_process_vm_readv, EPERM),
    NEVER("no-ptrace", SYS_process_vm_writev, EPERM),
    NEVER("no-seccomp-call", SYS_seccomp, ENOSYS),
    NEVER("no-seccomp", SYS_seccomp, ENOSYS),
    {"no-seccomp", SYS_prctl, EINVAL, WITH_VALUE, 0, PR_SET_SECCOMP},
    NEVER("no-rseq", SYS_rseq, ENOSYS),

    NO_LANDLOCK("linux-5.10", ENOSYS),
    NO_NOEXEC("linux-5.10"),
    {"linux-5.10", SYS_close_range, EINVAL, WITH_BITS, 2, CLOSE_RANGE_ON_EXEC},
    NEVER("linux-5.10", SYS_epoll_pwait2, ENOSYS),
    NEVER("linux-5.10", SYS_mount_setattr, ENOSYS),

    /* What Docker's and Podman's profiles keep from a container without privileges, older ones Landlock too. */
    NO_NAMESPACES("container", NAMESPACES),
    NO_LANDLOCK("container", EPERM),
    NEVER("container", SYS_setns, EPERM),
    NEVER("container", SYS_mount, EPERM),
    NEVER("container", SYS_umount2, EPERM),
    NEVER("container", SYS_pivot_root, EPERM),
    NEVER("container", SYS_mount_setattr, EPERM),
    NEVER("container", SYS_open_tree, EPERM),
    NEVER("container", SYS_move_mount, EPERM),
    NEVER("container", SYS_fsopen, EPERM),
    NEVER("container", SYS_bpf, EPERM),
    NEVER("container", SYS_perf_event_open, EPERM),
    NEVER("container", SYS_userfaultfd, EPERM),
    NEVER("container", SYS_io_uring_setup, EPERM),
    NEVER("container", SYS_keyctl, EPERM),
    NEVER("container", SYS_add_key, EPERM),
    NEVER("container", SYS_request_key, EPERM),
    NEVER("container", SYS_ptrace, EPERM),
    NEVER("container", SYS_process_vm_readv, EPERM),
    NEVER("container", SYS_process_vm_writev, EPERM),
    NEVER("container", SYS_kcmp, EPERM),
    NEVER("container", SYS_mbind, EPERM),
    NEVER("container", SYS_set_mempolicy, EPERM),
    NEVER("container", SYS_get_mempolicy, EPERM),
    NEVER("container", SYS_close_range, EPERM),
};
#define REFUSALS (sizeof refusals / sizeof refusals[0])

struct program {
    struct sock_filter code[8 + 5 * REFUSALS];
    size_t count;
};

static void emit(struct program *program, unsigned code, uint32_t k, unsigned if_true, unsigned if_false)
{
    program->code[program->count++] = (struct sock_filter){(uint16_t)code, (uint8_t)if_true, (uint8_t)if_false, k};
}

/* Begins and ends with the call's number in the accumulator. */
static void emit_refusal(struct program *program, const struct refusal *refusal)
{
    bool always = refusal->how == ALWAYS;
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->call, 0, always ? 1 : 4);
    if (!always) {
        emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args) + 8 * refusal->argument,
             0, 0);
        emit(program, BPF_JMP | BPF_K | (refusal->how == WITH_BITS ? BPF_JSET : BPF_JEQ), refusal->bits, 0, 1);
    }
    emit(program, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refusal->error, 0, 0);
    if (!always)
        emit(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

static void impose_refusals(const char *condition, const char *value)
{
    (void)value;
    static struct program program;
    program.count = 0;
    emit(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    emit(&program, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit(&program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    emit(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    for (size_t i = 0; i < REFUSALS; i++)
        if (strcmp(refusals[i].condition, condition) == 0)
            emit_refusal(&program, &refusals[i]);
    emit(&program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    struct sock_fprog loaded = {.len = (unsigned short)program.count, .filter = program.code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded) != 0)
        cannot(errno, "no system call can be refused");
}

const struct condition call_conditions[] = {
    {"no-landlock", "a kernel that was built without Landlock", impose_refusals},
    {"landlock-off", "a kernel with Landlock that was started without it", impose_refusals},
    {"landlock=", "a kernel with that version of Landlock's interface", impose_landlock_version},
    {"no-clone3", "clone3 answers ENOSYS, as in Docker's containers", impose_refusals},
    {"no-pidfd", "no process can be held by a descriptor but by who starts it", impose_refusals},
    {"no-close-range", "close_range answers ENOSYS: Linux before 5.9", impose_refusals},
    {"old-close-range", "close_range cannot mark descriptors: Linux before 5.11", impose_refusals},
    {"old-memfd", "memfd_create knows no MFD_NOEXEC_SEAL: Linux before 6.3", impose_refusals},
    {"no-user-namespaces", "user namespaces are forbidden", impose_refusals},
    {"no-namespaces", "user and pid namespaces are forbidden", impose_refusals},
    {"no-ptrace", "nobody traces anybody: Yama's ptrace_scope 3", impose_refusals},
    {"no-seccomp-call", "filters can be loaded by prctl alone", impose_refusals},
    {"no-seccomp", "filters cannot be loaded", impose_refusals},
    {"no-rseq", "restartable sequences are refused", impose_refusals},
    {"linux-5.10", "calls younger than Linux 5.10 are missing", impose_refusals},
    {"container", "what a container without privileges is refused", impose_refusals},
    {NULL, NULL, NULL},
};
