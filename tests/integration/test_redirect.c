/*
 * Functions whose place others take while the program runs, against a real daemon.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

#define REDIRECTABLE(name)                                                                                             \
    {                                                                                                                  \
        .local = (name), .flags = JITD_DEFINITION_REDIRECTABLE                                                         \
    }

/* f, g and h are redirectable and give 1, 2 and 3; `call_f` calls the first, `plain` is a function like any. */
static struct harness *open_with_functions(void)
{
    struct harness *harness = harness_open(NULL);
    harness_link_named(
        harness, "functions.c",
        "long f(long n) { return 1; }\nlong g(long n) { return 2; }\nlong h(long n) { return 3; }\n"
        "long plain(long n) { return 4; }\nlong other(long n) { return 5; }\nlong data = 6;",
        &(struct jitd_manifest){DEFINITIONS(REDIRECTABLE("f"), REDIRECTABLE("g"), REDIRECTABLE("h"), {.local = "plain"},
                                            {.local = "other", .convention = 7}, {.local = "data"})});
    harness_link_c(harness, "callers.c",
                   "long f(long n);\nlong call_f(long n) { return f(n); }\nlong (*kept)(long) = f;\n"
                   "long through(long n) { return kept(n) + 10 * (kept == f); }\n"
                   "long crash(long n) { *(volatile int *)16 = 0; return n; }");
    return harness;
}

static void expect_values(struct harness *harness, int f, int g, int h)
{
    cr_expect_eq(harness_value(harness, "f", 0), f);
    cr_expect_eq(harness_value(harness, "g", 0), g);
    cr_expect_eq(harness_value(harness, "h", 0), h);
}

Test(redirect, callers_and_pointers_follow_and_the_own_body_comes_back)
{
    struct harness *harness = open_with_functions();
    uint64_t address = harness_address(harness, "f");
    static const struct {
        const char *target;
        int result;
    } steps[] = {{"g", 2}, {"plain", 4}, {NULL, 1}, {"h", 3}, {"", 1}, {NULL, 1}};
    cr_expect_eq(harness_value(harness, "call_f", 0), 1);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        cr_expect_eq(harness_redirect(harness, "f", steps[i].target), 0);
        cr_expect_eq(harness_value(harness, "f", 0), steps[i].result, "step %zu", i);
        cr_expect_eq(harness_value(harness, "call_f", 0), steps[i].result, "step %zu", i);
        cr_expect_eq(harness_value(harness, "through", 0), steps[i].result + 10, "step %zu", i);
        cr_expect_eq(harness_address(harness, "f"), address);
    }
    harness_close(harness);
}

Test(redirect, chains_lead_to_their_end)
{
    struct harness *harness = open_with_functions();
    cr_expect_eq(harness_redirect(harness, "f", "g"), 0);
    cr_expect_eq(harness_redirect(harness, "g", "h"), 0);
    expect_values(harness, 3, 3, 3);
    cr_expect_eq(harness_redirect(harness, "g", NULL), 0);
    expect_values(harness, 2, 2, 3);
    harness_close(harness);
}

static const struct refusal {
    const char *symbol, *target;
    int code;
} refusals[] = {
    {"nowhere", "g", JITD_ERROR_NOT_FOUND},  {"f", "nowhere", JITD_ERROR_NOT_FOUND},
    {"plain", "f", JITD_ERROR_INVALID},      {"f", "f", JITD_ERROR_INVALID},
    {"f", "alias_of_f", JITD_ERROR_INVALID}, {"f", "data", JITD_ERROR_NOT_CALLABLE},
    {"f", "other", JITD_ERROR_CONVENTION},   {"f", "waiting", JITD_ERROR_NOT_CALLABLE},
};

Test(redirect, what_cannot_be_is_refused_and_changes_nothing)
{
    struct harness *harness = open_with_functions();
    harness_link_named(harness, "alias", NULL, &(struct jitd_manifest){ALIASES({.name = "alias_of_f", .target = "f"})});
    harness_add_c(harness, "waiting.c", "long nowhere(long n);\nlong waiting(long n) { return nowhere(n); }");
    harness_accept(harness, 0);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *refusal = &refusals[i];
        cr_expect_eq(harness_redirect(harness, refusal->symbol, refusal->target), refusal->code, "%s to %s",
                     refusal->symbol, refusal->target);
        expect_values(harness, 1, 2, 3);
    }
    harness_close(harness);
}

