/*
 * As much of Criterion as the tests of threads use, without a process for each test: Criterion and ThreadSanitizer want
 * the same addresses. Tests run one after another in the process of main.c; the first failure ends it.
 */
#ifndef TESTS_PLAIN_CRITERION_H
#define TESTS_PLAIN_CRITERION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_test {
    const char *name;
    void (*run)(void);
    struct plain_test *next;
};

extern struct plain_test *plain_tests; /* the last one of a file first */

#define Test(suite, called)                                                                                            \
    static void suite##_##called(void);                                                                                \
    __attribute__((constructor)) static void suite##_##called##_enter(void)                                            \
    {                                                                                                                  \
        static struct plain_test test = {#suite "/" #called, suite##_##called, NULL};                                  \
        test.next = plain_tests;                                                                                       \
        plain_tests = &test;                                                                                           \
    }                                                                                                                  \
    static void suite##_##called(void)

#define PLAIN_CHECK(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define PLAIN_FAIL(...)                                                                                                \
    do {                                                                                                               \
        fprintf(stderr, __VA_ARGS__);                                                                                  \
        exit(1);                                                                                                       \
    } while (0)

#define cr_assert_fail(...)           PLAIN_FAIL(__VA_ARGS__)
#define cr_assert(condition, ...)     PLAIN_CHECK(condition)
#define cr_assert_eq(a, b, ...)       PLAIN_CHECK((a) == (b))
#define cr_assert_neq(a, b, ...)      PLAIN_CHECK((a) != (b))
#define cr_assert_lt(a, b, ...)       PLAIN_CHECK((a) < (b))
#define cr_assert_not_null(a, ...)    PLAIN_CHECK((a) != NULL)
#define cr_expect(condition, ...)     PLAIN_CHECK(condition)
#define cr_expect_not(condition, ...) PLAIN_CHECK(!(condition))
#define cr_expect_eq(a, b, ...)       PLAIN_CHECK((a) == (b))
#define cr_expect_null(a, ...)        PLAIN_CHECK((a) == NULL)
#define cr_expect_not_null(a, ...)    PLAIN_CHECK((a) != NULL)
#define cr_expect_str_eq(a, b, ...)   PLAIN_CHECK(strcmp((a), (b)) == 0)

#endif
