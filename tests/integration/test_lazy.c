/*
 * Functions that are called before they are there, against a real daemon: the program waits in the call, the test is
 * asked and answers, late or wrongly or not at all.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"
#include "tests/integration/peer.h"

/* A definition for others, and a lazy use. */
#define OFFER(name)                                                                                                    \
    {                                                                                                                  \
        .local = (name)                                                                                                \
    }
#define LAZY_USE(name)                                                                                                 \
    {                                                                                                                  \
        .local = (name), .flags = JITD_USE_LAZY                                                                        \
    }
#define PLAIN_USE(name)                                                                                                \
    {                                                                                                                  \
        .local = (name)                                                                                                \
    }
#define TWICE_SOURCE  "long twice(long n) { return 2 * n; }"
#define CALLER_SOURCE "long twice(long n);\nlong caller(long n) { return twice(n) + 1; }"

static const struct jitd_manifest caller_manifest = {DEFINITIONS(OFFER("caller")), USES(LAZY_USE("twice"))};

static void add_named(struct harness *harness, const char *name, const char *source,
                      const struct jitd_manifest *manifest)
{
    harness_add_unit(harness, &(struct jitd_unit_input){.name = name, .manifest = manifest}, source);
}

static void expect_ready(struct harness *harness, const char *name)
{
    harness_settle(harness);
    const struct harness_unit *unit = harness_unit(harness, name);
    cr_assert_eq(unit->state, JITD_UNIT_READY, "%s: %s", name, unit->error.text);
}

static void link_named(struct harness *harness, const char *name, const char *source,
                       const struct jitd_manifest *manifest)
{
    add_named(harness, name, source, manifest);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    expect_ready(harness, name);
}

static struct harness *open_with_caller(const struct jitd_options *options)
{
    struct harness *harness = harness_open(options);
    link_named(harness, "caller.c", CALLER_SOURCE, &caller_manifest);
    return harness;
}

/* Without waiting for anything. */
static void supply(struct harness *harness, const char *name, const char *source)
{
    harness_add_c(harness, name, source);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
}

/* The question of that number, from 1 on, has come, and is about the symbol. */
static const struct harness_question *expect_question(struct harness *harness, int number, const char *symbol)
{
    harness_dispatch_until(harness, &harness->asked, number);
    const struct harness_question *question = &harness->questions[number - 1];
    cr_assert_str_eq(question->symbol, symbol);
    return question;
}

/* A call whose question is answered with the source. */
static int64_t value_with(struct harness *harness, const char *function, int64_t argument, const char *symbol,
                          const char *source)
{
    struct harness_call call;
    int asked = harness->asked;
    jitd_request request = harness_call_begin(harness, function, argument, &call);
    expect_question(harness, asked + 1, symbol);
    supply(harness, symbol, source);
    harness_wait(harness, request);
    cr_assert(call.returned, "%s: signal %d, %s", function, call.end.signal, call.end.lazy_error.text);
    return call.value;
}

/* The life has ended, waiting for the symbol. */
static void expect_refused(const struct harness_call *call, const char *symbol, int code, const char *text)
{
    cr_assert(call->ended, "it returned %lld", (long long)call->value);
    cr_expect_eq(call->end.signal, SIGABRT, "signal %d", call->end.signal);
    cr_expect_str_eq(call->end.lazy_symbol, symbol);
    cr_expect_eq(call->end.lazy_error.code, code, "%s", call->end.lazy_error.text);
    cr_expect(strstr(call->end.lazy_error.text, text), "'%s' does not say '%s'", call->end.lazy_error.text, text);
}

/* ---- circles ---- */

Test(lazy, definitions_that_lead_to_themselves_or_each_other_end_their_callers, .timeout = 20)
{
    struct harness *harness = harness_open(NULL);
    link_named(harness, "self", NULL, &(struct jitd_manifest){LAZIES({.name = "self", .target = "self"})});
    link_named(harness, "first", NULL, &(struct jitd_manifest){LAZIES({.name = "a", .target = "b"})});
    link_named(harness, "second", NULL, &(struct jitd_manifest){LAZIES({.name = "b", .target = "a"})});
    struct harness_call call = harness_call(harness, "self", 0);
    expect_refused(&call, "self", JITD_ERROR_INVALID, "'self' leads back to itself");
    call = harness_call(harness, "a", 0);
    expect_refused(&call, "b", JITD_ERROR_INVALID, "leads back to itself");
    call = harness_call(harness, "b", 0);
    expect_refused(&call, "b", JITD_ERROR_INVALID, "leads back to itself");
    cr_expect_eq(harness->asked, 0);
    harness_close(harness);
}

