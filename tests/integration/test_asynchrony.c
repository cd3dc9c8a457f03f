/*
 * Units by the thousand, in any order and in frames of any size, from a controller that does not wait for answers.
 *
 * The random graphs differ from run to run; a failure names the seed, which TEST_SEED sets.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitd.h"
#include "tests/integration/graph.h"
#include "tests/integration/harness.h"
#include "tests/integration/peer.h"
#include "tests/lib/many_units.h"

#define ZONE_COUNT 5

#ifdef JITD_SANITIZED
#define CHAIN_UNITS 20000u
#else
#define CHAIN_UNITS 100000u
#endif

TestSuite(asynchrony, .timeout = 60);

/* ---- a controller that does not read ---- */

static void expect_one_of_each(const struct crowd *crowd, unsigned seed)
{
    cr_expect(crowd->accepted == crowd->sent && crowd->ready == crowd->sent && crowd->failed == 0,
              "of %zu units %zu were accepted, %zu are ready, %zu failed (seed %u)", crowd->sent, crowd->accepted,
              crowd->ready, crowd->failed, seed);
    for (size_t i = 0; i < crowd->sent; i++) {
        const struct life *life = &crowd->lives[i];
        cr_assert(life->resolved != NEVER && life->ready > life->resolved && life->repeated == 0,
                  "the unit at position %zu was resolved at %u and ready at %u, with %u repetitions (seed %u)", i,
                  life->resolved, life->ready, life->repeated, seed);
    }
}

static void expect_uses_first(const struct crowd *crowd, const struct graph *graph, unsigned seed)
{
    unsigned *ready = calloc(graph->count, sizeof *ready);
    cr_assert(ready);
    for (size_t i = 0; i < graph->count; i++)
        ready[graph->order[i]] = crowd->lives[i].ready;
    for (size_t i = 0; i < graph->count; i++) {
        for (size_t c = 0; c < graph->callee_count[i]; c++) {
            unsigned used = graph->callees[i][c];
            cr_assert(graph->component[i] == graph->component[used] || ready[used] < ready[i],
                      "unit %zu was ready at %u, before unit %u that it uses, at %u (seed %u)", i, ready[i], used,
                      ready[used], seed);
        }
    }
    free(ready);
}

static void expect_values(struct crowd *crowd, const struct graph *graph, unsigned depth, unsigned seed,
                          unsigned *state)
{
    unsigned *values = graph_values(graph, depth);
    for (int i = 0; i < 50; i++) {
        unsigned unit = (unsigned)graph_chance(state, graph->count);
        struct outcome outcome = crowd_call(crowd, unit, depth);
        cr_assert(outcome.code == 0 && outcome.value == values[unit],
                  "unit %u returned %u and not %u, code %d (seed %u)", unit, outcome.value, values[unit], outcome.code,
                  seed);
    }
    free(values);
}

Test(asynchrony, ten_thousand_units_in_any_order_and_frames_of_any_size_become_ready_after_what_they_use)
{
    const unsigned seed = graph_seed();
    unsigned state = seed;
    struct graph graph = graph_random(10000, &state);
    struct crowd *crowd = crowd_open(graph.count);
    for (size_t from = 0, count; from < graph.count; from += count) {
        count = 1 + graph_chance(&state, 500);
        if (count > graph.count - from)
            count = graph.count - from;
        graph_submit(crowd, &graph, from, count);
        crowd_send_queued(crowd);
    }
    cr_expect(crowd->accepted == 0 && !crowd->read_while_sending, "not all was taken without reading (seed %u)", seed);
    CROWD_MUST(crowd, jitd_wait_units(crowd->session, CROWD_PATIENCE));
    expect_one_of_each(crowd, seed);
    expect_uses_first(crowd, &graph, seed);
    expect_values(crowd, &graph, 8, seed, &state);
    crowd_close(crowd);
    graph_free(&graph);
}

/* ---- chains ---- */

#define CHAIN_BATCH 1000u

static struct graph chain_graph(size_t count)
{
    struct graph graph = graph_new(count);
    for (size_t i = 0; i + 1 < count; i++)
        graph_add_use(&graph, i, i + 1);
    return graph;
}

/* Nobody is ready before the unit at the end of `order`, which all the others need. */
static void expect_chain_waits_for_the_last(const struct graph *graph)
{
    struct crowd *crowd = crowd_open(graph->count);
    unsigned *values = graph_values(graph, 100);
    for (size_t from = 0; from < graph->count - 1; from += CHAIN_BATCH) {
        size_t left = graph->count - 1 - from;
        graph_submit(crowd, graph, from, left < CHAIN_BATCH ? left : CHAIN_BATCH);
        crowd_send_queued(crowd);
    }
    crowd_hear(crowd);
    cr_expect(crowd->accepted == graph->count - 1 && crowd->ready == 0, "%zu of %zu units are ready too early",
              crowd->ready, crowd->accepted);
    cr_expect_eq(crowd_call(crowd, 0, 1).code, JITD_ERROR_NOT_CALLABLE);
    graph_submit(crowd, graph, graph->count - 1, 1);
    CROWD_MUST(crowd, jitd_wait_units(crowd->session, CROWD_PATIENCE));
    expect_one_of_each(crowd, 0);
    expect_uses_first(crowd, graph, 0);
    cr_expect_eq(crowd_call(crowd, 0, 100).value, values[0]);
    free(values);
    crowd_close(crowd);
}

