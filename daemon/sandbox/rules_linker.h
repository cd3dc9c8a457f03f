/*
 * What the linker may ask of the kernel once it has started: it waits, reads and answers its controller, and computes.
 * Included by generate.c alone, inside an array of struct rule. Everything without a row kills the linker.
 */
#define LINKER ROLE(FILTER_LINKER)

/* The loop. libuv makes a descriptor nonblocking with ioctl when it begins to poll it. */
ALLOW(LINKER, epoll_ctl)
ALLOW(LINKER, epoll_wait)
/* The last word to a controller is waited for outside of the loop. */
ALLOW(LINKER, poll)
ALLOW(LINKER, epoll_pwait)
ALLOW(LINKER, ioctl, WORD_IS(1, FIONBIO))
ALLOW(LINKER, restart_syscall)

/* Its sockets, its eventfds, its log. Nothing here opens a file: descriptors come from the controller and,
   for observers, from jitd. */
ALLOW(LINKER, read)
ALLOW(LINKER, readv)
ALLOW(LINKER, preadv2, WORD_IS(5, RWF_NOWAIT))
ALLOW(LINKER, write)
ALLOW(LINKER, writev)
ALLOW(LINKER, recvmsg)
ALLOW(LINKER, sendmsg)
ALLOW(LINKER, recvfrom)
ALLOW(LINKER, sendto, LONG_IS(4, 0))
ALLOW(LINKER, close)
ALLOW(LINKER, fcntl, WORD_IS(1, F_GETFL))
ALLOW(LINKER, fcntl, WORD_IS(1, F_SETFL), WORD_WITHIN(2, O_ACCMODE | O_NONBLOCK | RAW_O_LARGEFILE))
ALLOW(LINKER, fcntl, WORD_IS(1, F_GETFD))
ALLOW(LINKER, fcntl, WORD_IS(1, F_SETFD))
ALLOW(LINKER, fcntl, WORD_IS(1, F_GET_SEALS))
ALLOW(LINKER, fcntl, WORD_IS(1, F_DUPFD_CLOEXEC))
/* libc's fstat is newfstatat with an empty path; the flag allows one, it does not ask for it. */
ALLOW(LINKER, fstat)
ALLOW(LINKER, newfstatat, WORD_IS(3, AT_EMPTY_PATH))

/* Memory: its heap, and objects in sealed memfds, which it only reads. Zones were mapped before. */
#define LINKER_PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
ALLOW(LINKER, mmap, LONG_WITHIN(2, READ_WRITE),
      LONG_MASKED(3, ~(uint64_t)(MAP_NORESERVE | MAP_POPULATE), LINKER_PRIVATE))
ALLOW(LINKER, mmap, LONG_WITHIN(2, PROT_READ), LONG_MASKED(3, ~(uint64_t)MAP_POPULATE, MAP_PRIVATE))
ALLOW(LINKER, mmap, LONG_WITHIN(2, PROT_READ), LONG_MASKED(3, ~(uint64_t)MAP_POPULATE, MAP_SHARED))
ALLOW(LINKER, munmap)
ALLOW(LINKER, mremap, LONG_WITHIN(3, MREMAP_MAYMOVE))
ALLOW(LINKER, madvise)
ALLOW(LINKER, brk)

/* Waking the runner; time; libc. sysinfo is qsort's, which asks how much memory there is. */
ALLOW(LINKER, futex)
ALLOW(LINKER, clock_gettime)
ALLOW(LINKER, clock_getres)
ALLOW(LINKER, gettimeofday)
ALLOW(LINKER, getrandom)
ALLOW(LINKER, sched_yield)
ALLOW(LINKER, sysinfo)
ALLOW(LINKER, getpid)
ALLOW(LINKER, gettid)
ALLOW(LINKER, rt_sigaction)
ALLOW(LINKER, rt_sigprocmask)
ALLOW(LINKER, rt_sigreturn)
ALLOW(LINKER, sigaltstack)
ALLOW(LINKER, tgkill, IS_OWN_PID(0))
ALLOW(LINKER, exit)
ALLOW(LINKER, exit_group)

/* Threads for large batches (workers.c): pthread_create on a stack that was there before. clone3's flags lie in memory,
   where a filter cannot see them; libc then uses clone. */
ALLOW(LINKER, clone, LONG_IS(0, THREAD_FLAGS))
DENY(LINKER, clone3, ENOSYS)
ALLOW(LINKER, set_robust_list)
ALLOW(LINKER, rseq)

#ifdef JITD_SANITIZED
/* What the runtimes of the sanitizers do beside: reading their own maps and symbols for a report. */
ALLOW(LINKER, mmap, LONG_WITHIN(2, READ_WRITE), LONG_MASKED(3, ~(uint64_t)PLACING, PRIVATE_MEMORY))
ALLOW(LINKER, mprotect, LONG_WITHIN(2, READ_WRITE))
ALLOW(LINKER, open, WORD_WITHIN(1, READ_ONLY))
ALLOW(LINKER, openat, WORD_WITHIN(2, READ_ONLY))
ALLOW(LINKER, lseek)
ALLOW(LINKER, pread64)
ALLOW(LINKER, stat)
ALLOW(LINKER, newfstatat)
ALLOW(LINKER, readlink)
ALLOW(LINKER, access)
ALLOW(LINKER, getcwd)
ALLOW(LINKER, ioctl, WORD_IS(1, TCGETS))
ALLOW(LINKER, getppid)
ALLOW(LINKER, getuid)
ALLOW(LINKER, uname)
ALLOW(LINKER, getrlimit)
ALLOW(LINKER, prlimit64, WORD_IS(0, 0), LONG_IS(2, 0))
ALLOW(LINKER, sched_getaffinity)
ALLOW(LINKER, clock_nanosleep)
ALLOW(LINKER, nanosleep)
ALLOW(LINKER, prctl, WORD_IS(0, PR_GET_DUMPABLE))
ALLOW(LINKER, prctl, WORD_IS(0, PR_SET_NAME))
ALLOW(LINKER, prctl, WORD_IS(0, PR_SET_VMA))
/* The leak checker needs a tracer of its own; it reports that it cannot have one. */
DENY(LINKER, prctl, EPERM)
DENY(LINKER, clone, EPERM)
DENY(LINKER, ptrace, EPERM)
DENY(LINKER, pipe, EPERM)
DENY(LINKER, pipe2, EPERM)
DENY(LINKER, socketpair, EPERM)
#endif
