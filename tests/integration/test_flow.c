/*
 * Flow control, both ways: a controller that never reads, or sends without end, costs bounded memory and nobody else's
 * time; and a program can tell that its daemon does not keep up.
 *
 * Memory is what the kernel says of the linker, in KiB. Bounds are asserted, never times.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/integration/peer.h"
#include "tests/lib/temp.h"

/* AddressSanitizer keeps freed memory for a while and shadows all of it. */
#ifdef JITD_SANITIZED
#define FLOOD_BYTES MIB(64)
#define SLACK_KIB   (400 * 1024)
#else
#define FLOOD_BYTES MIB(256)
#define SLACK_KIB   (16 * 1024)
#endif

#define CAP_KIB  (32 * 1024)
#define CAP_TEXT "33554432"

TestSuite(flow, .timeout = 60);

static void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

static long memory_of(pid_t linker)
{
    return harness_status(linker, "RssAnon") + harness_status(linker, "RssShmem");
}

static pid_t linker_of(const struct peer *peer)
{
    struct harness view = {.daemon = peer->daemon};
    return harness_process(&view, HARNESS_LINKER);
}

/* ---- units that wait ---- */

static struct harness *open_capped(void)
{
    static const char *const arguments[] = {"--waiting-bytes", CAP_TEXT, NULL};
    struct harness *harness = harness_open(&(struct jitd_options){.daemon_arguments = arguments});
    cr_assert_eq(jitd_welcome(harness->session)->waiting_bytes, CAP_KIB * 1024ull);
    return harness;
}

/* An object of about so many bytes that waits for `never_comes`. */
static struct object_bytes waiting_object(size_t bytes)
{
    char source[256];
    snprintf(source, sizeof source, ".section .data.rel.ro, \"aw\"\n.quad never_comes\n.zero %zu\n", bytes);
    return compile_assembly(source, NULL);
}

/* Submits the object again and again, each in a batch of its own; returns how many were taken. */
static size_t flood(struct harness *harness, const struct object_bytes *object, size_t times)
{
    size_t taken = 0;
    for (size_t i = 0; i < times; i++) {
        harness_add(harness, "large.o", object);
        int code = harness_submit(harness, 0);
        taken += code == 0;
        cr_assert(code == 0 || code == JITD_ERROR_LIMIT, "%s", harness->errors[0].text);
    }
    return taken;
}

static void link_beside_those_that_wait(struct harness *harness, const char *name, const char *source)
{
    int told = harness->told;
    harness_add_c(harness, name, source);
    harness_accept(harness, JITD_BATCH_CLOSED);
    harness_dispatch_until(harness, &harness->told, told + 1);
}

Test(flow, holds_no_more_for_units_that_wait_than_it_may_and_goes_on)
{
    static const size_t sizes[] = {MIB(1), KIB(200)}; /* in a memfd, in the frame's attachment */
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct harness *harness = open_capped();
        struct object_bytes object = waiting_object(sizes[i]);
        pid_t linker = harness_process(harness, HARNESS_LINKER);
        long own = harness_status(linker, "RssAnon"), shared = harness_status(linker, "RssShmem");
        size_t times = FLOOD_BYTES / sizes[i], fitting = CAP_KIB * 1024 / object.length;
        size_t taken = flood(harness, &object, times);
        cr_expect(taken <= fitting && taken + 4 >= fitting - fitting / 16, "%zu taken, room for %zu", taken, fitting);
        cr_expect(strstr(harness->errors[0].text, "units that wait") && strstr(harness->errors[0].text, CAP_TEXT), "%s",
                  harness->errors[0].text);
        own = harness_status(linker, "RssAnon") - own;
        shared = harness_status(linker, "RssShmem") - shared;
        cr_expect(own < CAP_KIB + SLACK_KIB, "%ld KiB more after %zu units of %zu bytes", own, times, sizes[i]);
        /* What was taken has its room in the arena besides, which is kept warm, and may lie in a memfd. */
        cr_expect(shared < 2 * CAP_KIB + SLACK_KIB, "%ld KiB more are shared", shared);

        link_beside_those_that_wait(harness, "small.o", "long small(long x) { return x + 1; }\n");
        cr_expect_eq(harness_value(harness, "small", 41), 42);
        link_beside_those_that_wait(harness, "comes.o", "long never_comes = 1;\n");
        harness_settle(harness);
        cr_expect_eq(harness_unit(harness, "large.o")->state, JITD_UNIT_READY);
        cr_expect_eq(flood(harness, &object, 4), 4, "the room was not given back: %s", harness->errors[0].text);
        object_free(&object);
        harness_close(harness);
    }
}

