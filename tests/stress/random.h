/*
 * Numbers that follow from a seed: SplitMix64 (Steele, Lea and Flood, 2014).
 */
#ifndef TESTS_STRESS_RANDOM_H
#define TESTS_STRESS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t random_draw(uint64_t *state, uint64_t below)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) % below;
}

/* True once in `times`. */
static inline bool random_once_in(uint64_t *state, uint64_t times)
{
    return random_draw(state, times) == 0;
}

#endif
