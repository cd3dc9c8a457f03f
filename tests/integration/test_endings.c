/*
 * How sessions end: each end that is not the controller's own is told to it, and nothing of a session stays.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/times.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/lib/temp.h"

#define WAIT_MS 20000

static struct temp directory;
static char socket_path[108]; /* of struct sockaddr_un */

static void make_directory(void)
{
    directory = temp_make();
    cr_assert_lt(snprintf(socket_path, sizeof socket_path, "%s/socket", directory.path), (int)sizeof socket_path);
}

static void remove_directory(void)
{
    temp_remove(&directory);
}

TestSuite(endings, .init = make_directory, .fini = remove_directory, .timeout = 60);

/* ---- a listening daemon ---- */

/* With `files` descriptors at most, unless that is 0. */
static pid_t start_listener(const char *option, const char *value, rlim_t files)
{
    char program[512];
    const char *build = getenv("O");
    snprintf(program, sizeof program, "%s/bin/jitd", build ? build : "build");
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (files)
            setrlimit(RLIMIT_NOFILE, &(struct rlimit){files, files});
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO); /* what it logs is right, but no test's output */
        execl(program, "jitd", "--listen", socket_path, option, value, NULL);
        _exit(126);
    }
    for (int tries = 0; access(socket_path, F_OK) != 0 && tries < 500; tries++)
        usleep(10000);
    return pid;
}

static void stop_daemon(pid_t pid)
{
    int status = -1;
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
}

struct heard {
    int count;
    int code;
    char text[400];
};

static void hear_end(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    struct heard *heard = data;
    heard->count++;
    heard->code = why->code;
    snprintf(heard->text, sizeof heard->text, "%s", why->text);
}

static const struct jitd_listener listener = {.disconnected = hear_end};

static struct jitd_session *connect_to_daemon(struct heard *heard)
{
    struct jitd_session *session = NULL;
    cr_assert_eq(jitd_connect(socket_path, NULL, &listener, heard, &session), 0);
    return session;
}

/* Dispatches until the session is at its end. */
static void await_end(struct jitd_session *session, struct heard *heard)
{
    for (int tries = 0; !heard->count && tries < 2000; tries++) {
        jitd_dispatch(session);
        usleep(5000);
    }
    cr_assert_eq(heard->count, 1, "the session goes on");
}

static void expect_end(struct jitd_session *session, struct heard *heard, int code, const char *text)
{
    await_end(session, heard);
    cr_expect_eq(heard->code, code, "%s", heard->text);
    cr_expect(strstr(heard->text, text), "not '%s' but: %s", text, heard->text);
    cr_expect(strstr(jitd_last_error(session)->text, text), "%s", jitd_last_error(session)->text);
    jitd_close(session);
}

Test(endings, of_a_daemon_that_is_told_to_end_are_told_to_all_its_sessions)
{
    struct heard heard[3] = {0};
    struct jitd_session *sessions[3];
    pid_t daemon = start_listener(NULL, NULL, 0);
    for (size_t i = 0; i < 3; i++) {
        sessions[i] = connect_to_daemon(&heard[i]);
        cr_assert_eq(jitd_wait(sessions[i], 0, WAIT_MS), 0);
    }
    stop_daemon(daemon);
    for (size_t i = 0; i < 3; i++)
        expect_end(sessions[i], &heard[i], JITD_ERROR_DISCONNECTED, "ending on signal 15 (Terminated)");
}

Test(endings, are_told_with_the_limit_where_there_are_too_many_sessions)
{
    struct heard first = {0}, second = {0};
    pid_t daemon = start_listener("--max-sessions", "1", 0);
    struct jitd_session *session = connect_to_daemon(&first);
    cr_assert_eq(jitd_wait(session, 0, WAIT_MS), 0);
    expect_end(connect_to_daemon(&second), &second, JITD_ERROR_LIMIT, "--max-sessions");
    jitd_close(session);
    stop_daemon(daemon);
}

/* Processor time of the process and of its children that were reaped, in seconds. */
static double seconds_of(pid_t pid)
{
    char path[64];
    long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    cr_assert(file && fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) == 2);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

