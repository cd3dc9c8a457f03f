/*
 * Mapping files, and looking at their kind before.
 */
#include "client/jitctl/input_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"

int input_files_map(const char *path, struct input_file *file, struct error *error)
{
    *file = (struct input_file){0};
    /* O_NONBLOCK: opening a FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(error, ERROR_NOT_FOUND, "%s", strerror(errno));
    struct stat status;
    int code = 0;
    if (fstat(fd, &status) < 0)
        code = error_set(error, ERROR_NOT_FOUND, "%s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        code = error_set(error, ERROR_NOT_FOUND, S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file");
    if (code || status.st_size == 0)
        goto out;
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        code = error_set(error, ERROR_NOT_FOUND, "cannot be mapped: %s", strerror(errno));
    else
        *file = (struct input_file){.bytes = bytes, .length = (size_t)status.st_size};
out:
    close(fd);
    return code;
}

int input_files_open(struct inputs *inputs, const char *path, struct input_file *file, struct error *error)
{
    int code = input_files_map(path, file, error);
    if (code)
        return code;
    inputs->files = allocate_room(inputs->files, inputs->file_count, sizeof *inputs->files);
    inputs->files[inputs->file_count++] = *file;
    return 0;
}

void input_files_unmap(struct input_file *file)
{
    if (file->bytes)
        munmap(file->bytes, file->length);
    *file = (struct input_file){0};
}

void input_files_free(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->file_count; i++)
        input_files_unmap(&inputs->files[i]);
    free(inputs->files);
}