Test(flow, gives_room_back_when_units_that_wait_fail)
{
    struct harness *harness = open_capped();
    struct object_bytes object = waiting_object(MIB(1));
    harness->deadline_ms = 1000;
    size_t taken = flood(harness, &object, 40);
    cr_expect(taken > 0 && taken < 40, "%zu taken", taken);
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "large.o")->error.code, JITD_ERROR_TIMEOUT);
    cr_expect_eq(flood(harness, &object, taken), taken, "%s", harness->errors[0].text);
    object_free(&object);
    harness_close(harness);
}

#ifndef JITD_SANITIZED /* whose allocator keeps what is freed */
Test(flow, gives_memory_back_to_the_system_when_units_that_waited_are_ready_and_it_is_quiet)
{
    enum { UNITS = 80, OBJECT_BYTES = 200 * 1024 };
    struct harness *harness = open_capped();
    struct object_bytes object = waiting_object(OBJECT_BYTES);
    pid_t linker = harness_process(harness, HARNESS_LINKER);
    long before = harness_status(linker, "RssAnon"), left = LONG_MAX;
    cr_assert_eq(flood(harness, &object, UNITS), UNITS);
    cr_assert_gt(harness_status(linker, "RssAnon") - before, UNITS * OBJECT_BYTES / 1024 / 2);
    link_beside_those_that_wait(harness, "comes.o", "long never_comes = 1;\n");
    harness_settle(harness);
    for (int waited = 0; left > UNITS * OBJECT_BYTES / 1024 / 8 && waited < HARNESS_PATIENCE; waited += 10) {
        pause_ms(10);
        left = harness_status(linker, "RssAnon") - before;
    }
    cr_expect(left <= UNITS * OBJECT_BYTES / 1024 / 8, "%ld KiB are still held", left);
    object_free(&object);
    harness_close(harness);
}
#endif

Test(flow, refuses_a_batch_that_is_larger_than_the_cap_and_says_so)
{
    struct harness *harness = open_capped();
    struct object_bytes object = waiting_object(MIB(33));
    cr_expect_eq(flood(harness, &object, 1), 0);
    cr_expect(strstr(harness->errors[0].text, "--waiting-bytes"), "%s", harness->errors[0].text);
    object_free(&object);
    harness_close(harness);
}

/* ---- memory for what is announced, asked for, told ---- */

Test(flow, touches_no_memory_for_bytes_that_were_only_announced)
{
    uint8_t header[FRAME_BYTES];
    struct peer peer = peer_open_welcomed();
    pid_t linker = linker_of(&peer);
    long before = memory_of(linker), size_before = harness_status(linker, "VmData");
    frame_encode(
        &(struct frame_header){.type = MESSAGE_SUBMIT, .request = 2, .attachment_bytes = LIMIT_ATTACHMENT_BYTES},
        header);
    cr_assert(send(connection_fd(peer.connection), header, sizeof header, 0) == (ssize_t)sizeof header);
    for (int waited = 0; harness_status(linker, "VmData") - size_before < (long)(LIMIT_ATTACHMENT_BYTES / 1024);
         waited += 10) {
        cr_assert(waited < HARNESS_PATIENCE, "the header was not read");
        pause_ms(10);
    }
    pause_ms(100);
    long growth = memory_of(linker) - before;
    cr_expect(growth < SLACK_KIB / 4, "%ld KiB more", growth);
    peer_close(&peer);
}