/* What an initialiser calls of its own unit need not be ready: it goes straight on, and would for ever. */
Test(lazy, definitions_that_lead_in_a_circle_end_the_initialiser_of_their_own_unit, .timeout = 20)
{
    static const char source[] = "long g(long n);\n"
                                 "__attribute__((constructor)) static void begin(void) { g(1); }\n";
    const struct jitd_manifest manifests[] = {
        {USES({.local = "g", .global = "self", .flags = JITD_USE_LAZY}), LAZIES({.name = "self", .target = "self"})},
        {USES({.local = "g", .global = "a", .flags = JITD_USE_LAZY}),
         LAZIES({.name = "a", .target = "b"}, {.name = "b", .target = "a"})},
        {USES({.local = "g", .global = "into", .flags = JITD_USE_LAZY}),
         LAZIES({.name = "into", .target = "c"}, {.name = "c", .target = "d"}, {.name = "d", .target = "c"})},
    };
    struct harness *harness = harness_open(NULL);
    for (size_t i = 0; i < sizeof manifests / sizeof manifests[0]; i++) {
        add_named(harness, "circle", source, &manifests[i]);
        cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
        harness_settle(harness);
        cr_expect_eq(harness_unit(harness, "circle")->error.code, JITD_ERROR_INITIALISER_FAILED);
        cr_expect(strstr(harness->last_end.lazy_error.text, "leads back to itself"), "%s",
                  harness->last_end.lazy_error.text);
    }
    cr_expect_eq(harness->asked, 0);
    harness_close(harness);
}

/* ---- the first call and those after it ---- */

Test(lazy, a_first_call_asks_once_and_later_ones_go_straight)
{
    struct harness *harness = open_with_caller(NULL);
    cr_expect_eq(harness->asked, 0, "nothing is asked before it is called");
    cr_expect_eq(value_with(harness, "caller", 20, "twice", TWICE_SOURCE), 41);
    for (int i = 0; i < 20; i++)
        cr_expect_eq(harness_value(harness, "caller", i), 2 * i + 1);
    cr_expect_eq(harness->asked, 1);
    cr_expect_eq(harness->questions[0].library, JITD_LIBRARY_MAIN);
    harness_close(harness);
}

Test(lazy, a_use_of_what_is_ready_is_bound_without_a_question)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "twice.c", TWICE_SOURCE);
    link_named(harness, "caller.c", CALLER_SOURCE, &caller_manifest);
    cr_expect_eq(harness_value(harness, "caller", 5), 11);
    cr_expect_eq(harness->asked, 0);
    harness_close(harness);
}

Test(lazy, what_comes_unasked_is_bound_before_the_first_call)
{
    struct harness *harness = open_with_caller(NULL);
    harness_link_c(harness, "twice.c", TWICE_SOURCE);
    cr_expect_eq(harness_value(harness, "caller", 5), 11);
    cr_expect_eq(harness->asked, 0);
    harness_close(harness);
}

