/*
 * Memory for a command that lives for one run: out of memory is the end of it, so these say so, end the process with
 * EXIT_JITCTL and never return NULL.
 */
#ifndef JITCTL_ALLOCATE_H
#define JITCTL_ALLOCATE_H

#include <stddef.h>

/* Zeroed. */
void *allocate_zeroed(size_t bytes);

/* Returns `array`, perhaps moved, with room for at least one element more than `count`: ask before every append. The
   capacity is the next power of two and is kept nowhere, so an array grown here is only ever grown one by one. */
void *allocate_room(void *array, size_t count, size_t element_bytes);

/* The caller frees the string. */
char *allocate_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
