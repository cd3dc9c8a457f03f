/*
 * proto/connection over a socket pair: whatever way bytes and descriptors are cut, whole frames come out or an error.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "proto/connection.h"
#include "proto/message.h"
#include "tests/lib/fds.h"
#include "tests/lib/leaks.h"

/* `peer` speaks raw bytes; `connection` is what is tested. */
static struct connection *connection;
static int peer = -1;
static size_t fds_before;
static struct error error;

static void setup(void)
{
    int pair[2];
    fds_before = fds_open();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(connection_open(pair[0], &connection, &error), 0);
    peer = pair[1];
}

static void teardown(void)
{
    connection_close(connection);
    connection = NULL;
    descriptor_close(&peer);
    cr_expect_eq(fds_open(), fds_before, "descriptors were leaked");
    expect_no_leaks();
}

TestSuite(connection, .init = setup, .fini = teardown);

static void reopen(void)
{
    connection_close(connection);
    descriptor_close(&peer);
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(connection_open(pair[0], &connection, &error), 0);
    peer = pair[1];
}

/* A frame whose body is a running byte pattern. The caller frees it. */
static uint8_t *make_frame(uint64_t request, uint32_t message, uint32_t attachment, uint32_t fds, size_t *length)
{
    struct frame_header header = {.type = MESSAGE_LOOKUP,
                                  .request = request,
                                  .message_bytes = message,
                                  .attachment_bytes = attachment,
                                  .descriptors = fds};
    *length = FRAME_BYTES + message + attachment;
    uint8_t *bytes = malloc(*length);
    frame_encode(&header, bytes);
    for (size_t i = FRAME_BYTES; i < *length; i++)
        bytes[i] = (uint8_t)(request + i - FRAME_BYTES);
    return bytes;
}

static void expect_body(const struct frame *frame)
{
    size_t message = frame->header.message_bytes, attachment = frame->header.attachment_bytes;
    cr_expect_eq((uintptr_t)frame->message % 16, 0);
    cr_expect_eq((uintptr_t)frame->attachment % 16, 0);
    for (size_t i = 0; i < message; i++)
        cr_assert_eq(frame->message[i], (uint8_t)(frame->header.request + i));
    for (size_t i = 0; i < attachment; i++)
        cr_assert_eq(frame->attachment[i], (uint8_t)(frame->header.request + message + i));
}

static void send_raw(const void *bytes, size_t length, const int *fds, size_t count)
{
    cr_assert_eq(descriptor_send(peer, bytes, length, fds, count), (ssize_t)length);
}

static struct frame *read_frame(void)
{
    struct frame *frame;
    cr_assert_eq(connection_read(connection, &frame, &error), 0, "%s", error.text);
    return frame;
}

static void expect_refusal(int code)
{
    struct frame *frame = NULL;
    int got = 0;
    for (int i = 0; i < 10 && !got; i++) {
        got = connection_read(connection, &frame, &error);
        frame_release(frame);
    }
    cr_expect_eq(got, code, "%d (%s) instead of %d", got, error.text, code);
    cr_expect_null(frame);
    cr_expect_eq(connection_read(connection, &frame, &error), code, "an error stays");
}

Test(connection, is_nonblocking_and_polls_for_input)
{
    cr_expect(fcntl(connection_fd(connection), F_GETFL) & O_NONBLOCK);
    cr_expect_eq(connection_events(connection), POLLIN);
    cr_expect_null(read_frame());
}

Test(connection, takes_a_descriptor_over_also_on_failure)
{
    struct connection *none;
    cr_expect_eq(connection_open(-1, &none, &error), ERROR_SYSTEM);
    cr_expect_null(none);
    connection_close(NULL);
    frame_release(NULL);
}

Test(connection, gives_a_frame_byte_by_byte)
{
    size_t length;
    uint8_t *bytes = make_frame(7, 100, 33, 0, &length);
    for (size_t i = 0; i + 1 < length; i++) {
        send_raw(bytes + i, 1, NULL, 0);
        cr_assert_null(read_frame());
    }
    send_raw(bytes + length - 1, 1, NULL, 0);
    struct frame *frame = read_frame();
    cr_assert(frame);
    cr_expect_eq(frame->header.request, 7);
    expect_body(frame);
    frame_release(frame);
    free(bytes);
}

Test(connection, empty_parts_are_legal)
{
    size_t length;
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t *bytes = make_frame(i, i & 1 ? 5 : 0, i & 2 ? 6 : 0, 0, &length);
        send_raw(bytes, length, NULL, 0);
        struct frame *frame = read_frame();
        cr_assert(frame);
        expect_body(frame);
        frame_release(frame);
        free(bytes);
    }
}