/* Each caller compares what came back and gives 1 where all of it is right. */
static const struct shape {
    const char *symbol, *caller, *callee;
} shapes[] = {
    {"integers",
     "long integers(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j);\n"
     "long caller(long n) { return integers(n, 2, 3, 4, 5, 6, 7, 8, 9, 10) == n + 2 * 2 + 3 * 3 + 4 * 4 + 5 * 5 +\n"
     "    6 * 6 + 7 * 7 + 8 * 8 + 9 * 9 + 10 * 10; }",
     "long integers(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {\n"
     "    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j; }"},
    {"floats",
     "double floats(double a, float b, double c, double d, double e, double f, double g, double h, double i, long j,\n"
     "    long double k);\n"
     "long caller(long n) { return floats(n, 2.5f, 3, 4, 5, 6, 7, 8, 9.25, 10, 11.5L) == n + 2.5 + 3 * 2 + 4 + 5 + 6 "
     "+\n"
     "    7 + 8 * 4 + 9.25 * 8 + 10 + 11.5; }",
     "double floats(double a, float b, double c, double d, double e, double f, double g, double h, double i, long j,\n"
     "    long double k) { return a + b + c * 2 + d + e + f + g + h * 4 + i * 8 + j + k; }"},
    {"variadic",
     "double variadic(int count, ...);\n"
     "long caller(long n) { return variadic(4, 1.5, 2.5, 3.5, (double)n) == 7.5 + n; }",
     "#include <stdarg.h>\ndouble variadic(int count, ...) { double sum = 0; va_list list; va_start(list, count);\n"
     "    while (count-- > 0) sum += va_arg(list, double);\n    va_end(list); return sum; }"},
    {"large",
     "struct large { long a[5]; double b; };\nstruct large large(long n, struct large in);\n"
     "long caller(long n) { struct large in = {{1, 2, 3, 4, 5}, 6.5}; struct large out = large(n, in);\n"
     "    return out.a[0] == n && out.a[4] == 5 * n && out.b == 6.5 * n; }",
     "struct large { long a[5]; double b; };\nstruct large large(long n, struct large in) {\n"
     "    for (int i = 0; i < 5; i++) in.a[i] *= n;\n    in.b *= n; return in; }"},
    {"pair",
     "struct pair { long a; double b; };\nstruct pair pair(double b, long n);\n"
     "long caller(long n) { struct pair p = pair(2.5, n); return p.a == n && p.b == 2.5; }",
     "struct pair { long a; double b; };\nstruct pair pair(double b, long n) { return (struct pair){n, b}; }"},
};

Test(lazy, a_first_call_passes_on_arguments_and_results_of_every_kind)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct harness *harness = harness_open(NULL);
        const struct jitd_manifest manifest = {DEFINITIONS(OFFER("caller")), USES(LAZY_USE(shapes[i].symbol))};
        link_named(harness, "caller.c", shapes[i].caller, &manifest);
        cr_expect_eq(value_with(harness, "caller", 17, shapes[i].symbol, shapes[i].callee), 1, "%s, first call",
                     shapes[i].symbol);
        cr_expect_eq(harness_value(harness, "caller", 19), 1, "%s, second call", shapes[i].symbol);
        harness_close(harness);
    }
}

Test(lazy, a_pointer_taken_before_the_function_is_there_works_and_stays)
{
    static const char source[] = "long twice(long n);\nlong (*kept)(long);\n"
                                 "long keep(long n) { kept = twice; return (long)kept; }\n"
                                 "long through(long n) { return kept(n) + (kept != twice); }";
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest manifest = {DEFINITIONS(OFFER("keep"), OFFER("through")), USES(LAZY_USE("twice"))};
    link_named(harness, "keeper.c", source, &manifest);
    int64_t before = harness_value(harness, "keep", 0);
    cr_expect_eq(value_with(harness, "through", 6, "twice", TWICE_SOURCE), 12);
    cr_expect_eq(harness_value(harness, "through", 7), 14);
    cr_expect_eq(harness_value(harness, "keep", 0), before);
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

Test(lazy, a_definition_is_callable_by_name_and_by_other_units)
{
    struct harness *harness = harness_open(NULL);
    link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "double_it", .target = "twice"})});
    harness_link_c(harness, "user.c", "long double_it(long n);\nlong user(long n) { return double_it(n) + 3; }");
    uint64_t address = harness_address(harness, "double_it");
    cr_expect_neq(address, 0);
    cr_expect_eq(value_with(harness, "user", 4, "twice", TWICE_SOURCE), 11);
    cr_expect_eq(harness_value(harness, "double_it", 4), 8);
    cr_expect_eq(harness_address(harness, "double_it"), address);
    cr_expect_neq(harness_address(harness, "twice"), address);
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

#define MANY 100000

