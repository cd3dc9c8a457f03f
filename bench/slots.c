/*
 * Functions that are called through a slot: such calls beside direct ones, and slots that are led elsewhere.
 *
 * Calls are timed inside the runner, ten million at a time: `inner` calls the function a hundred times, `middle` that
 * as often, and `outer` that a thousand times, straight on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/benchmarks.h"
#include "bench/client.h"
#include "bench/echo.h"

#define INNER_CALLS  100
#define OUTER_CALLS  1000
#define LOOPS        9
#define REDIRECTIONS 1000
#define MESSAGES     200
#define BLOCK        20

/* How a function is called, a row of the table each. */
struct kind {
    const char *name;
    const char *callee;
    unsigned use_flags;
};

static const struct kind kinds[] = {
    {"direct", "plain", 0},  {"lazy", "plain", JITD_USE_LAZY}, {"redirectable", "moved", 0},
    {"adapter", "other", 0}, {"healed", "healed", 0},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static void slots_submit(struct jitd_session *session, const char *name, const char *callee, unsigned flags)
{
    struct written_object object;
    object_write_function(&object, name, callee, NULL);
    const struct jitd_manifest_definition definition = {.local = name, .flags = flags};
    const struct jitd_manifest_use use = {.local = callee};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = callee ? 1 : 0};
    client_submit_unit(session, &object, &manifest);
    free(object.bytes);
}

static void slots_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    (void)session;
    if (errors)
        measure_die("%s failed: %s", (const char *)data, errors->list[0].text);
}

/* `other` is of another convention than it is called by, and the adapter for that does nothing. `healed` is a name of
   that convention for `plain`, which is called as it is wanted. */
static void slots_submit_adapted(struct jitd_session *session)
{
    static const struct jitd_manifest_definition other = {.local = "other", .convention = 1};
    static const struct jitd_lazy_definition healed = {.name = "healed", .target = "plain", .convention = 1};
    static const struct jitd_manifest manifest = {
        .definitions = &other, .definition_count = 1, .lazies = &healed, .lazy_count = 1};
    struct written_object adapter, object;
    object_write_adapter(&adapter, "adapter");
    object_write_function(&object, "other", NULL, NULL);
    client_submit_one(session, &adapter);
    if (jitd_adapt(session, JITD_LIBRARY_MAIN, "adapter", 0, 1, slots_done, "an adapter", NULL) != 0)
        measure_die("an adapter failed: %s", jitd_last_error(session)->text);
    client_submit_unit(session, &object, &manifest);
    free(adapter.bytes);
    free(object.bytes);
}

/* ---- calls ---- */

static void slots_submit_repeats(struct jitd_session *session, const char *name, const char *callee, size_t count,
                                 const struct jitd_manifest *manifest)
{
    struct written_object object;
    const char **names = measure_allocate((count + 1) * sizeof *names);
    names[0] = name;
    for (size_t i = 1; i <= count; i++)
        names[i] = callee;
    object_write_calls(&object, names, count);
    client_submit_unit(session, &object, manifest);
    free(names);
    free(object.bytes);
}

static void slots_submit_loops(struct jitd_session *session, const struct kind *kind)
{
    char inner[24], middle[24], outer[24];
    snprintf(inner, sizeof inner, "inner_%s", kind->name);
    snprintf(middle, sizeof middle, "middle_%s", kind->name);
    snprintf(outer, sizeof outer, "outer_%s", kind->name);
    const struct jitd_manifest_definition definition = {.local = inner};
    const struct jitd_manifest_use use = {.local = kind->callee, .flags = kind->use_flags};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = &use, .use_count = 1};
    slots_submit_repeats(session, inner, kind->callee, INNER_CALLS, &manifest);
    slots_submit_repeats(session, middle, inner, INNER_CALLS, NULL);
    slots_submit_repeats(session, outer, middle, OUTER_CALLS, NULL);
    client_wait_ready(session);
    client_time_call(session, outer, 1);
}

/* Per thousand calls. */
static void slots_time_loops(struct jitd_session *session, const struct kind *kind, struct samples *samples)
{
    char outer[24];
    snprintf(outer, sizeof outer, "outer_%s", kind->name);
    samples_add(samples, client_time_call(session, outer, 1), INNER_CALLS * INNER_CALLS * OUTER_CALLS / 1000);
}