Test(endings, are_told_where_descriptors_run_out_and_the_daemon_waits_for_some)
{
    enum { SESSIONS = 24 };
    struct heard heard[SESSIONS] = {0};
    struct jitd_session *sessions[SESSIONS];
    int refused = 0, welcomed = 0;
    pid_t daemon = start_listener(NULL, NULL, 80);
    for (size_t i = 0; i < SESSIONS; i++) {
        sessions[i] = connect_to_daemon(&heard[i]);
        welcomed += jitd_wait(sessions[i], 0, WAIT_MS) == 0;
        refused += heard[i].count && (strstr(heard[i].text, "descriptor") || strstr(heard[i].text, "open files"));
    }
    cr_expect(welcomed > 0 && refused > 0 && welcomed + refused == SESSIONS, "%d welcomed, %d refused, last: %s",
              welcomed, refused, heard[SESSIONS - 1].text);
    double before = seconds_of(daemon);
    usleep(500000);
    cr_expect_lt(seconds_of(daemon) - before, 0.2, "the daemon spins");
    for (size_t i = 0; i < SESSIONS; i++)
        jitd_close(sessions[i]);
    struct heard late = {0};
    struct jitd_session *session = NULL;
    for (int tries = 0; tries < 100; tries++, usleep(20000)) {
        session = connect_to_daemon(&late);
        if (jitd_wait(session, 0, WAIT_MS) == 0)
            break;
        jitd_close(session);
        session = NULL;
    }
    cr_expect_not_null(session, "nobody is served any more: %s", late.text);
    jitd_close(session);
    stop_daemon(daemon);
}

/* ---- who says nothing ---- */

static int connect_silently(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, socket_path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

Test(endings, come_to_who_never_says_hello)
{
    char said[512];
    pid_t daemon = start_listener("--login-seconds", "1", 0);
    struct heard heard = {0};
    struct jitd_session *session = connect_to_daemon(&heard);
    cr_assert_eq(jitd_wait(session, 0, WAIT_MS), 0);
    int silent = connect_silently();
    ssize_t length = 0, got;
    while ((got = recv(silent, said + length, sizeof said - 1 - (size_t)length, 0)) > 0)
        length += got;
    cr_expect_eq(got, 0);
    said[length] = '\0';
    cr_expect(length > 36 && strstr(said + 36, "no Hello has come within 1 seconds"), "%zd bytes", length);
    close(silent);
    cr_expect_eq(jitd_dispatch(session), 0, "a session that has logged in ended too: %s", heard.text);
    cr_expect_eq(heard.count, 0);
    jitd_close(session);
    stop_daemon(daemon);
}

/* ---- processes that die or hang ---- */

static void expect_end_by_death(enum harness_process which, int code, const char *text)
{
    struct harness *harness = harness_open(NULL);
    cr_assert(freopen("/dev/null", "w", stderr));
    kill(harness_process(harness, which), SIGKILL);
    harness_await_disconnection(harness);
    cr_expect_eq(harness->end_code, code);
    cr_expect(strstr(harness->end_text, text), "not '%s' but: %s", text, harness->end_text);
    harness_close(harness);
}

Test(endings, by_the_death_of_a_linker_say_so)
{
    expect_end_by_death(HARNESS_LINKER, JITD_ERROR_DISCONNECTED, "linker was killed by signal 9 (Killed)");
}

Test(endings, by_the_death_of_a_template_say_so)
{
    expect_end_by_death(HARNESS_TEMPLATE, JITD_ERROR_RUNNER_ENDED, "template was killed by signal 9 (Killed)");
}

Test(endings, of_the_controller_end_a_linker_that_hangs)
{
    struct harness *harness = harness_open(NULL);
    pid_t pids[HARNESS_PROCESSES];
    size_t count = harness_processes(harness->daemon, pids);
    cr_assert_geq(count, 3);
    cr_assert(freopen("/dev/null", "w", stderr));
    kill(harness_process(harness, HARNESS_LINKER), SIGSTOP);
    int socket = jitd_fd(harness->session);
    shutdown(socket, SHUT_RDWR);
    for (int tries = 0; kill(pids[count - 1], 0) == 0 && tries < 900; tries++)
        usleep(10000);
    harness_expect_gone(pids + 1, count - 1);
    harness_await_disconnection(harness);
    harness_close(harness);
}

Test(endings, of_what_is_no_session_have_a_status)
{
    int ends[2];
    char program[512], said[512];
    const char *build = getenv("O");
    snprintf(program, sizeof program, "%s/bin/jitd", build ? build : "build");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        dup2(ends[1], STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO); /* what it logs is right, but no test's output */
        execl(program, "jitd", "--stdio", NULL);
        _exit(126);
    }
    close(ends[1]);
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: nobody\r\n\r\n";
    cr_assert_eq(write(ends[0], garbage, sizeof garbage), (ssize_t)sizeof garbage);
    ssize_t length = recv(ends[0], said, sizeof said - 1, MSG_WAITALL);
    said[length > 0 ? length : 0] = '\0';
    cr_expect(length > 36 && strstr(said + 36, "not a frame of jitd"), "%zd bytes", length);
    int status = -1;
    cr_assert_eq(waitpid(daemon, &status, 0), daemon);
    cr_expect_eq(status, 1 << 8);
    close(ends[0]);
}
