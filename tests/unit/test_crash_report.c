/*
 * Crash reports of jitctl, about what no program of its tests can be made to do: to wait for a function in vain.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/crash_report.h"
#include "common/bytes.h"

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

static struct jitd_end end_by(int signal)
{
    return (struct jitd_end){.signal = signal,
                             .initialiser_of = "",
                             .finaliser_of = "",
                             .action_of = "",
                             .lazy_symbol = "",
                             .lazy_error = {.text = ""}};
}

Test(crash_report, says_which_function_did_not_come_and_why)
{
    struct jitd_end end = end_by(SIGABRT);
    end.lazy_symbol = "twice";
    end.lazy_error = (struct jitd_error){.code = JITD_ERROR_TIMEOUT, .text = "not supplied within 50 ms"};
    expect_printed(crash_report_print, &end, "waiting for twice, which did not come: not supplied within 50 ms", true);
    expect_printed(crash_report_print_json, &end, "\"lazy_symbol\": \"twice\"", true);
    expect_printed(crash_report_print_json, &end, "\"lazy_error\": \"not supplied within 50 ms\"", true);
    expect_printed(crash_report_print_json, &end, "\"lazy_error_code\": \"TIMEOUT\"", true);
    end.lazy_symbol = "";
    end.lazy_error = (struct jitd_error){.text = ""};
    expect_printed(crash_report_print, &end, "waiting for", false);
    expect_printed(crash_report_print_json, &end, "linker", false);
}

Test(crash_report, names_the_unit_whose_code_the_linker_had_run)
{
    static const char *const phrases[] = {"while initialising table.o", "while finalising table.o",
                                          "in an action of table.o"};
    static const char *const members[] = {"initialiser_of", "finaliser_of", "action_of"};
    for (size_t i = 0; i < ARRAY_LENGTH(phrases); i++) {
        struct jitd_end end = end_by(SIGSEGV);
        const char **const units[] = {&end.initialiser_of, &end.finaliser_of, &end.action_of};
        char wanted[64];
        *units[i] = "table.o";
        snprintf(wanted, sizeof wanted, "\"%s\": \"table.o\"", members[i]);
        expect_printed(crash_report_print, &end, phrases[i], true);
        expect_printed(crash_report_print_json, &end, wanted, true);
        *units[i] = "";
        expect_printed(crash_report_print, &end, "table.o", false);
        expect_printed(crash_report_print_json, &end, "linker", false);
    }
}

Test(crash_report, says_that_a_deadline_was_the_reason)
{
    struct jitd_end end = end_by(SIGKILL);
    end.initialiser_of = "stuck.o";
    end.deadline_ms = 50;
    expect_printed(crash_report_print, &end, "since that had not returned within 50 ms", true);
    expect_printed(crash_report_print_json, &end, "\"deadline_ms\": 50", true);
    end.deadline_ms = 0;
    expect_printed(crash_report_print, &end, "within", false);
    expect_printed(crash_report_print_json, &end, "deadline_ms", false);
}