Test(connection, refuses_an_end_at_every_byte_within_a_frame)
{
    size_t length;
    uint8_t *bytes = make_frame(7, 20, 9, 0, &length);
    for (size_t cut = 0; cut < length; cut++) {
        send_raw(bytes, cut, NULL, 0);
        descriptor_close(&peer);
        expect_refusal(cut ? ERROR_PROTOCOL : ERROR_DISCONNECTED);
        reopen();
    }
    free(bytes);
}

Test(connection, refuses_an_end_within_a_large_frame)
{
    size_t length;
    uint8_t *bytes = make_frame(7, 20, 90000, 0, &length);
    send_raw(bytes, length - 1, NULL, 0);
    descriptor_close(&peer);
    expect_refusal(ERROR_PROTOCOL);
    free(bytes);
}

Test(connection, whole_frames_before_the_end_are_still_given)
{
    size_t length;
    uint8_t *bytes = make_frame(1, 8, 0, 0, &length);
    send_raw(bytes, length, NULL, 0);
    send_raw(bytes, length, NULL, 0);
    descriptor_close(&peer);
    for (int i = 0; i < 2; i++) {
        struct frame *frame = read_frame();
        cr_assert(frame);
        frame_release(frame);
    }
    expect_refusal(ERROR_DISCONNECTED);
    free(bytes);
}

Test(connection, one_read_takes_many_frames)
{
    uint8_t *all = NULL;
    size_t total = 0, length;
    for (uint64_t i = 0; i < 50; i++) {
        uint8_t *bytes = make_frame(i, (uint32_t)i * 3, (uint32_t)i, 0, &length);
        all = realloc(all, total + length);
        memcpy(all + total, bytes, length);
        total += length;
        free(bytes);
    }
    send_raw(all, total, NULL, 0);
    for (uint64_t i = 0; i < 50; i++) {
        cr_expect_eq(connection_has_frame(connection), i > 0);
        struct frame *frame = read_frame();
        cr_assert(frame);
        cr_expect_eq(frame->header.request, i);
        expect_body(frame);
        frame_release(frame);
    }
    cr_expect_not(connection_has_frame(connection));
    cr_expect_null(read_frame());
    free(all);
}

Test(connection, has_frame_also_tells_of_an_error_to_come)
{
    size_t length;
    uint8_t *bytes = make_frame(1, 0, 0, 0, &length), twice[2 * FRAME_BYTES];
    memcpy(twice, bytes, FRAME_BYTES);
    memset(twice + FRAME_BYTES, 0xff, FRAME_BYTES);
    send_raw(twice, sizeof twice, NULL, 0);
    frame_release(read_frame());
    cr_expect(connection_has_frame(connection));
    expect_refusal(ERROR_PROTOCOL);
    free(bytes);
}

Test(connection, refuses_frames_over_a_limit_of_its_own_before_their_bodies_come)
{
    struct frame_header header = {.type = MESSAGE_LOOKUP, .request = 1, .message_bytes = 60, .attachment_bytes = 41};
    uint8_t over[FRAME_BYTES];
    size_t length;
    frame_encode(&header, over);
    uint8_t *bytes = make_frame(1, 60, 40, 0, &length);
    connection_limit(connection, 100);
    send_raw(bytes, length, NULL, 0);
    send_raw(over, sizeof over, NULL, 0);
    struct frame *frame = read_frame();
    cr_assert(frame);
    frame_release(frame);
    cr_expect(connection_has_frame(connection), "it has an error to give");
    expect_refusal(ERROR_LIMIT);
    free(bytes);
}

