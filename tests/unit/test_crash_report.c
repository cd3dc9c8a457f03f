/*
 * Crash reports of jitctl, about what no program of its tests can be made to do: to wait for a function in vain.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/crash_report.h"

typedef void print_function(FILE *out, const char *program, const struct jitd_end *end, struct places *places);

/* To be freed. */
static char *printed(print_function *print, const struct jitd_end *end)
{
    struct places places;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    cr_assert(out);
    places_init(&places, NULL);
    print(out, "program", end, &places);
    places_fini(&places);
    fclose(out);
    return text;
}

static void expect_printed(print_function *print, const struct jitd_end *end, const char *wanted, bool there)
{
    char *text = printed(print, end);
    cr_expect_eq(strstr(text, wanted) != NULL, there, "'%s' in: %s", wanted, text);
    free(text);
}

Test(crash_report, says_which_function_did_not_come_and_why)
{
    struct jitd_end end = {.signal = SIGABRT,
                           .initialiser_of = "",
                           .action_of = "",
                           .lazy_symbol = "twice",
                           .lazy_error = {.code = JITD_ERROR_TIMEOUT, .text = "not supplied within 50 ms"}};
    expect_printed(crash_report_print, &end, "waiting for twice, which did not come: not supplied within 50 ms", true);
    expect_printed(crash_report_print_json, &end, "\"lazy_symbol\": \"twice\"", true);
    expect_printed(crash_report_print_json, &end, "\"lazy_error\": \"not supplied within 50 ms\"", true);
    expect_printed(crash_report_print_json, &end, "\"lazy_error_code\": \"TIMEOUT\"", true);
    end.lazy_symbol = "";
    end.lazy_error = (struct jitd_error){.text = ""};
    expect_printed(crash_report_print, &end, "waiting for", false);
    expect_printed(crash_report_print_json, &end, "linker", false);
}

Test(crash_report, names_the_unit_whose_action_ran)
{
    struct jitd_end end = {
        .signal = SIGSEGV, .initialiser_of = "", .action_of = "table.o", .lazy_symbol = "", .lazy_error = {.text = ""}};
    expect_printed(crash_report_print, &end, "in an action of table.o", true);
    expect_printed(crash_report_print_json, &end, "\"action_of\": \"table.o\"", true);
    end.action_of = "";
    expect_printed(crash_report_print, &end, "action", false);
    expect_printed(crash_report_print_json, &end, "linker", false);
}
