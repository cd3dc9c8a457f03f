/*
 * daemon/sandbox/filter: the tables, run through an interpreter of the programs that were compiled from them, and
 * through the kernel for what an interpreter cannot show.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "daemon/sandbox/filter.h"
#include "daemon/sandbox/landlock.h"

#define COMPUTE FILTER_RUNNER_COMPUTE
#define DEFAULT FILTER_RUNNER_DEFAULT
#define TRUSTED FILTER_RUNNER_TRUSTED
#define LINKER  FILTER_LINKER

#define YES     SECCOMP_RET_ALLOW
#define CRASH   SECCOMP_RET_TRAP
#define KILLED  SECCOMP_RET_KILL_PROCESS
#define NO(why) (SECCOMP_RET_ERRNO | (why))

#define OWN   4711u
#define NOISE 0xdead00000000ull

/* The instructions that generate.c emits, and no others. */
static uint32_t interpret(const struct sock_filter *code, size_t count, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t at = 0; at < count; at++) {
        const struct sock_filter *i = &code[at];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            cr_assert(i->k % 4 == 0 && i->k + 4 <= sizeof *data);
            a = load_le32((const char *)data + i->k);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JA:
            at += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= i->k ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            cr_assert_fail("instruction %zu has the unknown code 0x%x", at, i->code);
        }
    }
    cr_assert_fail("the program runs over its end");
    return 0;
}

static uint32_t decide(enum filter_role role, const struct seccomp_data *data)
{
    static struct sock_filter code[FILTER_ROLE_COUNT][FILTER_INSTRUCTIONS];
    static size_t counts[FILTER_ROLE_COUNT];
    if (counts[role] == 0)
        counts[role] = filter_program(role, OWN, code[role]);
    cr_assert_neq(counts[role], 0);
    return interpret(code[role], counts[role], data);
}

static uint32_t decide_call(enum filter_role role, long number, const uint64_t *arguments)
{
    struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};
    for (size_t i = 0; arguments && i < ARRAY_LENGTH(data.args); i++)
        data.args[i] = arguments[i];
    return decide(role, &data);
}

struct expectation {
    enum filter_role role;
    long number;
    uint64_t arguments[6];
    uint32_t action;
};

static void expect_all(const struct expectation *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t action = decide_call(rows[i].role, rows[i].number, rows[i].arguments);
        cr_expect_eq(action, rows[i].action, "row %zu (role %d, call %ld): 0x%x, not 0x%x", i, (int)rows[i].role,
                     rows[i].number, action, rows[i].action);
    }
}

#define THREAD                                                                                                         \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |                 \
     CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

