#include "daemon/linker/version.h"

/* "name@V" of "name@@V" or "name@@@V". */
static char *with_one_sign(struct pool *pool, const char *name, size_t length, const char *version)
{
    size_t bytes = strlen(version) + 1;
    char *copy = pool_allocate_uninitialised(pool, length + 1 + bytes);

    if (!copy)
        return NULL;
    memcpy(copy, name, length);
    copy[length] = '@';
    memcpy(copy + length + 1, version, bytes);
    return copy;
}

bool version_read(struct pool *pool, const char *name, const char *at, bool defined, struct versioned_name *out)
{
    size_t signs = strspn(at, "@");
    bool standard = defined && signs > 1 && at > name;
    char *one = signs > 1 ? with_one_sign(pool, name, (size_t)(at - name), at + signs) : NULL;

    if (signs > 1 && !one)
        return false;
    *out = (struct versioned_name){name, (size_t)(at - name), standard ? one : NULL};
    if (standard)
        return true;
    out->name = one ? one : name;
    out->length = strlen(out->name);
    return true;
}
