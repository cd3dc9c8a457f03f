/*
 * The supervisor with the real linker and runner: how it is reached, and that any of its processes may die at any
 * moment without an orphan, a leaked descriptor or another session noticing.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/jitd.h"
#include "common/bytes.h"
#include "tests/lib/temp.h"

#define WAIT_MS 20000

/* Numbers of enum Layer in proto/jitd.proto. */
#define BIT_PRIVILEGES    (1u << 1)
#define BIT_SECCOMP       (1u << 2)
#define BIT_LIMITS        (1u << 3)
#define BIT_PID_NAMESPACE (1u << 5)

static struct temp directory;
static char socket_path[512];

static void make_directory(void)
{
    directory = temp_make();
    temp_path(&directory, "run/socket", socket_path);
}

static void remove_directory(void)
{
    temp_remove(&directory);
}

TestSuite(supervisor, .init = make_directory, .fini = remove_directory, .timeout = 60);

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Starts jitd with these words; in and out become its standard input and output where they are not -1. */
static pid_t start_daemon(const char *const *words, int in, int out)
{
    char path[512];
    const char *argv[16] = {path};
    const char *build = getenv("O");
    snprintf(path, sizeof path, "%s/bin/jitd", build ? build : "build");
    for (size_t i = 0; words[i]; i++)
        argv[i + 1] = words[i];
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails must not leave it behind */
        if (in >= 0)
            dup2(in, STDIN_FILENO);
        if (out >= 0)
            dup2(out, STDOUT_FILENO);
        setenv("JITD_LOG", "error", 1);
        execv(path, (char *const *)argv);
        _exit(126);
    }
    return pid;
}

static pid_t start_listener(const char *option, const char *value)
{
    const char *words[] = {"--listen", socket_path, option, value, NULL};
    pid_t pid = start_daemon(words, -1, -1);
    for (int tries = 0; access(socket_path, F_OK) != 0 && tries < 500; tries++)
        sleep_ms(10);
    return pid;
}