Test(filter, lets_programs_do_what_each_profile_is_for)
{
    static const struct expectation rows[] = {
        {COMPUTE, SYS_write, {1}, YES},
        {COMPUTE, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}, YES},
        {COMPUTE, SYS_mmap, {0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE}, YES},
        {COMPUTE, SYS_mprotect, {0, 4096, PROT_READ | PROT_WRITE}, YES},
        {COMPUTE, SYS_clone, {THREAD}, YES},
        {COMPUTE, SYS_futex, {0, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | FUTEX_PRIVATE_FLAG}, YES},
        {COMPUTE, SYS_futex, {0, FUTEX_WAKE}, YES},
        {COMPUTE, SYS_exit_group, {0}, YES},
        {COMPUTE, SYS_dup, {2}, YES},
        {COMPUTE, SYS_fcntl, {2, F_DUPFD}, YES},
        {COMPUTE, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS}, YES},
        {COMPUTE, SYS_personality, {0xffffffff}, YES},
        {DEFAULT, SYS_setuid, {1000}, YES},
        {COMPUTE, SYS_tgkill, {OWN, OWN, SIGABRT}, YES},
        {COMPUTE, SYS_prlimit64, {0, RLIMIT_STACK, 0, 0x1000}, YES},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_CLOEXEC | O_DIRECTORY}, YES},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, NOISE | O_RDONLY}, YES},
        {DEFAULT, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, 3}, YES},
        {DEFAULT, SYS_mmap, {0, 4096, PROT_READ, MAP_SHARED, 3}, YES},
        {DEFAULT, SYS_ioctl, {1, TCGETS}, YES},
        {DEFAULT, SYS_fcntl, {1, F_SETFL, O_NONBLOCK | O_RDWR}, YES},
        {DEFAULT, SYS_socketpair, {AF_UNIX, SOCK_STREAM}, YES},
        {DEFAULT, SYS_prctl, {PR_SET_NAME}, YES},
        {DEFAULT, SYS_kill, {OWN, SIGUSR1}, YES},
        {TRUSTED, SYS_memfd_create, {0}, YES},
        {TRUSTED, SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}, YES},
        {TRUSTED, SYS_execve, {0}, YES},
        {TRUSTED, SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}, YES},
        {TRUSTED, SYS_clone, {SIGCHLD}, YES},
        {LINKER, SYS_recvmsg, {3}, YES},
        {LINKER, SYS_epoll_pwait, {7}, YES},
        {LINKER, SYS_mmap, {0, 4096, PROT_READ, MAP_SHARED, 9}, YES},
        {LINKER, SYS_fcntl, {9, F_GET_SEALS}, YES},
        {LINKER, SYS_newfstatat, {9, 0, 0, AT_EMPTY_PATH}, YES},
        {LINKER, SYS_tgkill, {OWN, OWN, SIGABRT}, YES},
        {LINKER, SYS_clone, {THREAD}, YES},
        {LINKER, SYS_clone3, {0}, NO(ENOSYS)},
    };
    expect_all(rows, ARRAY_LENGTH(rows));
}

