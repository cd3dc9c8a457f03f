#include "tests/integration/holdings.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/bytes.h"

static void on_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                         const struct jitd_errors *errors, void *data)
{
    struct holdings *holdings = data;
    cr_assert(!errors && inspection->zone_count <= ARRAY_LENGTH(holdings->used));
    holdings->units = inspection->unit_count;
    for (size_t i = 0; i < inspection->zone_count; i++)
        holdings->used[holdings->zones++] = inspection->zones[i].used;
}

struct holdings holdings_of(struct harness *harness)
{
    struct holdings holdings = {0};
    jitd_request request;
    cr_assert_eq(jitd_inspect(harness->session, 0, on_inspected, &holdings, &request), 0);
    harness_wait(harness, request);
    cr_assert_gt(holdings.zones, 0);
    return holdings;
}

bool holdings_are_same(const struct holdings *before, const struct holdings *after)
{
    return before->zones == after->zones && memcmp(before->used, after->used, sizeof before->used) == 0;
}

static void expect_same_zones(const struct holdings *before, const struct holdings *after)
{
    cr_assert_eq(after->zones, before->zones);
    for (size_t i = 0; i < before->zones; i++)
        cr_expect_eq(after->used[i], before->used[i], "zone %zu: %llu bytes in use, before %llu", i,
                     (unsigned long long)after->used[i], (unsigned long long)before->used[i]);
}

void holdings_expect_same_room(struct harness *harness, const struct holdings *before)
{
    struct holdings after = holdings_of(harness);
    expect_same_zones(before, &after);
}

void holdings_expect_same(struct harness *harness, const struct holdings *before)
{
    struct holdings after = holdings_of(harness);
    cr_expect_eq(after.units, before->units);
    expect_same_zones(before, &after);
}
