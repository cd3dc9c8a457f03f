/*
 * Units by the thousand, in any order and in frames of any size, from a controller that does not wait for answers.
 *
 * What is heard of each unit is kept with the moment at which it was heard, counted in events: an order that is wrong
 * shows as two numbers. Positions are those of submission. The random graphs differ from run to run; a failure names
 * the seed, which TEST_SEED sets.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/jitd.h"
#include "tests/integration/harness.h"
#include "tests/integration/peer.h"
#include "tests/lib/many_units.h"

#define PATIENCE   50000 /* ms for all of a crowd; the suite's own limit is just above */
#define STUCK_MS   2000  /* a daemon that has taken nothing for so long is waiting for us to read */
#define NEVER      0u
#define ZONE_COUNT 5

#ifdef JITD_SANITIZED
#define CHAIN_UNITS 20000u
#else
#define CHAIN_UNITS 100000u
#endif

TestSuite(asynchrony, .timeout = 60);

/* ---- a session that remembers ---- */

/* One unit's news; when it came, as a number of events from 1 on. */
struct life {
    unsigned resolved, ready, failed;
    unsigned repeated; /* news that came twice, or after the last */
};

struct crowd {
    struct jitd_session *session;
    struct life *lives;      /* owned; by position */
    unsigned *position_of;   /* owned; by id, plus 1 */
    size_t room;             /* of both */
    size_t sent;             /* units */
    size_t accepted;         /* units */
    size_t ready, failed;    /* units */
    unsigned clock;          /* events */
    bool read_while_sending; /* the daemon had to be read before it took all */
};

/* One submission, until it is answered. */
struct submission {
    struct crowd *crowd;
    size_t position, count;
    int code;
    size_t errors, references;
    char text[256], symbol[64];
    bool kept; /* looked at later by whoever submitted it */
};

static void once(struct crowd *crowd, struct life *life, unsigned *when)
{
    if (*when != NEVER || life->ready != NEVER || life->failed != NEVER)
        life->repeated++;
    *when = crowd->clock;
}

static void on_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct crowd *crowd = data;
    cr_assert(event->unit <= crowd->room && crowd->position_of[event->unit] != 0,
              "news of unit %llu, which no reply has told of", (unsigned long long)event->unit);
    struct life *life = &crowd->lives[crowd->position_of[event->unit] - 1];
    crowd->clock++;
    if (event->state == JITD_UNIT_RESOLVED) {
        once(crowd, life, &life->resolved);
    } else if (event->state == JITD_UNIT_READY) {
        once(crowd, life, &life->ready);
        crowd->ready++;
    } else {
        once(crowd, life, &life->failed);
        crowd->failed++;
    }
}

static struct crowd *crowd_open(size_t room)
{
    static const struct jitd_listener listener = {.unit = on_unit};
    const struct jitd_options options = {.daemon = harness_daemon_path()};
    struct crowd *crowd = calloc(1, sizeof *crowd);
    cr_assert(crowd);
    crowd->room = room;
    crowd->lives = calloc(room + 1, sizeof *crowd->lives);
    crowd->position_of = calloc(room + 1, sizeof *crowd->position_of);
    cr_assert(crowd->lives && crowd->position_of);
    int code = jitd_spawn(&options, &listener, crowd, &crowd->session);
    cr_assert(code == 0 && jitd_wait(crowd->session, 0, HARNESS_PATIENCE) == 0, "no session: %s",
              jitd_last_error(crowd->session)->text);
    return crowd;
}

static void crowd_close(struct crowd *crowd)
{
    pid_t pids[HARNESS_PROCESSES];
    size_t count = harness_processes(getpid(), pids);
    jitd_close(crowd->session);
    harness_expect_gone(pids + 1, count - 1);
    free(crowd->lives);
    free(crowd->position_of);
    free(crowd);
}

