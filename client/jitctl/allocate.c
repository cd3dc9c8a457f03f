/*
 * Checked allocation. The array rule: capacity is 1, 2, 4, ... and changes exactly when the count reaches it.
 */
#include "client/jitctl/allocate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/jitctl/complain.h"

static void *allocate_check(void *memory)
{
    if (!memory)
        exit(complain("out of memory"));
    return memory;
}

void *allocate_zeroed(size_t bytes)
{
    return allocate_check(calloc(1, bytes ? bytes : 1));
}

void *allocate_room(void *array, size_t count, size_t element_bytes)
{
    if (count & (count - 1))
        return array;
    return allocate_check(reallocarray(array, count ? 2 * count : 1, element_bytes));
}

char *allocate_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return allocate_check(length < 0 ? NULL : text);
}