Test(asynchrony, a_long_chain_submitted_head_first_is_ready_with_its_last_unit)
{
    struct graph graph = chain_graph(CHAIN_UNITS);
    expect_chain_waits_for_the_last(&graph);
    graph_free(&graph);
}

Test(asynchrony, a_long_chain_submitted_backwards_but_for_its_end_is_ready_with_that)
{
    struct graph graph = chain_graph(CHAIN_UNITS);
    for (unsigned i = 0; i + 1 < CHAIN_UNITS; i++)
        graph.order[i] = CHAIN_UNITS - 2 - i;
    expect_chain_waits_for_the_last(&graph);
    graph_free(&graph);
}

/* N-2, N-4, N-3, N-6, N-5, ...: each second unit is waited for already when it comes to wait for the end of what is by
   then a long chain, so that whether this closes a cycle has to be found out each time. */
Test(asynchrony, a_chain_in_the_least_favourable_order_is_ready_with_its_last_unit)
{
    struct graph graph = chain_graph(CHAIN_UNITS);
    size_t next = 0;
    graph.order[next++] = CHAIN_UNITS - 2;
    for (unsigned i = CHAIN_UNITS - 2; i > 0; i -= 2) {
        graph.order[next++] = i - 2;
        graph.order[next++] = i - 1;
    }
    graph.order[next] = CHAIN_UNITS - 1;
    expect_chain_waits_for_the_last(&graph);
    graph_free(&graph);
}

Test(asynchrony, a_long_cycle_is_ready_with_the_unit_that_closes_it)
{
    struct graph graph = chain_graph(CHAIN_UNITS / 5);
    graph_add_use(&graph, graph.count - 1, 0);
    for (size_t i = 0; i < graph.count; i++)
        graph.component[i] = 0;
    expect_chain_waits_for_the_last(&graph);
    graph_free(&graph);
}

/* ---- a late definition ---- */

#define WAITING      2000u
#define LATE         900000u
#define NEVER_COMING 900001u

/* Units from .. from + count - 1 that use `used` and nothing else, in one open batch. */
static void submit_waiting(struct crowd *crowd, unsigned from, unsigned count, unsigned used)
{
    struct unit_pattern pattern = unit_pattern_function(1);
    struct object_bytes *objects = calloc(count, sizeof *objects);
    unsigned *numbers = calloc(count, sizeof *numbers);
    cr_assert(objects && numbers);
    for (unsigned i = 0; i < count; i++) {
        numbers[i] = from + i;
        objects[i] = unit_pattern_make(&pattern, (const unsigned[]){from + i, used});
    }
    crowd_submit(crowd, 0, objects, numbers, count, NULL);
    free(objects);
    free(numbers);
    unit_pattern_free(&pattern);
}

static void submit_leaf(struct crowd *crowd, unsigned number)
{
    struct unit_pattern pattern = unit_pattern_function(0);
    struct object_bytes object = unit_pattern_make(&pattern, &number);
    crowd_submit(crowd, 0, &object, &number, 1, NULL);
    unit_pattern_free(&pattern);
}

static size_t count_ready(const struct crowd *crowd, size_t from, size_t count)
{
    size_t ready = 0;
    for (size_t i = from; i < from + count; i++)
        ready += crowd->lives[i].ready != NEVER;
    return ready;
}

Test(asynchrony, a_late_definition_releases_exactly_those_that_waited_for_it)
{
    struct crowd *crowd = crowd_open(2 * WAITING + 1);
    submit_waiting(crowd, 0, WAITING, LATE);
    submit_waiting(crowd, WAITING, WAITING, NEVER_COMING);
    crowd_hear(crowd);
    cr_expect_eq(crowd->ready, 0);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(crowd_call(crowd, i * 200, 1).code, JITD_ERROR_NOT_CALLABLE, "unit %u could be called", i * 200);
    submit_leaf(crowd, LATE);
    crowd_hear(crowd);
    cr_expect_eq(count_ready(crowd, 0, WAITING), WAITING);
    cr_expect_eq(count_ready(crowd, WAITING, WAITING), 0);
    cr_expect_eq(count_ready(crowd, 2 * WAITING, 1), 1);
    cr_expect_eq(crowd_call(crowd, WAITING - 1, 1).value, 4);
    cr_expect_eq(crowd_call(crowd, WAITING, 1).code, JITD_ERROR_NOT_CALLABLE);
    crowd_close(crowd);
}

