/*
 * File descriptors: the few things every process here does with them.
 */
#ifndef COMMON_DESCRIPTOR_H
#define COMMON_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* Closes *fd unless it is -1, and makes it -1. errno is preserved. */
void descriptor_close(int *fd);

int descriptor_set_nonblocking(int fd, bool nonblocking, struct error *error);
int descriptor_set_close_on_exec(int fd, bool close_on_exec, struct error *error);

/* One sendmsg of `length` bytes with `count` descriptors (0 for none) riding on the first byte; MSG_NOSIGNAL; EINTR
   retried. Returns the bytes sent, or -1 with errno (EAGAIN where a nonblocking socket is full). */
ssize_t descriptor_send(int socket, const void *bytes, size_t length, const int *fds, size_t count);

/* One recvmsg with MSG_CMSG_CLOEXEC. Up to `room` descriptors are stored in fds and *count is set; any the kernel
   delivered beyond that are closed at once and *count is set to room + 1, as it is for MSG_CTRUNC: the caller must then
   close the first `room` and refuse the peer. Returns bytes, 0 at end of file, -1 with errno. */
ssize_t descriptor_receive(int socket, void *bytes, size_t length, int *fds, size_t room, size_t *count);

/* Takes what an eventfd has counted; false where that is nothing. Never waits, also where somebody who shares the
   eventfd, and with it the flag that says so, has made it blocking. */
bool descriptor_take_event(int fd);

/* A memfd with MFD_CLOEXEC | MFD_ALLOW_SEALING and, where the kernel knows it, MFD_NOEXEC_SEAL; of `bytes`, sparse. */
int descriptor_create_memfd(const char *name, uint64_t bytes, int *fd_out, struct error *error);

/* Opens /dev/null for reading and writing, close-on-exec. Where there is none: an empty memfd that is sealed, which is
   read as empty too, but refuses what is written to it with EPERM. Makes system calls only; -1 with errno. */
int descriptor_open_null(void);

/* Closes all descriptors from `first` on, or marks them close-on-exec, by close_range(2) or one by one, as
   /proc/self/fd lists them. Make system calls only; -1 with errno where neither is there. */
int descriptor_close_from(int first);
int descriptor_close_from_on_exec(int first);

#endif
