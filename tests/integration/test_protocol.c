/*
 * The protocol at its edges, spoken frame by frame: peers that are broken, hostile or merely fast.
 *
 * Each test starts a daemon of its own over a socket pair, with proto/connection.h in place of libjitd.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/integration/peer.h"

TestSuite(protocol, .timeout = 60);

/* ---- what is not a frame ---- */

/* Bytes as they are, to a session that has been welcomed or to a new one. */
static void expect_hung_up_on(const void *bytes, size_t length, bool welcomed, const char *what)
{
    struct peer peer = welcomed ? peer_open_welcomed() : peer_open();
    int fd = welcomed ? connection_fd(peer.connection) : peer.socket;
    cr_assert(send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length);
    peer_expect_hung_up(&peer, what);
}

Test(protocol, hangs_up_on_garbage)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    uint8_t bytes[4096];
    for (int i = 0; i < 2; i++) {
        expect_hung_up_on(text, sizeof text, i, "HTTP");
        memset(bytes, 0, sizeof bytes);
        expect_hung_up_on(bytes, sizeof bytes, i, "zeros");
        memset(bytes, 0xff, sizeof bytes);
        expect_hung_up_on(bytes, sizeof bytes, i, "ones");
        for (size_t b = 0; b < sizeof bytes; b++)
            bytes[b] = (uint8_t)(b * 167 + b / 256 + 13);
        expect_hung_up_on(bytes, sizeof bytes, i, "noise");
    }
}

