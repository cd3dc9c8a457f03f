/*
 * Counts the entries of /proc/self/fd.
 */
#include "tests/lib/fds.h"

#include <criterion/criterion.h>
#include <dirent.h>

size_t fds_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    cr_assert(directory, "/proc/self/fd cannot be read");
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1;
}
