/*
 * Functions that are called before they are there, against a real daemon: the program waits in the call, the test is
 * asked and answers.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/lazily.h"

/* ---- circles ---- */

Test(lazy, definitions_that_lead_to_themselves_or_each_other_end_their_callers, .timeout = 20)
{
    struct harness *harness = harness_open(NULL);
    harness_link_named(harness, "self", NULL, &(struct jitd_manifest){LAZIES({.name = "self", .target = "self"})});
    harness_link_named(harness, "first", NULL, &(struct jitd_manifest){LAZIES({.name = "a", .target = "b"})});
    harness_link_named(harness, "second", NULL, &(struct jitd_manifest){LAZIES({.name = "b", .target = "a"})});
    struct harness_call call = harness_call(harness, "self", 0);
    lazily_expect_refused(&call, "self", JITD_ERROR_INVALID, "'self' leads back to itself");
    call = harness_call(harness, "a", 0);
    lazily_expect_refused(&call, "b", JITD_ERROR_INVALID, "leads back to itself");
    call = harness_call(harness, "b", 0);
    lazily_expect_refused(&call, "b", JITD_ERROR_INVALID, "leads back to itself");
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
        harness_add_named(harness, "circle", source, &manifests[i]);
        harness_accept(harness, 0);
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
    struct harness *harness = lazily_open(NULL);
    cr_expect_eq(harness->asked, 0, "nothing is asked before it is called");
    cr_expect_eq(lazily_value_with(harness, "caller", 20, "twice", TWICE_SOURCE), 41);
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
    harness_link_named(harness, "caller.c", CALLER_SOURCE, &lazily_caller_manifest);
    cr_expect_eq(harness_value(harness, "caller", 5), 11);
    cr_expect_eq(harness->asked, 0);
    harness_close(harness);
}

Test(lazy, what_comes_unasked_is_bound_before_the_first_call)
{
    struct harness *harness = lazily_open(NULL);
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
        harness_link_named(harness, "caller.c", shapes[i].caller, &manifest);
        cr_expect_eq(lazily_value_with(harness, "caller", 17, shapes[i].symbol, shapes[i].callee), 1, "%s, first call",
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
    harness_link_named(harness, "keeper.c", source, &manifest);
    int64_t before = harness_value(harness, "keep", 0);
    cr_expect_eq(lazily_value_with(harness, "through", 6, "twice", TWICE_SOURCE), 12);
    cr_expect_eq(harness_value(harness, "through", 7), 14);
    cr_expect_eq(harness_value(harness, "keep", 0), before);
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

Test(lazy, a_definition_is_callable_by_name_and_by_other_units)
{
    struct harness *harness = harness_open(NULL);
    harness_link_named(harness, "names", NULL,
                       &(struct jitd_manifest){LAZIES({.name = "double_it", .target = "twice"})});
    harness_link_c(harness, "user.c", "long double_it(long n);\nlong user(long n) { return double_it(n) + 3; }");
    uint64_t address = harness_address(harness, "double_it");
    cr_expect_neq(address, 0);
    cr_expect_eq(lazily_value_with(harness, "user", 4, "twice", TWICE_SOURCE), 11);
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
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){.lazies = lazies, .lazy_count = MANY});
    static const int called[] = {0, 1, 77777, MANY - 1};
    for (size_t i = 0; i < sizeof called / sizeof called[0]; i++) {
        char source[80];
        snprintf(source, sizeof source, "long body_%d(long n) { return n + %d; }", called[i], called[i]);
        cr_expect_eq(lazily_value_with(harness, names[called[i]][0], 5, names[called[i]][1], source), 5 + called[i]);
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
    harness_link_named(harness, "threads.c", threads_source,
                       &(struct jitd_manifest){DEFINITIONS(OFFER("threads")), USES(LAZY_USE("twice"))});
    jitd_request request = harness_call_begin(harness, "threads", 10, &call);
    harness_expect_question(harness, 1, "twice");
    harness_dispatch_for(harness, 50); /* so that all of them wait */
    harness_submit_named(harness, "twice.c", TWICE_SOURCE, NULL);
    harness_wait(harness, request);
    cr_expect(call.returned);
    cr_expect_eq(call.value, 2 * (8 * 10 + 28));
    cr_expect_eq(harness->asked, 1);
    harness_close(harness);
}

/* ---- what comes has needs of its own ---- */

Test(lazy, a_function_may_call_another_that_is_not_there_before_it_has_returned)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }",
                         &(struct jitd_manifest){DEFINITIONS(OFFER("twice")), USES(LAZY_USE("add"))});
    harness_expect_question(harness, 2, "add");
    cr_expect(!call.completed);
    harness_submit_named(harness, "add.c", "long add(long a, long b) { return a + b; }", NULL);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(lazy, a_unit_that_needs_another_keeps_its_caller_waiting_for_both)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "twice.c", "long add(long a, long b);\nlong twice(long n) { return add(n, n); }",
                         NULL);
    harness_dispatch_for(harness, 30);
    cr_expect(!call.completed);
    cr_expect_eq(harness->asked, 1, "what a unit needs is no question");
    harness_submit_named(harness, "add.c", "long add(long a, long b) { return a + b; }", NULL);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

