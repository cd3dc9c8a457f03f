/*
 * The search for libraries.
 *
 * The toolchain's directories are those where its own archives lie, known when jitctl is built: so a Debian multiarch
 * directory needs no name here.
 */
#include "client/jitctl/libraries.h"

#include <ctype.h>
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

static char *libraries_try(const char *directory, size_t length, const char *before, const char *name,
                           const char *after)
{
    char *path = allocate_format("%.*s/%s%s%s", (int)length, directory, before, name, after);
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *libraries_find_in(const char *directory, size_t length, const char *name)
{
    if (*name == ':')
        return libraries_try(directory, length, "", name + 1, "");
    char *path = libraries_try(directory, length, "lib", name, ".so");
    return path ? path : libraries_try(directory, length, "lib", name, ".a");
}

char *libraries_find(const char *name, const char *const *directories, size_t directory_count)
{
    char *path = NULL;
    for (size_t i = 0; i < directory_count && !path; i++)
        path = libraries_find_in(directories[i], strlen(directories[i]), name);
    for (size_t i = 0; libraries_silent[i] && !path; i++) {
        const char *slash = strrchr(libraries_silent[i], '/');
        if (slash)
            path = libraries_find_in(libraries_silent[i], (size_t)(slash - libraries_silent[i]), name);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(libraries_directories) && !path; i++)
        path = libraries_find_in(libraries_directories[i], strlen(libraries_directories[i]), name);
    return path;
}

/* The next word of a script: a parenthesis, or a name up to blank, comma or parenthesis; comments are skipped. An empty
   word is the end. */
struct libraries_word {
    const char *start;
    size_t length;
};

static const char *libraries_skip(const char *at, const char *end)
{
    while (at < end) {
        if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
            const char *close = memmem(at + 2, (size_t)(end - at) - 2, "*/", 2);
            at = close ? close + 2 : end;
        } else if (isspace((unsigned char)*at) || *at == ',' || *at == ';')
            at++;
        else
            break;
    }
    return at;
}

static bool libraries_ends_word(char byte)
{
    return isspace((unsigned char)byte) || strchr("(),;", byte);
}

static struct libraries_word libraries_next(const char **at, const char *end)
{
    struct libraries_word word = {.start = libraries_skip(*at, end)};
    const char *stop = word.start;
    if (stop < end && (*stop == '(' || *stop == ')'))
        stop++;
    else
        while (stop < end && !libraries_ends_word(*stop))
            stop++;
    word.length = (size_t)(stop - word.start);
    *at = stop;
    return word;
}

static bool libraries_is(struct libraries_word word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.start, text, word.length) == 0;
}

/* From behind the opening parenthesis to its counterpart. AS_NEEDED's own parentheses only nest. */
static void libraries_read_list(const char **at, const char *end, libraries_add_file *add, void *data)
{
    for (unsigned depth = 1; depth;) {
        struct libraries_word word = libraries_next(at, end);
        if (word.length == 0)
            return;
        if (libraries_is(word, "(") || libraries_is(word, ")")) {
            depth = *word.start == '(' ? depth + 1 : depth - 1;
            continue;
        }
        if (libraries_is(word, "AS_NEEDED"))
            continue;
        char *file = allocate_format("%.*s", (int)min_u64(word.length, 4096), word.start);
        add(file, data);
        free(file);
    }
}

bool libraries_read_script(const char *text, size_t length, libraries_add_file *add, void *data)
{
    const char *at = text, *end = text + length;
    if (length == 0 || memchr(text, '\0', length))
        return false;
    bool found = false;
    for (struct libraries_word word; (word = libraries_next(&at, end)).length;) {
        if (!libraries_is(word, "GROUP") && !libraries_is(word, "INPUT"))
            continue;
        if (!libraries_is(libraries_next(&at, end), "("))
            continue;
        found = true;
        libraries_read_list(&at, end, add, data);
    }
    return found;
}
