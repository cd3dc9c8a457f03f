/*
 * Units that come and go by the million, for `make soak`: bench/soak compiles the patterns and draws the curves.
 *
 *     soak DAEMON UNITS SERIES BASE PATTERN...
 *
 * Two thousand units are there at any time. Each step submits one, calls it when it is ready, and removes a random one
 * of those that are there in its place, so that units of all sizes die at all ages; every sixteenth is a jitd_run
 * instead. Several steps are under way at once. What a unit returns says whether its data was pristine; some unwind
 * through themselves and return how long that took. Some have manifests, with what comes and goes besides code.
 *
 * SERIES gets a line every now and then and is where an interrupted run goes on, in a new session.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/client.h"
#include "bench/measure.h"
#include "bench/process.h"

#define SHELF       2000 /* units that are there */
#define STEPS       8    /* under way at once */
#define BASES       8    /* units that the others use; they stay */
#define RUN_EVERY   16   /* steps; one of them is a jitd_run */
#define ROWS        200  /* of the series, in all */
#define MOST_BYTES  65536
#define UNIT_NAME   "unit_00000000"
#define BASE_NAME   "base_00000000"
#define ADAPTED     1 /* the calling convention of what is reached through an adapter */
#define ARGUMENT    40
#define EXPECTED    42 /* of every unit but those that measure */
#define PROGRESS_NS 500000000u

struct pattern {
    uint8_t bytes[MOST_BYTES];
    size_t length;
    const struct jitd_manifest *manifest; /* or NULL */
    bool unwinds;                         /* returns nanoseconds */
};

struct step {
    struct soak *soak;
    uint64_t unit; /* 0: a jitd_run, or not submitted yet */
    uint64_t start;
    char name[sizeof UNIT_NAME];
    const struct pattern *pattern;
    bool busy;
};

struct soak {
    struct jitd_session *session;
    struct pattern *patterns; /* owned */
    size_t pattern_count;
    uint64_t shelf[SHELF]; /* ids; 0: empty */
    struct step steps[STEPS];
    uint64_t begun, done, target; /* steps since ever */
    uint64_t random;
    struct samples cycles, unwinding; /* since the last row */
    uint64_t used[8];                 /* of each zone, from the last inspection */
    size_t zone_count;
};

static void soak_check(const struct soak *soak, int code)
{
    if (code != 0)
        measure_die("%s: %s", jitd_error_name(code), jitd_last_error(soak->session)->text);
}

static void soak_check_errors(const struct jitd_errors *errors)
{
    if (errors)
        measure_die("%s", errors->list[0].text);
}

static uint64_t soak_random(struct soak *soak)
{
    soak->random ^= soak->random << 13;
    soak->random ^= soak->random >> 7;
    soak->random ^= soak->random << 17;
    return soak->random;
}

/* ---- manifests ---- */

/* Those of the unit that is made (pattern_make). In its object they are `unit`, `inner`, `outer` and `base`; what it
   calls as `outer` is its own `inner`, but by a way that comes and goes with it. */
static char unit_name[] = UNIT_NAME, inner_name[] = "inner_" UNIT_NAME, outer_name[] = "outer_" UNIT_NAME;
static char base_name[] = BASE_NAME, act_name[] = "act_" BASE_NAME;

#define DEFINITIONS(...)                                                                                               \
    .definitions = (const struct jitd_manifest_definition[]){{.local = "unit", .global = unit_name},                   \
                                                             {.local = "inner", .global = inner_name, __VA_ARGS__}},   \
    .definition_count = 2
#define USES(...)                                                                                                      \
    .uses = (const struct jitd_manifest_use[]){{.local = "base", .global = base_name},                                 \
                                               {.local = "outer", .global = __VA_ARGS__}},                             \
    .use_count = 2