#define MUST(crowd, expression)                                                                                        \
    do {                                                                                                               \
        int code_ = (expression);                                                                                      \
        cr_assert(code_ == 0, #expression ": %s", jitd_last_error((crowd)->session)->text);                            \
    } while (0)

static void await(struct crowd *crowd, jitd_request request)
{
    MUST(crowd, jitd_wait(crowd->session, request, PATIENCE));
}

/* Whatever the daemon had to say up to now has been heard: a lookup is answered after it. */
static void hear(struct crowd *crowd)
{
    static const char *const name = "getpid";
    jitd_request request;
    MUST(crowd, jitd_lookup(crowd->session, &name, 1, NULL, NULL, &request));
    await(crowd, request);
}

/* ---- submitting ---- */

static void on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct submission *submission = data;
    struct crowd *crowd = submission->crowd;
    for (size_t i = 0; i < count; i++) {
        cr_assert(units[i] >= 1 && units[i] <= crowd->room && crowd->position_of[units[i]] == 0);
        crowd->position_of[units[i]] = (unsigned)(submission->position + i + 1);
    }
    crowd->accepted += count;
    if (errors) {
        submission->code = errors->list[0].code;
        submission->errors = errors->count + errors->omitted;
        submission->references = errors->list[0].reference_count;
        snprintf(submission->text, sizeof submission->text, "%s", errors->list[0].text);
        snprintf(submission->symbol, sizeof submission->symbol, "%s", errors->list[0].symbol);
    }
    cr_assert(submission->kept || !errors, "a batch was refused: %s", submission->text);
    if (!submission->kept)
        free(submission);
}

/* Sends all that is queued without reading, for as long as the daemon takes it so. */
static void send_queued(struct crowd *crowd)
{
    MUST(crowd, jitd_flush(crowd->session));
    while (jitd_events(crowd->session) & POLLOUT) {
        struct pollfd polled = {.fd = jitd_fd(crowd->session), .events = POLLOUT};
        cr_assert(poll(&polled, 1, STUCK_MS) >= 0);
        if (polled.revents & POLLOUT) {
            MUST(crowd, jitd_flush(crowd->session));
            continue;
        }
        crowd->read_while_sending = true;
        MUST(crowd, jitd_dispatch(crowd->session));
    }
}

/* Queues a batch of objects, each called after its number; frees them. `keep` may be NULL. */
static jitd_request submit(struct crowd *crowd, unsigned flags, struct object_bytes *objects, const unsigned *numbers,
                           size_t count, struct submission *keep)
{
    struct submission *submission = keep ? keep : calloc(1, sizeof *submission);
    struct jitd_batch *batch = jitd_batch_new(flags);
    jitd_request request;
    cr_assert(submission && batch);
    *submission = (struct submission){.crowd = crowd, .position = crowd->sent, .count = count, .kept = keep != NULL};
    for (size_t i = 0; i < count; i++) {
        char name[UNIT_NAME_BYTES];
        cr_assert(jitd_batch_add(batch, unit_name(numbers[i], name), objects[i].bytes, objects[i].length) == 0);
    }
    MUST(crowd, jitd_submit(crowd->session, batch, on_submitted, submission, &request));
    for (size_t i = 0; i < count; i++)
        object_free(&objects[i]);
    crowd->sent += keep ? 0 : count;
    return request;
}

/* ---- graphs ---- */

/* Unit i uses callees[i][0 .. callee_count[i]). */
struct graph {
    size_t count;
    unsigned (*callees)[UNIT_CALLEES]; /* owned */
    size_t *callee_count;              /* owned */
    unsigned *component;               /* owned; units of one cycle have one number */
    unsigned *order;                   /* owned; of submission */
    struct unit_pattern patterns[UNIT_CALLEES + 1];
};

static struct graph graph_new(size_t count)
{
    struct graph graph = {.count = count};
    graph.callees = calloc(count, sizeof *graph.callees);
    graph.callee_count = calloc(count, sizeof *graph.callee_count);
    graph.component = calloc(count, sizeof *graph.component);
    graph.order = calloc(count, sizeof *graph.order);
    cr_assert(graph.callees && graph.callee_count && graph.component && graph.order);
    for (size_t i = 0; i < count; i++)
        graph.component[i] = graph.order[i] = (unsigned)i;
    for (size_t i = 0; i <= UNIT_CALLEES; i++)
        graph.patterns[i] = unit_pattern_function(i);
    return graph;
}

static void graph_free(struct graph *graph)
{
    free(graph->callees);
    free(graph->callee_count);
    free(graph->component);
    free(graph->order);
    for (size_t i = 0; i <= UNIT_CALLEES; i++)
        unit_pattern_free(&graph->patterns[i]);
}

/* Each callee once: an object names a symbol once. */
static void graph_add_use(struct graph *graph, size_t user, size_t used)
{
    size_t *count = &graph->callee_count[user];
    for (size_t i = 0; i < *count; i++)
        if (graph->callees[user][i] == used)
            return;
    if (*count < UNIT_CALLEES)
        graph->callees[user][(*count)++] = (unsigned)used;
}

static struct object_bytes graph_object(const struct graph *graph, unsigned unit)
{
    unsigned numbers[UNIT_CALLEES + 1] = {unit};
    memcpy(numbers + 1, graph->callees[unit], sizeof graph->callees[unit]);
    return unit_pattern_make(&graph->patterns[graph->callee_count[unit]], numbers);
}

