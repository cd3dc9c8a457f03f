/*
 * libjitd against a daemon that is this test: the far end of a socket pair, spoken to through proto/connection.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/jitd.h"
#include "client/table.h"
#include "proto/connection.h"
#include "proto/message.h"
#include "tests/lib/fds.h"
#include "tests/lib/leaks.h"
#include "tests/unit/client_pair.h"

static struct jitd_batch *batch_of(const char *name, const char *bytes)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    cr_assert_eq(jitd_batch_add(batch, name, bytes, strlen(bytes)), 0);
    return batch;
}

/* Asks one of each kind. */
static void ask_all(struct pair *pair, jitd_request numbers[4])
{
    static const char *const names[] = {"printf"};
    struct heard *heard = &pair->heard;
    cr_assert_eq(jitd_submit(pair->session, batch_of("a.o", "x"), hear_submit, heard, &numbers[0]), 0);
    cr_assert_eq(jitd_lookup(pair->session, names, 1, hear_lookup, heard, &numbers[1]), 0);
    cr_assert_eq(jitd_call(pair->session, "f", JITD_INT32, NULL, 0, hear_call, heard, &numbers[2]), 0);
    cr_assert_eq(jitd_inspect(pair->session, 0, hear_inspect, heard, &numbers[3]), 0);
}

/* ---- opening ---- */

Test(client, says_hello_at_once_with_its_options)
{
    static const char *const arguments[] = {"prog", "-v", NULL};
    static const char *const environment[] = {"A=1", NULL};
    static const char *const libraries[] = {"libm.so.6", NULL};
    struct jitd_options options = {.profile = JITD_PROFILE_COMPUTE,
                                   .libraries = libraries,
                                   .arguments = arguments,
                                   .environment = environment,
                                   .working_directory = "/tmp",
                                   .streams = (const int[]){0, 1, 2},
                                   .cpu_seconds = 7};
    struct pair *pair = pair_open(&options);
    struct pool pool;
    pool_init(&pool, LIMIT_DECODE_BYTES);
    struct frame *frame;
    const Jitd__Proto__Hello *hello = pair_decode(pair, MESSAGE_HELLO, &pool, &frame);
    cr_expect_eq(frame->header.descriptors, 3);
    cr_expect(hello->streams);
    cr_expect_eq(hello->profile, JITD__PROTO__PROFILE__COMPUTE);
    cr_expect_eq(hello->limits->cpu_seconds, 7);
    cr_assert_eq(hello->n_arguments, 2);
    cr_expect_eq(memcmp(hello->arguments[1].data, "-v", 2), 0);
    cr_assert_eq(hello->n_environment, 1);
    cr_expect_eq(memcmp(hello->environment[0].data, "A=1", 3), 0);
    cr_assert_eq(hello->n_libraries, 1);
    cr_expect_eq(memcmp(hello->libraries[0].data, "libm.so.6", 9), 0);
    cr_expect_eq(hello->working_directory.len, 4);
    frame_release(frame);
    pool_fini(&pool);
    pair_close(pair);
    expect_no_leaks();
}

Test(client, gives_a_program_without_arguments_one_empty_one)
{
    struct pair *pair = pair_open(NULL);
    struct pool pool;
    pool_init(&pool, LIMIT_DECODE_BYTES);
    struct frame *frame;
    const Jitd__Proto__Hello *hello = pair_decode(pair, MESSAGE_HELLO, &pool, &frame);
    cr_assert_eq(hello->n_arguments, 1);
    cr_expect_eq(hello->arguments[0].len, 0);
    frame_release(frame);
    pool_fini(&pool);
    pair_close(pair);
}

Test(client, shows_the_welcome_and_keeps_it)
{
    struct pair *pair = pair_open(NULL);
    cr_expect_null(jitd_welcome(pair->session));
    uint64_t hello = pair_skip(pair, MESSAGE_HELLO);
    Jitd__Proto__Layer layers[] = {JITD__PROTO__LAYER__LAYER_SECCOMP, JITD__PROTO__LAYER__LAYER_RLIMITS};
    ProtobufCBinaryData features[] = {bytes_of("sse2"), bytes_of("avx")};
    Jitd__Proto__Welcome welcome = JITD__PROTO__WELCOME__INIT;
    welcome.triple = bytes_of("x86_64-linux-gnu");
    welcome.cpu_features = features;
    welcome.n_cpu_features = 2;
    welcome.arena_base = 0x1000;
    welcome.layers = layers;
    welcome.n_layers = 2;
    pair_send(pair, MESSAGE_WELCOME, hello, &welcome);
    cr_assert_eq(jitd_wait(pair->session, 0, 2000), 0);
    const struct jitd_welcome *shown = jitd_welcome(pair->session);
    cr_assert_not_null(shown);
    cr_expect_str_eq(shown->triple, "x86_64-linux-gnu");
    cr_expect_eq(shown->cpu_feature_count, 2);
    cr_expect_str_eq(shown->cpu_features[1], "avx");
    cr_expect_str_eq(shown->libc, "");
    cr_expect_eq(shown->arena_base, 0x1000);
    cr_expect_eq(shown->layers, 1u << 2 | 1u << 3);
    pair_close(pair);
    expect_no_leaks();
}

Test(client, tells_why_a_session_was_refused_though_sending_fails)
{
    struct pair *pair = pair_open(NULL);
    uint64_t hello = pair_skip(pair, MESSAGE_HELLO);
    Jitd__Proto__Error error = JITD__PROTO__ERROR__INIT;
    error.code = JITD_ERROR_NOT_FOUND;
    error.text = bytes_of("library 'libx.so' is not allowed");
    Jitd__Proto__Failed failed = JITD__PROTO__FAILED__INIT;
    failed.errors = (Jitd__Proto__Error *[]){&error};
    failed.n_errors = 1;
    pair_send(pair, MESSAGE_FAILED, hello, &failed);
    connection_close(pair->far);
    pair->far = NULL;
    jitd_call(pair->session, "f", JITD_VOID, NULL, 0, hear_call, &pair->heard, NULL);
    cr_expect_eq(jitd_flush(pair->session), 0, "a failure to send is told when all that came is read");
    cr_expect_eq(jitd_wait(pair->session, 0, 2000), JITD_ERROR_NOT_FOUND);
    cr_expect_str_eq(jitd_last_error(pair->session)->text, "library 'libx.so' is not allowed");
    cr_expect_eq(pair->heard.called, 1);
    cr_expect_eq(pair->heard.disconnected, 1);
    cr_expect_eq(jitd_dispatch(pair->session), JITD_ERROR_DISCONNECTED);
    cr_expect(strstr(jitd_last_error(pair->session)->text, "is not allowed"), "later calls say why, too");
    pair_close(pair);
}