/* All lies in one session, so that the code of the kinds differs in nothing but how the callee is reached. */
void benchmark_slots(const struct benchmark *benchmark)
{
    struct samples samples[KINDS] = {0};
    struct jitd_session *session = client_open_settled(benchmark->daemon);
    slots_submit(session, "plain", NULL, 0);
    slots_submit(session, "moved", NULL, JITD_DEFINITION_REDIRECTABLE);
    slots_submit_adapted(session);
    for (size_t i = 0; i < KINDS; i++)
        slots_submit_loops(session, &kinds[i]);
    for (int n = 0; n < LOOPS; n++)
        for (size_t i = 0; i < KINDS; i++)
            slots_time_loops(session, &kinds[i], &samples[i]);
    jitd_close(session);
    for (size_t i = 0; i < KINDS; i++) {
        char key[24];
        snprintf(key, sizeof key, "slot.%s", kinds[i].name);
        benchmark_report(benchmark, &samples[i], key);
    }
}

/* ---- redirections ---- */

static char moved[REDIRECTIONS][24];

/* `plain` returns 1, and so do `moved_0` and the others until they are redirected to `there`, which returns 2. */
static struct jitd_session *slots_open_redirectable(const char *daemon)
{
    struct jitd_session *session = client_open_settled(daemon);
    slots_submit(session, "plain", NULL, 0);
    slots_submit(session, "there", "plain", 0);
    for (size_t i = 0; i < REDIRECTIONS; i++) {
        snprintf(moved[i], sizeof moved[i], "moved_%zu", i);
        slots_submit(session, moved[i], NULL, JITD_DEFINITION_REDIRECTABLE);
    }
    client_wait_ready(session);
    return session;
}

/* `target`, or NULL for the functions' own bodies. */
static uint64_t slots_time_redirection(struct jitd_session *session, size_t first, size_t count, const char *target)
{
    const char *symbols[REDIRECTIONS], *targets[REDIRECTIONS];
    jitd_request request;
    for (size_t i = 0; i < count; i++) {
        symbols[i] = moved[first + i];
        targets[i] = target;
    }
    uint64_t start = measure_now();
    if (jitd_redirect(session, JITD_LIBRARY_MAIN, symbols, targets, count, slots_done, "a redirection", &request) !=
            0 ||
        jitd_wait(session, request, -1) != 0)
        measure_die("a redirection failed: %s", jitd_last_error(session)->text);
    return measure_now() - start;
}

/* A block of one function after another, and one in which all of them go to and fro and come back in the end. */
static void slots_redirect_one(struct jitd_session *session, struct samples *samples)
{
    for (size_t i = 0; i < BLOCK; i++)
        samples_add(samples, slots_time_redirection(session, i, 1, "there"), 1);
    client_time_call(session, moved[BLOCK - 1], 2);
}

static void slots_redirect_many(struct jitd_session *session, struct samples *samples)
{
    for (int i = 0; i < BLOCK; i++)
        samples_add(samples, slots_time_redirection(session, 0, REDIRECTIONS, i % 2 == 0 ? "there" : NULL),
                    REDIRECTIONS);
    client_time_call(session, moved[REDIRECTIONS - 1], 1);
}

void benchmark_redirections(const struct benchmark *benchmark)
{
    struct samples one = {0}, many = {0}, bare = {0};
    struct echo echo;
    measure_place_children(benchmark->placement);
    struct jitd_session *session = slots_open_redirectable(benchmark->daemon);
    echo_start(&echo, benchmark->wire.call.out, benchmark->wire.call.in, false);
    measure_place_self(benchmark->placement);
    for (int i = 0; i < MESSAGES; i += BLOCK) {
        slots_redirect_one(session, &one);
        for (int n = 0; n < BLOCK; n++)
            samples_add(&bare, echo_round(&echo), 1);
        slots_redirect_many(session, &many);
    }
    echo_stop(&echo);
    jitd_close(session);
    measure_place_children(PLACEMENT_FREE);
    benchmark_report(benchmark, &one, "redirect.one");
    benchmark_report(benchmark, &bare, "redirect.bare");
    benchmark_report(benchmark, &many, "redirect.many");
}