Test(lazy, a_hundred_thousand_definitions_fit_into_one_message, .timeout = 50)
{
    static struct jitd_lazy_definition lazies[MANY];
    static char names[MANY][2][12];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i][0], sizeof names[i][0], "stub_%d", i);
        snprintf(names[i][1], sizeof names[i][1], "body_%d", i);
        lazies[i] = (struct jitd_lazy_definition){.name = names[i][0], .target = names[i][1]};
    }
    struct harness *harness = harness_open(NULL);
    link_named(harness, "names", NULL, &(struct jitd_manifest){.lazies = lazies, .lazy_count = MANY});
    static const int called[] = {0, 1, 77777, MANY - 1};
    for (size_t i = 0; i < sizeof called / sizeof called[0]; i++) {
        char source[80];
        snprintf(source, sizeof source, "long body_%d(long n) { return n + %d; }", called[i], called[i]);
        cr_expect_eq(value_with(harness, names[called[i]][0], 5, names[called[i]][1], source), 5 + called[i]);
        cr_expect_eq(harness_value(harness, names[called[i]][0], 6), 6 + called[i]);
        uint64_t stub = harness_address(harness, names[called[i]][0]);
        cr_expect(stub && stub != harness_address(harness, names[called[i]][1]));
    }
    cr_expect_eq(harness->asked, 4);
    harness_close(harness);
}

/* ---- threads ---- */

static const char threads_source[] =
    "#include <pthread.h>\n#define THREADS 8\nlong twice(long n);\n"
    "static pthread_barrier_t together;\n"
    "static void *thread(void *n) { pthread_barrier_wait(&together); return (void *)twice((long)n); }\n"
    "long threads(long n) { pthread_t t[THREADS]; long sum = 0; void *result;\n"
    "    pthread_barrier_init(&together, 0, THREADS);\n"
    "    for (int i = 0; i < THREADS; i++) pthread_create(&t[i], 0, thread, (void *)(n + i));\n"
    "    for (int i = 0; i < THREADS; i++) { pthread_join(t[i], &result); sum += (long)result; }\n"
    "    return sum; }";

Test(lazy, first_calls_of_several_threads_at_once_ask_once)
{
    struct harness *harness = harness_open(NULL);
    struct harness_call call;
    link_named(harness, "threads.c", threads_source,
               &(struct jitd_manifest){DEFINITIONS(OFFER("threads")), USES(LAZY_USE("twice"))});
    jitd_request request = harness_call_begin(harness, "threads", 10, &call);
    expect_question(harness, 1, "twice");
    harness_dispatch_for(harness, 50); /* so that all of them wait */
    supply(harness, "twice.c", TWICE_SOURCE);
    harness_wait(harness, request);
    cr_expect(call.returned);
    cr_expect_eq(call.value, 2 * (8 * 10 + 28));
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

/* ---- what comes has needs of its own ---- */

Test(lazy, a_function_may_call_another_that_is_not_there_before_it_has_returned)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    add_named(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }",
              &(struct jitd_manifest){DEFINITIONS(OFFER("twice")), USES(LAZY_USE("add"))});
    cr_assert_eq(harness_submit(harness, 0), 0);
    expect_question(harness, 2, "add");
    cr_expect(!call.completed);
    supply(harness, "add.c", "long add(long a, long b) { return a + b; }");
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(lazy, a_unit_that_needs_another_keeps_its_caller_waiting_for_both)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    supply(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }");
    harness_dispatch_for(harness, 30);
    cr_expect(!call.completed);
    cr_expect_eq(harness->asked, 1, "what a unit needs is no question");
    supply(harness, "add.c", "long add(long a, long b) { return a + b; }");
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

#define COUNTING_SOURCE                                                                                                \
    "static long scale = 2, ran;\n__attribute__((constructor)) static void begin(void) { ran++; }\n"                   \
    "long twice(long n) { return n * scale + 100 * ran; }"

Test(lazy, initialisers_and_data_are_brought_by_the_thread_that_waits)
{
    struct harness *harness = open_with_caller(NULL);
    cr_expect_eq(value_with(harness, "caller", 4, "twice", COUNTING_SOURCE), 109);
    cr_expect_eq(harness_value(harness, "caller", 5), 111, "and once");
    harness_close(harness);
}

static const char early_source[] = "long twice(long n);\nstatic long early;\n"
                                   "__attribute__((constructor)) static void begin(void) { early = twice(21); }\n"
                                   "long early_value(long n) { return early; }";
static const struct jitd_manifest early_manifest = {DEFINITIONS(OFFER("early_value")), USES(LAZY_USE("twice"))};

