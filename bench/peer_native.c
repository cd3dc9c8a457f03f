/*
 * The root of a tree that ld has linked into this program: what the first run of its functions costs where nothing was
 * linked just now.
 */
#include "bench/measure.h"

#define UNITS 10000

int s_0(void);

int main(void)
{
    static const char *const keys[] = {"run.first.native", "run.second.native"};
    for (int i = 0; i < 2; i++) {
        struct samples samples = {0};
        uint64_t start = measure_now();
        if (s_0() != UNITS)
            measure_die("the native tree did not return %d", UNITS);
        samples_add(&samples, measure_now() - start, UNITS);
        samples_report(&samples, keys[i]);
    }
    return 0;
}
