/*
 * Samples and clocks (measure.h).
 */
#include "bench/measure.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_FOR_P99 100

uint64_t measure_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void measure_die(const char *format, ...)
{
    va_list arguments;
    fputs("bench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void *measure_allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory)
        measure_die("out of memory for %zu bytes", bytes);
    return memory;
}

/* All that this process was given, read once. */
static const cpu_set_t *measure_allowed(void)
{
    static cpu_set_t allowed;
    if (CPU_COUNT(&allowed) == 0 && sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        measure_die("cannot read the CPU affinity");
    return &allowed;
}

static void measure_pin(bool last)
{
    const cpu_set_t *allowed = measure_allowed();
    size_t cpu = last ? CPU_SETSIZE - 1 : 0;
    cpu_set_t one;
    while (!CPU_ISSET(cpu, allowed))
        cpu = last ? cpu - 1 : cpu + 1;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        measure_die("cannot pin to CPU %zu", cpu);
}

bool measure_can_place(enum placement placement)
{
    return placement != PLACEMENT_APART || CPU_COUNT(measure_allowed()) > 1;
}

void measure_place_children(enum placement placement)
{
    if (placement != PLACEMENT_FREE)
        measure_pin(placement == PLACEMENT_ONE_CPU);
    else if (sched_setaffinity(0, sizeof(cpu_set_t), measure_allowed()) != 0)
        measure_die("cannot give the CPUs back");
}

void measure_place_self(enum placement placement)
{
    if (placement != PLACEMENT_FREE)
        measure_pin(true);
}

void samples_add(struct samples *samples, uint64_t nanoseconds, size_t parts)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? 2 * samples->capacity : 64;
        samples->values = realloc(samples->values, samples->capacity * sizeof *samples->values);
        if (!samples->values)
            measure_die("out of memory for samples");
    }
    samples->values[samples->count++] = (double)nanoseconds / 1000.0 / (double)parts;
}

static int samples_compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double samples_quantile(struct samples *samples, double part)
{
    size_t count = samples->count, at = (size_t)((double)count * part);
    if (count == 0)
        return 0;
    qsort(samples->values, count, sizeof *samples->values, samples_compare);
    return samples->values[at < count ? at : count - 1];
}

void samples_clear(struct samples *samples)
{
    samples->count = 0;
}

void measure_print(const char *key, double value)
{
    printf("%s %.3f - 1\n", key, value);
}

void measure_skip(const char *key)
{
    printf("%s skipped - 0\n", key);
}

void samples_report(struct samples *samples, const char *key)
{
    size_t count = samples->count;
    if (count == 0)
        measure_die("%s: nothing was measured", key);
    qsort(samples->values, count, sizeof *samples->values, samples_compare);
    double median = (samples->values[(count - 1) / 2] + samples->values[count / 2]) / 2;
    if (count < SAMPLES_FOR_P99)
        printf("%s %.3f - %zu\n", key, median, count);
    else
        printf("%s %.3f %.3f %zu\n", key, median, samples->values[count * 99 / 100], count);
    free(samples->values);
    *samples = (struct samples){0};
}

void samples_report_placed(struct samples *samples, enum placement placement, const char *key)
{
    static const char *const prefixes[] = {
        [PLACEMENT_FREE] = "", [PLACEMENT_ONE_CPU] = "one-cpu.", [PLACEMENT_APART] = "apart."};
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefixes[placement], key);
    samples_report(samples, full);
}

void measure_touch_memory(void)
{
    const size_t bytes = (size_t)1 << 30;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        measure_die("no memory");
    for (size_t i = 0; i < bytes; i += (size_t)sysconf(_SC_PAGESIZE))
        memory[i] = 1;
    munmap(memory, bytes);
}