Test(redirect, circles_are_refused_however_long)
{
    struct harness *harness = open_with_functions();
    harness_link_named(harness, "alias", NULL, &(struct jitd_manifest){ALIASES({.name = "alias_of_f", .target = "f"})});
    cr_expect_eq(harness_redirect(harness, "f", "g"), 0);
    cr_expect_eq(harness_redirect(harness, "g", "f"), JITD_ERROR_INVALID);
    cr_expect_eq(harness_redirect(harness, "g", "h"), 0);
    cr_expect_eq(harness_redirect(harness, "h", "f"), JITD_ERROR_INVALID);
    cr_expect_eq(harness_redirect(harness, "h", "alias_of_f"), JITD_ERROR_INVALID);
    expect_values(harness, 3, 3, 3);
    harness_close(harness);
}

Test(redirect, many_in_one_message_are_done_or_none)
{
    struct harness *harness = open_with_functions();
    static const char *const symbols[] = {"f", "g", "h"};
    static const char *const good[] = {"plain", "h", NULL}, *const unknown[] = {"g", "plain", "nowhere"},
                             *const circle[] = {"g", "h", "f"};
    cr_expect_eq(harness_redirect_all(harness, symbols, unknown, 3).code, JITD_ERROR_NOT_FOUND);
    expect_values(harness, 1, 2, 3);
    struct harness_error answer = harness_redirect_all(harness, symbols, circle, 3);
    cr_expect_eq(answer.code, JITD_ERROR_INVALID);
    cr_expect_str_eq(answer.symbol, "h");
    expect_values(harness, 1, 2, 3);
    cr_expect_eq(harness_redirect_all(harness, symbols, good, 3).code, 0);
    expect_values(harness, 4, 3, 3);
    cr_expect_eq(harness_redirect_all(harness, symbols, circle, 3).code, JITD_ERROR_INVALID);
    expect_values(harness, 4, 3, 3);
    cr_expect_eq(harness_redirect_all(harness, NULL, NULL, 0).code, 0);
    harness_close(harness);
}

Test(redirect, a_message_that_cannot_be_is_refused_by_the_library)
{
    struct harness *harness = open_with_functions();
    static const char *const nameless[] = {""}, *const names[] = {"f"};
    cr_expect_eq(jitd_redirect(harness->session, 0, nameless, names, 1, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_redirect(harness->session, 0, names, NULL, 1, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_redirect(harness->session, 0, names, names, 65537, NULL, NULL, NULL), JITD_ERROR_LIMIT);
    expect_values(harness, 1, 2, 3);
    harness_close(harness);
}

Test(redirect, a_crash_keeps_what_is_in_force)
{
    struct harness *harness = open_with_functions();
    cr_expect_eq(harness_redirect(harness, "f", "h"), 0);
    cr_expect(harness_call(harness, "crash", 0).ended);
    expect_values(harness, 3, 2, 3);
    cr_expect_eq(harness_redirect(harness, "f", NULL), 0);
    expect_values(harness, 1, 2, 3);
    harness_close(harness);
}

Test(redirect, a_lazy_definition_may_lead_elsewhere_before_it_is_there)
{
    struct harness *harness = open_with_functions();
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "body"})});
    cr_expect_eq(harness_redirect(harness, "late", "plain"), 0);
    cr_expect_eq(harness_value(harness, "late", 0), 4);
    cr_expect_eq(harness->asked, 0);
    harness_link_c(harness, "body.c", "long body(long n) { return 9; }");
    cr_expect_eq(harness_value(harness, "late", 0), 4, "what comes does not change it");
    cr_expect_eq(harness_redirect(harness, "late", NULL), 0);
    cr_expect_eq(harness_value(harness, "late", 0), 9);
    cr_expect_eq(harness->asked, 0);
    harness_close(harness);
}

Test(redirect, a_thread_that_waits_goes_on_where_its_function_is_led)
{
    struct harness *harness = open_with_functions();
    struct harness_call call;
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "body"})});
    jitd_request request = harness_call_begin(harness, "late", 0, &call);
    harness_dispatch_until(harness, &harness->asked, 1);
    cr_expect_eq(harness_redirect(harness, "late", "plain"), 0);
    harness_wait(harness, request);
    cr_expect(call.returned);
    cr_expect_eq(call.value, 4);
    cr_expect_eq(harness_redirect(harness, "late", NULL), 0);
    request = harness_call_begin(harness, "late", 0, &call);
    harness_dispatch_until(harness, &harness->asked, 2);
    harness_link_c(harness, "body.c", "long body(long n) { return 9; }");
    harness_wait(harness, request);
    cr_expect_eq(call.value, 9);
    harness_close(harness);
}

Test(redirect, a_circle_through_what_a_lazy_function_is_bound_to_is_refused)
{
    struct harness *harness = open_with_functions();
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "f"})});
    cr_expect_eq(harness_redirect(harness, "f", "late"), JITD_ERROR_INVALID);
    cr_expect_eq(harness_redirect(harness, "g", "late"), 0);
    cr_expect_eq(harness_redirect(harness, "f", "g"), JITD_ERROR_INVALID);
    expect_values(harness, 1, 1, 3);
    harness_close(harness);
}