/* Queues units order[from .. from + count) as one open batch. */
static jitd_request graph_submit(struct crowd *crowd, const struct graph *graph, size_t from, size_t count)
{
    struct object_bytes *objects = calloc(count, sizeof *objects);
    cr_assert(objects);
    for (size_t i = 0; i < count; i++)
        objects[i] = graph_object(graph, graph->order[from + i]);
    jitd_request request = submit(crowd, 0, objects, graph->order + from, count, NULL);
    free(objects);
    return request;
}

/* What each unit returns at that depth; to be freed. */
static unsigned *graph_values(const struct graph *graph, unsigned depth)
{
    unsigned *values = calloc(graph->count, sizeof *values), *below = calloc(graph->count, sizeof *below);
    cr_assert(values && below);
    for (unsigned level = 0; level <= depth; level++) {
        for (size_t i = 0; i < graph->count; i++) {
            unsigned callees[UNIT_CALLEES] = {0};
            for (size_t c = 0; c < graph->callee_count[i]; c++)
                callees[c] = below[graph->callees[i][c]];
            values[i] = unit_model(callees, level == 0 ? 0 : graph->callee_count[i]);
        }
        memcpy(below, values, graph->count * sizeof *below);
    }
    free(below);
    return values;
}

/* ---- calling ---- */

struct outcome {
    int code;
    unsigned value;
};

static void on_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                      const struct jitd_errors *errors, void *data)
{
    struct outcome *outcome = data;
    outcome->code = errors ? errors->list[0].code : end ? -1 : 0;
    outcome->value = result ? (unsigned)result->unsigned_integer : 0;
}

static struct outcome call(struct crowd *crowd, unsigned unit, int64_t depth)
{
    const struct jitd_value argument = {.type = JITD_INT64, .integer = depth};
    char name[UNIT_NAME_BYTES];
    struct outcome outcome = {.code = -2};
    jitd_request request;
    MUST(crowd,
         jitd_call(crowd->session, unit_name(unit, name), JITD_UINT32, &argument, 1, on_called, &outcome, &request));
    await(crowd, request);
    return outcome;
}

/* ---- chance ---- */

static unsigned seed_of_run(void)
{
    const char *given = getenv("TEST_SEED");
    return given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ (unsigned)getpid() << 16;
}

/* A number below `end`. */
static size_t chance(unsigned *state, size_t end)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % end;
}

static void shuffle(unsigned *numbers, size_t count, unsigned *state)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = chance(state, i);
        unsigned number = numbers[i - 1];
        numbers[i - 1] = numbers[other];
        numbers[other] = number;
    }
}

/* Units first .. first + length - 1 use each the next, and the last the first. All other uses lead to higher numbers,
   so that these and no others are one strongly connected component. */
static void make_cycle(struct graph *graph, size_t first, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        graph_add_use(graph, first + i, first + (i + 1) % length);
        graph->component[first + i] = (unsigned)first;
    }
}

#define LONG_CYCLE 1000

static struct graph random_graph(size_t count, unsigned *state)
{
    struct graph graph = graph_new(count);
    make_cycle(&graph, count / 2, LONG_CYCLE);
    for (size_t i = 0; i + 64 < count; i += 64)
        if (i + 64 <= count / 2 || i >= count / 2 + LONG_CYCLE)
            make_cycle(&graph, i, 2 + chance(state, 30));
    for (size_t i = 0; i + 1 < count; i++) {
        for (size_t uses = chance(state, UNIT_CALLEES + 1); uses > 0; uses--) {
            size_t reach = chance(state, 4) == 0 ? count - 1 - i : count - 1 - i < 20 ? count - 1 - i : 20;
            graph_add_use(&graph, i, i + 1 + chance(state, reach));
        }
    }
    shuffle(graph.order, count, state);
    return graph;
}

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
        unsigned unit = (unsigned)chance(state, graph->count);
        struct outcome outcome = call(crowd, unit, depth);
        cr_assert(outcome.code == 0 && outcome.value == values[unit],
                  "unit %u returned %u and not %u, code %d (seed %u)", unit, outcome.value, values[unit], outcome.code,
                  seed);
    }
    free(values);
}

