#include "common/own_path.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

bool own_path(char path[static PATH_MAX], bool directory_is_unchanged)
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length > 0) {
        path[length] = '\0';
        return true;
    }
    const char *given = (const char *)getauxval(AT_EXECFN);
    return given && (given[0] == '/' || directory_is_unchanged) && realpath(given, path);
}