static const struct {
    const char *pattern;
    struct jitd_manifest manifest;
} manifests[] = {
    {"adapted", {DEFINITIONS(.convention = ADAPTED), USES(inner_name)}},
    {"redirectable", {DEFINITIONS(.flags = JITD_DEFINITION_REDIRECTABLE), USES(inner_name)}},
    {"lazy-use", {DEFINITIONS(), USES(inner_name, .flags = JITD_USE_LAZY)}},
    {"lazy",
     {DEFINITIONS(), USES(outer_name),
      .lazies = &(const struct jitd_lazy_definition){.name = outer_name, .target = inner_name}, .lazy_count = 1}},
    {"actions",
     {DEFINITIONS(), USES(inner_name),
      .actions = &(const struct jitd_manifest_action){.publish = act_name,
                                                      .publish_argument = "+",
                                                      .publish_bytes = 1,
                                                      .remove = act_name,
                                                      .remove_argument = "-",
                                                      .remove_bytes = 1},
      .action_count = 1}},
};

static const struct jitd_manifest *manifest_find(const char *path)
{
    const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (size_t i = 0; i < sizeof manifests / sizeof *manifests; i++)
        if (strncmp(file, manifests[i].pattern, strcspn(file, ".")) == 0)
            return &manifests[i].manifest;
    return NULL;
}

/* ---- objects ---- */

static void pattern_read(struct pattern *out, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        measure_die("cannot open %s", path);
    out->length = fread(out->bytes, 1, MOST_BYTES, file);
    out->manifest = manifest_find(path);
    out->unwinds = strstr(path, "unwind") != NULL;
    fclose(file);
    if (out->length == 0 || out->length == MOST_BYTES)
        measure_die("%s is empty, or too large", path);
}

/* Every name that begins as `old` does and ends in zeros becomes `new`, which is as long. */
static void pattern_rename(uint8_t *bytes, size_t length, const char *old, const char *new)
{
    const uint8_t *end = bytes + length;
    for (uint8_t *at = bytes; (at = memmem(at, (size_t)(end - at), old, strlen(old))) != NULL; at += strlen(new))
        memcpy(at, new, strlen(new));
}

/* Valid until the next one is made. */
static struct jitd_unit_input pattern_make(const struct pattern *pattern, const char *unit, unsigned base)
{
    static uint8_t bytes[MOST_BYTES];
    snprintf(unit_name, sizeof unit_name, "%s", unit);
    snprintf(inner_name, sizeof inner_name, "inner_%s", unit);
    snprintf(outer_name, sizeof outer_name, "outer_%s", unit);
    snprintf(base_name, sizeof base_name, "base_%08u", base % BASES);
    snprintf(act_name, sizeof act_name, "act_%s", base_name);
    memcpy(bytes, pattern->bytes, pattern->length);
    pattern_rename(bytes, pattern->length, UNIT_NAME, unit);
    pattern_rename(bytes, pattern->length, BASE_NAME, base_name);
    return (struct jitd_unit_input){
        .name = unit, .object = bytes, .bytes = pattern->length, .manifest = pattern->manifest};
}

/* ---- one step ---- */

static void step_begin(struct step *step);

static void step_end(struct step *step)
{
    struct soak *soak = step->soak;
    samples_add(&soak->cycles, measure_now() - step->start, 1);
    soak->done++;
    step->busy = false;
    if (soak->begun < soak->target)
        step_begin(step);
}

static void step_removed(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    (void)session;
    soak_check_errors(errors);
    if (count != 1)
        measure_die("%zu units were removed instead of one", count);
    step_end(data);
}

/* The unit takes the place of another one, which goes. */
static void step_put_away(struct step *step)
{
    struct soak *soak = step->soak;
    uint64_t *place = &soak->shelf[soak_random(soak) % SHELF], old = *place;
    *place = step->unit;
    step->unit = 0;
    if (!old) {
        step_end(step);
        return;
    }
    const struct jitd_removal removal = {.units = &old, .unit_count = 1};
    soak_check(soak, jitd_remove(soak->session, &removal, step_removed, step, NULL));
}

