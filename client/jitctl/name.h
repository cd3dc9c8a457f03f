/*
 * Names as they come from objects: bytes, which need be neither UTF-8 nor printable.
 */
#ifndef JITCTL_NAME_H
#define JITCTL_NAME_H

#include <stddef.h>
#include <stdio.h>

/* The length of the well-formed UTF-8 sequence at the beginning of `length` bytes, which is no control character below
   U+0020; 0 where there is none. */
size_t name_sequence(const unsigned char *at, size_t length);

/* For people: control characters and what is not UTF-8 as \xNN. */
void name_print(FILE *out, const void *bytes, size_t length);

/* The same for the inside of a quoted string of DOT. */
void name_print_dot(FILE *out, const void *bytes, size_t length);

#endif