static int status_of(pid_t pid)
{
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void stop_daemon(pid_t pid)
{
    kill(pid, SIGTERM);
    cr_expect_eq(status_of(pid), 0);
}

/* A session that has been welcomed, or NULL. */
static struct jitd_session *open_session(void)
{
    struct jitd_session *session = NULL;
    if (jitd_connect(socket_path, &(struct jitd_options){0}, NULL, NULL, &session) == 0 &&
        jitd_wait(session, 0, WAIT_MS) == 0)
        return session;
    jitd_close(session);
    return NULL;
}

static bool answers(struct jitd_session *session)
{
    jitd_request request;
    const char *const names[] = {"malloc"};
    return jitd_lookup(session, names, 1, NULL, NULL, &request) == 0 && jitd_wait(session, request, WAIT_MS) == 0;
}

/* Children of `pid` whose program is called `name`; the youngest come last. */
static size_t children_named(pid_t pid, const char *name, pid_t *out, size_t room)
{
    char path[64], list[4096];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(list, 1, sizeof list - 1, file) : 0, count = 0;
    if (file)
        fclose(file);
    list[length] = '\0';
    for (char *word = strtok(list, " "); word && count < room; word = strtok(NULL, " ")) {
        char comm[64] = "";
        snprintf(path, sizeof path, "/proc/%s/comm", word);
        file = fopen(path, "r");
        if (file && fgets(comm, sizeof comm, file) && strcspn(comm, "\n") == strlen(name) &&
            strncmp(comm, name, strlen(name)) == 0)
            out[count++] = atoi(word);
        if (file)
            fclose(file);
    }
    return count;
}

/* The processes of a session go a moment after its controller has. */
static bool children_become(pid_t pid, const char *name, size_t wanted, pid_t out[8])
{
    for (int tries = 0; children_named(pid, name, out, 8) != wanted && tries < 500; tries++)
        sleep_ms(10);
    return children_named(pid, name, out, 8) == wanted;
}

/* Dead and reaped, or dead and waiting for a parent that is not ours to blame. */
static bool is_gone(pid_t pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    const char *state = strrchr(line, ')');
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static bool goes(pid_t pid)
{
    for (int tries = 0; !is_gone(pid) && tries < 500; tries++)
        sleep_ms(10);
    return is_gone(pid);
}

static size_t descriptors_of(pid_t pid)
{
    char path[64], target[64];
    size_t count = 0;
    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        count += readlink(path, target, sizeof target) >= 0;
    }
    return count;
}

/* The descriptors of a session go a moment after its controller has. */
static bool descriptors_become(pid_t pid, size_t count)
{
    for (int tries = 0; descriptors_of(pid) != count && tries < 500; tries++)
        sleep_ms(10);
    return descriptors_of(pid) == count;
}

Test(supervisor, listens_on_a_socket_for_its_owner_alone)
{
    struct stat status;
    pid_t daemon = start_listener(NULL, NULL);
    cr_assert_eq(stat(socket_path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    char run[512];
    cr_assert_eq(stat(temp_path(&directory, "run", run), &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0700);
    struct jitd_session *session = open_session();
    cr_assert_not_null(session);
    cr_expect(answers(session));
    jitd_close(session);
    stop_daemon(daemon);
    cr_expect_neq(access(socket_path, F_OK), 0, "the socket is still there");
}

/* How `socket_path` came to be, as an event of inotify(7); its directory exists. */
static uint32_t await_socket(int inotify)
{
    _Alignas(struct inotify_event) char bytes[4096];
    for (;;) {
        ssize_t length = read(inotify, bytes, sizeof bytes);
        cr_assert_gt(length, 0);
        const struct inotify_event *event;
        for (char *at = bytes; at < bytes + length; at += sizeof *event + event->len) {
            event = (const struct inotify_event *)(const void *)at;
            if (event->len > 0 && strcmp(event->name, "socket") == 0)
                return event->mask;
        }
    }
}

Test(supervisor, shows_its_socket_when_it_listens_and_not_before)
{
    char run[512], unnamed[512];
    int inotify = inotify_init1(IN_CLOEXEC);
    cr_assert_eq(mkdir(temp_path(&directory, "run", run), 0700), 0);
    cr_assert_geq(inotify_add_watch(inotify, run, IN_CREATE | IN_MOVED_TO), 0);
    for (int i = 0; i < 2; i++) { /* the second time over what the first daemon left behind */
        const char *words[] = {"--listen", socket_path, NULL};
        pid_t pid = start_daemon(words, -1, -1);
        cr_expect_eq(await_socket(inotify), IN_MOVED_TO);
        struct jitd_session *session = open_session();
        cr_expect_not_null(session);
        jitd_close(session);
        cr_expect_lt(access(temp_path(&directory, "run/socket.new", unnamed), F_OK), 0);
        kill(pid, SIGKILL);
        status_of(pid);
    }
    close(inotify);
}

Test(supervisor, serves_sessions_where_its_inspection_socket_cannot_be_made)
{
    char path[512];
    struct stat status;
    cr_assert_eq(mkdir(temp_path(&directory, "run", path), 0700), 0);
    FILE *file = fopen(temp_path(&directory, "run/socket.inspect", path), "w");
    cr_assert(file && fclose(file) == 0);
    pid_t daemon = start_listener(NULL, NULL);
    struct jitd_session *session = open_session();
    cr_expect_not_null(session);
    jitd_close(session);
    stop_daemon(daemon);
    cr_expect(stat(path, &status) == 0 && S_ISREG(status.st_mode), "a file that is not the daemon's was replaced");
}

Test(supervisor, replaces_a_socket_left_behind_and_no_other)
{
    pid_t first = start_listener(NULL, NULL);
    const char *words[] = {"--listen", socket_path, NULL};
    cr_expect_eq(status_of(start_daemon(words, -1, -1)), 125 << 8);
    kill(first, SIGKILL);
    status_of(first);
    cr_expect_eq(access(socket_path, F_OK), 0);

    pid_t second = start_listener(NULL, NULL);
    struct jitd_session *session = NULL;
    for (int tries = 0; !session && tries < 100; tries++, sleep_ms(20))
        session = open_session();
    cr_expect_not_null(session);
    jitd_close(session);
    stop_daemon(second);
}

Test(supervisor, does_not_remove_a_file_that_is_no_socket)
{
    char run[512];
    cr_assert_eq(mkdir(temp_path(&directory, "run", run), 0700), 0);
    close(open(socket_path, O_CREAT | O_WRONLY, 0600));
    const char *words[] = {"--listen", socket_path, NULL};
    cr_expect_eq(status_of(start_daemon(words, -1, -1)), 125 << 8);
    cr_expect_eq(access(socket_path, F_OK), 0);
}

Test(supervisor, keeps_a_session_going_while_the_processes_of_another_die)
{
    static const char *const programs[] = {"jitd-linker", "jitd-runner"};
    pid_t daemon = start_listener(NULL, NULL), pids[8], own[8];
    sleep_ms(50);
    size_t before = descriptors_of(daemon);
    struct jitd_session *one = open_session();
    cr_assert_not_null(one);
    for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
        cr_assert(children_become(daemon, programs[i], 1, own), "not one process %s", programs[i]);
        struct jitd_session *other = open_session();
        cr_assert_not_null(other);
        cr_assert(children_become(daemon, programs[i], 2, pids), "not two processes %s", programs[i]);
        pid_t victim = pids[0] == own[0] ? pids[1] : pids[0];
        kill(victim, SIGKILL);
        cr_expect(goes(victim));
        cr_expect(answers(one), "killing another session's %s was noticed", programs[i]);
        jitd_close(other);
    }
    jitd_close(one);
    cr_expect(descriptors_become(daemon, before), "descriptors leak: %zu, %zu before", descriptors_of(daemon), before);
    cr_expect(children_become(daemon, "jitd-runner", 0, pids) && children_become(daemon, "jitd-linker", 0, pids));
    stop_daemon(daemon);
}

Test(supervisor, takes_all_processes_with_it_when_it_is_killed)
{
    pid_t daemon = start_listener(NULL, NULL), linker, template, live = 0;
    struct jitd_session *session = open_session();
    cr_assert_not_null(session);
    cr_assert_eq(children_named(daemon, "jitd-linker", &linker, 1), 1);
    cr_assert_eq(children_named(daemon, "jitd-runner", &template, 1), 1);
    for (int tries = 0; children_named(template, "jitd-runner", &live, 1) == 0 && tries < 500; tries++)
        sleep_ms(10);
    kill(linker, SIGSTOP); /* so that neither can go of its own accord */
    kill(template, SIGSTOP);
    kill(daemon, SIGKILL);
    status_of(daemon);
    cr_expect(goes(linker));
    cr_expect(goes(template));
    cr_expect(live == 0 || goes(live));
    jitd_close(session);
}

Test(supervisor, kills_the_runner_of_a_linker_that_died)
{
    pid_t daemon = start_listener(NULL, NULL), linker, template;
    struct jitd_session *session = open_session();
    cr_assert_not_null(session);
    cr_assert_eq(children_named(daemon, "jitd-linker", &linker, 1), 1);
    cr_assert_eq(children_named(daemon, "jitd-runner", &template, 1), 1);
    kill(template, SIGSTOP);
    kill(linker, SIGKILL);
    cr_expect(goes(template));
    cr_expect_not(answers(session));
    jitd_close(session);
    stop_daemon(daemon);
}

Test(supervisor, ends_all_sessions_on_sigterm)
{
    pid_t daemon = start_listener(NULL, NULL), linkers[2], templates[2];
    struct jitd_session *sessions[] = {open_session(), open_session()};
    cr_assert(sessions[0] && sessions[1]);
    cr_assert_eq(children_named(daemon, "jitd-linker", linkers, 2), 2);
    cr_assert_eq(children_named(daemon, "jitd-runner", templates, 2), 2);
    stop_daemon(daemon);
    for (size_t i = 0; i < ARRAY_LENGTH(sessions); i++) {
        cr_expect(is_gone(linkers[i]) && is_gone(templates[i]));
        cr_expect_not(answers(sessions[i]));
        jitd_close(sessions[i]);
    }
}

Test(supervisor, turns_away_more_sessions_than_it_may_have)
{
    pid_t daemon = start_listener("--max-sessions", "2");
    struct jitd_session *sessions[] = {open_session(), open_session()};
    cr_assert(sessions[0] && sessions[1]);
    cr_expect_null(open_session());
    cr_expect(answers(sessions[0]) && answers(sessions[1]));
    jitd_close(sessions[0]);
    struct jitd_session *next = NULL;
    for (int tries = 0; !next && tries < 100; tries++, sleep_ms(20))
        next = open_session();
    cr_expect_not_null(next, "the place of a session that ended stays taken");
    jitd_close(next);
    jitd_close(sessions[1]);
    stop_daemon(daemon);
}

Test(supervisor, leaves_out_the_layer_that_it_is_told_to)
{
    pid_t daemon = start_listener("--disable-layer", "pid-namespace");
    struct jitd_session *session = open_session();
    cr_assert_not_null(session);
    uint32_t layers = jitd_welcome(session)->layers;
    cr_expect_eq(layers & BIT_PID_NAMESPACE, 0);
    cr_expect_eq(layers & (BIT_PRIVILEGES | BIT_SECCOMP | BIT_LIMITS), BIT_PRIVILEGES | BIT_SECCOMP | BIT_LIMITS);
    jitd_close(session);
    stop_daemon(daemon);
}

Test(supervisor, serves_one_session_on_an_inherited_socket_and_ends_with_it)
{
    int ends[2];
    char number[16];
    struct jitd_session *session;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    snprintf(number, sizeof number, "%d", ends[1]);
    const char *words[] = {"--fd", number, NULL};
    pid_t daemon = start_daemon(words, -1, -1);
    close(ends[1]);
    cr_assert_eq(jitd_attach(ends[0], &(struct jitd_options){0}, NULL, NULL, &session), 0);
    cr_assert_eq(jitd_wait(session, 0, WAIT_MS), 0);
    cr_expect(answers(session));
    jitd_close(session);
    cr_expect_eq(status_of(daemon), 0);
}

static int status_with_linker(const char *linker)
{
    int ends[2];
    char number[16];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    snprintf(number, sizeof number, "%d", ends[1]);
    const char *words[] = {"--fd", number, "--linker", linker, NULL};
    pid_t daemon = start_daemon(words, -1, -1);
    close(ends[1]);
    int status = status_of(daemon);
    close(ends[0]);
    return status;
}

Test(supervisor, says_with_its_status_that_a_linker_failed)
{
    cr_expect_eq(status_with_linker("/no/such/linker"), 1 << 8);
    cr_expect_eq(status_with_linker("/bin/true"), 0);
}

Test(supervisor, carries_a_session_over_standard_input_and_output)
{
    int ends[2];
    struct jitd_session *session;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const char *words[] = {"--stdio", NULL};
    pid_t daemon = start_daemon(words, ends[1], ends[1]);
    close(ends[1]);
    cr_assert_eq(jitd_attach(ends[0], &(struct jitd_options){0}, NULL, NULL, &session), 0);
    cr_assert_eq(jitd_wait(session, 0, WAIT_MS), 0);
    cr_expect(answers(session));
    jitd_close(session);
    cr_expect_eq(status_of(daemon), 0);
}

Test(supervisor, hands_systemds_socket_on)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct temp place = temp_make();
    char path[512];
    snprintf(address.sun_path, sizeof address.sun_path, "%s", temp_path(&place, "socket", path));
    snprintf(socket_path, sizeof socket_path, "%s", path);
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listening, 4), 0);
    char program[512], pid[16];
    const char *build = getenv("O");
    snprintf(program, sizeof program, "%s/bin/jitd", build ? build : "build");
    pid_t daemon = fork();
    if (daemon == 0) {
        dup2(listening, 3);
        fcntl(3, F_SETFD, 0);
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        execl(program, "jitd", "--listen", "systemd:", NULL);
        _exit(126);
    }
    close(listening);
    struct jitd_session *session = open_session();
    cr_expect_not_null(session);
    jitd_close(session);
    stop_daemon(daemon);
    cr_expect_eq(access(socket_path, F_OK), 0, "a socket that is systemd's was removed");
    temp_remove(&place);
}