static void step_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                        const struct jitd_errors *errors, void *data)
{
    struct step *step = data;
    (void)session;
    soak_check_errors(errors);
    if (end)
        measure_die("%s crashed", step->name);
    if (step->pattern->unwinds ? result->integer < 0 : result->integer != EXPECTED)
        measure_die("%s gave %" PRId64, step->name, result->integer);
    if (step->pattern->unwinds)
        samples_add(&step->soak->unwinding, (uint64_t)result->integer, 1);
    if (step->unit)
        step_put_away(step);
    else
        step_end(step);
}

static const struct jitd_value step_argument = {.type = JITD_INT64, .integer = ARGUMENT};

static void soak_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct soak *soak = data;
    if (event->state == JITD_UNIT_FAILED)
        measure_die("%s", event->errors.list[0].text);
    for (size_t i = 0; i < STEPS && event->state == JITD_UNIT_READY; i++)
        if (soak->steps[i].busy && soak->steps[i].unit == event->unit)
            soak_check(soak, jitd_call(session, soak->steps[i].name, JITD_INT64, &step_argument, 1, step_called,
                                       &soak->steps[i], NULL));
}

static void step_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                           const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)count;
    soak_check_errors(errors);
    ((struct step *)data)->unit = units[0];
}

static void step_submit(struct step *step, const struct jitd_unit_input *unit)
{
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    if (!batch || jitd_batch_add_unit(batch, unit) != 0)
        measure_die("out of memory for a batch");
    soak_check(step->soak, jitd_submit(step->soak->session, batch, step_submitted, step, NULL));
}

static void step_begin(struct step *step)
{
    struct soak *soak = step->soak;
    uint64_t number = soak->begun++;
    step->busy = true;
    step->unit = 0;
    step->pattern = &soak->patterns[soak_random(soak) % soak->pattern_count];
    snprintf(step->name, sizeof step->name, "unit_%08u", (unsigned)(number % 100000000));
    struct jitd_unit_input unit = pattern_make(step->pattern, step->name, (unsigned)number);
    step->start = measure_now();
    if (number % RUN_EVERY == 0)
        soak_check(soak,
                   jitd_run(soak->session, &unit, step->name, JITD_INT64, &step_argument, 1, step_called, step, NULL));
    else
        step_submit(step, &unit);
}

/* ---- the whole ---- */

static void soak_print_progress(const struct soak *soak, uint64_t units, uint64_t start, uint64_t first, bool end)
{
    static uint64_t printed;
    uint64_t now = measure_now();
    if (!end && (now - printed < PROGRESS_NS || !isatty(STDERR_FILENO)))
        return;
    printed = now;
    double seconds = (double)(now - start) / 1e9, rate = (double)(soak->done - first) / seconds;
    fprintf(stderr, "%ssoak: %" PRIu64 " of %" PRIu64 " units (%.0f %%), %.0f a second, %.0f s to go%s",
            isatty(STDERR_FILENO) ? "\r\033[K" : "", soak->done, units, 100.0 * (double)soak->done / (double)units,
            rate, (double)(units - soak->done) / rate, end ? "\n" : "");
}

static void soak_run_to_target(struct soak *soak, uint64_t units, uint64_t start, uint64_t first)
{
    for (size_t i = 0; i < STEPS && soak->begun < soak->target; i++)
        step_begin(&soak->steps[i]);
    while (soak->done < soak->target) {
        soak_check(soak, jitd_dispatch(soak->session));
        struct pollfd polled = {.fd = jitd_fd(soak->session), .events = jitd_events(soak->session)};
        if (soak->done < soak->target && poll(&polled, 1, 60000) <= 0)
            measure_die("the daemon does not answer");
        soak_print_progress(soak, units, start, first, false);
    }
}

static void soak_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                           const struct jitd_errors *errors, void *data)
{
    struct soak *soak = data;
    (void)session;
    soak_check_errors(errors);
    soak->zone_count = inspection->zone_count < 8 ? inspection->zone_count : 8;
    for (size_t i = 0; i < soak->zone_count; i++)
        soak->used[i] = inspection->zones[i].used;
}

