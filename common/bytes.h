/*
 * Small arithmetic that must not be got wrong: ranges within untrusted lengths, alignment, little-endian fields.
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether [offset, offset + length) lies within [0, total); no sum is made that could wrap. */
static inline bool range_within(uint64_t offset, uint64_t length, uint64_t total)
{
    return offset <= total && length <= total - offset;
}

static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Rounds up to a power of two. The caller has checked that value + alignment does not wrap. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Unaligned little-endian fields, whatever the host. */
static inline uint16_t load_le16(const void *at)
{
    const uint8_t *b = at;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t load_le32(const void *at)
{
    const uint8_t *b = at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t load_le64(const void *at)
{
    return (uint64_t)load_le32(at) | (uint64_t)load_le32((const uint8_t *)at + 4) << 32;
}

static inline void store_le16(void *at, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    memcpy(at, bytes, sizeof bytes);
}

static inline void store_le32(void *at, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    memcpy(at, bytes, sizeof bytes);
}

static inline void store_le64(void *at, uint64_t value)
{
    store_le32(at, (uint32_t)value);
    store_le32((uint8_t *)at + 4, (uint32_t)(value >> 32));
}

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof(array)[0])

#endif
