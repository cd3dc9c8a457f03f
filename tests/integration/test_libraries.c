/*
 * Libraries: where names are looked for.
 */
#include <criterion/criterion.h>

#include "tests/integration/harness.h"
#include "tests/integration/requests.h"

Test(library, is_searched_in_its_order_with_what_is_re_exported)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1}), 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 2}), 0);
    cr_assert_eq(
        requests_define(harness,
                        &(struct jitd_library){
                            .number = 3,
                            .search = (const struct jitd_search[]){{.library = 1, .re_export = true}, {.library = 2}},
                            .search_count = 2}),
        0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 4,
                                                                 .search = (const struct jitd_search[]){{.library = 3}},
                                                                 .search_count = 1}),
                 0);
    harness_submit_to(harness, 1, "one.o", "long both(long x) { return 10; } long only_one(long x) { return 11; }",
                      NULL);
    harness_submit_to(harness, 2, "two.o", "long both(long x) { return 20; } long only_two(long x) { return 21; }",
                      NULL);
    harness_submit_to(
        harness, 3, "three.o",
        "extern long both(long), only_two(long); long three(long x) { return both(x) * 100 + only_two(x); }", NULL);
    requests_expect_value(harness, 3, "three", 1021);
    requests_expect_value(harness, 4, "both", 10);
    requests_expect_value(harness, 4, "only_one", 11);
    cr_expect_eq(requests_address_in(harness, 4, "only_two"), 0, "library 3 searches it and does not pass it on");
    cr_expect_eq(requests_address_in(harness, 0, "both"), 0);
    harness_close(harness);
}

Test(library, may_search_in_circles)
{
    struct harness *harness = harness_open(NULL);
    const struct jitd_search second[] = {{.library = 2, .re_export = true}};
    const struct jitd_search first[] = {{.library = 1, .re_export = true}, {.library = 2}};
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1}), 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 2, .search = first, .search_count = 2}), 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1, .search = second, .search_count = 1}), 0);
    harness_submit_to(harness, 1, "even.o",
                      "extern long odd(long); long even(long x) { return x == 0 ? 1 : odd(x - 1); }", NULL);
    harness_submit_to(harness, 2, "odd.o",
                      "extern long even(long); long odd(long x) { return x == 0 ? 0 : even(x - 1); }", NULL);
    harness_settle(harness);
    requests_expect_value(harness, 1, "odd", 1);
    requests_expect_value(harness, 2, "even", 0);
    cr_expect_eq(requests_address_in(harness, 2, "nowhere"), 0);
    harness_close(harness);
}

Test(library, lets_what_waits_look_again_when_its_search_order_changes)
{
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1}), 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 2}), 0);
    harness_submit_to(harness, 1, "g.o", "long g(long x) { return x + 6; }", NULL);
    harness_submit_to(harness, 2, "f.o", "extern long g(long); long f(long x) { return g(x); }", NULL);
    harness_expect_state(harness, "f.o", JITD_UNIT_RESOLVED);
    const struct jitd_search search[] = {{.library = 1}};
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 2, .search = search, .search_count = 1}), 0);
    harness_settle(harness);
    requests_expect_value(harness, 2, "f", 7);
    harness_close(harness);
}

Test(library, has_the_process_symbols_that_it_wants)
{
    static const char *const listed[] = {"atol", NULL};
    static const char source[] = "extern long atol(const char *); long number(long x) { return atol(\"12\"); }\n";
    static const char other[] = "extern long strtol(const char *, char **, int);\n"
                                "long other(long x) { return strtol(\"12\", 0, 10); }\n";
    struct harness *harness = harness_open(NULL);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 1, .process_symbols = JITD_PROCESS_NONE}),
                 0);
    cr_assert_eq(requests_define(harness, &(struct jitd_library){.number = 2,
                                                                 .process_symbols = JITD_PROCESS_LISTED,
                                                                 .process_names = listed}),
                 0);
    harness_add_to(harness, 1, "none.o", source, NULL);
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(harness->errors[0].symbol, "atol");
    harness_add_to(harness, 2, "unlisted.o", other, NULL);
    cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
    cr_expect_str_eq(harness->errors[0].symbol, "strtol");
    harness_submit_to(harness, 2, "listed.o", source, NULL);
    harness_settle(harness);
    requests_expect_value(harness, 2, "number", 12);
    cr_expect_eq(requests_address_in(harness, 1, "atol"), 0);
    cr_expect_eq(requests_address_in(harness, 2, "strtol"), 0);
    cr_expect_neq(requests_address_in(harness, 0, "strtol"), 0);
    harness_close(harness);
}

Test(library, may_be_used_before_the_answer_has_come)
{
    struct harness *harness = harness_open(NULL);
    struct harness_error answer = {.code = HARNESS_UNANSWERED};
    HARNESS_MUST(harness, jitd_define_library(harness->session, &(struct jitd_library){.number = 65535}, harness_done,
                                              &answer, NULL));
    harness_submit_to(harness, 65535, "f.o", "long f(long x) { return x; }", NULL);
    cr_expect_eq(answer.code, 0);
    requests_expect_value(harness, 65535, "f", 1);
    cr_expect_eq(requests_call_in(harness, 0, "f", 1).error.code, JITD_ERROR_NOT_FOUND);
    cr_expect_eq(requests_define(harness, &(struct jitd_library){.number = 1,
                                                                 .search = (const struct jitd_search[]){{.library = 7}},
                                                                 .search_count = 1}),
                 JITD_ERROR_NOT_FOUND);
    harness_close(harness);
}
