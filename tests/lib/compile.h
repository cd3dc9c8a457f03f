/*
 * The system's compiler at test time: source text in, relocatable object in memory out.
 */
#ifndef TESTS_LIB_COMPILE_H
#define TESTS_LIB_COMPILE_H

#include <stddef.h>
#include <stdint.h>

struct object_bytes {
    uint8_t *bytes; /* owned; aligned as malloc does */
    size_t length;
};

/* Compiles with `cc -c` and the given flags ("-O2 -fPIC"; NULL for none), split at spaces. Where the compiler refuses
   the source, the test fails with the compiler's message. */
struct object_bytes compile_c(const char *source, const char *flags);
struct object_bytes compile_cxx(const char *source, const char *flags);
struct object_bytes compile_assembly(const char *source, const char *flags);

/* Reads any file whole. */
struct object_bytes object_read(const char *path);

/* A copy that may be patched. */
struct object_bytes object_copy(const struct object_bytes *object);

void object_free(struct object_bytes *object);

#endif