Test(client, gives_a_session_even_where_nobody_listens)
{
    size_t before = fds_open();
    struct jitd_session *session;
    cr_expect_eq(jitd_connect("/nonexistent/jitd.sock", NULL, NULL, NULL, &session), JITD_ERROR_SYSTEM);
    cr_assert_not_null(session);
    cr_expect_eq(jitd_last_error(session)->code, JITD_ERROR_SYSTEM);
    cr_expect(strstr(jitd_last_error(session)->text, "/nonexistent/jitd.sock"));
    cr_expect_eq(jitd_fd(session), -1);
    cr_expect_eq(jitd_events(session), 0);
    cr_expect_eq(jitd_flush(session), JITD_ERROR_DISCONNECTED);
    jitd_close(session);
    char path[300];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_expect_eq(jitd_connect(path, NULL, NULL, NULL, &session), JITD_ERROR_INVALID);
    jitd_close(session);
    jitd_close(NULL);
    cr_expect_eq(fds_open(), before);
    expect_no_leaks();
}

Test(client, says_which_daemon_could_not_be_started)
{
    size_t before = fds_open();
    struct jitd_options options = {.daemon = "/nonexistent/jitd"};
    struct jitd_session *session;
    cr_expect_eq(jitd_spawn(&options, NULL, NULL, &session), JITD_ERROR_SYSTEM);
    cr_expect(strstr(jitd_last_error(session)->text, "/nonexistent/jitd"));
    jitd_close(session);
    cr_expect_eq(fds_open(), before);
}

Test(client, reaps_a_daemon_that_ends_by_itself, .timeout = 10)
{
    size_t before = fds_open();
    struct jitd_options options = {.daemon = "/bin/true"};
    struct jitd_session *session;
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    cr_expect_eq(jitd_wait(session, 0, 5000), JITD_ERROR_DISCONNECTED);
    jitd_close(session);
    cr_expect_eq(fds_open(), before);
}

Test(client, kills_a_daemon_that_does_not_end, .timeout = 10)
{
    char path[] = "/tmp/jitd-deaf-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && fchmod(fd, 0700) == 0);
    static const char script[] = "#!/bin/sh\nexec sleep 600\n";
    cr_assert_eq(write(fd, script, sizeof script - 1), (ssize_t)sizeof script - 1);
    close(fd);
    struct jitd_options options = {.daemon = path};
    struct jitd_session *session;
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    jitd_close(session);
    unlink(path);
    cr_expect_eq(waitpid(-1, NULL, 0), -1, "no child is left");
}

/* A daemon that is a shell script; the path is the caller's to unlink. */
static void write_daemon(char path[static 32], const char *script)
{
    snprintf(path, 32, "/tmp/jitd-script-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && fchmod(fd, 0700) == 0);
    cr_assert_eq(dprintf(fd, "#!/bin/sh\n%s\n", script), (int)strlen(script) + 11);
    close(fd);
}

static void hear_end(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    snprintf(data, 256, "%s", why->text);
}

static void expect_end(const char *script, const char *text)
{
    char path[32], heard[256] = "";
    write_daemon(path, script);
    struct jitd_options options = {.daemon = path};
    struct jitd_listener listener = {.disconnected = hear_end};
    struct jitd_session *session;
    cr_assert_eq(jitd_spawn(&options, &listener, heard, &session), 0);
    cr_expect_eq(jitd_wait(session, 0, 5000), JITD_ERROR_DISCONNECTED);
    cr_expect(strstr(heard, text), "%s: %s", script, heard);
    cr_expect(strstr(jitd_last_error(session)->text, text), "%s: %s", script, jitd_last_error(session)->text);
    cr_expect_eq(jitd_lookup(session, NULL, 0, NULL, NULL, NULL), JITD_ERROR_DISCONNECTED);
    cr_expect(strstr(jitd_last_error(session)->text, text), "later, too: %s", jitd_last_error(session)->text);
    jitd_close(session);
    unlink(path);
}

Test(client, says_how_its_daemon_ended, .timeout = 10)
{
    expect_end("exit 3", "the daemon exited with status 3");
    expect_end("kill -KILL $$", "the daemon was killed by signal 9 (Killed)");
    expect_end("exec 3>&-; sleep 1", "the daemon has closed the connection");
}

/* The process group of a daemon that this process spawns; the daemon writes it down. */
static pid_t group_of_daemon(bool foreground)
{
    char path[32], script[128], file[64];
    int group = -1;
    snprintf(file, sizeof file, "/tmp/jitd-group-%d", (int)getpid());
    snprintf(script, sizeof script, "cut -d' ' -f5 </proc/$$/stat >%s", file);
    write_daemon(path, script);
    struct jitd_options options = {.daemon = path, .foreground = foreground};
    struct jitd_session *session;
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    cr_expect_eq(jitd_wait(session, 0, 5000), JITD_ERROR_DISCONNECTED);
    jitd_close(session);
    FILE *in = fopen(file, "re");
    cr_assert(in && fscanf(in, "%d", &group) == 1);
    fclose(in);
    unlink(file);
    unlink(path);
    return group;
}

Test(client, keeps_the_keys_of_the_terminal_from_its_daemon_unless_asked, .timeout = 10)
{
    cr_expect_neq(group_of_daemon(false), getpgrp());
    cr_expect_eq(group_of_daemon(true), getpgrp());
}

/* As valgrind answers, and kernels before 5.3. */
static void take_pidfds_away(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    cr_assert_eq(syscall(SYS_pidfd_open, getpid(), 0), -1);
}

Test(client, starts_and_ends_a_daemon_without_pidfds, .timeout = 20)
{
    char path[32];
    struct jitd_options options = {.daemon = path};
    struct jitd_session *session;
    take_pidfds_away();
    expect_end("exit 3", "the daemon exited with status 3");
    write_daemon(path, "exec sleep 600");
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    jitd_close(session);
    unlink(path);
    cr_expect_eq(waitpid(-1, NULL, 0), -1, "no child is left");
}

Test(client, leaves_a_child_alone_that_the_program_has_reaped_itself, .timeout = 10)
{
    char path[32];
    struct jitd_options options = {.daemon = path};
    struct jitd_session *session;
    take_pidfds_away();
    write_daemon(path, "exit 0");
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    cr_expect_gt(waitpid(-1, NULL, 0), 0);
    cr_expect_eq(jitd_wait(session, 0, 5000), JITD_ERROR_DISCONNECTED);
    jitd_close(session);
    unlink(path);
}

/* ---- waiting ---- */

static void on_alarm(int number)
{
}

static int wait_through_an_alarm(bool interruptible)
{
    struct pair *pair = pair_open(&(struct jitd_options){.interruptible = interruptible});
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 50000}, NULL);
    int code = jitd_wait(pair->session, 0, 200);
    pair_close(pair);
    return code;
}