Test(filter, denies_softly_what_libc_asks_for_and_can_do_without)
{
    static const struct expectation rows[] = {
        {COMPUTE, SYS_clone3, {0}, NO(ENOSYS)},
        {DEFAULT, SYS_clone3, {0}, NO(ENOSYS)},
        {TRUSTED, SYS_clone3, {0}, NO(ENOSYS)},
        {COMPUTE, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY}, NO(EACCES)},
        {COMPUTE, SYS_statx, {0}, NO(ENOSYS)},
        {COMPUTE, SYS_ioctl, {1, TCGETS}, NO(ENOTTY)},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_WRONLY}, NO(EACCES)},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_CREAT}, NO(EACCES)},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_TRUNC}, NO(EACCES)},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_PATH}, NO(EACCES)},
        {DEFAULT, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_TMPFILE | O_RDWR}, NO(EACCES)},
        {DEFAULT, SYS_open, {0, O_RDWR}, NO(EACCES)},
        {DEFAULT, SYS_openat2, {0}, NO(ENOSYS)},
        {DEFAULT, SYS_clone, {SIGCHLD}, NO(EPERM)},
        {DEFAULT, SYS_clone, {THREAD | CLONE_NEWUSER}, NO(EPERM)},
        {DEFAULT, SYS_fork, {0}, NO(EPERM)},
        {DEFAULT, SYS_kill, {OWN + 1, SIGKILL}, NO(EPERM)},
        {DEFAULT, SYS_kill, {(uint64_t)-1, SIGKILL}, NO(EPERM)},
        {DEFAULT, SYS_tgkill, {OWN + 1, OWN + 1, SIGKILL}, NO(EPERM)},
        {DEFAULT, SYS_socket, {AF_INET}, NO(EACCES)},
        {DEFAULT, SYS_socketpair, {AF_NETLINK}, NO(EACCES)},
        {DEFAULT, SYS_sendto, {1, 0, 0, 0, 0x1000}, NO(EACCES)},
        {DEFAULT, SYS_prctl, {PR_SET_PDEATHSIG, 0}, NO(EPERM)},
        {DEFAULT, SYS_prctl, {PR_SET_DUMPABLE, 1}, NO(EPERM)},
        {DEFAULT, SYS_prctl, {NOISE | PR_SET_DUMPABLE, 1}, NO(EPERM)},
        {DEFAULT, SYS_fcntl, {1, F_SETFL, O_ASYNC}, NO(EPERM)},
        {DEFAULT, SYS_fcntl, {1, F_SETOWN, 1}, NO(EPERM)},
        {DEFAULT, SYS_ioctl, {1, TIOCSTI}, NO(ENOTTY)},
        {DEFAULT, SYS_ioctl, {1, NOISE | TIOCSTI}, NO(ENOTTY)},
        {DEFAULT, SYS_futex, {0, FUTEX_LOCK_PI}, NO(ENOSYS)},
        {DEFAULT, SYS_madvise, {0, 4096, MADV_REMOVE}, NO(EINVAL)},
        {DEFAULT, SYS_prlimit64, {0, RLIMIT_CORE, 0x1000}, NO(EPERM)},
        {DEFAULT, SYS_prlimit64, {1, RLIMIT_CORE, 0}, NO(EPERM)},
        {DEFAULT, 462, {0}, NO(ENOSYS)},
        {COMPUTE, SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}, NO(EACCES)},
        {DEFAULT, SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3}, NO(EACCES)},
        {DEFAULT, SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB}, NO(ENOMEM)},
        {DEFAULT, SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED}, NO(EAGAIN)},
        {DEFAULT, SYS_mprotect, {0, 4096, PROT_EXEC}, NO(EACCES)},
        {DEFAULT, SYS_mremap, {0, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED}, NO(EINVAL)},
        {DEFAULT, SYS_memfd_create, {0}, NO(ENOSYS)},
        {DEFAULT, SYS_execve, {0}, NO(EACCES)},
        {DEFAULT, SYS_sync, {0}, NO(0)},
        {TRUSTED, SYS_ptrace, {0}, NO(EPERM)},
        {TRUSTED, SYS_clone, {CLONE_NEWUSER | SIGCHLD}, NO(EPERM)},
        {TRUSTED, SYS_clone, {CLONE_NEWNS | CLONE_NEWPID | SIGCHLD}, NO(EPERM)},
        {TRUSTED, SYS_ioctl, {1, NOISE | TIOCSTI}, NO(EPERM)},
        {TRUSTED, SYS_prctl, {PR_SET_PDEATHSIG, 0}, NO(EPERM)},
    };
    expect_all(rows, ARRAY_LENGTH(rows));
}

/* What attacks the kernel or other processes, and what only administrators' tools call. */
static const long attacks[] = {
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_process_mrelease,
    SYS_userfaultfd,
    SYS_bpf,
    SYS_mount,
    SYS_umount2,
    SYS_mount_setattr,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_unshare,
    SYS_setns,
    SYS_modify_ldt,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_chroot,
    SYS_pivot_root,
    SYS_reboot,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_swapon,
    SYS_swapoff,
    SYS_iopl,
    SYS_ioperm,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_vhangup,
    SYS_open_by_handle_at,
    SYS_lookup_dcookie,
};

/* Calls that the kernel's table has names for and no kernel of today carries out. */
static const long retired[] = {
    SYS_uselib,     SYS__sysctl,       SYS_create_module,  SYS_get_kernel_syms, SYS_query_module,
    SYS_nfsservctl, SYS_getpmsg,       SYS_putpmsg,        SYS_afs_syscall,     SYS_tuxcall,
    SYS_security,   SYS_epoll_ctl_old, SYS_epoll_wait_old, SYS_vserver,
};

static bool is_listed(long number, const long *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == number)
            return true;
    return false;
}

static const uint64_t some_arguments[][6] = {
    {0}, {1, 1, 1, 1, 1, 1}, {OWN, OWN, 9}, {-1ull, -1ull, -1ull, -1ull, -1ull, -1ull}};