Test(protocol, hangs_up_on_headers_that_break_a_rule)
{
    static const struct {
        const char *what;
        size_t offset;
        uint32_t value;
    } rows[] = {
        {"another magic", 0, 0x4b495401},
        {"another version", 0, FRAME_MAGIC | 2},
        {"version 0", 0, FRAME_MAGIC},
        {"a flag", 4, MESSAGE_INSPECT | 1 << 16},
        {"a message over its limit", 16, LIMIT_MESSAGE_BYTES + 1},
        {"a message of 4 GiB", 16, UINT32_MAX},
        {"an attachment over its limit", 20, LIMIT_ATTACHMENT_BYTES + 1},
        {"an attachment of 4 GiB", 20, UINT32_MAX},
        {"more descriptors than a frame has", 24, LIMIT_FRAME_DESCRIPTORS + 1},
        {"a descriptor that is not there", 24, 1},
        {"a reserved word", 28, 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint8_t bytes[FRAME_BYTES];
        frame_encode(&(struct frame_header){.type = MESSAGE_INSPECT, .request = 2}, bytes);
        store_le32(bytes + rows[i].offset, rows[i].value);
        expect_hung_up_on(bytes, sizeof bytes, true, rows[i].what);
    }
}

Test(protocol, survives_a_peer_that_leaves_at_any_byte_of_a_frame)
{
    uint8_t bytes[FRAME_BYTES + 16] = {0};
    frame_encode(&(struct frame_header){.type = MESSAGE_SUBMIT, .request = 2, .attachment_bytes = 16}, bytes);
    for (size_t length = 0; length < sizeof bytes; length++) {
        struct peer peer = peer_open();
        cr_assert(send(peer.socket, bytes, length, MSG_NOSIGNAL) == (ssize_t)length);
        peer_close(&peer);
    }
}

Test(protocol, answers_a_message_that_does_not_parse_and_hangs_up)
{
    uint8_t bytes[FRAME_BYTES + 4];
    struct peer peer = peer_open_welcomed();
    frame_encode(&(struct frame_header){.type = MESSAGE_LOOKUP, .request = 9, .message_bytes = 4}, bytes);
    memset(bytes + FRAME_BYTES, 0xff, 4);
    cr_assert(send(connection_fd(peer.connection), bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    peer_expect_failed(&peer, 9, ERROR_PROTOCOL);
    peer_expect_hung_up(&peer, "a message that does not parse");
}

/* ---- order of messages ---- */

Test(protocol, answers_a_request_before_hello_and_takes_hello_then)
{
    const Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    struct peer peer = peer_open();
    peer_connect(&peer);
    peer_send(&peer, MESSAGE_LOOKUP, 5, &lookup.base);
    peer_expect_failed(&peer, 5, ERROR_PROTOCOL);
    peer_welcomed(&peer);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(protocol, refuses_a_second_hello_and_goes_on)
{
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    struct peer peer = peer_open_welcomed();
    peer_send(&peer, MESSAGE_HELLO, 2, &hello.base);
    peer_expect_failed(&peer, 2, ERROR_PROTOCOL);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(protocol, answers_unknown_message_types_and_goes_on)
{
    static const uint16_t types[] = {0, 60, 77, 127, 500, 65535};
    struct peer peer = peer_open_welcomed();
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        uint8_t bytes[FRAME_BYTES];
        frame_encode(&(struct frame_header){.type = types[i], .request = UINT64_MAX - i}, bytes);
        cr_assert(send(connection_fd(peer.connection), bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
        peer_expect_failed(&peer, UINT64_MAX - i, ERROR_UNSUPPORTED);
    }
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(protocol, refuses_replies_and_events_as_requests_and_goes_on)
{
    const Jitd__Proto__Units units = JITD__PROTO__UNITS__INIT;
    const Jitd__Proto__Submitted submitted = JITD__PROTO__SUBMITTED__INIT;
    struct peer peer = peer_open_welcomed();
    peer_send(&peer, MESSAGE_UNITS, 2, &units.base);
    peer_expect_failed(&peer, 2, ERROR_PROTOCOL);
    peer_send(&peer, MESSAGE_SUBMITTED, 3, &submitted.base);
    peer_expect_failed(&peer, 3, ERROR_PROTOCOL);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(protocol, refuses_a_hello_that_cannot_be_met_with_its_reason)
{
    ProtobufCBinaryData library = {.data = (uint8_t *)"libcrypto.so.3", .len = 14};
    Jitd__Proto__Hello hellos[3] = {JITD__PROTO__HELLO__INIT, JITD__PROTO__HELLO__INIT, JITD__PROTO__HELLO__INIT};
    static const uint32_t codes[] = {ERROR_NOT_FOUND, ERROR_PROTOCOL, ERROR_INVALID};
    ProtobufCBinaryData argument = {.data = (uint8_t *)"a\0b", .len = 3};
    hellos[0].libraries = &library;
    hellos[0].n_libraries = 1;
    hellos[1].streams = true; /* without descriptors */
    hellos[2].arguments = &argument;
    hellos[2].n_arguments = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(hellos); i++) {
        struct peer peer = peer_open();
        peer_connect(&peer);
        peer_send(&peer, MESSAGE_HELLO, 4, &hellos[i].base);
        peer_expect_failed(&peer, 4, codes[i]);
        peer_expect_hung_up(&peer, "a Hello that cannot be met");
    }
}

/* ---- descriptors ---- */

Test(protocol, refuses_descriptors_where_none_are_expected_and_goes_on)
{
    const Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    struct peer peer = peer_open_welcomed();
    peer_write(&peer, MESSAGE_LOOKUP, 2, &lookup.base, NULL, 0, (const int[]){0, 1}, 2);
    peer_flush(&peer);
    peer_expect_failed(&peer, 2, ERROR_PROTOCOL);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(protocol, hangs_up_on_descriptors_that_no_header_announces)
{
    struct peer peer = peer_open_welcomed();
    uint8_t bytes[FRAME_BYTES];
    struct iovec vector = {bytes, sizeof bytes};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    frame_encode(&(struct frame_header){.type = MESSAGE_INSPECT, .request = 2}, bytes);
    cr_assert(sendmsg(connection_fd(peer.connection), &message, 0) == (ssize_t)sizeof bytes);
    peer_expect_hung_up(&peer, "a descriptor that no header announced");
}

static int memfd_with(const struct object_bytes *object, int seals)
{
    int fd = memfd_create("object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(fd >= 0 && write(fd, object->bytes, object->length) == (ssize_t)object->length);
    cr_assert(fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

static void submit_memfd(struct peer *peer, uint64_t request, int fd, uint32_t index)
{
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT, *units[] = {&unit};
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    unit.name = (ProtobufCBinaryData){.data = (uint8_t *)"memfd.o", .len = 7};
    unit.object_case = JITD__PROTO__UNIT__OBJECT_DESCRIPTOR;
    unit.descriptor = index;
    submit.units = units;
    submit.n_units = 1;
    peer_write(peer, MESSAGE_SUBMIT, request, &submit.base, NULL, 0, &fd, 1);
    peer_flush(peer);
    close(fd);
}

Test(protocol, takes_objects_in_memfds_that_are_sealed_for_good_only)
{
    static const int too_few[] = {0, F_SEAL_WRITE, F_SEAL_WRITE | F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW};
    struct peer peer = peer_open_welcomed();
    struct object_bytes object = compile_c("int in_memfd(void) { return 1; }\n", HARNESS_FLAGS);
    uint64_t request = 2;
    for (size_t i = 0; i < ARRAY_LENGTH(too_few); i++, request++) {
        submit_memfd(&peer, request, memfd_with(&object, too_few[i]), 0);
        peer_expect_failed(&peer, request, ERROR_INVALID);
    }
    submit_memfd(&peer, ++request, open(harness_daemon_path(), O_RDONLY | O_CLOEXEC), 0);
    peer_expect_failed(&peer, request, ERROR_INVALID);
    submit_memfd(&peer, ++request, memfd_with(&object, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 1);
    peer_expect_failed(&peer, request, ERROR_INVALID);
    submit_memfd(&peer, ++request, memfd_with(&object, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    peer_read(&peer, MESSAGE_SUBMITTED, request);
    object_free(&object);
    peer_close(&peer);
}

/* ---- submissions ---- */

struct ranged_unit {
    const char *name;
    size_t name_length;
    uint64_t offset;
    uint64_t bytes;
};

static void submit_range(struct peer *peer, uint64_t request, const struct ranged_unit *row,
                         const struct object_bytes *object)
{
    Jitd__Proto__Range range = JITD__PROTO__RANGE__INIT;
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT, *units[] = {&unit};
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    const struct connection_range attachment = {object->bytes, object->length};
    range.offset = row->offset;
    range.bytes = row->bytes;
    unit.name = (ProtobufCBinaryData){.data = (uint8_t *)row->name, .len = row->name_length};
    unit.object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
    unit.range = &range;
    submit.units = units;
    submit.n_units = 1;
    peer_write(peer, MESSAGE_SUBMIT, request, &submit.base, &attachment, 1, NULL, 0);
    peer_flush(peer);
}

Test(protocol, refuses_units_whose_bytes_or_names_are_not_there_and_goes_on)
{
    struct peer peer = peer_open_welcomed();
    struct object_bytes object = compile_c("int in_attachment(void) { return 1; }\n", HARNESS_FLAGS);
    uint64_t length = object.length, request = 2;
    const struct ranged_unit rows[] = {
        {"a.o", 3, 0, align_up(length, 16) + 1},
        {"a.o", 3, 8, 64},
        {"a.o", 3, UINT64_MAX - 15, 16},
        {"a.o", 3, 16, UINT64_MAX - 15},
        {"a.o", 3, 1 << 30, 64},
        {"", 0, 0, length},
        {"a\0b.o", 5, 0, length},
    };
    const Jitd__Proto__Submit nothing = JITD__PROTO__SUBMIT__INIT;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++, request++) {
        submit_range(&peer, request, &rows[i], &object);
        peer_expect_failed(&peer, request, ERROR_INVALID);
    }
    peer_send(&peer, MESSAGE_SUBMIT, ++request, &nothing.base);
    peer_expect_failed(&peer, request, ERROR_LIMIT);
    submit_range(&peer, ++request, &(struct ranged_unit){"a.o", 3, 0, length}, &object);
    peer_read(&peer, MESSAGE_SUBMITTED, request);
    object_free(&object);
    peer_close(&peer);
}

Test(protocol, refuses_units_of_libraries_that_are_not_there_and_goes_on)
{
    static const uint32_t libraries[] = {1, LIMIT_LIBRARY_NUMBERS, UINT32_MAX - 1, UINT32_MAX};
    struct peer peer = peer_open_welcomed();
    for (size_t i = 0; i < ARRAY_LENGTH(libraries); i++) {
        Jitd__Proto__Manifest manifest = JITD__PROTO__MANIFEST__INIT;
        Jitd__Proto__LazyDefinition lazy = JITD__PROTO__LAZY_DEFINITION__INIT, *lazies[] = {&lazy};
        Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT, *units[] = {&unit};
        Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
        lazy.name = lazy.target = unit.name = (ProtobufCBinaryData){.data = (uint8_t *)"f", .len = 1};
        manifest.lazies = lazies;
        manifest.n_lazies = 1;
        unit.manifest = &manifest;
        unit.library = libraries[i];
        submit.units = units;
        submit.n_units = 1;
        peer_send(&peer, MESSAGE_SUBMIT, 10 + i, &submit.base);
        peer_expect_failed(&peer, 10 + i, ERROR_NOT_FOUND);
    }
    peer_expect_alive(&peer);
    peer_close(&peer);
}

Test(protocol, refuses_a_run_that_names_no_function_and_goes_on)
{
    struct peer peer = peer_open_welcomed();
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT;
    Jitd__Proto__Run run = JITD__PROTO__RUN__INIT;
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    run.unit = &unit;
    run.call = &call;
    peer_send(&peer, MESSAGE_RUN, 2, &run.base);
    peer_expect_failed(&peer, 2, ERROR_INVALID);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

enum { MANY = 1000 };

/* One batch of MANY units, unit_000 to unit_999, each of which defines its name; sets their ids. */
static void submit_many(struct peer *peer, uint64_t request, uint64_t ids[MANY])
{
    struct object_bytes object = compile_c("int unit_000(void) { return 1; }\n", HARNESS_FLAGS);
    size_t stride = align_up(object.length, 16), name_at = 0;
    static Jitd__Proto__Unit units[MANY], *list[MANY];
    static Jitd__Proto__Range ranges[MANY];
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    struct connection_range attachment = {.bytes = calloc(MANY, stride), .length = MANY * stride};
    name_at = (size_t)((uint8_t *)memmem(object.bytes, object.length, "unit_000", 8) - object.bytes);
    for (int i = 0; i < MANY; i++) {
        uint8_t *copy = (uint8_t *)attachment.bytes + (size_t)i * stride;
        char digits[16];
        memcpy(copy, object.bytes, object.length);
        snprintf(digits, sizeof digits, "%03d", i);
        memcpy(copy + name_at + 5, digits, 3);
        jitd__proto__unit__init(&units[i]);
        jitd__proto__range__init(&ranges[i]);
        ranges[i].offset = (uint64_t)i * stride;
        ranges[i].bytes = object.length;
        units[i].name = (ProtobufCBinaryData){.data = (uint8_t *)"many.o", .len = 6};
        units[i].object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
        units[i].range = &ranges[i];
        list[i] = &units[i];
    }
    submit.units = list;
    submit.n_units = MANY;
    peer_write(peer, MESSAGE_SUBMIT, request, &submit.base, &attachment, 1, NULL, 0);
    peer_flush(peer);
    const Jitd__Proto__Submitted *reply = (const Jitd__Proto__Submitted *)peer_read(peer, MESSAGE_SUBMITTED, request);
    cr_assert_eq(reply->n_units, MANY);
    memcpy(ids, reply->units, MANY * sizeof *ids);
    free((void *)attachment.bytes);
    object_free(&object);
}

/* Reads events until `wanted` units are ready; returns in how many frames they came. */
static int await_ready(struct peer *peer, const uint64_t *ids, int wanted)
{
    int frames = 0;
    for (int ready = 0; ready < wanted; frames++) {
        const Jitd__Proto__Units *news = (const Jitd__Proto__Units *)peer_read(peer, MESSAGE_UNITS, 0);
        for (size_t i = 0; i < news->n_events; i++) {
            uint64_t unit = news->events[i]->unit;
            cr_assert(unit >= ids[0] && unit <= ids[MANY - 1], "news of unit %lu, which is none of the batch's",
                      (unsigned long)unit);
            ready += news->events[i]->state == JITD__PROTO__UNIT_STATE__READY;
        }
    }
    return frames;
}

Test(protocol, carries_a_thousand_units_in_one_frame_and_their_news_in_few)
{
    static uint64_t ids[MANY];
    struct peer peer = peer_open_welcomed();
    submit_many(&peer, 2, ids);
    for (int i = 1; i < MANY; i++)
        cr_assert(ids[i] == ids[i - 1] + 1);
    cr_expect(await_ready(&peer, ids, MANY) <= 10, "news are not gathered");
    peer_expect_alive(&peer);
    peer_close(&peer);
}

/* ---- a peer that does not read ---- */

static void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

static pid_t linker_of(const struct peer *peer)
{
    struct harness view = {.daemon = peer->daemon};
    return harness_process(&view, HARNESS_LINKER);
}

/* Sends the same bytes until the socket takes no more for a while; returns how often they went out whole. */
static int send_without_reading(int fd, const uint8_t *bytes, size_t length, int most)
{
    int sent = 0;
    for (int idle = 0; sent < most && idle < 20;) {
        ssize_t got = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        cr_assert(got == -1 || got == (ssize_t)length);
        if (got < 0) {
            idle++;
            pause_ms(10);
            continue;
        }
        sent++;
        idle = 0;
    }
    return sent;
}

/* AddressSanitizer keeps what a growing queue has left behind. */
#ifdef JITD_SANITIZED
#define GROWTH_KIB (96 * 1024)
#else
#define GROWTH_KIB (24 * 1024)
#endif

Test(protocol, does_not_grow_for_a_peer_that_sends_and_never_reads)
{
    enum { BURST = 32, BURSTS = 200 };
    static uint64_t ids[MANY];
    uint8_t requests[BURST][FRAME_BYTES + 2];
    struct peer peer = peer_open_welcomed();
    submit_many(&peer, 2, ids);
    await_ready(&peer, ids, MANY);
    pid_t linker = linker_of(&peer);
    long before = harness_status(linker, "VmRSS");

    for (int i = 0; i < BURST; i++) {
        frame_encode(&(struct frame_header){.type = MESSAGE_INSPECT, .request = 3, .message_bytes = 2}, requests[i]);
        memcpy(requests[i] + FRAME_BYTES, "\x08\x01", 2); /* units: true */
    }
    int sent = BURST * send_without_reading(connection_fd(peer.connection), requests[0], sizeof requests, BURSTS);
    pause_ms(100);
    long growth = harness_status(linker, "VmRSS") - before;
    cr_expect(growth < GROWTH_KIB, "%ld KiB more after %d requests", growth, sent);

    uint64_t answered = 0;
    for (int i = 0; i < sent; i++, answered += peer.frame->header.message_bytes)
        peer_read(&peer, MESSAGE_INSPECTION, 3);
    cr_expect(answered > 2 * GROWTH_KIB * 1024ull, "the answers of %lu bytes prove nothing", (unsigned long)answered);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

/* ---- calls ---- */

static void send_call(struct peer *peer, uint64_t request, const char *symbol, size_t argument_count,
                      Jitd__Proto__ValueType type)
{
    Jitd__Proto__Value value = JITD__PROTO__VALUE__INIT, *values[LIMIT_CALL_ARGUMENTS + 1];
    Jitd__Proto__Call call;
    jitd__proto__call__init(&call);
    value.type = type;
    for (size_t i = 0; i < argument_count; i++)
        values[i] = &value;
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = (ProtobufCBinaryData){.data = (uint8_t *)symbol, .len = strlen(symbol)};
    call.arguments = values;
    call.n_arguments = argument_count;
    call.result = JITD__PROTO__VALUE_TYPE__INT32;
    peer_send(peer, MESSAGE_CALL, request, &call.base);
}

Test(protocol, refuses_calls_that_cannot_be_made_and_goes_on)
{
    struct peer peer = peer_open_welcomed();
    Jitd__Proto__Call wild;
    jitd__proto__call__init(&wild);
    send_call(&peer, 2, "getpid", LIMIT_CALL_ARGUMENTS + 1, JITD__PROTO__VALUE_TYPE__INT32);
    peer_expect_failed(&peer, 2, ERROR_LIMIT);
    send_call(&peer, 3, "getpid", 1, JITD__PROTO__VALUE_TYPE__VOID);
    peer_expect_failed(&peer, 3, ERROR_INVALID);
    send_call(&peer, 4, "nowhere", 0, JITD__PROTO__VALUE_TYPE__VOID);
    peer_expect_failed(&peer, 4, ERROR_NOT_FOUND);
    send_call(&peer, 5, "environ", 0, JITD__PROTO__VALUE_TYPE__VOID);
    peer_expect_failed(&peer, 5, ERROR_NOT_CALLABLE);
    peer_send(&peer, MESSAGE_CALL, 6, &wild.base);
    peer_expect_failed(&peer, 6, ERROR_NOT_CALLABLE);
    wild.function_case = JITD__PROTO__CALL__FUNCTION_ADDRESS;
    wild.address = 0x1000;
    peer_send(&peer, MESSAGE_CALL, 7, &wild.base);
    peer_expect_failed(&peer, 7, ERROR_NOT_CALLABLE);
    send_call(&peer, 8, "getpid", LIMIT_CALL_ARGUMENTS, JITD__PROTO__VALUE_TYPE__INT32);
    peer_read(&peer, MESSAGE_RETURNED, 8);
    peer_close(&peer);
}

Test(protocol, answers_every_one_of_too_many_calls_once)
{
    enum { CALLS = LIMIT_CALLS_QUEUED + 100 };
    static bool seen[CALLS];
    int returned = 0, refused = 0;
    struct peer peer = peer_open_welcomed();
    Jitd__Proto__Call call;
    Jitd__Proto__Value microseconds = JITD__PROTO__VALUE__INIT, *values[] = {&microseconds};
    jitd__proto__call__init(&call);
    microseconds.type = JITD__PROTO__VALUE_TYPE__UINT32;
    microseconds.bits = 200000;
    call.function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call.symbol = (ProtobufCBinaryData){.data = (uint8_t *)"usleep", .len = 6};
    call.arguments = values;
    call.n_arguments = 1;
    for (uint64_t i = 0; i < CALLS; i++) {
        peer_write(&peer, MESSAGE_CALL, 10 + i, &call.base, NULL, 0, NULL, 0);
        microseconds.bits = 0;
    }
    peer_flush(&peer);
    while (returned + refused < CALLS) {
        struct error error;
        struct frame *frame;
        cr_assert(connection_read(peer.connection, &frame, &error) == 0, "%s", error.text);
        if (!frame) {
            cr_assert(poll(&(struct pollfd){.fd = connection_fd(peer.connection), .events = POLLIN}, 1,
                           HARNESS_PATIENCE) == 1);
            continue;
        }
        uint64_t i = frame->header.request - 10;
        cr_assert(i < CALLS && !seen[i]);
        seen[i] = true;
        returned += frame->header.type == MESSAGE_RETURNED;
        refused += frame->header.type == MESSAGE_FAILED;
        frame_release(frame);
    }
    cr_expect(returned >= LIMIT_CALLS_QUEUED && refused > 0, "%d returned, %d refused", returned, refused);
    peer_expect_alive(&peer);
    peer_close(&peer);
}

/* ---- the end ---- */

Test(protocol, ends_with_its_peer_whatever_it_is_doing)
{
    struct peer unwelcomed = peer_open();
    peer_connect(&unwelcomed);
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    peer_send(&unwelcomed, MESSAGE_HELLO, 1, &hello.base);
    peer_close(&unwelcomed);

    struct peer idle = peer_open_welcomed();
    peer_close(&idle);

    struct peer calling = peer_open_welcomed();
    send_call(&calling, 2, "pause", 0, JITD__PROTO__VALUE_TYPE__VOID);
    peer_expect_alive(&calling);
    peer_close(&calling);
}

Test(protocol, ends_when_its_peer_will_send_no_more)
{
    struct peer peer = peer_open_welcomed();
    shutdown(connection_fd(peer.connection), SHUT_WR);
    peer_expect_hung_up(&peer, "the end of its input");
}
