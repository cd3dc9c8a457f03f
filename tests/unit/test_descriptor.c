/*
 * common/descriptor: what rides on a socket arrives, and what nobody asked for is closed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "tests/lib/fds.h"

static int pair[2];

static void open_pair(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

Test(descriptor, close_marks_it_and_keeps_errno)
{
    int fd = dup(0), none = -1;
    errno = EXDEV;
    int copy = fd;
    descriptor_close(&fd);
    cr_expect_eq(fd, -1);
    descriptor_close(&none);
    cr_expect_eq(errno, EXDEV);
    cr_expect_eq(fcntl(copy, F_GETFD), -1);
}

Test(descriptor, flags_are_set_and_cleared)
{
    open_pair();
    cr_expect_eq(descriptor_set_nonblocking(pair[0], true, NULL), 0);
    cr_expect(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    cr_expect_eq(descriptor_set_nonblocking(pair[0], false, NULL), 0);
    cr_expect_not(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    cr_expect_eq(descriptor_set_close_on_exec(pair[0], false, NULL), 0);
    cr_expect_eq(fcntl(pair[0], F_GETFD), 0);
    cr_expect_eq(descriptor_set_close_on_exec(pair[0], true, NULL), 0);
    cr_expect_eq(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
}

/* One that blocks would end the test by its time limit. */
Test(descriptor, an_event_is_taken_without_waiting_for_one, .timeout = 10)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    cr_expect_not(descriptor_take_event(fd));
    cr_assert_eq(eventfd_write(fd, 3), 0);
    cr_expect(descriptor_take_event(fd));
    cr_expect_not(descriptor_take_event(fd));
    close(fd);
}

Test(descriptor, flags_of_a_closed_one_are_an_error)
{
    struct error error;
    cr_expect_eq(descriptor_set_nonblocking(-1, true, &error), ERROR_SYSTEM);
    cr_expect_eq(error.os, EBADF);
}

Test(descriptor, descriptors_arrive_close_on_exec)
{
    open_pair();
    int sent[2] = {0, pair[0]}, got[4];
    size_t count;
    char byte;
    cr_assert_eq(descriptor_send(pair[0], "x", 1, sent, 2), 1);
    cr_assert_eq(descriptor_receive(pair[1], &byte, 1, got, 4, &count), 1);
    cr_assert_eq(count, 2);
    cr_expect_eq(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    struct stat ours, theirs;
    fstat(pair[0], &ours);
    fstat(got[1], &theirs);
    cr_expect_eq(ours.st_ino, theirs.st_ino);
}

Test(descriptor, plain_bytes_bring_none)
{
    open_pair();
    size_t count = 9;
    char bytes[8];
    cr_assert_eq(descriptor_send(pair[0], "hello", 5, NULL, 0), 5);
    cr_expect_eq(descriptor_receive(pair[1], bytes, sizeof bytes, NULL, 0, &count), 5);
    cr_expect_eq(count, 0);
}

Test(descriptor, surplus_ones_are_closed_and_told)
{
    open_pair();
    size_t before = fds_open();
    int sent[5] = {0, 0, 0, 0, 0};
    for (size_t room = 0; room < 5; room++) {
        int got[5];
        size_t count;
        char byte;
        cr_assert_eq(descriptor_send(pair[0], "x", 1, sent, 5), 1);
        cr_assert_eq(descriptor_receive(pair[1], &byte, 1, got, room, &count), 1);
        cr_expect_eq(count, room + 1);
        cr_expect_eq(fds_open(), before + room);
        for (size_t i = 0; i < room; i++)
            descriptor_close(&got[i]);
    }
    cr_expect_eq(fds_open(), before);
}

Test(descriptor, a_full_table_is_told_and_leaves_nothing_unset)
{
    open_pair();
    int sent[4] = {0, 0, 0, 0}, got[4] = {77, 77, 77, 77};
    size_t count, before = fds_open();
    char byte;
    int highest = dup(0);
    close(highest);
    cr_assert_eq(descriptor_send(pair[0], "x", 1, sent, 4), 1);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)highest + 2;
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_expect_eq(descriptor_receive(pair[1], &byte, 1, got, 4, &count), 1);
    limit.rlim_cur = soft;
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_expect_eq(count, 5);
    for (size_t i = 0; i < 4; i++) {
        cr_expect_neq(got[i], 77);
        descriptor_close(&got[i]);
    }
    cr_expect_eq(fds_open(), before);
}

Test(descriptor, a_closed_peer_is_an_error_not_a_signal)
{
    open_pair();
    close(pair[1]);
    cr_expect_eq(descriptor_send(pair[0], "x", 1, NULL, 0), -1);
    cr_expect_eq(errno, EPIPE);
}

Test(descriptor, end_of_file_and_nothing_there_differ)
{
    open_pair();
    size_t count;
    char byte;
    descriptor_set_nonblocking(pair[1], true, NULL);
    cr_expect_eq(descriptor_receive(pair[1], &byte, 1, NULL, 0, &count), -1);
    cr_expect_eq(errno, EAGAIN);
    close(pair[0]);
    cr_expect_eq(descriptor_receive(pair[1], &byte, 1, NULL, 0, &count), 0);
}

Test(descriptor, more_than_the_kernel_takes_are_refused)
{
    open_pair();
    int many[254] = {0};
    cr_expect_eq(descriptor_send(pair[0], "x", 1, many, ARRAY_LENGTH(many)), -1);
    cr_expect_eq(errno, EINVAL);
    cr_expect_eq(descriptor_send(pair[0], "x", 1, many, 253), 1);
    int got[2];
    size_t count, before = fds_open();
    char byte;
    cr_expect_eq(descriptor_receive(pair[1], &byte, 1, got, 2, &count), 1);
    cr_expect_eq(count, 3);
    cr_expect_eq(fds_open(), before + 2);
}

Test(descriptor, a_memfd_has_its_size_and_can_be_sealed)
{
    int fd;
    struct error error;
    struct stat status;
    cr_assert_eq(descriptor_create_memfd("zone", 1 << 20, &fd, &error), 0);
    fstat(fd, &status);
    cr_expect_eq(status.st_size, 1 << 20);
    cr_expect_eq(status.st_blocks, 0);
    cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    cr_expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
    descriptor_close(&fd);
    cr_expect_eq(descriptor_create_memfd("zone", UINT64_MAX, &fd, &error), ERROR_SYSTEM);
    cr_expect_eq(fd, -1);
}
