/*
 * Submitted by tests/integration/test_confinement.c: each function asks the kernel for one thing and returns errno, or
 * 0 where it was granted. Raw system calls, so that no library softens the answer. Where the sandbox is broken nothing
 * is broken by these: signals are the null signal, and what would change the system has arguments that fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ATTEMPT(name, ...)                                                                                             \
    long name(long x)                                                                                                  \
    {                                                                                                                  \
        long result = syscall(__VA_ARGS__);                                                                            \
        return result == -1 ? errno : 0;                                                                               \
    }

static char page[8192];
static struct iovec from = {page, 8}, to = {page + 64, 8};
static char *const no_strings[] = {0};

ATTEMPT(try_memfd, SYS_memfd_create, "x", 0)
ATTEMPT(try_map_executable, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
ATTEMPT(try_map_all, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
ATTEMPT(try_protect_executable, SYS_mprotect, (long)page & -4096, 4096, PROT_READ | PROT_EXEC)
ATTEMPT(try_protect_key, SYS_pkey_mprotect, (long)page & -4096, 4096, PROT_READ | PROT_EXEC, -1)
ATTEMPT(try_ptrace, SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)
ATTEMPT(try_write_process, SYS_process_vm_writev, getppid(), &from, 1, &to, 1, 0)
ATTEMPT(try_read_process, SYS_process_vm_readv, getppid(), &from, 1, &to, 1, 0)
ATTEMPT(try_execute, SYS_execve, "/nowhere", no_strings, no_strings)
ATTEMPT(try_execute_at, SYS_execveat, AT_FDCWD, "/nowhere", no_strings, no_strings, 0)
ATTEMPT(try_unshare, SYS_unshare, 0)
ATTEMPT(try_bpf, SYS_bpf, 0, page, 0)
ATTEMPT(try_seccomp, SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, page)
ATTEMPT(try_io_uring, SYS_io_uring_setup, 1, page)
ATTEMPT(try_userfault, SYS_userfaultfd, 0)
ATTEMPT(try_mount, SYS_mount, 0, 0, 0, 0, 0)
ATTEMPT(try_send_descriptor, SYS_sendmsg, 0, page, 0)
ATTEMPT(try_socket, SYS_socket, AF_INET, SOCK_STREAM, 0)
ATTEMPT(try_unix_socket, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
ATTEMPT(try_open_to_write, SYS_openat, AT_FDCWD, "written", O_WRONLY | O_CREAT, 0600)
ATTEMPT(try_open_own_memory, SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR)
ATTEMPT(try_open_inside, SYS_openat, AT_FDCWD, "inside", O_RDONLY)
ATTEMPT(try_open_outside, SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)
ATTEMPT(try_unlink, SYS_unlinkat, AT_FDCWD, "inside", 0)
ATTEMPT(try_kill_parent, SYS_kill, getppid(), 0)
ATTEMPT(try_kill_first, SYS_kill, 1, 0)
ATTEMPT(try_kill_all, SYS_kill, -1, 0)
ATTEMPT(try_kill_group, SYS_kill, 0, 0)
ATTEMPT(try_kill_thread_of_parent, SYS_tgkill, getppid(), getppid(), 0)
ATTEMPT(try_stay_after_parent, SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0)
ATTEMPT(try_raise_limit, SYS_prlimit64, 0, 9, page, 0)
ATTEMPT(try_own_id, SYS_getpid)
ATTEMPT(try_signal_self, SYS_kill, getpid(), 0)

/* A child that was granted leaves at once: it must not go on as a second runner. */
static long leave_as_child(long result)
{
    if (result == 0)
        syscall(SYS_exit_group, 0);
    return result == -1 ? errno : 0;
}

long try_fork(long x)
{
    return leave_as_child(syscall(SYS_fork));
}

long try_clone(long x)
{
    return leave_as_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

long try_clone3(long x)
{
    return leave_as_child(syscall(SYS_clone3, page, 88));
}

/* The system-call gate of another architecture, whose numbers the filter does not judge. */
long try_int80(long x)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); /* getpid(2) of i386 */
    return 0;
}

/* A gate that is there for nobody, as that one is where the kernel runs no programs of i386. */
long try_closed_gate(long x)
{
    long result;
    __asm__ volatile("int $0x81" : "=a"(result) : "a"(20L) : "memory");
    return 0;
}