Test(lazy, an_initialiser_of_the_main_thread_may_wait_too)
{
    struct harness *harness = harness_open(NULL);
    add_named(harness, "early.c", early_source, &early_manifest);
    cr_assert_eq(harness_submit(harness, 0), 0);
    expect_question(harness, 1, "twice");
    supply(harness, "twice.c", COUNTING_SOURCE);
    expect_ready(harness, "early.c");
    cr_expect_eq(harness_value(harness, "early_value", 0), 142);
    harness_close(harness);
}

Test(lazy, an_initialiser_may_call_what_comes_behind_it)
{
    static const unsigned flags[] = {0, JITD_BATCH_CLOSED, JITD_BATCH_ATOMIC};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct harness *harness = harness_open(NULL);
        add_named(harness, "early.c", early_source, &early_manifest);
        harness_add_c(harness, "twice.c",
                      "static long scale = 2;\nstatic long *volatile where = &scale;\n"
                      "__attribute__((constructor)) static void begin(void) { *where += 0; }\n"
                      "long twice(long n) { return n * *where; }");
        cr_assert_eq(harness_submit(harness, flags[i]), 0, "%s", harness->errors[0].text);
        expect_ready(harness, "early.c");
        cr_expect_eq(harness_value(harness, "early_value", 0), 42, "flags %u", flags[i]);
        cr_expect_eq(harness->asked, 0);
        harness_close(harness);
    }
}

/* ---- refusals, failures and deadlines ---- */

Test(lazy, a_refused_question_ends_the_life_with_the_reason_and_the_next_one_goes_on)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_refuse(harness, expect_question(harness, 1, "twice")->ask, "not in this program");
    harness_wait(harness, request);
    expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "not in this program");
    cr_expect_eq(value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9, "the next life asks again");
    cr_expect_eq(harness->asked, 2);
    harness_close(harness);
}

static void on_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    *(int *)data = errors ? errors->list[0].code : 0;
}

Test(lazy, a_question_that_is_not_open_cannot_be_refused)
{
    struct harness *harness = open_with_caller(NULL);
    cr_expect_eq(value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    const uint64_t asks[] = {0, harness->questions[0].ask, 99};
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        jitd_request request;
        int code = -1;
        cr_assert_eq(jitd_refuse(harness->session, asks[i], NULL, on_done, &code, &request), 0);
        harness_wait(harness, request);
        cr_expect_eq(code, JITD_ERROR_NOT_FOUND, "question %zu", i);
    }
    cr_expect_eq(harness_value(harness, "caller", 4), 9);
    harness_close(harness);
}

Test(lazy, a_program_that_nobody_answers_ends_at_the_deadline)
{
    struct harness *harness = open_with_caller(&(struct jitd_options){.lazy_deadline_ms = 50});
    struct harness_call call = harness_call(harness, "caller", 4);
    expect_refused(&call, "twice", JITD_ERROR_TIMEOUT, "within 50 ms");
    cr_expect_eq(harness->runner_ends, 1);
    harness_link_c(harness, "twice.c", TWICE_SOURCE);
    cr_expect_eq(harness_value(harness, "caller", 4), 9, "the session goes on in the next life");
    harness_close(harness);
}

Test(lazy, a_unit_that_never_becomes_ready_does_not_hold_its_caller_past_the_deadline)
{
    struct harness *harness = open_with_caller(&(struct jitd_options){.lazy_deadline_ms = 50});
    supply(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }");
    struct harness_call call = harness_call(harness, "caller", 4);
    expect_refused(&call, "twice", JITD_ERROR_TIMEOUT, "did not become ready");
    cr_expect_eq(harness->asked, 0);
    harness_link_c(harness, "add.c", "long add(long a, long b) { return a + b; }");
    cr_expect_eq(harness_value(harness, "caller", 4), 9);
    harness_close(harness);
}

Test(lazy, a_program_without_a_listener_waits_for_nobody)
{
    struct peer peer = peer_open();
    struct jitd_session *session;
    int socket = dup(peer.socket);
    struct harness harness = {.output = -1, .daemon = peer.daemon};
    cr_assert_eq(jitd_attach(socket, NULL, NULL, NULL, &session), 0);
    harness.session = session;
    harness_add_unit(&harness, &(struct jitd_unit_input){.name = "caller.c", .manifest = &caller_manifest},
                     CALLER_SOURCE);
    cr_assert_eq(harness_submit(&harness, 0), 0);
    harness_settle(&harness);
    struct harness_call call = harness_call(&harness, "caller", 4);
    expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "the program does not listen for it");
    jitd_close(session);
    free(harness.units);
    peer_close(&peer);
}

