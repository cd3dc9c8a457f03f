#include <criterion/criterion.h>

struct plain_test *plain_tests;

int main(void)
{
    int count = 0;

    for (const struct plain_test *test = plain_tests; test; test = test->next, count++) {
        fprintf(stderr, "%s\n", test->name);
        test->run();
    }
    printf("%d passed, 0 failed\n", count);
    return count == 0;
}