/* ---- closed batches ---- */

#define CLOSED_WAITING 5000u
#define CLOSED_MISSING 300u

Test(asynchrony, a_closed_batch_that_lacks_something_is_refused_at_once_while_thousands_wait)
{
    struct crowd *crowd = crowd_open(CLOSED_WAITING + 1);
    struct unit_pattern pattern = unit_pattern_function(2);
    struct object_bytes objects[CLOSED_MISSING];
    unsigned numbers[CLOSED_MISSING];
    struct submission closed;
    submit_waiting(crowd, 0, CLOSED_WAITING, LATE);
    for (unsigned i = 0; i < CLOSED_MISSING; i++) {
        numbers[i] = CLOSED_WAITING + i;
        objects[i] = unit_pattern_make(&pattern, (const unsigned[]){numbers[i], LATE, NEVER_COMING + i});
    }
    crowd_await(crowd, crowd_submit(crowd, JITD_BATCH_CLOSED, objects, numbers, CLOSED_MISSING, &closed));
    cr_expect_eq(closed.code, JITD_ERROR_SYMBOL_MISSING, "%s", closed.text);
    cr_expect_eq(closed.errors, CLOSED_MISSING + 1, "%zu missing symbols were counted", closed.errors);
    cr_expect_str_eq(closed.symbol, "unit_900000");
    cr_expect_eq(closed.references, 8, "%zu of those who refer to it are named", closed.references);
    cr_expect(crowd->accepted == CLOSED_WAITING && crowd->ready == 0 && crowd->failed == 0);
    submit_leaf(crowd, LATE);
    CROWD_MUST(crowd, jitd_wait_units(crowd->session, CROWD_PATIENCE));
    cr_expect_eq(crowd->ready, CLOSED_WAITING + 1);
    cr_expect_eq(crowd_call(crowd, CLOSED_WAITING, 1).code, JITD_ERROR_NOT_FOUND);
    unit_pattern_free(&pattern);
    crowd_close(crowd);
}

/* ---- symbols ---- */

#define SYMBOLS_EACH 1000u
#define SYMBOL_UNITS 1000u
#define MEMORY_KIB   (1024 * 1024)

static struct unit_pattern pattern_of_many_symbols(void)
{
    char *source = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&source, &bytes);
    cr_assert(stream);
    for (unsigned i = 0; i < SYMBOLS_EACH; i++)
        fprintf(stream, "int unit_%06u(void) { return %u; }\n", i, i);
    fclose(stream);
    struct unit_pattern pattern = unit_pattern_compile(source);
    free(source);
    return pattern;
}

struct found {
    unsigned known, ready;
};

static void on_found(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                     const struct jitd_errors *errors, void *data)
{
    struct found *found = data;
    cr_assert(!errors);
    for (size_t i = 0; i < count; i++) {
        found->known += addresses[i].address != 0;
        found->ready += addresses[i].ready;
    }
}

static void expect_symbols(struct crowd *crowd, unsigned end)
{
    enum { ASKED = 1000 };
    static char names[ASKED][UNIT_NAME_BYTES];
    const char *list[ASKED];
    struct found found = {0};
    jitd_request request;
    for (unsigned i = 0; i < ASKED; i++)
        list[i] = unit_name((i * 7919u * 131u) % end, names[i]);
    CROWD_MUST(crowd, jitd_lookup(crowd->session, list, ASKED, on_found, &found, &request));
    crowd_await(crowd, request);
    cr_expect(found.known == ASKED && found.ready == ASKED, "of %d symbols %u are known and %u are ready", ASKED,
              found.known, found.ready);
    for (unsigned i = 0; i < 20; i++) {
        unsigned number = (i * 49999u + 7) % end;
        struct outcome outcome = crowd_call(crowd, number, 0);
        cr_expect(outcome.code == 0 && outcome.value == number % SYMBOLS_EACH, "unit_%06u returned %u, code %d", number,
                  outcome.value, outcome.code);
    }
}

Test(asynchrony, a_million_symbols_fit_in_one_session)
{
    struct crowd *crowd = crowd_open(SYMBOL_UNITS);
    struct unit_pattern pattern = pattern_of_many_symbols();
    for (unsigned unit = 0; unit < SYMBOL_UNITS; unit++) {
        unsigned numbers[SYMBOLS_EACH];
        for (unsigned i = 0; i < SYMBOLS_EACH; i++)
            numbers[i] = unit * SYMBOLS_EACH + i;
        struct object_bytes object = unit_pattern_make(&pattern, numbers);
        crowd_submit(crowd, 0, &object, numbers, 1, NULL);
        crowd_send_queued(crowd);
    }
    CROWD_MUST(crowd, jitd_wait_units(crowd->session, CROWD_PATIENCE));
    expect_one_of_each(crowd, 0);
    expect_symbols(crowd, SYMBOL_UNITS * SYMBOLS_EACH);
    const struct harness whole = {.daemon = getpid()};
    long memory = harness_status(harness_process(&whole, HARNESS_LINKER), "VmRSS");
    cr_expect(memory > 0 && memory < MEMORY_KIB, "the linker holds %ld KiB", memory);
    unit_pattern_free(&pattern);
    crowd_close(crowd);
}