Test(filter, crashes_what_only_attackers_call)
{
    for (size_t i = 0; i < ARRAY_LENGTH(attacks); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(some_arguments); j++) {
            cr_expect_eq(decide_call(COMPUTE, attacks[i], some_arguments[j]), CRASH, "compute, call %ld", attacks[i]);
            cr_expect_eq(decide_call(DEFAULT, attacks[i], some_arguments[j]), CRASH, "default, call %ld", attacks[i]);
        }
}

/* 335 to 423 have no calls. */
Test(filter, crashes_nothing_else)
{
    for (long number = 0; number <= 450; number++) {
        if ((number >= 335 && number <= 423) || is_listed(number, attacks, ARRAY_LENGTH(attacks)) ||
            is_listed(number, retired, ARRAY_LENGTH(retired)))
            continue;
        for (size_t j = 0; j < ARRAY_LENGTH(some_arguments); j++) {
            cr_expect_neq(decide_call(COMPUTE, number, some_arguments[j]), CRASH, "compute, call %ld", number);
            cr_expect_neq(decide_call(DEFAULT, number, some_arguments[j]), CRASH, "default, call %ld", number);
        }
    }
}

Test(filter, never_lets_memory_become_executable)
{
    static const enum filter_role roles[] = {COMPUTE, DEFAULT, LINKER};
    for (size_t r = 0; r < ARRAY_LENGTH(roles); r++)
        for (uint64_t flags = 0; flags < 0x200000; flags += flags < 64 ? 1 : 32)
            for (uint64_t protection = PROT_EXEC; protection < 8; protection++) {
                const uint64_t map[6] = {0, 4096, protection, flags, 3, 0};
                cr_assert_neq(decide_call(roles[r], SYS_mmap, map), YES, "role %d: mmap %#jx %#jx", (int)roles[r],
                              (uintmax_t)protection, (uintmax_t)flags);
                cr_assert_neq(decide_call(roles[r], SYS_mprotect, map), YES);
                cr_assert_neq(decide_call(roles[r], SYS_pkey_mprotect, map), YES);
            }
}

Test(filter, never_lets_the_linker_map_shared_memory_for_writing_or_open_anything)
{
    static const struct expectation rows[] = {
        {LINKER, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 9}, KILLED},
        {LINKER, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS}, KILLED},
        {LINKER, SYS_memfd_create, {0}, KILLED},
        {LINKER, SYS_execve, {0}, KILLED},
        {LINKER, SYS_fork, {0}, KILLED},
        {LINKER, SYS_vfork, {0}, KILLED},
        {LINKER, SYS_socket, {AF_UNIX}, KILLED},
        {LINKER, SYS_kill, {OWN}, KILLED},
        {LINKER, SYS_tgkill, {OWN + 1}, KILLED},
        {LINKER, SYS_fcntl, {9, F_ADD_SEALS}, KILLED},
#ifndef JITD_SANITIZED
        {LINKER, SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY}, KILLED},
        {LINKER, SYS_mprotect, {0, 4096, PROT_READ | PROT_WRITE}, KILLED},
        {LINKER, SYS_clone, {SIGCHLD}, KILLED},
        {LINKER, SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}, KILLED},
        {LINKER, SYS_clone, {THREAD & ~(uint64_t)CLONE_THREAD}, KILLED},
        {LINKER, SYS_clone, {THREAD | CLONE_NEWUSER}, KILLED},
        {LINKER, SYS_clone, {1ull << 32 | THREAD}, KILLED},
        {LINKER, SYS_ptrace, {0}, KILLED},
#endif
    };
    expect_all(rows, ARRAY_LENGTH(rows));
}