#define COUNTING_SOURCE                                                                                                \
    "static long scale = 2, ran;\n__attribute__((constructor)) static void begin(void) { ran++; }\n"                   \
    "long twice(long n) { return n * scale + 100 * ran; }"

Test(lazy, initialisers_and_data_are_brought_by_the_thread_that_waits)
{
    struct harness *harness = lazily_open(NULL);
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", COUNTING_SOURCE), 109);
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
    harness_submit_named(harness, "early.c", early_source, &early_manifest);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "twice.c", COUNTING_SOURCE, NULL);
    harness_expect_ready(harness, "early.c");
    cr_expect_eq(harness_value(harness, "early_value", 0), 142);
    harness_close(harness);
}

Test(lazy, an_initialiser_may_call_what_comes_behind_it)
{
    static const unsigned flags[] = {0, JITD_BATCH_CLOSED, JITD_BATCH_ATOMIC};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct harness *harness = harness_open(NULL);
        harness_add_named(harness, "early.c", early_source, &early_manifest);
        harness_add_c(harness, "twice.c",
                      "static long scale = 2;\nstatic long *volatile where = &scale;\n"
                      "__attribute__((constructor)) static void begin(void) { *where += 0; }\n"
                      "long twice(long n) { return n * *where; }");
        harness_accept(harness, flags[i]);
        harness_expect_ready(harness, "early.c");
        cr_expect_eq(harness_value(harness, "early_value", 0), 42, "flags %u", flags[i]);
        cr_expect_eq(harness->asked, 0);
        harness_close(harness);
    }
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
    harness_add_unit(harness,
                     &(struct jitd_unit_input){.name = "caller.c", .library = 1, .manifest = &lazily_caller_manifest},
                     CALLER_SOURCE);
    harness_accept(harness, 0);
    harness_link_named(harness, "names", NULL,
                       &(struct jitd_manifest){
                           LAZIES({.name = "start", .target = "caller", .flags = JITD_USE_LIBRARY, .library = 1})});
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "start", 4, &call);
    cr_expect_eq(harness_expect_question(harness, 1, "twice")->library, 1);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "twice.c", .library = 2}, TWICE_SOURCE);
    harness_accept(harness, 0);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(lazy, a_search_order_that_comes_to_lead_there_lets_the_thread_go_on)
{
    struct harness *harness = lazily_open(NULL);
    struct harness_call call;
    cr_assert_eq(jitd_define_library(harness->session, &(struct jitd_library){.number = 2}, NULL, NULL, NULL), 0);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "twice.c", .library = 2}, TWICE_SOURCE);
    harness_accept(harness, 0);
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_expect_question(harness, 1, "twice");
    const struct jitd_search search = {.library = 2};
    const struct jitd_library main_library = {.search = &search, .search_count = 1};
    cr_assert_eq(jitd_define_library(harness->session, &main_library, NULL, NULL, NULL), 0);
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(lazy, what_was_bound_stays_bound_after_a_crash)
{
    struct harness *harness = lazily_open(NULL);
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", COUNTING_SOURCE), 109);
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
    harness_accept(harness, 0);
    harness_expect_ready(harness, "caller.c");
    cr_expect_eq(lazily_value_with(harness, "caller", 3, "t_00", "long t_00(long n) { return n; }"), 3 * SAME);
    cr_expect_eq(harness->asked, 1);
    object_free(&object);
    harness_close(harness);
}