static void soak_write_row(struct soak *soak, FILE *series, uint64_t start)
{
    struct session_processes processes;
    jitd_request request;
    soak_check(soak, jitd_inspect(soak->session, 0, soak_inspected, soak, &request));
    soak_check(soak, jitd_wait(soak->session, request, 60000));
    process_find_session(&processes);
    fprintf(series, "%" PRIu64 " %d %.1f", soak->done, (int)getpid(), (double)(measure_now() - start) / 1e9);
    for (size_t i = 0; i < soak->zone_count; i++)
        fprintf(series, " %" PRIu64, soak->used[i]);
    fprintf(series, " %zu %zu", process_measure(processes.linker).anonymous,
            process_measure(processes.runner).anonymous);
    fprintf(series, " %.1f", samples_quantile(&soak->cycles, 0.5));
    fprintf(series, " %.1f", samples_quantile(&soak->cycles, 0.99));
    fprintf(series, " %.3f\n", samples_quantile(&soak->unwinding, 0.5));
    fflush(series);
    samples_clear(&soak->cycles);
    samples_clear(&soak->unwinding);
}

static void soak_adapted(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    (void)session;
    (void)data;
    soak_check_errors(errors);
}

static void soak_link_bases(struct soak *soak, const char *path)
{
    struct pattern base;
    pattern_read(&base, path);
    for (unsigned i = 0; i < BASES; i++) {
        struct jitd_unit_input unit = pattern_make(&base, "unit_base", i);
        struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
        if (!batch || jitd_batch_add_unit(batch, &unit) != 0)
            measure_die("out of memory for a batch");
        soak_check(soak, jitd_submit(soak->session, batch, NULL, NULL, NULL));
    }
    soak_check(soak, jitd_wait_units(soak->session, 60000));
    soak_check(
        soak, jitd_adapt(soak->session, JITD_LIBRARY_MAIN, "adapter_" BASE_NAME, 0, ADAPTED, soak_adapted, soak, NULL));
}

static uint64_t soak_resume(FILE *series)
{
    char line[512];
    unsigned long long done = 0;
    while (fgets(line, sizeof line, series))
        if (line[0] != '#')
            done = strtoull(line, NULL, 10);
    return done;
}

int main(int argc, char **argv)
{
    static const struct jitd_listener listener = {.unit = soak_unit};
    struct soak soak = {.random = 0x9e3779b97f4a7c15u};
    if (argc < 6)
        measure_die("usage: soak DAEMON UNITS SERIES BASE PATTERN...");
    uint64_t units = strtoull(argv[2], NULL, 10);
    FILE *series = fopen(argv[3], "a+e");
    if (!series || units == 0)
        measure_die("no series in %s, or no units", argv[3]);
    soak.pattern_count = (size_t)argc - 5;
    soak.patterns = measure_allocate(soak.pattern_count * sizeof *soak.patterns);
    for (size_t i = 0; i < soak.pattern_count; i++)
        pattern_read(&soak.patterns[i], argv[5 + i]);
    for (size_t i = 0; i < STEPS; i++)
        soak.steps[i].soak = &soak;
    uint64_t first = soak.begun = soak.done = soak_resume(series);
    const struct jitd_options options = {.daemon = argv[1]};
    int code = jitd_spawn(&options, &listener, &soak, &soak.session);
    if (code != 0)
        measure_die("no session: %s", jitd_error_text(code));
    soak_link_bases(&soak, argv[4]);
    uint64_t start = measure_now(), row = units / ROWS ? units / ROWS : 1;
    while (soak.done < units) {
        soak.target = soak.done + row < units ? soak.done + row : units;
        soak_run_to_target(&soak, units, start, first);
        soak_write_row(&soak, series, start);
    }
    if (soak.done > first)
        soak_print_progress(&soak, units, start, first, true);
    jitd_close(soak.session);
    fclose(series);
    free(soak.patterns);
    return 0;
}
