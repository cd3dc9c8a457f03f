/*
 * More threads than the channel has waiters, and initialisers that call what is not there while they are run by a
 * thread that waits: nobody may wait for a waiter that only he himself could give back.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "proto/channel.h"
#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

#define MANY         ((int)CHANNEL_WAITERS + 16)
#define TWICE_SOURCE "long twice(long n) { return 2 * n; }"

/* So does each of these the next one, before it is ready itself. */
#define CHAIN_SOURCE                                                                                                   \
    "long f_001(long n);\nstatic long early;\n__attribute__((constructor)) static void begin(void) { early = "         \
    "f_001(1); }\nlong f_000(long n) { return n + early; }"

/* Units of this, in which the number is changed, each need `twice` before they are ready. */
#define EARLY_SOURCE                                                                                                   \
    "long twice(long n);\nstatic long early;\n__attribute__((constructor)) static void begin(void) { early = "         \
    "twice(21); }\nlong early_000(long n) { return early; }"

/* The initialiser of `twice` calls `scale`. */
static const char needy_source[] = "long scale(void);\nstatic long by;\n"
                                   "__attribute__((constructor)) static void begin(void) { by = scale(); }\n"
                                   "long twice(long n) { return n * by; }";

static const char threads_pattern[] =
    "#include <pthread.h>\n#define THREADS %d\nlong twice(long n);\n"
    "static pthread_barrier_t together;\n"
    "static void *thread(void *n) { pthread_barrier_wait(&together); return (void *)twice((long)n); }\n"
    "long threads(long n) { pthread_t t[THREADS]; long sum = 0; void *result;\n"
    "    pthread_barrier_init(&together, 0, THREADS);\n"
    "    for (int i = 0; i < THREADS; i++) if (pthread_create(&t[i], 0, thread, (void *)(n + i))) return -1;\n"
    "    for (int i = 0; i < THREADS; i++) { pthread_join(t[i], &result); sum += (long)result; }\n"
    "    return sum; }";

static const struct jitd_manifest threads_manifest = {DEFINITIONS({.local = "threads"}),
                                                      USES({.local = "twice", .flags = JITD_USE_LAZY})};
static const struct jitd_manifest needy_manifest = {DEFINITIONS({.local = "twice"}),
                                                    USES({.local = "scale", .flags = JITD_USE_LAZY})};

/* All of them in one batch, without waiting. */
static void submit_early_units(struct harness *harness)
{
    static struct early {
        char name[16];
        struct jitd_manifest_definition definition;
        struct jitd_manifest manifest;
    } units[MANY];
    static const struct jitd_manifest_use use = {.local = "twice", .flags = JITD_USE_LAZY};
    struct object_bytes object = compile_c(EARLY_SOURCE, HARNESS_FLAGS);
    for (int i = 0; i < MANY; i++) {
        struct early *unit = &units[i];
        unsigned char *at = memmem(object.bytes, object.length, "early_", 6);
        snprintf(unit->name, sizeof unit->name, "early_%03d", i);
        memcpy(at, unit->name, 9);
        unit->definition.local = unit->name;
        unit->manifest = (struct jitd_manifest){
            .definitions = &unit->definition, .definition_count = 1, .uses = &use, .use_count = 1};
        harness_add_object(harness, &(struct jitd_unit_input){.name = unit->name, .manifest = &unit->manifest},
                           &object);
    }
    object_free(&object);
    harness_accept(harness, 0);
}

static void expect_early_values(struct harness *harness, int64_t value)
{
    harness_settle(harness);
    cr_expect_eq(harness->runner_ends, 0, "%s", harness->last_end.lazy_error.text);
    cr_expect_eq(harness_value(harness, "early_000", 0), value);
    cr_expect_eq(harness_value(harness, "early_079", 0), value);
}

Test(lazy_waiters, suffice_for_any_number_of_initialisers_that_wait_for_one_function, .timeout = 30)
{
    struct harness *harness = harness_open(NULL);
    submit_early_units(harness);
    harness_expect_question(harness, 1, "twice");
    harness_dispatch_for(harness, 100); /* so that as many as may begin have begun */
    harness_submit_named(harness, "twice.c", TWICE_SOURCE, NULL);
    expect_early_values(harness, 42);
    harness_close(harness);
}

/* What brings the function is run before units that came earlier, and nobody needs. */
Test(lazy_waiters, suffice_when_that_function_has_an_initialiser_that_waits_too, .timeout = 30)
{
    struct harness *harness = harness_open(NULL);
    submit_early_units(harness);
    harness_expect_question(harness, 1, "twice");
    harness_dispatch_for(harness, 100);
    harness_submit_named(harness, "twice.c", needy_source, &needy_manifest);
    harness_expect_question(harness, 2, "scale");
    harness_submit_named(harness, "scale.c", "long scale(void) { return 3; }", NULL);
    expect_early_values(harness, 63);
    harness_close(harness);
}