Test(client, waits_until_a_signal_comes_where_that_is_wished, .timeout = 10)
{
    cr_expect_eq(wait_through_an_alarm(true), JITD_ERROR_INTERRUPTED);
    cr_expect_eq(wait_through_an_alarm(false), JITD_ERROR_TIMEOUT);
}

/* ---- requests ---- */

Test(client, numbers_no_request_that_it_refuses)
{
    struct pair *pair = pair_open(NULL);
    struct jitd_session *session = pair->session;
    jitd_request number;
    static const struct jitd_library library = {.number = 1u << 20};
    static const char *const nameless[] = {""};
#define EXPECT_NO_NUMBER(call)                                                                                         \
    number = 77;                                                                                                       \
    cr_expect_neq(call, 0);                                                                                            \
    cr_expect_eq(number, 0, #call)
    EXPECT_NO_NUMBER(jitd_submit(session, NULL, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_submit(session, jitd_batch_new(0), NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_lookup(session, NULL, 1, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_inspect(session, 1u << 31, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_define_library(session, &library, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_cancel_units(session, NULL, 1, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_remove(session, &(struct jitd_removal){.unit_count = 1}, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_redirect(session, 0, nameless, nameless, 1, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_adapt(session, 0, "a", 1, 1, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_call(session, "f", (enum jitd_type)99, NULL, 0, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_call_address(session, 1, (enum jitd_type)99, NULL, 0, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_run(session, &(struct jitd_unit_input){0}, "f", JITD_VOID, NULL, 0, NULL, NULL, &number));
    pair->far = (connection_close(pair->far), NULL);
    jitd_wait(session, 0, 1000);
    EXPECT_NO_NUMBER(jitd_call_main(session, NULL, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_cancel(session, 1, NULL, NULL, &number));
    EXPECT_NO_NUMBER(jitd_refuse(session, 1, NULL, NULL, NULL, &number));
    pair_close(pair);
}

Test(client, refuses_flags_that_it_does_not_know_and_no_batch)
{
    struct pair *pair = pair_open(NULL);
    struct jitd_batch *batch = jitd_batch_new(8);
    cr_assert_eq(jitd_batch_add(batch, "a.o", "x", 1), 0);
    cr_expect_eq(jitd_submit(pair->session, batch, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect(strstr(jitd_last_error(pair->session)->text, "0x8"), "%s", jitd_last_error(pair->session)->text);
    cr_expect_eq(jitd_inspect(pair->session, 32, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add(NULL, "a.o", "x", 1), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add_unit(NULL, &(struct jitd_unit_input){0}), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add_memfd(NULL, "a.o", 0), JITD_ERROR_INVALID);
    jitd_batch_set_deadline(NULL, 1);
    pair_close(pair);
}

Test(client, numbers_requests_and_never_uses_0)
{
    struct pair *pair = pair_open(NULL);
    jitd_request numbers[4];
    ask_all(pair, numbers);
    cr_expect_neq(pair_skip(pair, MESSAGE_HELLO), 0);
    static const uint16_t types[] = {MESSAGE_SUBMIT, MESSAGE_LOOKUP, MESSAGE_CALL, MESSAGE_INSPECT};
    for (int i = 0; i < 4; i++) {
        cr_expect_neq(numbers[i], 0);
        cr_expect(i == 0 || numbers[i] == numbers[i - 1] + 1);
        cr_expect_eq(pair_skip(pair, types[i]), numbers[i]);
    }
    pair_close(pair);
}

Test(client, completes_requests_in_the_order_of_their_replies)
{
    struct pair *pair = pair_open(NULL);
    jitd_request numbers[4];
    ask_all(pair, numbers);
    Jitd__Proto__Inspection inspection = JITD__PROTO__INSPECTION__INIT;
    inspection.unit_count = 77;
    pair_send(pair, MESSAGE_INSPECTION, numbers[3], &inspection);
    cr_expect_eq(jitd_wait(pair->session, numbers[3], 2000), 0);
    cr_expect_eq(pair->heard.inspected, 1);
    cr_expect_eq(pair->heard.unit_count, 77);

    Jitd__Proto__Address address = JITD__PROTO__ADDRESS__INIT;
    address.address = 0x5000;
    Jitd__Proto__Addresses addresses = JITD__PROTO__ADDRESSES__INIT;
    addresses.addresses = (Jitd__Proto__Address *[]){&address};
    addresses.n_addresses = 1;
    pair_send(pair, MESSAGE_ADDRESSES, numbers[1], &addresses);
    cr_expect_eq(jitd_wait(pair->session, numbers[1], 2000), 0);
    cr_expect_eq(pair->heard.address, 0x5000);
    cr_expect_eq(pair->heard.submitted + pair->heard.called, 0);

    uint64_t units[] = {41};
    Jitd__Proto__Submitted submitted = JITD__PROTO__SUBMITTED__INIT;
    submitted.units = units;
    submitted.n_units = 1;
    pair_send(pair, MESSAGE_SUBMITTED, numbers[0], &submitted);
    cr_expect_eq(jitd_wait(pair->session, numbers[0], 2000), 0);
    cr_expect_eq(pair->heard.units[0], 41);
    cr_expect_eq(jitd_wait(pair->session, numbers[0], 2000), 0, "a complete one: at once");
    cr_expect_eq(jitd_wait(pair->session, 123456, 2000), 0, "an unknown one: at once");
    cr_expect_eq(jitd_wait(pair->session, numbers[2], 0), JITD_ERROR_TIMEOUT);
    cr_expect_eq(jitd_wait(pair->session, numbers[2], 20), JITD_ERROR_TIMEOUT);
    pair_close(pair);
    expect_no_leaks();
}

Test(client, completes_each_request_once_when_the_daemon_goes)
{
    struct pair *pair = pair_open(NULL);
    jitd_request numbers[4];
    ask_all(pair, numbers);
    jitd_flush(pair->session);
    connection_close(pair->far);
    pair->far = NULL;
    cr_expect_neq(jitd_wait(pair->session, numbers[2], 2000), 0);
    struct heard *heard = &pair->heard;
    cr_expect_eq(heard->submitted, 1);
    cr_expect_eq(heard->looked_up, 1);
    cr_expect_eq(heard->called, 1);
    cr_expect_eq(heard->inspected, 1);
    cr_expect_eq(heard->disconnected, 1);
    cr_expect_eq(heard->disconnected_after, 4, "the listener hears of it last");
    cr_expect_eq(jitd_fd(pair->session), -1);
    cr_expect_eq(jitd_dispatch(pair->session), JITD_ERROR_DISCONNECTED);
    cr_expect_eq(jitd_wait(pair->session, numbers[2], -1), JITD_ERROR_DISCONNECTED);
    cr_expect_eq(jitd_wait_units(pair->session, -1), JITD_ERROR_DISCONNECTED);
    cr_expect_eq(jitd_inspect(pair->session, 0, hear_inspect, heard, NULL), JITD_ERROR_DISCONNECTED);
    cr_expect_eq(jitd_submit(pair->session, batch_of("b.o", "x"), hear_submit, heard, NULL), JITD_ERROR_DISCONNECTED);
    cr_expect_eq(heard->inspected, 1, "a refused request has no callback");
    pair_close(pair);
    expect_no_leaks();
}

static void count_order(struct jitd_session *session, const struct jitd_inspection *inspection,
                        const struct jitd_errors *errors, void *data)
{
    uint64_t **next = data;
    cr_assert_not_null(errors);
    cr_assert_eq(errors->list[0].code, JITD_ERROR_DISCONNECTED);
    *(*next)++ += 1;
    cr_assert_eq(jitd_inspect(session, 0, NULL, NULL, NULL), JITD_ERROR_DISCONNECTED);
}

Test(client, holds_a_hundred_thousand_requests, .timeout = 30)
{
    enum { COUNT = 100000 };
    struct pair *pair = pair_open(NULL);
    uint64_t *counts = calloc(COUNT, sizeof *counts);
    uint64_t *next = counts;
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(jitd_inspect(pair->session, 0, count_order, &next, NULL), 0);
    connection_close(pair->far);
    pair->far = NULL;
    while (jitd_dispatch(pair->session) == 0)
        continue;
    cr_expect_eq(next - counts, COUNT);
    free(counts);
    pair_close(pair);
    expect_no_leaks();
}

Test(client, calls_nothing_back_when_closed_with_requests_outstanding)
{
    struct pair *pair = pair_open(NULL);
    struct heard *heard = calloc(1, sizeof *heard);
    cr_assert_eq(jitd_inspect(pair->session, 0, hear_inspect, heard, NULL), 0);
    pair_close(pair);
    cr_expect_eq(heard->inspected, 0);
    free(heard);
    expect_no_leaks();
}

static void dispatch_again(struct jitd_session *session, const struct jitd_inspection *inspection,
                           const struct jitd_errors *errors, void *data)
{
    int *codes = data;
    codes[0] = jitd_dispatch(session);
    codes[1] = jitd_wait(session, 0, -1);
    codes[2] = jitd_wait_units(session, -1);
    codes[3] = jitd_inspect(session, 0, NULL, NULL, NULL);
    codes[4] = jitd_flush(session);
}

Test(client, refuses_to_dispatch_or_wait_inside_a_callback_but_not_to_ask)
{
    struct pair *pair = pair_open(NULL);
    int codes[5] = {-1, -1, -1, -1, -1};
    jitd_request number;
    cr_assert_eq(jitd_inspect(pair->session, 0, dispatch_again, codes, &number), 0);
    Jitd__Proto__Inspection inspection = JITD__PROTO__INSPECTION__INIT;
    pair_send(pair, MESSAGE_INSPECTION, number, &inspection);
    cr_expect_eq(jitd_wait(pair->session, number, 2000), 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(codes[i], JITD_ERROR_INVALID);
    cr_expect_eq(codes[3], 0);
    cr_expect_eq(codes[4], 0);
    pair_close(pair);
}

/* ---- batches ---- */

Test(client, packs_a_batch_with_each_object_on_a_multiple_of_16)
{
    struct pair *pair = pair_open(NULL);
    frame_release(pair_receive(pair, MESSAGE_HELLO));
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    cr_assert_eq(jitd_batch_add(batch, "first.o", "0123456789abcdefg", 17), 0);
    cr_assert_eq(jitd_batch_add(batch, "", "second", 6), 0);
    cr_assert_eq(jitd_batch_add(batch, "third.o", "", 0), 0);
    cr_assert_eq(jitd_submit(pair->session, batch, NULL, NULL, NULL), 0);
    struct pool pool;
    pool_init(&pool, LIMIT_DECODE_BYTES);
    struct frame *frame;
    const Jitd__Proto__Submit *submit = pair_decode(pair, MESSAGE_SUBMIT, &pool, &frame);
    cr_expect(submit->closed);
    cr_expect_not(submit->report_addresses);
    cr_assert_eq(submit->n_units, 3);
    static const struct {
        const char *name;
        const char *bytes;
        uint64_t offset;
    } expected[] = {{"first.o", "0123456789abcdefg", 0}, {"", "second", 32}, {"third.o", "", 48}};
    for (size_t i = 0; i < 3; i++) {
        const Jitd__Proto__Unit *unit = submit->units[i];
        cr_expect_eq(unit->name.len, strlen(expected[i].name));
        cr_expect_eq(memcmp(unit->name.data ? unit->name.data : (uint8_t *)"", expected[i].name, unit->name.len), 0);
        cr_assert_eq(unit->object_case, JITD__PROTO__UNIT__OBJECT_RANGE);
        cr_expect_eq(unit->range->offset, expected[i].offset);
        cr_expect_eq(unit->range->bytes, strlen(expected[i].bytes));
        cr_expect_eq(memcmp(frame->attachment + unit->range->offset, expected[i].bytes, unit->range->bytes), 0);
    }
    frame_release(frame);
    pool_fini(&pool);
    pair_close(pair);
    expect_no_leaks();
}

Test(client, sends_a_large_object_as_a_sealed_memfd_and_keeps_the_order)
{
    size_t before = fds_open();
    enum { LARGE = 300 * 1024 };
    struct pair *pair = pair_open(NULL);
    frame_release(pair_receive(pair, MESSAGE_HELLO));
    char *large = malloc(LARGE);
    memset(large, 'L', LARGE);
    int own = memfd_create("own", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_REPORT_ADDRESSES);
    cr_assert_eq(jitd_batch_add(batch, "small.o", "small", 5), 0);
    cr_assert_eq(jitd_batch_add_memfd(batch, "own.o", own), 0);
    cr_assert_eq(jitd_batch_add(batch, "large.o", large, LARGE), 0);
    close(own);
    cr_assert_eq(jitd_submit(pair->session, batch, NULL, NULL, NULL), 0);
    free(large);
    struct pool pool;
    pool_init(&pool, LIMIT_DECODE_BYTES);
    struct frame *frame;
    const Jitd__Proto__Submit *submit = pair_decode(pair, MESSAGE_SUBMIT, &pool, &frame);
    cr_expect(submit->report_addresses);
    cr_assert_eq(frame->header.descriptors, 2);
    cr_expect_eq(submit->units[0]->object_case, JITD__PROTO__UNIT__OBJECT_RANGE);
    cr_expect_eq(submit->units[1]->object_case, JITD__PROTO__UNIT__OBJECT_DESCRIPTOR);
    cr_expect_eq(submit->units[1]->descriptor, 0);
    cr_expect_eq(submit->units[2]->object_case, JITD__PROTO__UNIT__OBJECT_DESCRIPTOR);
    cr_expect_eq(submit->units[2]->descriptor, 1);
    cr_expect_eq(frame->header.attachment_bytes, 16);
    int seals = fcntl(frame->fds[1], F_GET_SEALS);
    cr_expect_eq(seals & (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
    char last = 0;
    cr_expect_eq(lseek(frame->fds[1], 0, SEEK_END), LARGE);
    cr_expect_eq(pread(frame->fds[1], &last, 1, LARGE - 1), 1);
    cr_expect_eq(last, 'L');
    frame_release(frame);
    pool_fini(&pool);
    pair_close(pair);
    cr_expect_eq(fds_open(), before);
    expect_no_leaks();
}

Test(client, refuses_batches_that_cannot_be_sent)
{
    struct pair *pair = pair_open(NULL);
    static char name[LIMIT_UNIT_NAME_BYTES + 2];
    memset(name, 'n', sizeof name - 1);
    struct jitd_batch *batch = jitd_batch_new(0);
    cr_expect_eq(jitd_batch_add(batch, name, "x", 1), JITD_ERROR_LIMIT);
    cr_expect_eq(jitd_batch_add(batch, "a.o", NULL, 0), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add(batch, NULL, "x", 1), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add(batch, "a.o", "x", LIMIT_OBJECT_BYTES + 1), JITD_ERROR_LIMIT);
    cr_expect_eq(jitd_batch_add_memfd(batch, "a.o", -1), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_submit(pair->session, batch, hear_submit, &pair->heard, NULL), JITD_ERROR_INVALID,
                 "none of that was added");

    batch = jitd_batch_new(0);
    int fd = memfd_create("m", MFD_CLOEXEC);
    for (int i = 0; i < LIMIT_FRAME_DESCRIPTORS; i++)
        cr_expect_eq(jitd_batch_add_memfd(batch, "m.o", fd), 0);
    cr_expect_eq(jitd_batch_add_memfd(batch, "m.o", fd), JITD_ERROR_LIMIT);
    jitd_batch_free(batch);
    close(fd);
    jitd_batch_free(NULL);

    /* 2,000 objects that are too small for a memfd and together too large for a frame; never read. */
    static char object[200 * 1024];
    batch = jitd_batch_new(0);
    for (int i = 0; i < 2000; i++)
        cr_assert_eq(jitd_batch_add(batch, "o", object, sizeof object), 0);
    cr_expect_eq(jitd_submit(pair->session, batch, hear_submit, &pair->heard, NULL), JITD_ERROR_LIMIT);
    cr_expect_eq(pair->heard.submitted, 0);
    cr_expect_eq(jitd_fd(pair->session) >= 0, true, "the session goes on");
    pair_close(pair);
    expect_no_leaks();
}

/* ---- calls ---- */

Test(client, widens_arguments_as_the_c_abi_does)
{
    static const struct {
        struct jitd_value value;
        uint64_t bits;
    } rows[] = {
        {{.type = JITD_INT32, .integer = -2}, 0xfffffffffffffffeull},
        {{.type = JITD_UINT32, .unsigned_integer = 0x1fffffffeull}, 0xfffffffeull},
        {{.type = JITD_INT64, .integer = -3}, 0xfffffffffffffffdull},
        {{.type = JITD_UINT64, .unsigned_integer = UINT64_MAX}, UINT64_MAX},
        {{.type = JITD_FLOAT32, .float32 = 1.0f}, 0x3f800000},
        {{.type = JITD_FLOAT64, .float64 = 1.0}, 0x3ff0000000000000ull},
        {{.type = JITD_POINTER, .pointer = 0x7f0000001000ull}, 0x7f0000001000ull},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct pair *pair = pair_open(NULL);
    frame_release(pair_receive(pair, MESSAGE_HELLO));
    struct jitd_value arguments[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        arguments[i] = rows[i].value;
    cr_assert_eq(jitd_call_address(pair->session, 0x9000, JITD_FLOAT32, arguments, ROWS, NULL, NULL, NULL), 0);
    struct pool pool;
    pool_init(&pool, LIMIT_DECODE_BYTES);
    struct frame *frame;
    const Jitd__Proto__Call *call = pair_decode(pair, MESSAGE_CALL, &pool, &frame);
    cr_expect_eq(call->function_case, JITD__PROTO__CALL__FUNCTION_ADDRESS);
    cr_expect_eq(call->address, 0x9000);
    cr_expect_eq(call->result, JITD__PROTO__VALUE_TYPE__FLOAT32);
    cr_assert_eq(call->n_arguments, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        cr_expect_eq((int)call->arguments[i]->type, (int)rows[i].value.type);
        cr_expect_eq(call->arguments[i]->bits, rows[i].bits, "row %zu", i);
    }
    frame_release(frame);
    pool_fini(&pool);
    struct jitd_value nothing = {.type = JITD_VOID};
    struct jitd_value many[LIMIT_CALL_ARGUMENTS + 1] = {0};
    cr_expect_eq(jitd_call(pair->session, "f", JITD_VOID, &nothing, 1, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_call(pair->session, "f", JITD_VOID, many, LIMIT_CALL_ARGUMENTS + 1, NULL, NULL, NULL),
                 JITD_ERROR_LIMIT);
    cr_expect_eq(jitd_call(pair->session, "f", (enum jitd_type)9, NULL, 0, NULL, NULL, NULL), JITD_ERROR_INVALID);
    pair_close(pair);
}

Test(client, shows_results_in_their_type)
{
    static const struct {
        enum jitd_type type;
        uint64_t bits;
        uint64_t shown;
    } rows[] = {
        {JITD_INT32, 0x00000000fffffffeull, 0xfffffffffffffffeull},
        {JITD_UINT32, 0xfffffffffffffffeull, 0xfffffffeull},
        {JITD_FLOAT32, 0xffffffff3f800000ull, 0x3f800000},
        {JITD_FLOAT64, 0x3ff0000000000000ull, 0x3ff0000000000000ull},
        {JITD_VOID, 55, 0},
    };
    struct pair *pair = pair_open(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        jitd_request number;
        cr_assert_eq(jitd_call(pair->session, "f", rows[i].type, NULL, 0, hear_call, &pair->heard, &number), 0);
        Jitd__Proto__Value value = JITD__PROTO__VALUE__INIT;
        value.type = (Jitd__Proto__ValueType)rows[i].type;
        value.bits = rows[i].bits;
        Jitd__Proto__Returned returned = JITD__PROTO__RETURNED__INIT;
        returned.result = &value;
        pair_send(pair, MESSAGE_RETURNED, number, &returned);
        cr_expect_eq(jitd_wait(pair->session, number, 2000), 0);
        cr_expect_eq(pair->heard.value.type, rows[i].type);
        cr_expect_eq(pair->heard.value.unsigned_integer, rows[i].shown, "row %zu", i);
    }
    pair_close(pair);
}

Test(client, completes_a_call_with_the_end_of_its_runner)
{
    struct pair *pair = pair_open(NULL);
    jitd_request number;
    cr_assert_eq(jitd_call_main(pair->session, NULL, hear_call, &pair->heard, &number), 0);
    Jitd__Proto__Ended ended = JITD__PROTO__ENDED__INIT;
    ended.signal = 11;
    pair_send(pair, MESSAGE_ENDED, number, &ended);
    Jitd__Proto__RunnerEnded event = JITD__PROTO__RUNNER_ENDED__INIT;
    event.ended = &ended;
    pair_send(pair, MESSAGE_RUNNER_ENDED, 0, &event);
    cr_expect_eq(jitd_wait(pair->session, number, 2000), 0);
    cr_expect_eq(pair->heard.called, 1);
    cr_expect_eq(pair->heard.signal, 11);
    cr_expect_eq(jitd_dispatch(pair->session), 0);
    cr_expect_eq(pair->heard.runner_ended, 1);
    pair_close(pair);
}

/* ---- errors and units ---- */

Test(client, converts_errors_whatever_is_in_their_names)
{
    struct pair *pair = pair_open(NULL);
    jitd_request number;
    cr_assert_eq(jitd_submit(pair->session, batch_of("a.o", "x"), hear_submit, &pair->heard, &number), 0);
    Jitd__Proto__Reference reference = JITD__PROTO__REFERENCE__INIT;
    Jitd__Proto__Error errors[2] = {JITD__PROTO__ERROR__INIT, JITD__PROTO__ERROR__INIT};
    errors[0].code = JITD_ERROR_SYMBOL_MISSING;
    errors[0].text = bytes_of("undefined symbol");
    errors[0].symbol = (ProtobufCBinaryData){.len = 5, .data = (uint8_t *)"ab\0cd"};
    errors[0].references = (Jitd__Proto__Reference *[]){&reference, &reference};
    errors[0].n_references = 2;
    Jitd__Proto__Failed failed = JITD__PROTO__FAILED__INIT;
    failed.errors = (Jitd__Proto__Error *[]){&errors[0], &errors[1]};
    failed.n_errors = 2;
    pair_send(pair, MESSAGE_FAILED, number, &failed);
    cr_expect_eq(jitd_wait(pair->session, number, 2000), 0);
    cr_expect_eq(pair->heard.submitted, 1);
    cr_expect_eq(pair->heard.code, JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(pair->heard.text, "undefined symbol");
    cr_expect_str_eq(pair->heard.symbol, "ab");
    cr_expect_eq(pair->heard.error_count, 2);
    cr_expect_eq(pair->heard.reference_count, 2);
    pair_close(pair);
}

Test(client, gives_a_failure_without_errors_one)
{
    struct pair *pair = pair_open(NULL);
    jitd_request number;
    cr_assert_eq(jitd_inspect(pair->session, 0, hear_inspect, &pair->heard, &number), 0);
    Jitd__Proto__Failed failed = JITD__PROTO__FAILED__INIT;
    pair_send(pair, MESSAGE_FAILED, number, &failed);
    cr_expect_eq(jitd_wait(pair->session, number, 2000), 0);
    cr_expect_eq(pair->heard.error_count, 1);
    cr_expect_eq(pair->heard.code, JITD_ERROR_PROTOCOL);
    pair_close(pair);
}

static void send_state(struct pair *pair, uint64_t unit, Jitd__Proto__UnitState state)
{
    Jitd__Proto__UnitEvent event = JITD__PROTO__UNIT_EVENT__INIT;
    event.unit = unit;
    event.state = state;
    Jitd__Proto__Units units = JITD__PROTO__UNITS__INIT;
    units.events = (Jitd__Proto__UnitEvent *[]){&event, &event};
    units.n_events = 2; /* said twice, as nobody should */
    pair_send(pair, MESSAGE_UNITS, 0, &units);
}

Test(client, waits_for_units_that_were_submitted_until_each_is_ready_or_failed)
{
    struct pair *pair = pair_open(NULL);
    cr_expect_eq(jitd_wait_units(pair->session, 0), 0, "there are none");
    struct jitd_batch *batch = batch_of("a.o", "x");
    cr_assert_eq(jitd_batch_add(batch, "b.o", "y", 1), 0);
    jitd_request number;
    cr_assert_eq(jitd_submit(pair->session, batch, hear_submit, &pair->heard, &number), 0);
    cr_expect_eq(jitd_wait_units(pair->session, 10), JITD_ERROR_TIMEOUT, "a submission is outstanding");
    uint64_t ids[] = {0, 1};
    Jitd__Proto__Submitted submitted = JITD__PROTO__SUBMITTED__INIT;
    submitted.units = ids;
    submitted.n_units = 2;
    pair_send(pair, MESSAGE_SUBMITTED, number, &submitted);
    send_state(pair, 0, JITD__PROTO__UNIT_STATE__READY);
    send_state(pair, 1, JITD__PROTO__UNIT_STATE__RESOLVED);
    send_state(pair, 999, JITD__PROTO__UNIT_STATE__READY);
    cr_expect_eq(jitd_wait_units(pair->session, 10), JITD_ERROR_TIMEOUT, "one is only resolved");
    cr_expect_eq(pair->heard.unit_events, 6);
    send_state(pair, 1, JITD__PROTO__UNIT_STATE__FAILED);
    cr_expect_eq(jitd_wait_units(pair->session, 2000), 0);
    cr_expect_eq(pair->heard.last_state, JITD_UNIT_FAILED);
    cr_expect_eq(pair->heard.error_count, 1, "one that failed has at least one error");
    pair_close(pair);
}

Test(client, reads_on_past_a_full_dispatch_while_frames_are_buffered)
{
    struct pair *pair = pair_open(NULL);
    for (int i = 0; i < 500; i++)
        send_state(pair, 1, JITD__PROTO__UNIT_STATE__RESOLVED);
    struct pollfd polled = {.fd = jitd_fd(pair->session), .events = POLLIN};
    while (poll(&polled, 1, 0) == 1) {
        cr_assert_eq(jitd_dispatch(pair->session), 0);
        cr_assert_eq(connection_flush(pair->far, NULL), 0);
    }
    cr_expect_eq(pair->heard.unit_events, 1000, "a loop that only polls hears all");
    pair_close(pair);
}

/* ---- daemons that break the rules ---- */

enum misdeed {
    UNKNOWN_TYPE,
    A_REQUEST,
    UNASKED_REPLY,
    EVENT_AS_REPLY,
    WRONG_REPLY,
    TOO_MANY_UNITS,
    TOO_FEW_ADDRESSES,
    WRONG_RESULT_TYPE,
    WELCOME_TWICE,
    EMPTY_RUNNER_ENDED,
    IMPOSSIBLE_UNIT,
    MISDEEDS
};

/* What connection_write would not send. */
static void send_bare_header(struct pair *pair, uint16_t type)
{
    struct frame_header header = {.type = type};
    uint8_t bytes[FRAME_BYTES];
    frame_encode(&header, bytes);
    cr_assert_eq(write(connection_fd(pair->far), bytes, sizeof bytes), FRAME_BYTES);
}

static void misbehave(struct pair *pair, enum misdeed misdeed, const jitd_request numbers[4], uint64_t hello)
{
    Jitd__Proto__Welcome welcome = JITD__PROTO__WELCOME__INIT;
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    Jitd__Proto__Inspection inspection = JITD__PROTO__INSPECTION__INIT;
    Jitd__Proto__Units units = JITD__PROTO__UNITS__INIT;
    Jitd__Proto__RunnerEnded ended = JITD__PROTO__RUNNER_ENDED__INIT;
    uint64_t ids[] = {misdeed == IMPOSSIBLE_UNIT ? UINT64_MAX : 1, 2};
    Jitd__Proto__Submitted submitted = JITD__PROTO__SUBMITTED__INIT;
    submitted.units = ids;
    submitted.n_units = misdeed == IMPOSSIBLE_UNIT ? 1 : 2;
    Jitd__Proto__Addresses addresses = JITD__PROTO__ADDRESSES__INIT;
    Jitd__Proto__Returned returned = JITD__PROTO__RETURNED__INIT;
    const struct {
        uint16_t type;
        uint64_t request;
        const void *message;
    } rows[MISDEEDS] = {
        [A_REQUEST] = {MESSAGE_INSPECT, numbers[3], &inspect},
        [UNASKED_REPLY] = {MESSAGE_INSPECTION, 4711, &inspection},
        [EVENT_AS_REPLY] = {MESSAGE_UNITS, numbers[0], &units},
        [WRONG_REPLY] = {MESSAGE_INSPECTION, numbers[0], &inspection},
        [TOO_MANY_UNITS] = {MESSAGE_SUBMITTED, numbers[0], &submitted},
        [TOO_FEW_ADDRESSES] = {MESSAGE_ADDRESSES, numbers[1], &addresses},
        [WRONG_RESULT_TYPE] = {MESSAGE_RETURNED, numbers[2], &returned},
        [WELCOME_TWICE] = {MESSAGE_WELCOME, hello, &welcome},
        [EMPTY_RUNNER_ENDED] = {MESSAGE_RUNNER_ENDED, 0, &ended},
        [IMPOSSIBLE_UNIT] = {MESSAGE_SUBMITTED, numbers[0], &submitted},
    };
    if (misdeed == WELCOME_TWICE)
        pair_send(pair, MESSAGE_WELCOME, hello, &welcome);
    if (misdeed == UNKNOWN_TYPE)
        send_bare_header(pair, 77);
    else
        pair_send(pair, rows[misdeed].type, rows[misdeed].request, rows[misdeed].message);
}

Test(client, ends_the_session_when_the_daemon_breaks_the_rules)
{
    for (int misdeed = 0; misdeed < MISDEEDS; misdeed++) {
        struct pair *pair = pair_open(NULL);
        jitd_request numbers[4];
        ask_all(pair, numbers);
        uint64_t hello = pair_skip(pair, MESSAGE_HELLO);
        misbehave(pair, (enum misdeed)misdeed, numbers, hello);
        struct heard *heard = &pair->heard;
        cr_expect_eq(jitd_wait(pair->session, numbers[3], 2000), JITD_ERROR_PROTOCOL, "misdeed %d", misdeed);
        cr_expect_eq(jitd_last_error(pair->session)->code, JITD_ERROR_PROTOCOL, "misdeed %d", misdeed);
        cr_expect(heard->submitted == 1 && heard->looked_up == 1 && heard->called == 1 && heard->inspected == 1,
                  "misdeed %d", misdeed);
        cr_expect_eq(heard->disconnected, 1, "misdeed %d", misdeed);
        cr_expect_eq(heard->code, JITD_ERROR_PROTOCOL, "the listener is told the reason, misdeed %d", misdeed);
        pair_close(pair);
    }
    expect_no_leaks();
}

Test(client, ends_the_session_at_bytes_that_are_no_frame)
{
    int sockets[2];
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    struct jitd_session *session;
    struct heard heard = {0};
    cr_assert_eq(jitd_attach(sockets[0], NULL, &pair_listener, &heard, &session), 0);
    char noise[64];
    memset(noise, '!', sizeof noise);
    cr_assert_eq(write(sockets[1], noise, sizeof noise), (ssize_t)sizeof noise);
    cr_expect_eq(jitd_wait(session, 0, 2000), JITD_ERROR_PROTOCOL);
    cr_expect_eq(heard.disconnected, 1);
    jitd_close(session);
    close(sockets[1]);
}

Test(client, names_each_error_code)
{
    cr_expect_str_eq(jitd_error_name(JITD_ERROR_RELOCATION_RANGE), "RELOCATION_RANGE");
    cr_expect_str_eq(jitd_error_text(JITD_OK), "success");
    cr_expect_not_null(jitd_error_name(-5));
    cr_expect_not_null(jitd_error_text(100000));
}

/* ---- the table ---- */

Test(client_table, keeps_every_record_through_insertions_and_removals)
{
    struct record {
        uint64_t key;
        uint64_t value;
    };
    enum { KEYS = 4000 };
    static bool present[KEYS + 1];
    struct table table;
    table_init(&table, sizeof(struct record));
    unsigned state = 1;
    for (int i = 0; i < 60000; i++) {
        state = state * 1103515245u + 12345u;
        uint64_t key = (state >> 8) % KEYS + 1;
        if (state >> 31) {
            cr_assert_eq(table_remove(&table, key), present[key]);
            present[key] = false;
        } else {
            struct record *record = table_insert(&table, key);
            cr_assert(record->value == (present[key] ? key * 3 : 0));
            record->value = key * 3;
            present[key] = true;
        }
    }
    size_t count = 0;
    for (uint64_t key = 1; key <= KEYS; key++) {
        const struct record *record = table_find(&table, key);
        cr_assert_eq(record != NULL, present[key]);
        cr_assert(!record || record->value == key * 3);
        count += present[key];
    }
    cr_expect_eq(table.count, count);
    cr_expect_null(table_find(&table, 0));
    struct record *drained = table_drain(&table, &count);
    for (size_t i = 1; i < count; i++)
        cr_assert(drained[i - 1].key < drained[i].key);
    cr_expect_eq(table.count, 0);
    free(drained);
    cr_expect_null(table_drain(&table, &count));
    table_fini(&table);
    expect_no_leaks();
}

/* ---- goodbyes ---- */

Test(client, tells_what_the_daemon_said_of_the_end)
{
    struct pair *pair = pair_open(NULL);
    Jitd__Proto__Goodbye goodbye = JITD__PROTO__GOODBYE__INIT;
    static char text[] = "the template\0was killed";
    goodbye.code = JITD_ERROR_RUNNER_ENDED;
    goodbye.text = (ProtobufCBinaryData){sizeof text - 1, (uint8_t *)text};
    pair_skip(pair, MESSAGE_HELLO);
    pair_send(pair, MESSAGE_GOODBYE, 0, &goodbye);
    connection_close(pair->far);
    pair->far = NULL;
    cr_expect_eq(jitd_wait(pair->session, 0, 1000), JITD_ERROR_RUNNER_ENDED);
    cr_expect_eq(pair->heard.disconnected, 1);
    cr_expect_str_eq(jitd_last_error(pair->session)->text, "the template?was killed");
    cr_expect_eq(jitd_call(pair->session, "f", JITD_VOID, NULL, 0, NULL, NULL, NULL), JITD_ERROR_DISCONNECTED);
    cr_expect(strstr(jitd_last_error(pair->session)->text, "was killed"));
    pair_close(pair);
}

Test(client, keeps_a_goodbye_of_any_code_and_length)
{
    static char text[5000];
    memset(text, 'x', sizeof text);
    static const uint32_t codes[] = {0, UINT32_MAX, 7777};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct pair *pair = pair_open(NULL);
        Jitd__Proto__Goodbye goodbye = JITD__PROTO__GOODBYE__INIT;
        goodbye.code = codes[i];
        goodbye.text = (ProtobufCBinaryData){sizeof text, (uint8_t *)text};
        pair_skip(pair, MESSAGE_HELLO);
        pair_send(pair, MESSAGE_GOODBYE, 0, &goodbye);
        connection_close(pair->far);
        pair->far = NULL;
        cr_expect_eq(jitd_wait(pair->session, 0, 1000), codes[i] == 7777 ? 7777 : JITD_ERROR_DISCONNECTED);
        cr_expect_eq(jitd_last_error(pair->session)->text[0], 'x');
        pair_close(pair);
    }
}
