/*
 * What a file is, by its first bytes.
 */
#ifndef JITCTL_INPUT_KIND_H
#define JITCTL_INPUT_KIND_H

#include <stdbool.h>
#include <stddef.h>

enum input_kind {
    INPUT_EMPTY,
    INPUT_OBJECT, /* and all that is none of the others: the daemon says what is wrong with it */
    INPUT_ARCHIVE,
    INPUT_SHARED, /* a shared library; a program that was linked as one is an object here */
    INPUT_TEXT    /* perhaps a linker script */
};

enum input_kind input_kind(const void *bytes, size_t length);

/* False for ELF files of another machine or word size. */
bool input_suits_machine(const void *bytes, size_t length);

#endif