Test(lazy, a_submission_that_is_refused_leaves_the_question_open)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    harness_add_c(harness, "wrong.c", "long nowhere(long n);\nlong twice(long n) { return nowhere(n); }");
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect(!call.completed);
    supply(harness, "twice.c", TWICE_SOURCE);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

Test(lazy, an_initialiser_that_crashes_ends_the_life_with_a_report)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    supply(harness, "broken.c",
           "__attribute__((constructor)) static void begin(void) { *(volatile int *)16 = 0; }\n"
           "long twice(long n) { return 2 * n; }");
    harness_wait(harness, request);
    cr_assert(call.ended);
    cr_expect_eq(call.end.signal, SIGSEGV);
    cr_expect_str_eq(call.end.initialiser_of, "broken.c");
    harness_settle(harness);
    cr_expect_eq(harness_unit(harness, "broken.c")->state, JITD_UNIT_FAILED);
    cr_expect_eq(harness_unit(harness, "broken.c")->error.code, JITD_ERROR_INITIALISER_FAILED);
    cr_expect_eq(value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    harness_close(harness);
}

Test(lazy, a_unit_that_is_cancelled_ends_the_thread_that_waits_for_it)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    supply(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }");
    const uint64_t unit = harness_unit(harness, "twice.c")->id;
    cr_assert_eq(jitd_cancel_units(harness->session, &unit, 1, NULL, NULL, NULL), 0);
    harness_wait(harness, request);
    expect_refused(&call, "twice", JITD_ERROR_CANCELLED, "");
    cr_expect_eq(value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    harness_close(harness);
}

Test(lazy, another_calling_convention_is_refused_when_it_is_called)
{
    struct harness *harness = harness_open(NULL);
    struct harness_call call;
    link_named(harness, "caller.c", CALLER_SOURCE,
               &(struct jitd_manifest){DEFINITIONS(OFFER("caller")),
                                       USES({.local = "twice", .flags = JITD_USE_LAZY, .convention = 7})});
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    cr_expect_eq(expect_question(harness, 1, "twice")->convention, 7);
    supply(harness, "twice.c", TWICE_SOURCE);
    harness_wait(harness, request);
    expect_refused(&call, "twice", JITD_ERROR_CONVENTION, "convention 7");
    harness_close(harness);
}

Test(lazy, a_controller_that_dies_while_a_thread_waits_leaves_no_process)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    harness_close(harness); /* asserts it */
}

/* ---- exceptions and reports ---- */

Test(lazy, an_exception_passes_through_a_first_call)
{
    static const char source[] = "extern \"C\" long thrower(long n);\nextern \"C\" long attempt(long n) {\n"
                                 "    try { return thrower(n); } catch (long x) { return -x; } }";
    struct harness *harness = harness_open_with_libstdcxx();
    struct object_bytes caller = compile_cxx(source, HARNESS_FLAGS);
    struct object_bytes thrower =
        compile_cxx("extern \"C\" long thrower(long n) { if (n) throw n; return 1; }", HARNESS_FLAGS);
    const struct jitd_manifest manifest = {DEFINITIONS(OFFER("attempt")), USES(LAZY_USE("thrower"))};
    harness_add_object(harness, &(struct jitd_unit_input){.name = "caller.cc", .manifest = &manifest}, &caller);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    expect_ready(harness, "caller.cc");
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "attempt", 5, &call);
    expect_question(harness, 1, "thrower");
    harness_add(harness, "thrower.cc", &thrower);
    cr_assert_eq(harness_submit(harness, 0), 0);
    harness_wait(harness, request);
    cr_assert(call.returned);
    cr_expect_eq(call.value, -5);
    cr_expect_eq(harness_value(harness, "attempt", 0), 1);
    cr_expect_eq(harness_value(harness, "attempt", 6), -6);
    object_free(&caller);
    object_free(&thrower);
    harness_close(harness);
}

static bool has_frame(const struct harness_end *end, const char *function)
{
    for (size_t i = 0; i < end->frame_count; i++)
        if (strcmp(end->frames[i].function, function) == 0)
            return true;
    return false;
}

