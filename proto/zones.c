#include "proto/zones.h"

#include <stdbool.h>

#include "common/bytes.h"

/* What sharing out leaves to the libraries where Z, which could give way to them, was asked for. */
#define LIBRARIES_ROOM MIB(128)

/* R's share is what lies behind the granule map, which has a share of its own where X's size is open, too. X, R and D
   get no more than what the largest object needs. */
#define MAP_SHARE 1

static const struct {
    uint64_t share; /* of what is left by the zones that were asked for */
    uint64_t enough;
    uint64_t part; /* that it may have of all, as a divisor */
} zone_rules[ZONE_COUNT] = {
    [ZONE_X] = {4, LIMIT_OBJECT_BYTES, 2}, [ZONE_S] = {1, MIB(64), 8}, [ZONE_R] = {3, LIMIT_OBJECT_BYTES, 2},
    [ZONE_D] = {3, LIMIT_OBJECT_BYTES, 2}, [ZONE_Z] = {4, 0, 1}, /* and all the rest */
};

const char *const zone_names[ZONE_COUNT] = {"X", "S", "R", "D", "Z"};

static uint64_t whole(uint64_t bytes)
{
    return bytes & ~(ARENA_ALIGNMENT - 1);
}

static uint64_t less(uint64_t bytes, uint64_t taken)
{
    return bytes > taken ? bytes - taken : 0;
}

uint64_t zones_most(unsigned zone, uint64_t most)
{
    return whole(most / zone_rules[zone].part);
}

const char *zones_bound(uint64_t most)
{
    return most == ARENA_REACH ? "32-bit displacements reach no further" : "see jitd --arena-max";
}

static int refuse_size(unsigned zone, uint64_t bytes, uint64_t most, struct error *error)
{
    return error_set(error, ERROR_LIMIT,
                     "zone %s of %llu bytes is too large: it may have %llu MiB, and all zones together %llu MiB (%s)",
                     zone_names[zone], (unsigned long long)bytes, (unsigned long long)zones_most(zone, most) >> 20,
                     (unsigned long long)most >> 20, zones_bound(most));
}

static int refuse_sum(const struct zone_sizes *sizes, uint64_t most, struct error *error)
{
    const uint64_t *bytes = sizes->bytes;
    return error_set(error, ERROR_LIMIT,
                     "zones X, S, R, D, Z of %llu, %llu, %llu, %llu and %llu MiB make %llu MiB: all zones together may "
                     "have %llu MiB (%s)",
                     (unsigned long long)bytes[ZONE_X] >> 20, (unsigned long long)bytes[ZONE_S] >> 20,
                     (unsigned long long)bytes[ZONE_R] >> 20, (unsigned long long)bytes[ZONE_D] >> 20,
                     (unsigned long long)bytes[ZONE_Z] >> 20, (unsigned long long)zones_total(sizes) >> 20,
                     (unsigned long long)most >> 20, zones_bound(most));
}

/* What one share is worth, of what the zones that were asked for leave, when `shares` have to come out of it. */
struct sharing {
    uint64_t left, shares, most;
};

static struct sharing sharing_of(const struct zone_sizes *sizes, uint64_t most)
{
    uint64_t taken = zones_total(sizes);
    bool map_is_due = sizes->bytes[ZONE_R] == 0;
    struct sharing sharing = {.most = most, .shares = map_is_due && sizes->bytes[ZONE_X] == 0 ? MAP_SHARE : 0};
    if (map_is_due)
        taken += zones_map_bytes(sizes->bytes[ZONE_X]);
    for (unsigned z = 0; z < ZONE_COUNT; z++)
        if (sizes->bytes[z] == 0)
            sharing.shares += zone_rules[z].share;
    sharing.left = less(min_u64(most, ARENA_REACH - LIBRARIES_ROOM), taken);
    return sharing;
}

static uint64_t share_of(const struct sharing *sharing, unsigned zone)
{
    uint64_t bytes = whole(sharing->left * zone_rules[zone].share / sharing->shares);
    bytes = min_u64(bytes, min_u64(zone_rules[zone].enough, zones_most(zone, sharing->most)));
    return max_u64(bytes, ARENA_ALIGNMENT);
}

/* X before R, whose granule map is as large as X demands; Z last, which gets what is left. */
static void share_out(struct zone_sizes *sizes, uint64_t most)
{
    struct sharing sharing = sharing_of(sizes, most);
    uint64_t *bytes = sizes->bytes;
    if (bytes[ZONE_X] == 0)
        bytes[ZONE_X] = min_u64(share_of(&sharing, ZONE_X), bytes[ZONE_R] ? 2 * bytes[ZONE_R] : UINT64_MAX);
    if (bytes[ZONE_S] == 0)
        bytes[ZONE_S] = share_of(&sharing, ZONE_S);
    if (bytes[ZONE_R] == 0)
        bytes[ZONE_R] = min_u64(align_up(zones_map_bytes(bytes[ZONE_X]), ARENA_ALIGNMENT) + share_of(&sharing, ZONE_R),
                                zones_most(ZONE_R, most));
    if (bytes[ZONE_D] == 0)
        bytes[ZONE_D] = share_of(&sharing, ZONE_D);
    if (bytes[ZONE_Z] == 0)
        bytes[ZONE_Z] = max_u64(whole(less(most, zones_total(sizes))), ARENA_ALIGNMENT);
}

int zones_choose(const uint64_t asked[ZONE_COUNT], uint64_t most, struct zone_sizes *sizes, uint64_t *least_zeros,
                 struct error *error)
{
    for (unsigned z = 0; z < ZONE_COUNT; z++) {
        if (asked[z] > zones_most(z, most))
            return refuse_size(z, asked[z], most, error);
        sizes->bytes[z] = align_up(asked[z], ARENA_ALIGNMENT);
    }
    *least_zeros = max_u64(sizes->bytes[ZONE_Z], ARENA_ALIGNMENT);
    share_out(sizes, most);
    if (zones_total(sizes) > most)
        return refuse_sum(sizes, most, error);
    if (sizes->bytes[ZONE_R] <= zones_map_bytes(sizes->bytes[ZONE_X]))
        return error_set(error, ERROR_INVALID,
                         "zone R of %llu MiB has no room for what leads from code to its unwind tables: that takes a "
                         "quarter of zone X, which has %llu MiB",
                         (unsigned long long)sizes->bytes[ZONE_R] >> 20,
                         (unsigned long long)sizes->bytes[ZONE_X] >> 20);
    return 0;
}

static bool is_size(uint64_t bytes)
{
    return bytes != 0 && whole(bytes) == bytes;
}

int zones_check(const struct zone_sizes *sizes, uint64_t least_zeros, uint64_t most, struct error *error)
{
    for (unsigned z = 0; z < ZONE_COUNT; z++)
        if (!is_size(sizes->bytes[z]) || sizes->bytes[z] > zones_most(z, most))
            return error_set(error, ERROR_PROTOCOL, "zone %s has no size of %llu bytes", zone_names[z],
                             (unsigned long long)sizes->bytes[z]);
    if (zones_total(sizes) > most || sizes->bytes[ZONE_R] <= zones_map_bytes(sizes->bytes[ZONE_X]))
        return error_set(error, ERROR_PROTOCOL, "the sizes of the zones do not go together");
    if (!is_size(least_zeros) || least_zeros > sizes->bytes[ZONE_Z])
        return error_set(error, ERROR_PROTOCOL, "zone Z cannot be at least %llu bytes",
                         (unsigned long long)least_zeros);
    return 0;
}