Test(flow, keeps_no_names_that_were_only_asked_for)
{
    enum { REQUESTS = 200, NAMES = 1000, NAME_BYTES = 100 };
    static char text[NAMES][NAME_BYTES];
    static ProtobufCBinaryData names[NAMES];
    struct peer peer = peer_open_welcomed();
    pid_t linker = linker_of(&peer);
    Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    lookup.names = names;
    lookup.n_names = NAMES;
    long before = 0;
    for (uint64_t request = 2; request < 2 + REQUESTS; request++) {
        for (size_t i = 0; i < NAMES; i++) {
            snprintf(text[i], NAME_BYTES, "%094lu", (unsigned long)(request * NAMES + i));
            names[i] = (ProtobufCBinaryData){.data = (uint8_t *)text[i], .len = strlen(text[i])};
        }
        peer_send(&peer, MESSAGE_LOOKUP, request, &lookup.base);
        const Jitd__Proto__Addresses *reply =
            (const Jitd__Proto__Addresses *)peer_read(&peer, MESSAGE_ADDRESSES, request);
        cr_assert(reply->n_addresses == NAMES && reply->addresses[0]->address == 0);
        if (request == 2)
            before = memory_of(linker);
    }
    long growth = memory_of(linker) - before;
    cr_expect(growth < SLACK_KIB / 2, "%ld KiB more for names that nobody has", growth);
    peer_close(&peer);
}

Test(flow, cuts_off_a_list_that_no_message_holds_and_says_where_to_go_on)
{
    enum { UNITS = 2200, BATCHES = 2 };
    static char name[LIMIT_UNIT_NAME_BYTES - 64];
    struct peer peer = peer_open_welcomed();
    struct object_bytes object = compile_assembly("", NULL);
    const struct connection_range attachment = {object.bytes, object.length};
    static Jitd__Proto__Unit units[UNITS], *list[UNITS];
    Jitd__Proto__Range range = JITD__PROTO__RANGE__INIT;
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    memset(name, 'n', sizeof name);
    range.bytes = object.length;
    for (size_t i = 0; i < UNITS; i++) {
        jitd__proto__unit__init(&units[i]);
        units[i].name = (ProtobufCBinaryData){.data = (uint8_t *)name, .len = sizeof name};
        units[i].object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
        units[i].range = &range;
        list[i] = &units[i];
    }
    submit.units = list;
    submit.n_units = UNITS;
    for (uint64_t request = 2; request < 2 + BATCHES; request++) {
        peer_write(&peer, MESSAGE_SUBMIT, request, &submit.base, &attachment, 1, NULL, 0);
        peer_flush(&peer);
        peer_read(&peer, MESSAGE_SUBMITTED, request);
        peer_read(&peer, MESSAGE_UNITS, 0);
    }
    inspect.units = true;
    size_t listed = 0, replies = 0;
    do {
        peer_send(&peer, MESSAGE_INSPECT, 100 + replies, &inspect.base);
        const Jitd__Proto__Inspection *reply =
            (const Jitd__Proto__Inspection *)peer_read(&peer, MESSAGE_INSPECTION, 100 + replies);
        cr_assert(reply->n_units > 0 && reply->units[0]->unit == listed + 1);
        listed += reply->n_units;
        replies++;
        inspect.first_unit = reply->next_unit;
    } while (inspect.first_unit);
    cr_expect_eq(listed, UNITS * BATCHES);
    cr_expect_gt(replies, 1);
    object_free(&object);
    peer_close(&peer);
}

/* ---- news ---- */

static size_t definitions_told;

static void count_definitions(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    definitions_told += event->definition_count;
}

static void replace_all(struct object_bytes *object, const char *from, const char *to)
{
    size_t length = strlen(from);
    uint8_t *at = object->bytes, *end = at + object->length;
    for (; (at = memmem(at, (size_t)(end - at), from, length)); at += length)
        memcpy(at, to, length);
}

/* One unit's definitions: SYMBOLS names of NAME_BYTES each that begin with "u00". */
enum { TOLD_UNITS = 40, TOLD_SYMBOLS = 8, TOLD_NAME_BYTES = 60000 };

static struct object_bytes long_names(void)
{
    size_t room = TOLD_SYMBOLS * 2 * (TOLD_NAME_BYTES + 32), used = 0;
    char *source = malloc(room);
    cr_assert(source);
    for (int i = 0; i < TOLD_SYMBOLS; i++)
        used += (size_t)snprintf(source + used, room - used, ".global u00_%d%0*d\nu00_%d%0*d = 1\n", i, TOLD_NAME_BYTES,
                                 0, i, TOLD_NAME_BYTES, 0);
    struct object_bytes object = compile_assembly(source, NULL);
    free(source);
    return object;
}