Test(lazy, a_crash_in_a_first_call_shows_the_caller)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    supply(harness, "twice.c", "long twice(long n) { *(volatile int *)16 = 0; return n; }");
    harness_wait(harness, request);
    cr_assert(call.ended);
    cr_expect_eq(call.end.signal, SIGSEGV);
    cr_expect_str_eq(call.end.frames[0].function, "twice");
    cr_expect_str_eq(call.end.frames[1].function, "caller");
    cr_expect_str_empty(call.end.lazy_symbol);
    cr_expect_eq(call.end.lazy_error.code, 0);
    harness_close(harness);
}

Test(lazy, a_refusal_shows_who_called)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_refuse(harness, expect_question(harness, 1, "twice")->ask, NULL);
    harness_wait(harness, request);
    expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "");
    cr_expect(has_frame(&call.end, "caller"));
    harness_close(harness);
}

/* ---- libraries, removal, lives ---- */

Test(lazy, a_function_of_another_library_is_found_through_the_search_order)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_search search = {.library = 2};
    const struct jitd_library libraries[] = {{.number = 2, .name = "callees"},
                                             {.number = 1, .name = "callers", .search = &search, .search_count = 1}};
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(jitd_define_library(harness->session, &libraries[i], NULL, NULL, NULL), 0);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "caller.c", .library = 1, .manifest = &caller_manifest},
                     CALLER_SOURCE);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    link_named(harness, "names", NULL,
               &(struct jitd_manifest){
                   LAZIES({.name = "start", .target = "caller", .flags = JITD_USE_LIBRARY, .library = 1})});
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "start", 4, &call);
    cr_expect_eq(expect_question(harness, 1, "twice")->library, 1);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "twice.c", .library = 2}, TWICE_SOURCE);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(lazy, a_search_order_that_comes_to_lead_there_lets_the_thread_go_on)
{
    struct harness *harness = open_with_caller(NULL);
    struct harness_call call;
    cr_assert_eq(jitd_define_library(harness->session, &(struct jitd_library){.number = 2}, NULL, NULL, NULL), 0);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "twice.c", .library = 2}, TWICE_SOURCE);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    expect_question(harness, 1, "twice");
    const struct jitd_search search = {.library = 2};
    const struct jitd_library main_library = {.search = &search, .search_count = 1};
    cr_assert_eq(jitd_define_library(harness->session, &main_library, NULL, NULL, NULL), 0);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(lazy, what_was_bound_stays_bound_after_a_crash)
{
    struct harness *harness = open_with_caller(NULL);
    cr_expect_eq(value_with(harness, "caller", 4, "twice", COUNTING_SOURCE), 109);
    harness_link_c(harness, "crash.c", "long crash(long n) { *(volatile int *)16 = 0; return n; }");
    cr_expect(harness_call(harness, "crash", 0).ended);
    cr_expect_eq(harness_value(harness, "caller", 4), 109);
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

#define SAME 40

Test(lazy, an_object_with_many_symbols_of_one_name_is_linked_with_all_of_them)
{
    static char source[8192];
    size_t length = 0;
    for (int i = 0; i < SAME; i++)
        length += (size_t)snprintf(source + length, sizeof source - length, "long t_%02d(long n);\n", i);
    length += (size_t)snprintf(source + length, sizeof source - length, "long caller(long n) { return 0");
    for (int i = 0; i < SAME; i++)
        length += (size_t)snprintf(source + length, sizeof source - length, " + t_%02d(n)", i);
    snprintf(source + length, sizeof source - length, "; }");
    struct object_bytes object = compile_c(source, HARNESS_FLAGS);
    for (size_t i = 0; i + 4 < object.length; i++)
        if (memcmp(object.bytes + i, "t_", 2) == 0)
            memcpy(object.bytes + i, "t_00", 4);
    struct harness *harness = harness_open(NULL);
    const struct jitd_manifest manifest = {DEFINITIONS(OFFER("caller")), USES(LAZY_USE("t_00"))};
    harness_add_object(harness, &(struct jitd_unit_input){.name = "caller.c", .manifest = &manifest}, &object);
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    expect_ready(harness, "caller.c");
    cr_expect_eq(value_with(harness, "caller", 3, "t_00", "long t_00(long n) { return n; }"), 3 * SAME);
    cr_expect_eq(harness->asked, 1);
    object_free(&object);
    harness_close(harness);
}

/* ---- removal ---- */

static void on_removed(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    *(int *)data = errors ? -errors->list[0].code : (int)count;
}

/* How many have gone, or the negative code. */
static int remove_unit(struct harness *harness, const char *name, bool cascade)
{
    const struct jitd_removal removal = {
        .units = &harness_unit(harness, name)->id, .unit_count = 1, .cascade = cascade};
    int result = 0;
    jitd_request request;
    cr_assert_eq(jitd_remove(harness->session, &removal, on_removed, &result, &request), 0);
    harness_wait(harness, request);
    return result;
}

Test(lazy, a_call_asks_again_when_the_unit_that_answered_has_been_removed)
{
    struct harness *harness = open_with_caller(NULL);
    for (int round = 1; round <= 3; round++) {
        cr_expect_eq(value_with(harness, "caller", round, "twice", TWICE_SOURCE), 2 * round + 1);
        cr_expect_eq(harness_value(harness, "caller", 10), 21);
        cr_expect_eq(harness->asked, round);
        cr_expect_eq(remove_unit(harness, "twice", false), 1);
    }
    harness_close(harness);
}

Test(lazy, the_unit_that_calls_may_go_before_the_one_that_answered)
{
    struct harness *harness = open_with_caller(NULL);
    cr_expect_eq(value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    cr_expect_eq(remove_unit(harness, "caller.c", false), 1);
    cr_expect_eq(remove_unit(harness, "twice", false), 1);
    link_named(harness, "caller.c", CALLER_SOURCE, &caller_manifest);
    cr_expect_eq(value_with(harness, "caller", 5, "twice", TWICE_SOURCE), 11);
    harness_close(harness);
}

/* `late` leads to what goes. */
Test(lazy, what_a_function_was_redirected_to_cannot_be_removed_even_with_its_users)
{
    struct harness *harness = open_with_caller(NULL);
    link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "nothing"})});
    harness_link_c(harness, "twice.c", TWICE_SOURCE);
    harness_link_c(harness, "user.c", "long twice(long n);\nlong user(long n) { return twice(n); }");
    cr_assert_eq(harness_redirect(harness, "late", "twice"), 0);
    cr_expect_eq(remove_unit(harness, "twice.c", false), -JITD_ERROR_DEPENDENTS);
    cr_expect_eq(remove_unit(harness, "twice.c", true), -JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_value(harness, "late", 3), 6);
    cr_assert_eq(harness_redirect(harness, "late", NULL), 0);
    cr_expect_eq(remove_unit(harness, "twice.c", true), 2);
    harness_close(harness);
}

