/*
 * How many descriptors this process has open: equal before and after what must not leak any.
 */
#ifndef TESTS_LIB_FDS_H
#define TESTS_LIB_FDS_H

#include <stddef.h>

/* The one that does the counting is not counted. */
size_t fds_open(void);

#endif
