/*
 * The search for libraries.
 *
 * The toolchain's directories are those where its own archives lie, known when jitctl is built: so a Debian multiarch
 * directory needs no name here.
 */
#include "client/jitctl/libraries.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"
#include "common/bytes.h"

#if defined(__x86_64__)
#define LIBRARIES_MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define LIBRARIES_MULTIARCH "aarch64-linux-gnu"
#endif

const char *const libraries_silent[] = {LIBC_NONSHARED_ARCHIVE, LIBGCC_ARCHIVE, NULL};

/* glibc 2.34 emptied all of libc's companions but libm; libgcc's archive is one of the silent ones. */
static const char *const libraries_resident[] = {"c", "m", "pthread", "dl", "rt", "util", "gcc", "gcc_s"};

static const char *const libraries_directories[] = {
    "/usr/local/lib/" LIBRARIES_MULTIARCH,
    "/usr/local/lib",
    "/lib/" LIBRARIES_MULTIARCH,
    "/usr/lib/" LIBRARIES_MULTIARCH,
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
};

bool libraries_is_resident(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(libraries_resident); i++)
        if (strcmp(name, libraries_resident[i]) == 0)
            return true;
    return false;
}

static char *libraries_try(const struct libraries_search *search, const char *directory, size_t length,
                           const char *before, const char *name, const char *after)
{
    char *path = allocate_format("%.*s/%s%s%s", (int)length, directory, before, name, after);
    if (access(path, F_OK) == 0 && search->suits(search->data, path))
        return path;
    free(path);
    return NULL;
}

static char *libraries_find_in(const struct libraries_search *search, const char *directory, size_t length,
                               const char *name)
{
    if (*name == ':')
        return libraries_try(search, directory, length, "", name + 1, "");
    char *path = search->archives_only ? NULL : libraries_try(search, directory, length, "lib", name, ".so");
    return path ? path : libraries_try(search, directory, length, "lib", name, ".a");
}

static char *libraries_find_in_list(const struct libraries_search *search, const char *const *directories, size_t count,
                                    const char *name)
{
    char *path = NULL;
    for (size_t i = 0; i < count && !path; i++)
        path = libraries_find_in(search, directories[i], strlen(directories[i]), name);
    return path;
}

/* LIBRARY_PATH, as gcc and clang read it: directories between colons. */
static char *libraries_find_in_environment(const struct libraries_search *search, const char *name)
{
    char *path = NULL;
    const char *at = getenv("LIBRARY_PATH");
    while (at && *at && !path) {
        size_t length = strcspn(at, ":");
        if (length)
            path = libraries_find_in(search, at, length, name);
        at += length + (at[length] == ':');
    }
    return path;
}

static char *libraries_find_in_toolchain(const struct libraries_search *search, const char *name)
{
    char *path = NULL;
    for (size_t i = 0; libraries_silent[i] && !path; i++) {
        const char *slash = strrchr(libraries_silent[i], '/');
        if (slash)
            path = libraries_find_in(search, libraries_silent[i], (size_t)(slash - libraries_silent[i]), name);
    }
    return path;
}

char *libraries_find(const char *name, const struct libraries_search *search)
{
    char *path = libraries_find_in_list(search, search->directories, search->directory_count, name);
    if (!path)
        path = libraries_find_in_environment(search, name);
    if (!path)
        path = libraries_find_in_toolchain(search, name);
    if (!path)
        path = libraries_find_in_list(search, libraries_directories, ARRAY_LENGTH(libraries_directories), name);
    return path ? path : libraries_find_in_list(search, search->last, search->last_count, name);
}