Test(lazy, a_finaliser_of_a_unit_that_is_removed_may_call_what_is_not_there)
{
    struct harness *harness = harness_open(NULL);
    link_named(harness, "leaver.c",
               "long twice(long n);\n__attribute__((destructor)) static void end(void) { twice(1); }\n"
               "long leaver(long n) { return n; }",
               &(struct jitd_manifest){DEFINITIONS(OFFER("leaver")), USES(LAZY_USE("twice"))});
    const struct jitd_removal what = {.units = &harness_unit(harness, "leaver.c")->id, .unit_count = 1};
    struct harness_removal removal;
    jitd_request request = harness_remove_begin(harness, &what, &removal);
    expect_question(harness, 1, "twice");
    supply(harness, "twice.c", TWICE_SOURCE);
    harness_wait(harness, request);
    cr_expect_eq(removal.count, 1, "%s", removal.error.text);
    cr_expect_eq(harness->runner_ends, 0, "%s", harness->last_end.lazy_error.text);
    harness_close(harness);
}

/* The redirected function and what it leads to go together. */
Test(lazy, a_function_and_what_it_was_redirected_to_go_together)
{
    struct harness *harness = harness_open(NULL);
    link_named(
        harness, "both.c", "long f(long n) { return 1; }\nlong g(long n) { return 2; }",
        &(struct jitd_manifest){DEFINITIONS({.local = "f", .flags = JITD_DEFINITION_REDIRECTABLE}, {.local = "g"})});
    cr_assert_eq(harness_redirect(harness, "f", "g"), 0);
    cr_expect_eq(remove_unit(harness, "both.c", false), 1);
    harness_close(harness);
}
