/*
 * Floors over a socket and over a futex (echo.h). Blocking calls throughout: no event loop, no poll, one system call a
 * direction.
 */
#include "bench/echo.h"

#include <linux/futex.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

/* False at end of file. */
static bool read_whole(int fd, uint8_t *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, bytes + done, length - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static void write_whole(int fd, const uint8_t *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t put = send(fd, bytes + done, length - done, MSG_NOSIGNAL);
        if (put <= 0)
            measure_die("an echo's socket broke");
        done += (size_t)put;
    }
}

static void *map_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        measure_die("cannot map %zu shared bytes", bytes);
    return memory;
}

/* Forks with a socket pair; 0 in the child, which has the other end. */
static pid_t fork_with_socket(int *end)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        measure_die("cannot make a socket pair");
    pid_t process = fork();
    if (process < 0)
        measure_die("cannot fork");
    *end = pair[process == 0];
    close(pair[process != 0]);
    return process;
}

static void reap(pid_t process)
{
    waitpid(process, NULL, 0);
}

/* ---- a socket ---- */

static _Noreturn void echo_serve(const struct echo *echo, uint8_t *shared)
{
    while (read_whole(echo->socket, echo->buffer, echo->request_bytes)) {
        if (shared)
            memcpy(shared, echo->buffer, echo->request_bytes);
        write_whole(echo->socket, echo->buffer, echo->reply_bytes);
    }
    _exit(0);
}

void echo_start(struct echo *echo, size_t request_bytes, size_t reply_bytes, bool copy)
{
    size_t larger = request_bytes > reply_bytes ? request_bytes : reply_bytes;
    uint8_t *shared = copy ? map_shared(request_bytes) : NULL;
    *echo = (struct echo){.request_bytes = request_bytes, .reply_bytes = reply_bytes};
    echo->buffer = measure_allocate(larger);
    memset(echo->buffer, 1, larger);
    echo->process = fork_with_socket(&echo->socket);
    if (echo->process == 0)
        echo_serve(echo, shared);
    if (shared)
        munmap(shared, request_bytes);
}

uint64_t echo_round(struct echo *echo)
{
    uint64_t start = measure_now();
    write_whole(echo->socket, echo->buffer, echo->request_bytes);
    if (!read_whole(echo->socket, echo->buffer, echo->reply_bytes))
        measure_die("the echo ended");
    return measure_now() - start;
}

void echo_stop(struct echo *echo)
{
    close(echo->socket);
    reap(echo->process);
    free(echo->buffer);
}

/* ---- a futex ---- */

static void futex_wait_until(_Atomic uint32_t *word, uint32_t value)
{
    for (uint32_t now; (now = atomic_load(word)) != value;)
        syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void futex_store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static _Noreturn void futex_pair_serve(_Atomic uint32_t *words)
{
    for (uint32_t round = 1;; round++) {
        futex_wait_until(&words[0], round);
        futex_store(&words[1], round);
    }
}

void futex_pair_start(struct futex_pair *pair)
{
    *pair = (struct futex_pair){.words = map_shared(2 * sizeof *pair->words)};
    pair->process = fork();
    if (pair->process < 0)
        measure_die("cannot fork");
    if (pair->process == 0)
        futex_pair_serve(pair->words);
}

uint64_t futex_pair_round(struct futex_pair *pair)
{
    uint64_t start = measure_now();
    futex_store(&pair->words[0], ++pair->rounds);
    futex_wait_until(&pair->words[1], pair->rounds);
    return measure_now() - start;
}

void futex_pair_stop(struct futex_pair *pair)
{
    kill(pair->process, SIGKILL);
    reap(pair->process);
    munmap(pair->words, 2 * sizeof *pair->words);
}

/* ---- a crash ---- */

enum { ORDER_ANSWER = 'a', ORDER_CRASH = 'c', NEWS_CRASHED = 'e' };

static _Noreturn void crash_pair_live(int socket)
{
    uint8_t order;
    while (read_whole(socket, &order, 1)) {
        if (order == ORDER_CRASH)
            *(volatile int *)NULL = 0;
        write_whole(socket, &order, 1);
    }
    _exit(0);
}

static _Noreturn void crash_pair_keep(int socket)
{
    static const uint8_t news = NEWS_CRASHED;
    for (int status = 0;;) {
        pid_t live = fork();
        if (live == 0)
            crash_pair_live(socket);
        if (live < 0 || waitpid(live, &status, 0) != live || !WIFSIGNALED(status))
            _exit(0);
        write_whole(socket, &news, 1);
    }
}

void crash_pair_start(struct crash_pair *pair)
{
    pair->process = fork_with_socket(&pair->socket);
    if (pair->process != 0)
        return;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    crash_pair_keep(pair->socket);
}

static void crash_pair_exchange(struct crash_pair *pair, uint8_t order, uint8_t expected)
{
    uint8_t answer;
    write_whole(pair->socket, &order, 1);
    if (!read_whole(pair->socket, &answer, 1) || answer != expected)
        measure_die("the crash pair lost its order");
}

uint64_t crash_pair_round(struct crash_pair *pair)
{
    uint64_t start = measure_now();
    crash_pair_exchange(pair, ORDER_CRASH, NEWS_CRASHED);
    crash_pair_exchange(pair, ORDER_ANSWER, ORDER_ANSWER);
    return measure_now() - start;
}

void crash_pair_stop(struct crash_pair *pair)
{
    close(pair->socket);
    reap(pair->process);
}

/* ---- a program ---- */

uint64_t spawn_round(void)
{
    char *arguments[] = {"/bin/true", NULL};
    pid_t process;
    uint64_t start = measure_now();
    if (posix_spawn(&process, arguments[0], NULL, NULL, arguments, environ) != 0)
        measure_die("cannot start %s", arguments[0]);
    reap(process);
    return measure_now() - start;
}
