/*
 * File descriptors over sockets, with the kernel's fine print (unix(7), cmsg(3)) kept in one place.
 *
 * A peer may send more descriptors than were asked for. The control buffer here takes as many as the kernel ever sends
 * at once, so that each surplus one is seen, closed and counted as a breach instead of vanishing without a word.
 */
#include "common/descriptor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SCM_MAX_FD 253 /* of the kernel, net/scm.h */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

void descriptor_close(int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        close(*fd); /* EINTR: Linux has closed it all the same */
    *fd = -1;
    errno = saved;
}

static int set_flag(int fd, int get, int set, int flag, bool on, struct error *error)
{
    int flags = fcntl(fd, get);
    if (flags < 0)
        return error_system(error, "fcntl of descriptor %d", fd);
    int wanted = on ? flags | flag : flags & ~flag;
    if (wanted != flags && fcntl(fd, set, wanted) < 0)
        return error_system(error, "fcntl of descriptor %d", fd);
    return 0;
}

int descriptor_set_nonblocking(int fd, bool nonblocking, struct error *error)
{
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, nonblocking, error);
}

int descriptor_set_close_on_exec(int fd, bool close_on_exec, struct error *error)
{
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, close_on_exec, error);
}

union control {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(SCM_MAX_FD * sizeof(int))];
};

ssize_t descriptor_send(int socket, const void *bytes, size_t length, const int *fds, size_t count)
{
    union control control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > SCM_MAX_FD) {
        errno = EINVAL;
        return -1;
    }
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* Moves the descriptors of one control message into fds, behind the *count that are there; closes what has no room. */
static void take_descriptors(const struct cmsghdr *header, int *fds, size_t room, size_t *count)
{
    size_t brought = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < brought; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        if (*count < room) {
            fds[(*count)++] = fd;
        } else {
            close(fd);
            *count = room + 1;
        }
    }
}

ssize_t descriptor_receive(int socket, void *bytes, size_t length, int *fds, size_t room, size_t *count)
{
    union control control;
    struct iovec part = {.iov_base = bytes, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received;
    *count = 0;
    do
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            take_descriptors(header, fds, room, count);
    if (message.msg_flags & MSG_CTRUNC) { /* our own table of descriptors is full */
        for (size_t i = *count; i < room; i++)
            fds[i] = -1;
        *count = room + 1;
    }
    return received;
}

bool descriptor_take_event(int fd)
{
    uint64_t count;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof count};
    return preadv2(fd, &part, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof count;
}

/* A memfd counts as a file: making one larger than RLIMIT_FSIZE would raise SIGXFSZ, which kills by default. */
static bool is_too_large(uint64_t bytes)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur;
}

int descriptor_create_memfd(const char *name, uint64_t bytes, int *fd_out, struct error *error)
{
    *fd_out = -1;
    if (is_too_large(bytes)) {
        errno = EFBIG;
        return error_system(error, "memfd %s of %" PRIu64 " bytes, for which the limit on files is too low (ulimit -f)",
                            name, bytes);
    }
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_system(error, "memfd_create %s", name);
    if (ftruncate(fd, (off_t)bytes) < 0) {
        error_system(error, "ftruncate of memfd %s", name);
        descriptor_close(&fd);
        return ERROR_SYSTEM;
    }
    *fd_out = fd;
    return 0;
}

int descriptor_open_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    int saved = errno;
    if (descriptor_create_memfd("jitd-null", 0, &fd, NULL) != 0) {
        errno = saved;
        return -1;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
}

/* -1 for what is no number: "." and "..". */
static int entry_number(const struct dirent64 *entry)
{
    int number = 0;
    for (const char *at = entry->d_name; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        number = number * 10 + (*at - '0');
    }
    return number;
}

static int close_listed(int list, int first, bool on_exec)
{
    union {
        struct dirent64 aligned;
        char bytes[2048];
    } entries;
    ssize_t length;
    while ((length = getdents64(list, &entries, sizeof entries)) > 0)
        for (ssize_t at = 0; at < length;) {
            const struct dirent64 *entry = (const void *)(entries.bytes + at);
            int fd = entry_number(entry);
            if (fd >= first && fd != list && (on_exec ? fcntl(fd, F_SETFD, FD_CLOEXEC) : close(fd)) < 0)
                return -1;
            at += entry->d_reclen;
        }
    return (int)length;
}

/* Linux before 5.11 refuses the flag, before 5.9 the call; so do filters that are older. */
static int close_from(int first, bool on_exec)
{
    if (syscall(SYS_close_range, first, ~0u, on_exec ? CLOSE_RANGE_CLOEXEC : 0) == 0)
        return 0;
    int list = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0)
        return -1;
    int status = close_listed(list, first, on_exec);
    descriptor_close(&list);
    return status;
}

int descriptor_close_from(int first)
{
    return close_from(first, false);
}

int descriptor_close_from_on_exec(int first)
{
    return close_from(first, true);
}