/* ---- removal ---- */

Test(lazy, a_call_asks_again_when_the_unit_that_answered_has_been_removed)
{
    struct harness *harness = lazily_open(NULL);
    for (int round = 1; round <= 3; round++) {
        cr_expect_eq(lazily_value_with(harness, "caller", round, "twice", TWICE_SOURCE), 2 * round + 1);
        cr_expect_eq(harness_value(harness, "caller", 10), 21);
        cr_expect_eq(harness->asked, round);
        harness_remove_unit(harness, "twice");
    }
    harness_close(harness);
}

Test(lazy, the_unit_that_calls_may_go_before_the_one_that_answered)
{
    struct harness *harness = lazily_open(NULL);
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    harness_remove_unit(harness, "caller.c");
    harness_remove_unit(harness, "twice");
    harness_link_named(harness, "caller.c", CALLER_SOURCE, &lazily_caller_manifest);
    cr_expect_eq(lazily_value_with(harness, "caller", 5, "twice", TWICE_SOURCE), 11);
    harness_close(harness);
}

/* `late` leads to what goes. */
Test(lazy, what_a_function_was_redirected_to_cannot_be_removed_even_with_its_users)
{
    struct harness *harness = lazily_open(NULL);
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "nothing"})});
    harness_link_c(harness, "twice.c", TWICE_SOURCE);
    harness_link_c(harness, "user.c", "long twice(long n);\nlong user(long n) { return twice(n); }");
    cr_assert_eq(harness_redirect(harness, "late", "twice"), 0);
    cr_expect_eq(harness_try_removing(harness, "twice.c", false).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_try_removing(harness, "twice.c", true).error.code, JITD_ERROR_DEPENDENTS);
    cr_expect_eq(harness_value(harness, "late", 3), 6);
    cr_assert_eq(harness_redirect(harness, "late", NULL), 0);
    cr_expect_eq(harness_try_removing(harness, "twice.c", true).count, 2);
    harness_close(harness);
}

Test(lazy, a_finaliser_of_a_unit_that_is_removed_may_call_what_is_not_there)
{
    struct harness *harness = harness_open(NULL);
    harness_link_named(harness, "leaver.c",
                       "long twice(long n);\n__attribute__((destructor)) static void end(void) { twice(1); }\n"
                       "long leaver(long n) { return n; }",
                       &(struct jitd_manifest){DEFINITIONS(OFFER("leaver")), USES(LAZY_USE("twice"))});
    const struct jitd_removal what = {.units = &harness_unit(harness, "leaver.c")->id, .unit_count = 1};
    struct harness_removal removal;
    jitd_request request = harness_remove_begin(harness, &what, &removal);
    harness_expect_question(harness, 1, "twice");
    harness_submit_named(harness, "twice.c", TWICE_SOURCE, NULL);
    harness_wait(harness, request);
    cr_expect_eq(removal.count, 1, "%s", removal.error.text);
    cr_expect_eq(harness->runner_ends, 0, "%s", harness->last_end.lazy_error.text);
    harness_close(harness);
}

/* The redirected function and what it leads to go together. */
Test(lazy, a_function_and_what_it_was_redirected_to_go_together)
{
    struct harness *harness = harness_open(NULL);
    harness_link_named(
        harness, "both.c", "long f(long n) { return 1; }\nlong g(long n) { return 2; }",
        &(struct jitd_manifest){DEFINITIONS({.local = "f", .flags = JITD_DEFINITION_REDIRECTABLE}, {.local = "g"})});
    cr_assert_eq(harness_redirect(harness, "f", "g"), 0);
    harness_remove_unit(harness, "both.c");
    harness_close(harness);
}