Test(connection, refuses_bad_headers_before_their_bodies_come)
{
    static const struct {
        uint32_t message, attachment, descriptors;
        size_t flip;
        int code;
    } rows[] = {
        {LIMIT_MESSAGE_BYTES + 1, 0, 0, 0, ERROR_LIMIT},
        {0, LIMIT_ATTACHMENT_BYTES + 1, 0, 0, ERROR_LIMIT},
        {0, 0, LIMIT_FRAME_DESCRIPTORS + 1, 0, ERROR_LIMIT},
        {8, 8, 0, 6, ERROR_PROTOCOL},
        {8, 8, 0, 28, ERROR_PROTOCOL},
        {8, 8, 0, 1, ERROR_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct frame_header header = {.type = 1,
                                      .message_bytes = rows[i].message,
                                      .attachment_bytes = rows[i].attachment,
                                      .descriptors = rows[i].descriptors};
        uint8_t bytes[FRAME_BYTES];
        frame_encode(&header, bytes);
        if (rows[i].flip)
            bytes[rows[i].flip] ^= 1;
        send_raw(bytes, sizeof bytes, NULL, 0);
        expect_refusal(rows[i].code);
        reopen();
    }
}

Test(connection, descriptors_come_with_their_frame)
{
    size_t length, plain_length;
    uint8_t *plain = make_frame(1, 40, 0, 0, &plain_length), *bytes = make_frame(2, 40, 40, 2, &length);
    int sent[2] = {peer, 0};
    struct stat ours, theirs;
    for (int round = 0; round < 3; round++) {
        send_raw(plain, plain_length, NULL, 0);
        send_raw(bytes, length, sent, 2);
        send_raw(plain, plain_length, NULL, 0);
        for (uint32_t i = 0; i < 3; i++) {
            struct frame *frame = read_frame();
            cr_assert(frame);
            cr_expect_eq(frame->header.descriptors, i == 1 ? 2 : 0);
            if (i == 1) {
                fstat(peer, &ours);
                fstat(frame->fds[0], &theirs);
                cr_expect_eq(ours.st_ino, theirs.st_ino);
                cr_expect(fcntl(frame->fds[1], F_GETFD) & FD_CLOEXEC);
            }
            frame_release(frame);
        }
    }
    free(plain);
    free(bytes);
}

Test(connection, descriptors_that_came_together_are_handed_out_in_order)
{
    size_t length;
    uint8_t *one = make_frame(1, 8, 0, 1, &length), *two = make_frame(2, 8, 0, 2, &length), both[2 * 40];
    cr_assert_eq(length, 40);
    memcpy(both, one, 40);
    memcpy(both + 40, two, 40);
    int sent[3] = {0, peer, connection_fd(connection)};
    send_raw(both, sizeof both, sent, 3);
    struct frame *frames[2] = {read_frame(), read_frame()};
    cr_assert(frames[0] && frames[1]);
    int got[3] = {frames[0]->fds[0], frames[1]->fds[0], frames[1]->fds[1]};
    for (size_t i = 0; i < 3; i++) {
        struct stat ours, theirs;
        fstat(sent[i], &ours);
        fstat(got[i], &theirs);
        cr_expect_eq(ours.st_ino, theirs.st_ino, "descriptor %zu", i);
    }
    frame_release(frames[0]);
    frame_release(frames[1]);
    free(one);
    free(two);
}

Test(connection, a_descriptor_may_be_taken_out_of_a_frame)
{
    size_t length;
    uint8_t *bytes = make_frame(2, 1, 0, 2, &length);
    int sent[2] = {0, 0};
    send_raw(bytes, length, sent, 2);
    struct frame *frame = read_frame();
    int taken = frame->fds[0];
    frame->fds[0] = -1;
    frame_release(frame_retain(frame));
    frame_release(frame);
    cr_expect_neq(fcntl(taken, F_GETFD), -1);
    close(taken);
    free(bytes);
}

Test(connection, the_full_number_of_descriptors_is_accepted)
{
    size_t length;
    uint8_t *bytes = make_frame(2, 1, 100000, LIMIT_FRAME_DESCRIPTORS, &length);
    int sent[LIMIT_FRAME_DESCRIPTORS] = {0};
    send_raw(bytes, 20, sent, ARRAY_LENGTH(sent)); /* not even the header is complete */
    cr_expect_null(read_frame());
    send_raw(bytes + 20, 60000, NULL, 0);
    cr_expect_null(read_frame());
    send_raw(bytes + 60020, length - 60020, NULL, 0);
    struct frame *frame = read_frame();
    cr_assert(frame);
    expect_body(frame);
    cr_expect_neq(fcntl(frame->fds[LIMIT_FRAME_DESCRIPTORS - 1], F_GETFD), -1);
    frame_release(frame);
    free(bytes);
}

Test(connection, refuses_other_numbers_of_descriptors_than_the_frame_says)
{
    static const struct {
        uint32_t said;
        size_t sent;
        uint32_t attachment;
    } rows[] = {{1, 0, 0},  {2, 1, 0},   {0, 1, 0},      {1, 2, 0},      {16, 15, 0},    {15, 16, 0},
                {1, 33, 0}, {0, 200, 0}, {1, 0, 100000}, {0, 1, 100000}, {1, 2, 100000}, {0, 33, 100000}};
    int fds[200] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        size_t length;
        uint8_t *bytes = make_frame(3, 10, rows[i].attachment, rows[i].said, &length);
        send_raw(bytes, length, fds, rows[i].sent);
        expect_refusal(ERROR_PROTOCOL);
        free(bytes);
        reopen();
    }
}