Test(asynchrony, ten_thousand_units_in_any_order_and_frames_of_any_size_become_ready_after_what_they_use)
{
    const unsigned seed = seed_of_run();
    unsigned state = seed;
    struct graph graph = random_graph(10000, &state);
    struct crowd *crowd = crowd_open(graph.count);
    for (size_t from = 0, count; from < graph.count; from += count) {
        count = 1 + chance(&state, 500);
        if (count > graph.count - from)
            count = graph.count - from;
        graph_submit(crowd, &graph, from, count);
        send_queued(crowd);
    }
    cr_expect(crowd->accepted == 0 && !crowd->read_while_sending, "not all was taken without reading (seed %u)", seed);
    MUST(crowd, jitd_wait_units(crowd->session, PATIENCE));
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
        send_queued(crowd);
    }
    hear(crowd);
    cr_expect(crowd->accepted == graph->count - 1 && crowd->ready == 0, "%zu of %zu units are ready too early",
              crowd->ready, crowd->accepted);
    cr_expect_eq(call(crowd, 0, 1).code, JITD_ERROR_NOT_CALLABLE);
    graph_submit(crowd, graph, graph->count - 1, 1);
    MUST(crowd, jitd_wait_units(crowd->session, PATIENCE));
    expect_one_of_each(crowd, 0);
    expect_uses_first(crowd, graph, 0);
    cr_expect_eq(call(crowd, 0, 100).value, values[0]);
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
    submit(crowd, 0, objects, numbers, count, NULL);
    free(objects);
    free(numbers);
    unit_pattern_free(&pattern);
}

static void submit_leaf(struct crowd *crowd, unsigned number)
{
    struct unit_pattern pattern = unit_pattern_function(0);
    struct object_bytes object = unit_pattern_make(&pattern, &number);
    submit(crowd, 0, &object, &number, 1, NULL);
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
    hear(crowd);
    cr_expect_eq(crowd->ready, 0);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(call(crowd, i * 200, 1).code, JITD_ERROR_NOT_CALLABLE, "unit %u could be called", i * 200);
    submit_leaf(crowd, LATE);
    hear(crowd);
    cr_expect_eq(count_ready(crowd, 0, WAITING), WAITING);
    cr_expect_eq(count_ready(crowd, WAITING, WAITING), 0);
    cr_expect_eq(count_ready(crowd, 2 * WAITING, 1), 1);
    cr_expect_eq(call(crowd, WAITING - 1, 1).value, 4);
    cr_expect_eq(call(crowd, WAITING, 1).code, JITD_ERROR_NOT_CALLABLE);
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
    await(crowd, submit(crowd, JITD_BATCH_CLOSED, objects, numbers, CLOSED_MISSING, &closed));
    cr_expect_eq(closed.code, JITD_ERROR_SYMBOL_MISSING, "%s", closed.text);
    cr_expect_eq(closed.errors, CLOSED_MISSING + 1, "%zu missing symbols were counted", closed.errors);
    cr_expect_str_eq(closed.symbol, "unit_900000");
    cr_expect_eq(closed.references, 8, "%zu of those who refer to it are named", closed.references);
    cr_expect(crowd->accepted == CLOSED_WAITING && crowd->ready == 0 && crowd->failed == 0);
    submit_leaf(crowd, LATE);
    MUST(crowd, jitd_wait_units(crowd->session, PATIENCE));
    cr_expect_eq(crowd->ready, CLOSED_WAITING + 1);
    cr_expect_eq(call(crowd, CLOSED_WAITING, 1).code, JITD_ERROR_NOT_FOUND);
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
    MUST(crowd, jitd_lookup(crowd->session, list, ASKED, on_found, &found, &request));
    await(crowd, request);
    cr_expect(found.known == ASKED && found.ready == ASKED, "of %d symbols %u are known and %u are ready", ASKED,
              found.known, found.ready);
    for (unsigned i = 0; i < 20; i++) {
        unsigned number = (i * 49999u + 7) % end;
        struct outcome outcome = call(crowd, number, 0);
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
        submit(crowd, 0, &object, numbers, 1, NULL);
        send_queued(crowd);
    }
    MUST(crowd, jitd_wait_units(crowd->session, PATIENCE));
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
            send_queued(crowd);
        if (pace == EACH_AWAITED)
            await(crowd, request);
    }
    MUST(crowd, jitd_wait_units(crowd->session, PATIENCE));
    MUST(crowd, jitd_inspect(crowd->session, JITD_INSPECT_DIGESTS, on_inspected, &zones, &request));
    await(crowd, request);
    crowd_close(crowd);
    return zones;
}

Test(asynchrony, the_pace_of_submission_does_not_change_a_byte)
{
    const unsigned seed = seed_of_run();
    unsigned state = seed;
    struct graph graph = random_graph(3000, &state);
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