/* ---- the same in other frames ---- */

struct zones {
    uint64_t used[ZONE_COUNT], digest[ZONE_COUNT];
};

static void on_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                         const struct jitd_errors *errors, void *data)
{
    struct zones *zones = data;
    cr_assert(!errors && inspection->zone_count == ZONE_COUNT);
    for (size_t i = 0; i < ZONE_COUNT; i++) {
        zones->used[i] = inspection->zones[i].used;
        zones->digest[i] = inspection->zones[i].digest;
    }
}

enum pace { ALL_QUEUED_THEN_SENT, SENT_AS_QUEUED, EACH_AWAITED };

/* Each unit in a batch and a frame of its own. Displacements inside the arena do not depend on where that lies. */
static struct zones zones_after(const struct graph *graph, enum pace pace)
{
    struct crowd *crowd = crowd_open(graph->count);
    struct zones zones = {0};
    jitd_request request;
    for (size_t i = 0; i < graph->count; i++) {
        request = graph_submit(crowd, graph, i, 1);
        if (pace == SENT_AS_QUEUED)
            crowd_send_queued(crowd);
        if (pace == EACH_AWAITED)
            crowd_await(crowd, request);
    }
    CROWD_MUST(crowd, jitd_wait_units(crowd->session, CROWD_PATIENCE));
    CROWD_MUST(crowd, jitd_inspect(crowd->session, JITD_INSPECT_DIGESTS, on_inspected, &zones, &request));
    crowd_await(crowd, request);
    crowd_close(crowd);
    return zones;
}

Test(asynchrony, the_pace_of_submission_does_not_change_a_byte)
{
    const unsigned seed = graph_seed();
    unsigned state = seed;
    struct graph graph = graph_random(3000, &state);
    struct zones first = zones_after(&graph, ALL_QUEUED_THEN_SENT);
    for (enum pace pace = SENT_AS_QUEUED; pace <= EACH_AWAITED; pace++) {
        struct zones other = zones_after(&graph, pace);
        cr_expect(memcmp(&first, &other, sizeof first) == 0, "pace %d gives other zones (seed %u)", (int)pace, seed);
    }
    cr_expect(first.used[0] > 3000 * 16 && first.digest[0] != 0);
    graph_free(&graph);
}

/* ---- many in one frame ---- */

/* Queues a batch of one unit in a frame of its own. */
static void write_unit(struct peer *peer, const struct unit_pattern *pattern, unsigned number)
{
    struct object_bytes object = unit_pattern_make(pattern, &number);
    const struct connection_range attachment = {object.bytes, object.length};
    Jitd__Proto__Range range = JITD__PROTO__RANGE__INIT;
    Jitd__Proto__Unit unit = JITD__PROTO__UNIT__INIT, *units[] = {&unit};
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    range.bytes = object.length;
    unit.name = (ProtobufCBinaryData){.data = (uint8_t *)"u.o", .len = 3};
    unit.object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
    unit.range = &range;
    submit.units = units;
    submit.n_units = 1;
    peer_write(peer, MESSAGE_SUBMIT, 2 + number, &submit.base, &attachment, 1, NULL, 0);
    object_free(&object);
}

Test(asynchrony, news_of_many_units_travel_in_few_frames)
{
    enum { UNITS = 10000 };
    size_t frames = 0, events = 0, replies = 0;
    struct unit_pattern pattern = unit_pattern_function(0);
    struct peer peer = peer_open_welcomed();
    for (unsigned i = 0; i < UNITS; i++)
        write_unit(&peer, &pattern, i);
    peer_flush(&peer);
    while (replies < UNITS || events < 2 * UNITS) {
        const ProtobufCMessage *message = peer_next(&peer);
        if (peer.frame->header.type == MESSAGE_UNITS) {
            frames++;
            events += ((const Jitd__Proto__Units *)message)->n_events;
        } else {
            cr_assert_eq(peer.frame->header.type, MESSAGE_SUBMITTED);
            replies++;
        }
    }
    cr_expect_eq(events, 2 * UNITS); /* RESOLVED and READY */
    cr_expect(frames < events / 10, "%zu events in %zu frames", events, frames);
    unit_pattern_free(&pattern);
    peer_close(&peer);
}
