/*
 * The program's environment: a filter over our own, then the requests of the command line in their order.
 */
#include "client/jitctl/environment.h"

#include <string.h>

#include "client/jitctl/allocate.h"
#include "common/bytes.h"

/* Names; one that ends in '*' matches every name that begins so. */
static const char *const environment_common[] = {"PATH", "HOME", "LANG", "LC_*", "TERM", "TZ", "USER", "TMPDIR"};

static size_t environment_name_length(const char *assignment)
{
    return strcspn(assignment, "=");
}

static bool environment_same_name(const char *a, const char *b)
{
    size_t length = environment_name_length(a);
    return length == environment_name_length(b) && memcmp(a, b, length) == 0;
}

bool environment_is_common(const char *assignment)
{
    for (size_t i = 0; i < ARRAY_LENGTH(environment_common); i++) {
        const char *pattern = environment_common[i];
        size_t length = strlen(pattern);
        if (pattern[length - 1] == '*' ? strncmp(assignment, pattern, length - 1) == 0
                                       : environment_same_name(assignment, pattern))
            return true;
    }
    return false;
}

static const char *environment_find(char *const *source, const char *name)
{
    for (; *source; source++)
        if (environment_same_name(*source, name))
            return *source;
    return NULL;
}

const char **environment_build(char *const *source, const char *const *requests, size_t request_count, bool all)
{
    size_t source_count = 0;
    while (source[source_count])
        source_count++;

    const char **built = allocate_zeroed((source_count + request_count + 1) * sizeof *built);
    size_t count = 0;
    for (size_t i = 0; i < source_count; i++)
        if (all || environment_is_common(source[i]))
            built[count++] = source[i];

    for (size_t i = 0; i < request_count; i++) {
        const char *value = strchr(requests[i], '=') ? requests[i] : environment_find(source, requests[i]);
        if (!value)
            continue;
        size_t at = 0;
        while (at < count && !environment_same_name(built[at], value))
            at++;
        built[at] = value;
        count += at == count;
    }
    return built;
}