Test(redirect, that_is_undone_is_refused_where_the_own_body_leads_back)
{
    struct harness *harness = open_with_functions();
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "f"})});
    cr_expect_eq(harness_redirect(harness, "late", "plain"), 0);
    cr_expect_eq(harness_redirect(harness, "f", "late"), 0);
    cr_expect_eq(harness_redirect(harness, "late", NULL), JITD_ERROR_INVALID);
    expect_values(harness, 4, 2, 3);
    cr_expect_eq(harness_redirect(harness, "f", NULL), 0);
    cr_expect_eq(harness_redirect(harness, "late", NULL), 0);
    cr_expect_eq(harness_value(harness, "late", 0), 1);
    harness_close(harness);
}

/* ---- while it runs ---- */

/* Gives how many results were neither of the two; ends when told through the file of its output. */
static const char loop_source[] =
    "#include <pthread.h>\n#include <unistd.h>\n#define THREADS 4\n"
    "long f(long n);\nstatic volatile int stop;\nstatic volatile long wrong, seen[2];\n"
    "static void *thread(void *x) { long (*pointer)(long) = f;\n"
    "    while (!stop) { long n = (stop ? pointer : f)(0);\n"
    "        if (n == 1 || n == 2) __atomic_fetch_add(&seen[n - 1], 1, __ATOMIC_RELAXED); else wrong++; }\n"
    "    return 0; }\n"
    "static pthread_t threads[THREADS];\n"
    "long begin(long n) { for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, thread, 0); return 0; }\n"
    "long end(long n) { stop = 1; for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0); return wrong; }\n"
    "long seen_of(long n) { return seen[n]; }";

Test(redirect, threads_that_call_meanwhile_see_the_one_or_the_other, .timeout = 50)
{
    struct harness *harness = open_with_functions();
    harness_link_c(harness, "loop.c", loop_source);
    harness_value(harness, "begin", 0);
    for (int i = 0; i < 400; i++) {
        cr_assert_eq(harness_redirect(harness, "f", i % 2 == 0 ? "g" : NULL), 0);
        if (i % 50 < 2)
            harness_dispatch_for(harness, 10);
    }
    cr_expect_eq(harness_value(harness, "end", 0), 0, "a call gave something else");
    cr_expect_gt(harness_value(harness, "seen_of", 0), 0);
    cr_expect_gt(harness_value(harness, "seen_of", 1), 0);
    harness_close(harness);
}

/* ---- everything at once, at random times ---- */

#define FUNCTIONS 12

/* Threads call functions in an order of their own, each first asked for, then redirected. */
static const char storm_source[] =
    "#include <pthread.h>\n#include <stdlib.h>\n#define THREADS 6\n"
    "#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)\n"
    "#define DECLARE(n) long late_##n(long x);\nALL(DECLARE)\n"
    "#define ENTRY(n) late_##n,\nstatic long (*const functions[])(long) = {ALL(ENTRY)};\n"
    "static volatile long wrong;\n"
    "static void *thread(void *seed) { unsigned state = (unsigned)(long)seed;\n"
    "    for (int i = 0; i < 200; i++) { int n = rand_r(&state) % 12; long got = functions[n](i);\n"
    "        if (got != i + n && got != -1) wrong++; }\n"
    "    return 0; }\n"
    "long storm(long n) { pthread_t threads[THREADS];\n"
    "    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, thread, (void *)(n + i));\n"
    "    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);\n"
    "    return wrong; }";

static void add_late_functions(struct harness *harness)
{
    static char names[FUNCTIONS][2][16];
    struct jitd_lazy_definition lazies[FUNCTIONS];
    for (int i = 0; i < FUNCTIONS; i++) {
        snprintf(names[i][0], sizeof names[i][0], "late_%d", i);
        snprintf(names[i][1], sizeof names[i][1], "body_%d", i);
        lazies[i] = (struct jitd_lazy_definition){.name = names[i][0], .target = names[i][1]};
    }
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){.lazies = lazies, .lazy_count = FUNCTIONS});
    harness_link_c(harness, "minus.c", "long minus(long n) { return -1; }");
    harness_link_c(harness, "storm.c", storm_source);
}

static void pause_at_random(struct harness *harness, unsigned *state)
{
    nanosleep(&(struct timespec){.tv_nsec = rand_r(state) % 3000000}, NULL);
    cr_assert_eq(jitd_dispatch(harness->session), 0);
}