Test(filter, compares_at_the_width_at_which_the_kernel_reads)
{
    static const struct expectation rows[] = {
        {DEFAULT, SYS_mmap, {0, 4096, 1ull << 32 | PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS}, NO(EACCES)},
        {DEFAULT, SYS_mmap, {0, 4096, PROT_READ, 1ull << 32 | MAP_PRIVATE | MAP_ANONYMOUS}, NO(EACCES)},
        {DEFAULT, SYS_mprotect, {0, 4096, 1ull << 32 | PROT_READ}, NO(EACCES)},
        {DEFAULT, SYS_clone, {1ull << 32 | THREAD}, NO(EPERM)},
        {DEFAULT, SYS_prlimit64, {0, 0, 1ull << 32}, NO(EPERM)},
        {DEFAULT, SYS_sendto, {1, 0, 0, 0, 1ull << 32}, NO(EACCES)},
        {DEFAULT, SYS_tgkill, {NOISE | OWN}, YES},
    };
    expect_all(rows, ARRAY_LENGTH(rows));
}

Test(filter, kills_calls_of_other_architectures_and_numbers_outside_the_table)
{
    for (int role = 0; role < FILTER_ROLE_COUNT; role++) {
        const struct seccomp_data i386 = {.nr = 4, .arch = AUDIT_ARCH_I386};
        cr_expect_eq(decide(role, &i386), KILLED);
        cr_expect_eq(decide_call(role, 0x40000000 | SYS_write, NULL), KILLED);
        cr_expect_eq(decide_call(role, -1, NULL), KILLED);
        cr_expect_eq(decide_call(role, INT32_MIN, NULL), KILLED);
    }
    cr_expect_eq(decide_call(COMPUTE, 0x3fffffff, NULL), NO(ENOSYS));
    cr_expect_eq(decide_call(LINKER, 0x3fffffff, NULL), KILLED);
    cr_expect_eq(decide_call(COMPUTE, 400, NULL), CRASH);
}

/* Of this process: a container's may be there already. -1 on kernels that do not tell (before Linux 5.9). */
static long count_filters(void)
{
    long count = -1;
    FILE *file = fopen("/proc/self/status", "r");
    for (char line[256]; file && fgets(line, sizeof line, file);)
        if (sscanf(line, "Seccomp_filters: %ld", &count) == 1)
            break;
    if (file)
        fclose(file);
    return count;
}

Test(filter, refuses_a_role_that_there_is_not)
{
    struct error error;
    long before = count_filters();
    cr_expect_eq(filter_install(FILTER_ROLE_COUNT, &error), ERROR_INVALID);
    cr_expect_eq(count_filters(), before);
}

/* ---- with the kernel ---- */

