/*
 * Names as their source has them: C++ (Itanium ABI), Rust (both manglings) and D.
 */
#ifndef JITCTL_DEMANGLE_H
#define JITCTL_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/* False where the name is not a mangled one. What is longer than `size` allows ends in "...". The name is hostile, and
   what comes out may hold any byte; a call may take long or crash, and leaks memory: line_reader.h is for that. */
bool demangle(const char *name, char *out, size_t size);

#endif