Test(connection, refuses_descriptors_piled_up_within_one_frame)
{
    size_t length;
    uint8_t *bytes = make_frame(3, 60, 0, 0, &length);
    int fd = 0, code = 0;
    for (size_t i = 0; i < length && !code; i++) {
        struct frame *frame;
        send_raw(bytes + i, 1, &fd, 1);
        code = connection_read(connection, &frame, &error);
        cr_expect_null(frame);
        cr_expect_leq(fds_open(), fds_before + 2 + 2 * LIMIT_FRAME_DESCRIPTORS);
    }
    cr_expect_eq(code, ERROR_PROTOCOL);
    free(bytes);
}

Test(connection, large_frames_between_small_ones)
{
    static const uint32_t sizes[] = {1, 65503, 65535, 65536, 65537, 131072, 262143, 262144, 262145, 700001, 3};
    for (size_t chunk = 4093; chunk < 300000; chunk = chunk * 7 + 1) {
        uint8_t *all = NULL;
        size_t total = 0, given = 0, at = 0;
        for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
            size_t length;
            uint8_t *bytes = make_frame(i, i & 1 ? 17 : sizes[i], i & 1 ? sizes[i] : 11, 0, &length);
            all = realloc(all, total + length);
            memcpy(all + total, bytes, length);
            total += length;
            free(bytes);
        }
        while (given < ARRAY_LENGTH(sizes)) {
            ssize_t sent = send(peer, all + at, min_u64(chunk, total - at), MSG_DONTWAIT);
            at += sent > 0 ? (size_t)sent : 0;
            struct frame *frame = read_frame();
            if (!frame)
                continue;
            cr_expect_eq(frame->header.request, given++);
            expect_body(frame);
            frame_release(frame);
        }
        free(all);
    }
}

Test(connection, a_frame_outlives_its_connection)
{
    size_t length;
    uint8_t *bytes = make_frame(5, 64, 64, 0, &length);
    send_raw(bytes, length, NULL, 0);
    struct frame *frame = read_frame();
    frame_retain(frame);
    connection_close(connection);
    connection = NULL;
    frame_release(frame);
    expect_body(frame);
    frame_release(frame);
    free(bytes);
}

Test(connection, what_was_received_is_released_when_it_closes)
{
    size_t length;
    uint8_t *bytes = make_frame(5, 64, 200000, 3, &length);
    int fds[3] = {0, 0, 0};
    send_raw(bytes, 100000, fds, 3);
    cr_expect_null(read_frame());
    free(bytes);
}

/* ---- writing ---- */

static int write_lookup(const char *name, uint64_t request, const struct connection_range *ranges, size_t range_count,
                        const int *fds, size_t fd_count)
{
    Jitd__Proto__Lookup lookup = JITD__PROTO__LOOKUP__INIT;
    ProtobufCBinaryData names[] = {{.len = strlen(name), .data = (uint8_t *)name}};
    lookup.n_names = 1;
    lookup.names = names;
    return connection_write(connection, MESSAGE_LOOKUP, request, &lookup.base, ranges, range_count, fds, fd_count,
                            &error);
}

/* Makes the raw peer a connection too. */
static struct connection *reader(void)
{
    struct connection *other;
    cr_assert_eq(connection_open(peer, &other, &error), 0);
    peer = -1;
    return other;
}