/* The status of a child that runs `body` and exits with what it returns. */
static int in_child(int (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        signal(SIGSYS, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        _exit(body());
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

#ifndef JITD_SANITIZED /* whose runtimes make calls of their own */
static void *thread_body(void *argument)
{
    return malloc(100000) ? argument : NULL;
}

static int work_as(enum filter_role role)
{
    struct error error;
    if (filter_install(role, &error) != 0)
        return 1;
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, thread_body, &result) != 0 || pthread_join(thread, &result) != 0)
        return 2;
    if (result != &result)
        return 3;
    void *block = malloc(10 << 20);
    block = realloc(block, 80 << 20);
    if (!block)
        return 4;
    free(block);
    if (open("/etc/passwd", O_RDWR) != -1 || errno != EACCES)
        return 5;
    if (kill(getppid(), 0) != -1 || errno != EPERM)
        return 6;
    if (fork() != -1 || errno != EPERM)
        return 7;
    signal(SIGUSR1, SIG_IGN);
    return raise(SIGUSR1) == 0 ? 0 : 8;
}

static int work_as_compute(void)
{
    return work_as(COMPUTE);
}

static int work_as_default(void)
{
    int status = work_as(DEFAULT);
    return status != 0 ? status : open("/", O_RDONLY | O_DIRECTORY) < 0;
}

Test(filter, leaves_threads_memory_and_signals_working)
{
    cr_expect_eq(in_child(work_as_compute), 0);
    cr_expect_eq(in_child(work_as_default), 0);
}
#endif

static int trace_as_default(void)
{
    struct error error;
    filter_install(DEFAULT, &error);
    syscall(SYS_ptrace, 0, 0, 0, 0);
    return 0;
}

static int unshare_as_compute(void)
{
    struct error error;
    filter_install(COMPUTE, &error);
    return (int)syscall(SYS_unshare, 0);
}

static int linker_executes(void)
{
    struct error error;
    signal(SIGSYS, SIG_IGN);
    filter_install(LINKER, &error);
    execl("/bin/true", "true", NULL);
    return 0;
}

#ifndef JITD_SANITIZED
static int linker_forks(void)
{
    struct error error;
    signal(SIGSYS, SIG_IGN);
    filter_install(LINKER, &error);
    return fork() == 0 ? 0 : 1;
}
#endif

static int call_as_i386(void)
{
    struct error error;
    signal(SIGSYS, SIG_IGN);
    filter_install(TRUSTED, &error);
    long number = 20; /* getpid */
    __asm__ volatile("int $0x80" : "+a"(number));
    return 0;
}

static int call_through_a_closed_gate(void)
{
    struct error error;
    filter_install(TRUSTED, &error);
    long number = 20;
    __asm__ volatile("int $0x81" : "+a"(number));
    return 0;
}

Test(filter, ends_a_violation_with_sigsys)
{
    static int (*const bodies[])(void) = {trace_as_default, unshare_as_compute, linker_executes,
#ifndef JITD_SANITIZED
                                          linker_forks
#endif
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        int status = in_child(bodies[i]);
        cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "body %zu: status 0x%x", i, status);
    }
}

/* By the filter; or by the CPU, which finds the gate closed on a kernel that runs no programs of i386
   (ia32_emulation=0), as int 0x81 finds its gate on any. */
Test(filter, contains_calls_of_i386_whether_the_kernel_knows_them_or_not)
{
    static int (*const bodies[])(void) = {call_as_i386, call_through_a_closed_gate};
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        int status = in_child(bodies[i]);
        cr_expect(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV),
                  "body %zu: status 0x%x", i, status);
    }
}

/* ---- landlock ---- */

static int reach_granted_files_only(void)
{
    static const char *const readable[] = {"/usr", "/etc/hostname", "/nothing/here"};
    struct error error;
    int code = landlock_restrict(readable, ARRAY_LENGTH(readable), NULL, 0, &error);
    if (code == ERROR_UNSUPPORTED)
        return 77;
    if (code != 0)
        return 1;
    if (open("/usr/bin", O_RDONLY | O_DIRECTORY) < 0 || open("/usr/bin/env", O_RDONLY) < 0)
        return 2;
    if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
        return 3;
    if (open("/usr/x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
        return 4;
    execl("/usr/bin/env", "env", NULL);
    return errno == EACCES ? 0 : 5;
}

static char directory[64];

static int write_below_one_directory(void)
{
    const char *const writable[] = {directory};
    struct error error;
    if (landlock_restrict(NULL, 0, writable, 1, &error) != 0)
        return error.code == ERROR_UNSUPPORTED ? 77 : 1;
    if (chdir(directory) != 0 || open("file", O_RDWR | O_CREAT | O_TRUNC, 0600) < 0 || unlink("file") != 0)
        return 2;
    return open("/tmp/elsewhere", O_RDWR | O_CREAT, 0600) < 0 && errno == EACCES ? 0 : 3;
}

static void expect_success_or_skip(int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        cr_skip_test("the kernel has no Landlock");
    cr_expect_eq(status, 0, "status 0x%x", status);
}

Test(landlock, lets_through_to_what_was_granted)
{
    expect_success_or_skip(in_child(reach_granted_files_only));
}

Test(landlock, lets_files_be_made_below_a_writable_directory)
{
    snprintf(directory, sizeof directory, "/tmp/landlock-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    int status = in_child(write_below_one_directory);
    rmdir(directory);
    expect_success_or_skip(status);
}
