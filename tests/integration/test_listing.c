/*
 * What a session tells of its units and libraries.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/integration/requests.h"

#define LISTED 8

struct listing {
    int completed;
    uint64_t next_unit;
    size_t unit_count;
    uint64_t units[LISTED];
    char names[LISTED][32];
    uint32_t libraries[LISTED];
    enum jitd_unit_state states[LISTED];
    size_t use_counts[LISTED];
    uint64_t first_use[LISTED];
    uint64_t waits_for[LISTED];
    size_t missing_counts[LISTED];
    char missing[LISTED][32];
    bool has_code[LISTED]; /* an extent in zone X */
    size_t library_count;
    uint32_t library_numbers[LISTED];
    char library_names[LISTED][32];
    size_t search_counts[LISTED];
    uint32_t first_searched[LISTED];
};

static void list_unit(struct listing *listing, const struct jitd_unit *unit)
{
    size_t i = listing->unit_count++;
    listing->units[i] = unit->unit;
    snprintf(listing->names[i], sizeof listing->names[i], "%s", unit->name);
    listing->libraries[i] = unit->library;
    listing->states[i] = unit->state;
    listing->use_counts[i] = unit->use_count;
    listing->first_use[i] = unit->use_count ? unit->uses[0] : 0;
    listing->waits_for[i] = unit->waits_for;
    listing->missing_counts[i] = unit->missing_count;
    snprintf(listing->missing[i], sizeof listing->missing[i], "%s", unit->missing_count ? unit->missing[0] : "");
    for (size_t e = 0; e < unit->extent_count; e++)
        listing->has_code[i] |= strcmp(unit->extents[e].zone, "X") == 0 && unit->extents[e].bytes != 0;
}

static void on_inspection(struct jitd_session *session, const struct jitd_inspection *inspection,
                          const struct jitd_errors *errors, void *data)
{
    struct listing *listing = data;
    listing->completed++;
    cr_assert(inspection, "%s", errors ? errors->list[0].text : "");
    cr_assert(inspection->units_listed <= LISTED && inspection->library_count <= LISTED);
    listing->next_unit = inspection->next_unit;
    for (size_t i = 0; i < inspection->units_listed; i++)
        list_unit(listing, &inspection->units[i]);
    for (size_t i = 0; i < inspection->library_count; i++) {
        const struct jitd_library_info *library = &inspection->libraries[listing->library_count++];
        listing->library_numbers[i] = library->number;
        snprintf(listing->library_names[i], sizeof listing->library_names[i], "%s", library->name);
        listing->search_counts[i] = library->search_count;
        listing->first_searched[i] = library->search_count ? library->search[0].library : 0;
    }
}

static struct listing inspect(struct harness *harness, unsigned flags, uint64_t first, uint32_t limit)
{
    struct listing listing = {0};
    jitd_request request;
    HARNESS_MUST(harness, jitd_inspect_from(harness->session, flags, first, limit, on_inspection, &listing, &request));
    harness_wait(harness, request);
    cr_assert_eq(listing.completed, 1);
    return listing;
}

Test(inspection, lists_whom_units_use_and_what_they_wait_for)
{
    struct harness *harness = harness_open(NULL);
    struct answer answer;
    harness_link_c(harness, "base.o", "long base(long x) { return x; } long base_2(long x) { return x; }");
    harness_submit_named(harness, "waits.o",
                         "extern long base(long), base_2(long), gone(long);\n"
                         "long waits(long x) { return base(x) + base_2(x) + gone(x); }",
                         NULL);
    requests_look_up_ready(harness, (const char *const[]){"base", "gone"}, 0, &answer);
    harness_submit_named(harness, "above.o", "extern long waits(long); long above(long x) { return waits(x); }", NULL);
    struct listing listing = inspect(harness, JITD_INSPECT_UNITS | JITD_INSPECT_DEPENDENCIES, 0, 0);
    cr_assert_eq(listing.unit_count, 3, "a lookup that waits is no unit of ours");
    cr_expect_eq(listing.next_unit, 0);
    cr_expect_str_eq(listing.names[0], "base.o");
    cr_expect(listing.states[0] == JITD_UNIT_READY && listing.has_code[0] && listing.use_counts[0] == 0);
    cr_expect_eq(listing.use_counts[1], 1, "each unit once");
    cr_expect_eq(listing.first_use[1], listing.units[0]);
    cr_expect_eq(listing.waits_for[1], 0, "nobody offers what it waits for");
    cr_assert_eq(listing.missing_counts[1], 1);
    cr_expect_str_eq(listing.missing[1], "gone");
    cr_expect_eq(listing.first_use[2], listing.units[1]);
    cr_expect_eq(listing.waits_for[2], listing.units[1]);
    cr_expect_eq(listing.missing_counts[2], 0);
    listing = inspect(harness, JITD_INSPECT_UNITS, 0, 0);
    cr_expect_eq(listing.use_counts[1] + listing.missing_counts[1] + listing.waits_for[2], 0, "only where asked for");
    harness_close(harness);
}

Test(inspection, lists_units_page_by_page)
{
    static const char *const names[] = {"0.o", "1.o", "2.o", "3.o", "4.o"};
    struct harness *harness = harness_open(NULL);
    for (int i = 0; i < 5; i++) {
        char source[64];
        snprintf(source, sizeof source, "long f%d(long x) { return x; }", i);
        harness_link_c(harness, names[i], source);
    }
    uint64_t first = 0;
    for (int i = 0; i < 5; i += 2) {
        struct listing listing = inspect(harness, JITD_INSPECT_UNITS, first, 2);
        cr_assert_eq(listing.unit_count, i == 4 ? 1 : 2);
        for (size_t u = 0; u < listing.unit_count; u++)
            cr_expect_str_eq(listing.names[u], names[(size_t)i + u]);
        cr_expect_eq(listing.next_unit == 0, i == 4);
        first = listing.next_unit;
    }
    cr_expect_eq(inspect(harness, JITD_INSPECT_UNITS, 1000, 0).unit_count, 0);
    harness_close(harness);
}

Test(inspection, lists_libraries_and_where_units_belong)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_search search[] = {{.library = 5}, {.library = 0}};
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 5, .name = "five"}), 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 9, .search = search, .search_count = 2}), 0);
    harness_submit_to(harness, 9, "f.o", "long f(long x) { return x; }", NULL);
    struct listing listing = inspect(harness, JITD_INSPECT_UNITS | JITD_INSPECT_LIBRARIES, 0, 0);
    cr_assert_eq(listing.library_count, 3);
    cr_expect_str_eq(listing.library_names[0], "main");
    cr_expect(listing.library_numbers[1] == 5 && listing.search_counts[1] == 0);
    cr_expect_str_eq(listing.library_names[1], "five");
    cr_expect(listing.library_numbers[2] == 9 && listing.search_counts[2] == 2 && listing.first_searched[2] == 5);
    cr_assert_eq(listing.unit_count, 1);
    cr_expect_eq(listing.libraries[0], 9);
    harness_close(harness);
}
