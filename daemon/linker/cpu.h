/*
 * What a compiler may assume of the CPU that its code will run on.
 */
#ifndef LINKER_CPU_H
#define LINKER_CPU_H

#include <stddef.h>

#define CPU_FEATURES_MAX 64

/* Names as /proc/cpuinfo gives them, without reading it: fills `names` with borrowed strings, returns how many. */
size_t cpu_features(const char *names[CPU_FEATURES_MAX]);

#endif
