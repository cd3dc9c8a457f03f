/*
 * Versions in names, as assemblers write them for .symver. In an object they are part of the name:
 *
 *   name@@V    defined: the default version, which defines `name` and `name@V`; undefined: `name@V`
 *   name@V     that version, and not `name`
 *   name@@@V   defined: as name@@V; undefined: as name@V. Assemblers write one of these two in its place.
 *
 * So there are two kinds of symbols, `name` and `name@V`, and the linker need not know what a version is.
 */
#ifndef LINKER_VERSION_H
#define LINKER_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/pool.h"

/* What a name in an object stands for. Strings are borrowed from it or lie in the pool. */
struct versioned_name {
    const char *name; /* of `length` bytes, not NUL-terminated */
    size_t length;
    const char *also; /* what it defines besides, NUL-terminated; NULL: nothing */
};

/* Where the first '@' is or, for nearly all names, its end. */
static inline const char *version_find(const char *name)
{
    return strchrnul(name, '@');
}

/* `at` is version_find(name), and is not the end. False: out of memory. */
bool version_read(struct pool *pool, const char *name, const char *at, bool defined, struct versioned_name *out);

#endif
