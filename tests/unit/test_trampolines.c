/*
 * Trampolines of lazy definitions, without a runner.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "daemon/linker/removal.h"
#include "tests/lib/leaks.h"
#include "tests/unit/linker_fixture.h"

#define UNITS    10u
#define PER_UNIT 20000u

/* A unit that offers so many names, each of which waits for `wanted`. */
static void submit(struct linker_fixture *fixture, uint32_t unit)
{
    static struct manifest_definition definitions[PER_UNIT];
    static char names[PER_UNIT][24];
    struct batch *batch = batch_new(NULL, 64 << 20);
    struct report report = {0};

    for (uint32_t i = 0; i < PER_UNIT; i++) {
        size_t length = (size_t)snprintf(names[i], sizeof names[i], "lazy_%u_%u", unit, i);
        definitions[i] = (struct manifest_definition){
            .global = {names[i], length}, .kind = DEFINITION_LAZY, .target = {"wanted", 6}, .library = USE_LIBRARY_OWN};
    }
    const struct manifest manifest = {
        .definitions = definitions, .definition_count = PER_UNIT, .has_trampolines = true};
    const struct link_input input = {.name = "unit", .name_length = 4, .manifest = &manifest};
    cr_assert_eq(link_submit(&fixture->linker, batch, &input, 1, &report), 0, "%s",
                 report.count ? report.entries[0].error.text : "");
    link_run(&fixture->linker, batch);
    report_fini(&report);
}

static const struct lazy *wanted(const struct linker_fixture *fixture)
{
    const struct symbol *symbol = symbols_find(fixture->linker.symbols, SPACE_EXPORTED(LIBRARY_MAIN), "wanted", 6);

    return hash_table_find(&fixture->linker.lazies.by_name, symbol_name_hash(symbol));
}

static uint32_t count_waiting(const struct linker_fixture *fixture)
{
    const struct lazy *lazy = wanted(fixture);
    uint32_t count = 0;

    for (const struct trampoline *each = lazy ? lazy->trampolines : NULL; each; each = each->next)
        count++;
    return count;
}

/* Were the list of those that wait walked for each one that goes, this would take 10^10 steps. */
Test(trampolines, that_wait_for_one_name_by_the_hundred_thousand_go_one_by_one, .timeout = 15)
{
    struct linker_fixture fixture;

    linker_fixture_open(&fixture);
    for (uint32_t unit = 1; unit <= UNITS; unit++)
        submit(&fixture, unit);
    cr_assert_eq(fixture.linker.lazies.by_number.count, UNITS * PER_UNIT);
    for (uint32_t gone = 0; gone < UNITS; gone++) {
        struct unit *unit = link_unit(&fixture.linker, 1 + gone * 3 % UNITS); /* from anywhere in the list */
        cr_assert_eq(count_waiting(&fixture), (UNITS - gone) * PER_UNIT);
        removal_withdraw(&fixture.linker, &(struct removal_set){.units = &unit, .count = 1});
        removal_release(&fixture.linker, unit);
    }
    cr_expect_null(wanted(&fixture));
    cr_expect_eq(fixture.linker.lazies.by_name.count, 0);
    cr_expect_eq(fixture.linker.lazies.by_number.count, 0);
    linker_fixture_close(&fixture);
    expect_no_leaks();
}