Test(flow, sends_news_of_definitions_that_no_message_holds_in_several)
{
    static const struct jitd_listener listener = {.unit = count_definitions};
    const struct jitd_options options = {.daemon = harness_daemon_path()};
    struct jitd_session *session;
    struct object_bytes objects[TOLD_UNITS], object = long_names();
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_REPORT_ADDRESSES);
    cr_assert(jitd_spawn(&options, &listener, NULL, &session) == 0);
    for (int i = 0; i < TOLD_UNITS; i++) {
        char name[8];
        snprintf(name, sizeof name, "u%02d", i);
        objects[i] = object_copy(&object);
        replace_all(&objects[i], "u00", name);
        cr_assert_eq(jitd_batch_add(batch, name, objects[i].bytes, objects[i].length), 0);
    }
    cr_assert(jitd_submit(session, batch, NULL, NULL, NULL) == 0);
    cr_expect(jitd_wait_units(session, HARNESS_PATIENCE) == 0, "%s", jitd_last_error(session)->text);
    cr_expect_eq(definitions_told, TOLD_UNITS * TOLD_SYMBOLS);
    for (int i = 0; i < TOLD_UNITS; i++)
        object_free(&objects[i]);
    object_free(&object);
    jitd_close(session);
}

/* ---- a controller that does not read ---- */