/* A body with or without data and initialisers. */
static void answer_at_random(struct harness *harness, const char *symbol, unsigned *state)
{
    char source[300];
    int number = atoi(symbol + strlen("body_")), with_data = rand_r(state) % 2;
    snprintf(source, sizeof source, "static long added = %d;\n%s\nlong body_%d(long n) { return n + %s; }",
             with_data ? number - 1 : 0,
             with_data ? "__attribute__((constructor)) static void begin(void) { added++; }" : "", number,
             with_data ? "added" : symbol + strlen("body_"));
    harness_add_c(harness, symbol, source);
    harness_accept(harness, 0);
}

static void redirect_at_random(struct harness *harness, unsigned *state)
{
    char symbol[16];
    snprintf(symbol, sizeof symbol, "late_%d", rand_r(state) % FUNCTIONS);
    cr_assert_eq(harness_redirect(harness, symbol, rand_r(state) % 3 == 0 ? "minus" : NULL), 0);
}

Test(redirect, a_storm_of_first_calls_answers_and_redirections_gives_right_results, .timeout = 50)
{
    for (unsigned seed = 1; seed <= 5; seed++) {
        struct harness *harness = harness_open(NULL);
        struct harness_call call;
        unsigned state = seed;
        int answered = 0;
        add_late_functions(harness);
        harness_call_begin(harness, "storm", seed, &call);
        for (int step = 0; !call.completed && step < 5000; step++) {
            pause_at_random(harness, &state);
            if (answered < harness->asked && rand_r(&state) % 2 == 0)
                answer_at_random(harness, harness->questions[answered++].symbol, &state);
            else if (rand_r(&state) % 3 == 0)
                redirect_at_random(harness, &state);
        }
        cr_assert(call.returned, "seed %u: signal %d, %s", seed, call.end.signal, call.end.lazy_error.text);
        cr_expect_eq(call.value, 0, "seed %u", seed);
        cr_expect_leq(harness->asked, FUNCTIONS, "seed %u: %d questions", seed, harness->asked);
        harness_close(harness);
    }
}

/* An initialiser that fails in all lives but the first: the program's output outlives them. */
static void link_what_fails_later(struct harness *harness)
{
    harness_link_c(harness, "there.c",
                   "#include <stdlib.h>\n#include <unistd.h>\n"
                   "__attribute__((constructor)) static void begin(void)\n"
                   "{ if (lseek(1, 0, SEEK_END) > 0) abort(); if (write(1, \"x\", 1) != 1) abort(); }\n"
                   "long there(long n) { return 2; }\n");
    harness_link_c(harness, "crash.c", "long crash(long n) { *(volatile int *)16 = 0; return n; }");
}

static void have_it_fail(struct harness *harness)
{
    int told = harness->told;
    cr_expect(harness_call(harness, "crash", 0).ended);
    harness_begin_life(harness);
    harness_dispatch_until(harness, &harness->told, told + 1);
    cr_expect_eq(harness_unit(harness, "there.c")->error.code, JITD_ERROR_INITIALISER_FAILED);
}

Test(redirect, to_a_function_that_fails_in_a_new_life_is_undone)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_named(harness, "f.c", "long f(long n) { return 1; }",
                       &(struct jitd_manifest){DEFINITIONS(REDIRECTABLE("f"))});
    link_what_fails_later(harness);
    cr_assert_eq(harness_redirect(harness, "f", "there"), 0);
    cr_expect_eq(harness_value(harness, "f", 0), 2);
    have_it_fail(harness);
    harness_link_c(harness, "in_its_place.c", "long in_its_place(long n) { return 3; }");
    cr_expect_eq(harness_value(harness, "f", 0), 1);
    harness_close(harness);
}

Test(redirect, that_is_undone_by_a_failure_closes_no_circle, .timeout = 20)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_link_named(harness, "f.c", "long f(long n) { return 1; }",
                       &(struct jitd_manifest){DEFINITIONS(REDIRECTABLE("f"))});
    harness_link_named(harness, "names", NULL, &(struct jitd_manifest){LAZIES({.name = "late", .target = "f"})});
    link_what_fails_later(harness);
    cr_assert_eq(harness_redirect(harness, "late", "there"), 0);
    cr_assert_eq(harness_redirect(harness, "f", "late"), 0);
    cr_expect_eq(harness_value(harness, "f", 0), 2);
    have_it_fail(harness);
    struct harness_call call = harness_call(harness, "f", 0);
    cr_assert(call.ended);
    cr_expect_eq(call.end.lazy_error.code, JITD_ERROR_INVALID, "%s", call.end.lazy_error.text);
    cr_assert_eq(harness_redirect(harness, "f", NULL), 0);
    cr_expect_eq(harness_value(harness, "late", 0), 1);
    harness_close(harness);
}