/* `second` needs `first`, which is half way through its initialiser, and must not be run on top of that. */
Test(lazy_waiters, let_an_initialiser_wait_for_one_that_waits_itself, .timeout = 30)
{
    static const char first_source[] = "long late(long n);\nstatic long by;\n"
                                       "__attribute__((constructor)) static void begin(void) { by = late(4); }\n"
                                       "long first(long n) { return n + by; }";
    static const char second_source[] = "long first(long n);\nstatic long by;\n"
                                        "__attribute__((constructor)) static void begin(void) { by = first(1); }\n"
                                        "long second(long n) { return n + by; }";
    const struct jitd_manifest first_manifest = {DEFINITIONS({.local = "first"}),
                                                 USES({.local = "late", .flags = JITD_USE_LAZY})};
    const struct jitd_manifest second_manifest = {DEFINITIONS({.local = "second"}),
                                                  USES({.local = "first", .flags = JITD_USE_LAZY})};
    struct harness *harness = harness_open(NULL);
    harness_submit_named(harness, "first.c", first_source, &first_manifest);
    harness_expect_question(harness, 1, "late");
    harness_submit_named(harness, "second.c", second_source, &second_manifest);
    harness_dispatch_for(harness, 50);
    harness_submit_named(harness, "late.c", "long late(long n) { return 5 * n; }", NULL);
    harness_settle(harness);
    cr_expect_eq(harness->runner_ends, 0, "%s", harness->last_end.lazy_error.text);
    cr_expect_eq(harness_value(harness, "second", 100), 121);
    harness_close(harness);
}

Test(lazy_waiters, leave_room_for_initialisers_when_threads_have_taken_them, .timeout = 30)
{
    char source[1024];
    struct harness *harness = harness_open(NULL);
    struct harness_call call;
    snprintf(source, sizeof source, threads_pattern, MANY);
    harness_add_named(harness, "threads.c", source, &threads_manifest);
    harness_link_batch(harness, 0);
    jitd_request request = harness_call_begin(harness, "threads", 0, &call);
    harness_expect_question(harness, 1, "twice");
    harness_dispatch_for(harness, 100); /* so that all of them wait */
    harness_submit_named(harness, "twice.c", needy_source, &needy_manifest);
    harness_expect_question(harness, 2, "scale");
    harness_submit_named(harness, "scale.c", "long scale(void) { return 2; }", NULL);
    harness_wait(harness, request);
    cr_assert(call.returned, "signal %d: %s", call.end.signal, call.end.lazy_error.text);
    cr_expect_eq(call.value, (int64_t)MANY * (MANY - 1));
    harness_close(harness);
}

/* Numbers have three digits. */
static void rename_symbol(struct object_bytes *object, const char *from, const char *to)
{
    size_t length = strlen(from);
    for (uint8_t *at = object->bytes, *end = at + object->length;
         (at = memmem(at, (size_t)(end - at), from, length)) != NULL; at += length)
        memcpy(at, to, length);
}

/* Supplies that function of the chain. */
static void supply_link(struct harness *harness, const struct object_bytes *pattern, int number)
{
    char name[16], next[16];
    struct object_bytes object = object_copy(pattern);
    snprintf(name, sizeof name, "f_%03d", number);
    snprintf(next, sizeof next, "f_%03d", number + 1);
    rename_symbol(&object, "f_001", next);
    rename_symbol(&object, "f_000", name);
    const struct jitd_manifest manifest = {DEFINITIONS({.local = name}), USES({.local = next, .flags = JITD_USE_LAZY})};
    harness_add_object(harness, &(struct jitd_unit_input){.name = name, .manifest = &manifest}, &object);
    harness_accept(harness, 0);
    object_free(&object);
}

Test(lazy_waiters, end_the_process_with_the_reason_where_initialisers_wait_in_too_long_a_chain, .timeout = 30)
{
    struct harness *harness = harness_open(&(struct jitd_options){.lazy_deadline_ms = 1000});
    struct object_bytes pattern = compile_c(CHAIN_SOURCE, HARNESS_FLAGS);
    supply_link(harness, &pattern, 0);
    int depth = CHANNEL_WAITERS - CHANNEL_NESTED;
    for (int number = 1; number <= depth; number++) {
        harness_dispatch_until(harness, &harness->asked, number);
        supply_link(harness, &pattern, number);
    }
    harness_dispatch_until(harness, &harness->runner_ends, 1);
    const struct harness_end *end = &harness->last_end;
    cr_expect_eq(end->signal, SIGABRT);
    cr_expect_eq(end->lazy_error.code, JITD_ERROR_TIMEOUT);
    cr_expect(strstr(end->lazy_error.text, "as many threads as can waited"), "%s", end->lazy_error.text);
    cr_expect_str_eq(end->lazy_symbol, "f_033");
    cr_expect_eq(harness->asked, depth);
    object_free(&pattern);
    harness_close(harness);
}