/* Requests whose answers are larger than they are. */
static struct object_bytes demanding_requests(void)
{
    struct error error;
    struct connection *connection;
    int sockets[2];
    struct object_bytes requests = {.bytes = malloc(MIB(1))};
    ProtobufCBinaryData names[500];
    Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    Jitd__Proto__Call call;
    cr_assert(requests.bytes && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    cr_assert(connection_open(sockets[0], &connection, &error) == 0, "%s", error.text);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        names[i] = (ProtobufCBinaryData){.data = (uint8_t *)"u", .len = 1};
    lookup.names = names;
    lookup.n_names = ARRAY_LENGTH(names);
    inspect.units = inspect.digests = true;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = (ProtobufCBinaryData){.data = (uint8_t *)"getpid", .len = 6};
    call.result = JITD__PROTO__VALUE_TYPE__INT32;
    connection_write(connection, MESSAGE_LOOKUP, 2, &lookup.base, NULL, 0, NULL, 0, &error);
    connection_write(connection, MESSAGE_CALL, 3, &call.base, NULL, 0, NULL, 0, &error);
    connection_write(connection, MESSAGE_INSPECT, 4, &inspect.base, NULL, 0, NULL, 0, &error);
    cr_assert(connection_flush(connection, &error) == 0 && connection_queued(connection) == 0);
    ssize_t got = recv(sockets[1], requests.bytes, MIB(1), 0);
    cr_assert(got > 0);
    requests.length = (size_t)got;
    connection_close(connection);
    close(sockets[1]);
    return requests;
}

/* Sends the bytes again and again, whole or not at all, until nobody takes them for a while or `most` are out. */
static void stuff(int fd, const struct object_bytes *bytes, size_t most)
{
    size_t sent = 0;
    for (int idle = 0; sent < most && idle < 20;) {
        ssize_t got = send(fd, bytes->bytes + sent % bytes->length, bytes->length - sent % bytes->length,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        cr_assert(got > 0 || errno == EAGAIN, "%s", strerror(errno));
        if (got < 0)
            pause_ms(10);
        idle = got < 0 ? idle + 1 : 0;
        sent += got > 0 ? (size_t)got : 0;
    }
}

Test(flow, answers_into_bounded_memory_and_notices_the_death_of_who_never_reads)
{
    struct object_bytes requests = demanding_requests();
    struct peer peer = peer_open_welcomed();
    pid_t linker = linker_of(&peer);
    long before = memory_of(linker);
    stuff(connection_fd(peer.connection), &requests, FLOOD_BYTES / 4);
    long growth = memory_of(linker) - before;
    cr_expect(growth < (long)(LIMIT_OUTPUT_BYTES / 1024) + SLACK_KIB, "%ld KiB more", growth);
    peer_close(&peer); /* asserts that the daemon ends */
    object_free(&requests);
}

/* A function `die` that ends the program under as long a backtrace as there is, of names of 60,000 bytes. */
static struct object_bytes deadly_object(void)
{
    enum { NAME_BYTES = 60000 };
    char *source = malloc(2 * NAME_BYTES);
    cr_assert(source);
    snprintf(
        source, 2 * NAME_BYTES,
        "void abort(void);\n"
        "#define F f%0*d\n"
        "__attribute__((noinline)) int F(int n) { if (n == 0) abort(); int r = F(n - 1); __asm__(\"\"); return r; }\n"
        "int die(void) { return F(200); }\n",
        NAME_BYTES, 0);
    struct object_bytes object = compile_c(source, "-O0 -fPIC -w");
    free(source);
    return object;
}

/* Each call ends a life of the runner, which is told twice, in some 8 MiB each time. */
Test(flow, begins_no_more_lives_than_are_heard_of)
{
    enum { CALLS = 20 };
    struct object_bytes object = deadly_object();
    const struct connection_range attachment = {object.bytes, object.length};
    Jitd__Proto__Range range = JITD__PROTO__RANGE__INIT;
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT, *units[] = {&unit};
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    Jitd__Proto__Call call;
    struct peer peer = peer_open_welcomed();
    pid_t linker = linker_of(&peer);
    range.bytes = object.length;
    unit.name = (ProtobufCBinaryData){.data = (uint8_t *)"deadly.o", .len = 8};
    unit.object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
    unit.range = &range;
    submit.units = units;
    submit.n_units = 1;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = (ProtobufCBinaryData){.data = (uint8_t *)"die", .len = 3};
    call.result = JITD__PROTO__VALUE_TYPE__INT32;
    peer_write(&peer, MESSAGE_SUBMIT, 2, &submit.base, &attachment, 1, NULL, 0);
    for (uint64_t i = 0; i < CALLS; i++)
        peer_write(&peer, MESSAGE_CALL, 10 + i, &call.base, NULL, 0, NULL, 0);
    peer_flush(&peer);
    for (int waited = 0; waited < 600; waited += 20) {
        pause_ms(20);
        long memory = memory_of(linker);
        cr_assert(memory < 96 * 1024 + SLACK_KIB, "%ld KiB for a controller that does not read", memory);
    }
    peer_read(&peer, MESSAGE_SUBMITTED, 2);
    peer_read(&peer, MESSAGE_UNITS, 0);
    for (uint64_t i = 0; i < CALLS; i++) { /* read, they go on */
        const Jitd__Proto__Ended *ended = (const Jitd__Proto__Ended *)peer_read(&peer, MESSAGE_ENDED, 10 + i);
        cr_expect_gt(ended->n_frames, 100);
        peer_read(&peer, MESSAGE_RUNNER_ENDED, 0);
    }
    object_free(&object);
    peer.pid_count = 1; /* the runner is another by now */
    peer_close(&peer);
}

/* ---- nobody else's time ---- */

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

static pid_t start_listener(void)
{
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        execl(harness_daemon_path(), "jitd", "--listen", socket_path, "--waiting-bytes", CAP_TEXT, NULL);
        _exit(127);
    }
    for (int waited = 0; access(socket_path, F_OK) != 0; waited += 10) {
        cr_assert(waited < HARNESS_PATIENCE);
        pause_ms(10);
    }
    return pid;
}

/* A session of the listening daemon that is spoken to frame by frame. */
static struct peer connect_peer(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct peer peer = {.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    memcpy(address.sun_path, socket_path, strnlen(socket_path, sizeof address.sun_path - 1));
    cr_assert(connect(peer.socket, (struct sockaddr *)&address, sizeof address) == 0);
    pool_init(&peer.pool, LIMIT_DECODE_BYTES);
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    peer_connect(&peer);
    peer_send(&peer, MESSAGE_HELLO, 1, &hello.base);
    peer_read(&peer, MESSAGE_WELCOME, 1);
    return peer;
}

static void hang_up(struct peer *peer)
{
    connection_close(peer->connection);
    frame_release(peer->frame);
    pool_fini(&peer->pool);
}

static struct jitd_session *connect_session(void)
{
    struct jitd_session *session;
    cr_assert(jitd_connect(socket_path, NULL, NULL, NULL, &session) == 0 &&
                  jitd_wait(session, 0, HARNESS_PATIENCE) == 0,
              "%s", jitd_last_error(session)->text);
    return session;
}

static void take_result(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                        const struct jitd_errors *errors, void *data)
{
    *(int64_t *)data = result ? result->integer : -1;
}

/* Links a function of a new name and calls it, whatever else may wait. */
static int64_t round_trip(struct jitd_session *session, const struct object_bytes *pattern, int number)
{
    char name[24];
    int64_t result = -1;
    jitd_request request;
    struct object_bytes object = object_copy(pattern);
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    snprintf(name, sizeof name, "trip_%03d", number);
    replace_all(&object, "trip_000", name);
    cr_assert(jitd_batch_add(batch, name, object.bytes, object.length) == 0);
    cr_assert(jitd_submit(session, batch, NULL, NULL, NULL) == 0);
    cr_assert(jitd_call(session, name, JITD_INT64, NULL, 0, take_result, &result, &request) == 0);
    cr_assert(jitd_wait(session, request, HARNESS_PATIENCE) == 0, "%s", jitd_last_error(session)->text);
    object_free(&object);
    return result;
}

static void count_refusal(struct jitd_session *session, const uint64_t *units, size_t count,
                          const struct jitd_errors *errors, void *data)
{
    *(int *)data += errors && errors->list[0].code == JITD_ERROR_LIMIT;
}

static void submit_large(struct jitd_session *session, const struct object_bytes *object, int *refused)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    cr_assert(jitd_batch_add(batch, "large.o", object->bytes, object->length) == 0);
    cr_assert(jitd_submit(session, batch, count_refusal, refused, NULL) == 0);
    cr_assert(jitd_dispatch(session) == 0, "%s", jitd_last_error(session)->text);
}

Test(flow, abuse_of_one_session_stops_no_other, .init = make_directory, .fini = remove_directory)
{
    enum { TRIPS = 100 };
    int refused = 0;
    pid_t daemon = start_listener();
    struct object_bytes requests = demanding_requests(), large = waiting_object(MIB(1));
    struct object_bytes pattern = compile_c("long trip_000(void) { return 7; }\n", HARNESS_FLAGS);
    struct peer deaf = connect_peer();
    struct jitd_session *greedy = connect_session(), *other = connect_session();
    stuff(connection_fd(deaf.connection), &requests, FLOOD_BYTES / 4);
    for (int i = 0; i < TRIPS; i++) {
        send(connection_fd(deaf.connection), requests.bytes, requests.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        submit_large(greedy, &large, &refused);
        cr_assert_eq(round_trip(other, &pattern, i), 7);
    }
    cr_expect_eq(round_trip(greedy, &pattern, 0), 7);
    cr_expect(refused > 0, "nothing was refused");
    jitd_close(greedy);
    jitd_close(other);
    hang_up(&deaf);
    object_free(&requests);
    object_free(&large);
    object_free(&pattern);
    kill(daemon, SIGTERM);
    int status = -1;
    cr_expect(waitpid(daemon, &status, 0) == daemon && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- a daemon that does not read ---- */

static void count_answer(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    *(size_t *)data += errors == NULL;
}

Test(flow, shows_what_a_daemon_has_not_taken_and_stops_queueing)
{
    static char text[60000];
    const char *const name = text;
    struct harness *harness = harness_open(&(struct jitd_options){.queue_bytes = MIB(4)});
    struct jitd_session *session = harness->session;
    pid_t linker = harness_process(harness, HARNESS_LINKER);
    size_t asked = 0, answered = 0, before = 0;
    jitd_request last = 0;
    memset(text, 'x', sizeof text - 1);
    cr_expect_eq(jitd_queued(session), 0);
    cr_assert_eq(kill(linker, SIGSTOP), 0);
    int code = 0;
    for (; code == 0 && asked < 1000; before = jitd_queued(session)) {
        cr_expect(jitd_queued(session) >= before);
        jitd_request request;
        code = jitd_lookup(session, &name, 1, count_answer, &answered, &request);
        last = code == 0 ? request : last;
        asked += code == 0;
    }
    cr_expect_eq(code, JITD_ERROR_LIMIT);
    cr_expect(strstr(jitd_last_error(session)->text, "jitd_queued"), "%s", jitd_last_error(session)->text);
    cr_expect(before >= MIB(4) && before < MIB(4) + sizeof text + 1024, "%zu bytes queued", before);

    cr_assert_eq(kill(linker, SIGCONT), 0);
    harness_wait(harness, last);
    cr_expect_eq(jitd_queued(session), 0);
    cr_expect_eq(answered, asked);
    harness_address(harness, "getpid");
    harness_close(harness);
}