Test(connection, writes_what_it_reads)
{
    struct connection *other = reader();
    static const struct connection_range ranges[] = {{"abcde", 5}, {NULL, 0}, {"0123456789abcdef", 16}, {"z", 1}};
    int fd = 0;
    cr_assert_eq(write_lookup("main", 9, ranges, ARRAY_LENGTH(ranges), &fd, 1), 0);
    cr_expect_eq(connection_events(connection), POLLIN | POLLOUT);
    cr_assert_eq(connection_flush(connection, &error), 0);
    cr_expect_eq(connection_queued(connection), 0);
    cr_expect_eq(connection_events(connection), POLLIN);
    struct frame *frame;
    cr_assert_eq(connection_read(other, &frame, &error), 0);
    cr_assert(frame);
    cr_expect_eq(frame->header.type, MESSAGE_LOOKUP);
    cr_expect_eq(frame->header.request, 9);
    cr_expect_eq(frame->header.descriptors, 1);
    cr_assert_eq(frame->header.attachment_bytes, 48);
    static const char expected[48] = "abcde\0\0\0\0\0\0\0\0\0\0\0"
                                     "0123456789abcdef"
                                     "z";
    cr_expect_arr_eq(frame->attachment, expected, 48);
    struct pool pool;
    ProtobufCMessage *message;
    pool_init(&pool, MIB(1));
    cr_assert_eq(message_decode(&pool, MESSAGE_LOOKUP, frame->message, frame->header.message_bytes, &message, &error),
                 0);
    cr_expect_arr_eq(((Jitd__Proto__Lookup *)message)->names[0].data, "main", 4);
    pool_fini(&pool);
    frame_release(frame);
    connection_close(other);
}

Test(connection, keeps_order_under_backpressure)
{
    struct connection *other = reader();
    static uint8_t block[100000];
    uint64_t written = 0, read = 0;
    int fd = 0;
    while (read < 300) {
        for (int i = 0; i < 3 && written < 300; i++, written++) {
            struct connection_range range = {block, written % 7 == 0 ? sizeof block : written % 100};
            cr_assert_eq(write_lookup("name", written, &range, 1, &fd, written % 5 == 0), 0);
        }
        cr_assert_eq(connection_flush(connection, &error), 0);
        struct frame *frame;
        cr_assert_eq(connection_read(other, &frame, &error), 0, "%s", error.text);
        if (!frame)
            continue;
        cr_assert_eq(frame->header.request, read);
        cr_assert_eq(frame->header.descriptors, read % 5 == 0);
        frame_release(frame);
        read++;
    }
    cr_expect_eq(connection_queued(connection), 0);
    connection_close(other);
}

Test(connection, output_waits_for_a_peer_that_does_not_read)
{
    static uint8_t block[1 << 20];
    struct connection_range range = {block, sizeof block};
    int fd = 0;
    size_t total = 0;
    for (int i = 0; i < 9; i++) {
        cr_assert_eq(write_lookup("name", 1, &range, 1, &fd, 1), 0);
        cr_assert_eq(connection_flush(connection, &error), 0);
        total += sizeof block;
    }
    cr_expect_gt(connection_queued(connection), LIMIT_OUTPUT_BYTES);
    cr_expect_lt(connection_queued(connection), total);
    cr_expect(connection_events(connection) & POLLOUT);
}

Test(connection, a_gone_peer_is_disconnected)
{
    cr_assert_eq(write_lookup("name", 1, NULL, 0, NULL, 0), 0);
    descriptor_close(&peer);
    cr_expect_eq(connection_flush(connection, &error), ERROR_DISCONNECTED);
    expect_refusal(ERROR_DISCONNECTED);
}

Test(connection, refuses_to_write_over_the_limits_and_queues_nothing)
{
    static const struct connection_range ranges[] = {{"x", 1}, {"x", LIMIT_ATTACHMENT_BYTES - 15}};
    static const struct connection_range huge[] = {{"x", SIZE_MAX - 3}};
    int fds[LIMIT_FRAME_DESCRIPTORS + 1] = {0};
    int bad[] = {0, -1};
    cr_expect_eq(write_lookup("n", 1, ranges, 2, NULL, 0), ERROR_LIMIT);
    cr_expect_eq(write_lookup("n", 1, huge, 1, NULL, 0), ERROR_LIMIT);
    cr_expect_eq(write_lookup("n", 1, NULL, 0, fds, ARRAY_LENGTH(fds)), ERROR_LIMIT);
    cr_expect_eq(write_lookup("n", 1, NULL, 0, bad, 2), ERROR_SYSTEM);
    char *name = malloc(LIMIT_MESSAGE_BYTES + 1);
    memset(name, 'n', LIMIT_MESSAGE_BYTES);
    name[LIMIT_MESSAGE_BYTES] = '\0';
    cr_expect_eq(write_lookup(name, 1, NULL, 0, NULL, 0), ERROR_LIMIT);
    free(name);
    cr_expect_eq(connection_queued(connection), 0);
    cr_expect_eq(connection_flush(connection, &error), 0);
}

Test(connection, unsent_output_is_released_when_it_closes)
{
    int fds[2] = {0, 0};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(write_lookup("name", 1, NULL, 0, fds, 2), 0);
}
