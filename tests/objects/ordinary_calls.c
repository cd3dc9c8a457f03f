/*
 * Submitted by tests/integration/test_ordinary_calls.c: each function calls libc as ordinary programs and libraries do,
 * with arguments that are right, and returns errno, or 0 where it was granted. Whether it is granted is the profile's
 * choice; that the program lives to hear of it is not.
 */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <iconv.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static char block[8192] __attribute__((aligned(4096)));
static struct iovec vector = {block, 1};
static int ends[2] = {-1, -1};

#define GRANTED(condition) ((condition) ? 0 : errno ? errno : EINVAL)

/* Two lines a call: its name, and the condition under which it was granted. */
#define CALLS(X)                                                                                                       \
    X(perror, (perror("perror"), 1))                                                                                   \
    X(dup, dup(0) >= 0)                                                                                                \
    X(dup2, dup2(0, 20) == 20)                                                                                         \
    X(pipe, pipe(ends) == 0)                                                                                           \
    X(pread, pread(0, block, 1, 0) >= 0)                                                                               \
    X(preadv, preadv(0, &vector, 1, 0) >= 0)                                                                           \
    X(preadv2, preadv2(0, &vector, 1, 0, 0) >= 0)                                                                      \
    X(pwritev2, pwritev2(1, &vector, 0, -1, 0) >= 0)                                                                   \
    X(fsync, fsync(1) == 0)                                                                                            \
    X(sync, (sync(), 1))                                                                                               \
    X(syncfs, syncfs(1) == 0)                                                                                          \
    X(umask, umask(022) <= 0777)                                                                                       \
    X(alarm, (alarm(1000), alarm(0) > 0))                                                                              \
    X(setitimer, setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 0}, {1000, 0}}, NULL) == 0)                         \
    X(select, select(0, NULL, NULL, NULL, &(struct timeval){0, 1}) == 0)                                               \
    X(pselect, pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1}, NULL) == 0)                                      \
    X(poll, poll(NULL, 0, 1) == 0)                                                                                     \
    X(epoll, epoll_create1(0) >= 0)                                                                                    \
    X(eventfd, eventfd(0, 0) >= 0)                                                                                     \
    X(timerfd, timerfd_create(CLOCK_MONOTONIC, 0) >= 0)                                                                \
    X(signalfd, signalfd(-1, &(sigset_t){0}, 0) >= 0)                                                                  \
    X(timer, timer_create(CLOCK_MONOTONIC, NULL, &(timer_t){0}) == 0)                                                  \
    X(inotify, inotify_init1(0) >= 0)                                                                                  \
    X(memfd, memfd_create("x", 0) >= 0)                                                                                \
    X(shared_memory, mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)           \
    X(huge_memory,                                                                                                     \
      mmap(0, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0) != MAP_FAILED)        \
    X(locked_memory, mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED)          \
    X(executable_memory, mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)       \
    X(protect_executable, mprotect(block, 4096, PROT_READ | PROT_EXEC) == 0)                                           \
    X(protection_key, pkey_alloc(0, 0) >= 0)                                                                           \
    X(mlock, mlock(block, 1) == 0)                                                                                     \
    X(mlockall, mlockall(MCL_CURRENT) == 0)                                                                            \
    X(mremap, mremap(block, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, block) != MAP_FAILED)                           \
    X(msync, msync(block, 4096, MS_ASYNC) == 0)                                                                        \
    X(mincore, mincore(block, 4096, (unsigned char *)block) == 0)                                                      \
    X(shmget, shmget(IPC_PRIVATE, 4096, 0600) >= 0)                                                                    \
    X(semget, semget(IPC_PRIVATE, 1, 0600) >= 0)                                                                       \
    X(msgget, msgget(IPC_PRIVATE, 0600) >= 0)                                                                          \
    X(mq_open, mq_open("/jitd", O_CREAT | O_RDWR, 0600, NULL) >= 0)                                                    \
    X(sem_open, sem_open("/jitd", O_CREAT, 0600, 1) != SEM_FAILED)                                                     \
    X(shm_open, shm_open("/jitd", O_CREAT | O_RDWR, 0600) >= 0)                                                        \
    X(execve, (execl("/bin/true", "true", NULL), 0))                                                                   \
    X(fork, fork() > 0)                                                                                                \
    X(vfork_and_exec, posix_spawn(&(pid_t){0}, "/bin/true", NULL, NULL, (char *[]){"true", NULL}, NULL) == 0)          \
    X(system, system(NULL) == 0)                                                                                       \
    X(popen, popen("true", "r") != NULL)                                                                               \
    X(wait, wait(NULL) > 0)                                                                                            \
    X(setuid, setuid(getuid()) == 0)                                                                                   \
    X(setgid, setgid(getgid()) == 0)                                                                                   \
    X(seteuid, seteuid(geteuid()) == 0)                                                                                \
    X(setgroups, setgroups(0, NULL) == 0)                                                                              \
    X(setsid, setsid() > 0)                                                                                            \
    X(setpgid, setpgid(0, 0) == 0)                                                                                     \
    X(nice, nice(1) != -1)                                                                                             \
    X(setpriority, setpriority(PRIO_PROCESS, 0, 1) == 0)                                                               \
    X(sched_setaffinity, sched_setaffinity(0, sizeof(cpu_set_t), &(cpu_set_t){{1}}) == 0)                              \
    X(sched_rr_get_interval, sched_rr_get_interval(0, &(struct timespec){0}) == 0)                                     \
    X(thread_name, pthread_setname_np(pthread_self(), "name") == 0)                                                    \
    X(thread_name_read, pthread_getname_np(pthread_self(), block, 64) == 0)                                            \
    X(getrlimit, getrlimit(RLIMIT_STACK, &(struct rlimit){0}) == 0)                                                    \
    X(setrlimit, setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0)                                                  \
    X(getrusage, getrusage(RUSAGE_SELF, &(struct rusage){0}) == 0)                                                     \
    X(personality, personality(0xffffffff) != -1)                                                                      \
    X(dumpable, prctl(PR_SET_DUMPABLE, 1) == 0)                                                                        \
    X(klog, klogctl(10, NULL, 0) >= 0)                                                                                 \
    X(syslog, (syslog(LOG_DEBUG | LOG_USER, "x"), 1))                                                                  \
    X(adjtime, ntp_gettime(&(struct ntptimeval){0}) >= 0)                                                              \
    X(sysinfo, sysinfo(&(struct sysinfo){0}) == 0)                                                                     \
    X(uname, uname(&(struct utsname){0}) == 0)                                                                         \
    X(gethostname, gethostname(block, 64) == 0)                                                                        \
    X(getloadavg, getloadavg((double *)block, 1) >= 0)                                                                 \
    X(processors, sysconf(_SC_NPROCESSORS_ONLN) > 0)                                                                   \
    X(getcwd, getcwd(block, sizeof block) != NULL)                                                                     \
    X(opendir, opendir("/") != NULL)                                                                                   \
    X(statvfs, statvfs("/", &(struct statvfs){0}) == 0)                                                                \
    X(fstatvfs, fstatvfs(0, &(struct statvfs){0}) == 0)                                                                \
    X(getxattr, getxattr("/", "user.x", block, 64) >= 0)                                                               \
    X(setxattr, setxattr("/", "user.x", "", 0, 0) == 0)                                                                \
    X(flock, flock(0, LOCK_SH) == 0)                                                                                   \
    X(lockf, lockf(0, F_TEST, 0) == 0)                                                                                 \
    X(isatty, isatty(0))                                                                                               \
    X(ttyname, ttyname(0) != NULL)                                                                                     \
    X(tmpfile, tmpfile() != NULL)                                                                                      \
    X(sendfile, sendfile(1, 0, NULL, 1) >= 0)                                                                          \
    X(splice, splice(0, NULL, 1, NULL, 1, 0) >= 0)                                                                     \
    X(copy_file_range, copy_file_range(0, NULL, 1, NULL, 1, 0) >= 0)                                                   \
    X(readahead, readahead(0, 0, 1) == 0)                                                                              \
    X(posix_fadvise, posix_fadvise(0, 0, 0, POSIX_FADV_NORMAL) == 0)                                                   \
    X(socket, socket(AF_INET, SOCK_DGRAM, 0) >= 0)                                                                     \
    X(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0)                                                      \
    X(send, send(ends[0], "x", 1, MSG_NOSIGNAL) == 1)                                                                  \
    X(sendmsg, sendmsg(ends[0], &(struct msghdr){.msg_iov = &vector, .msg_iovlen = 1}, MSG_NOSIGNAL) == 1)             \
    X(shutdown, shutdown(ends[0], SHUT_WR) == 0)                                                                       \
    X(getaddrinfo, getaddrinfo("localhost", "80", NULL, &(struct addrinfo *){0}) == 0)                                 \
    X(getpwuid, getpwuid(0) != NULL)                                                                                   \
    X(getgrnam, getgrnam("root") != NULL)                                                                              \
    X(iconv, iconv_open("EBCDIC-US", "UTF-8") != (iconv_t)-1)                                                          \
    X(dlopen, dlopen("libresolv.so.2", RTLD_NOW) != NULL)                                                              \
    X(getrandom, getrandom(block, 8, 0) == 8)                                                                          \
    X(aio, aio_error(&(struct aiocb){.aio_fildes = -1}) >= 0)                                                          \
    X(localtime, localtime(&(time_t){0}) != NULL)                                                                      \
    X(strftime, strftime(block, 64, "%c", gmtime(&(time_t){0})) > 0)                                                   \
    X(scanf, sscanf("1 2", "%d", (int *)block) == 1)                                                                   \
    X(getline, getline(&(char *){0}, &(size_t){0}, stdin) != 0)                                                        \
    X(clock, clock() != -1)                                                                                            \
    X(mblen, mblen("a", 1) == 1)

struct ordinary_call {
    const char *name;
    int (*make)(void);
};

#define BODY(name, condition)                                                                                          \
    static int call_##name(void)                                                                                       \
    {                                                                                                                  \
        errno = 0;                                                                                                     \
        return GRANTED(condition);                                                                                     \
    }
CALLS(BODY)

#define ROW(name, condition) {#name, call_##name},
static const struct ordinary_call calls[] = {CALLS(ROW)};

/* "name errno" for each. */
int main(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        int number = calls[i].make();
        printf("%s %s\n", calls[i].name, number ? strerrorname_np(number) : "granted");
        fflush(stdout);
    }
    puts("end of calls");
    return 0;
}
