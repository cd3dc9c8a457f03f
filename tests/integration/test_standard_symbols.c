/*
 * What ld defines by itself: what each of the symbols means here, or why nothing.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"

TestSuite(standard_symbols, .timeout = 60);

Test(standard_symbols, bounds_surround_the_batchs_code_and_data)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "far.o", "int zero[100], full = 5; long far(long x) { return 1; }");
    harness_add_c(
        harness, "user.o",
        "extern char __executable_start[], etext[], data_start[], edata[], __bss_start[], end[], _end[];\n"
        "extern int zero[100], full; long far(long); typedef char *p;\n"
        "long user(long x) { return (p)far >= __executable_start && (p)far < etext && (p)&full >= data_start\n"
        "    && (p)(&full + 1) <= edata && (p)zero >= __bss_start && (p)(zero + 100) <= end && end == _end\n"
        "    && etext <= data_start && edata <= end; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "user", 0), 1);
    cr_expect_eq(harness_address(harness, "etext"), 0);
    harness_close(harness);
}

Test(standard_symbols, are_only_provided_and_wait_for_nobody_but_in_an_open_batch)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "end.o", "long end(long x) { return x + 1; }");
    harness_add_c(harness, "user.o", "long end(long); long user(long x) { return end(x); }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "user", 4), 5);
    harness_add_c(harness, "early.o", "long edata(long); long early(long x) { return edata(x); }");
    harness_accept(harness, 0);
    harness_expect_state(harness, "early.o", JITD_UNIT_RESOLVED);
    harness_link_c(harness, "late.o", "long edata(long x) { return x + 2; }");
    harness_expect_ready(harness, "early.o");
    cr_expect_eq(harness_value(harness, "early", 4), 6);
    harness_close(harness);
}

Test(standard_symbols, arrays_are_empty_and_start_functions_do_nothing)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(
        harness, "start.o",
        "#include <elf.h>\n"
        "extern void (*__init_array_start[])(void), (*__init_array_end[])(void);\n"
        "extern char __fini_array_start[], __fini_array_end[], __preinit_array_start[], __preinit_array_end[];\n"
        "extern char __rela_iplt_start[], __rela_iplt_end[];\n"
        "void _init(void), _fini(void); static long runs;\n"
        "__attribute__((constructor)) static void once(void) { runs++; }\n"
        "long start(long x) { _init(); for (void (**f)(void) = __init_array_start; f < __init_array_end; f++)\n"
        "    (*f)(); _fini(); return runs; }\n"
        "long empty(long x) { return __fini_array_start == __fini_array_end &&\n"
        "    __preinit_array_start == __preinit_array_end && __rela_iplt_start == __rela_iplt_end; }\n"
        "extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility(\"hidden\")));\n"
        "long debug(long x) { for (Elf64_Dyn *d = _DYNAMIC; d->d_tag; d++)\n"
        "    if (d->d_tag == DT_DEBUG) return d->d_un.d_ptr != 0; return -1; }");
    cr_expect_eq(harness_value(harness, "start", 0), 1);
    cr_expect_eq(harness_value(harness, "empty", 0), 1);
    cr_expect_eq(harness_value(harness, "debug", 0), 1, "the list of loaded libraries is found as in any program");
    harness_close(harness);
}

Test(standard_symbols, without_a_meaning_say_why_and_are_0_where_they_are_weak)
{
    static const struct {
        const char *name, *why;
    } cases[] = {
        {"__ehdr_start", "ELF header"},
        {"_start", "entered at main"},
        {"__libc_csu_init", "glibc 2.34"},
        {"_TLS_MODULE_BASE_", "thread-local"},
        {"__GNU_EH_FRAME_HDR", "unwind tables of its own"},
        {"_PROCEDURE_LINKAGE_TABLE_", "ld does not define"},
    };
    struct harness *harness = harness_open(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char source[256];
        snprintf(source, sizeof source, "extern char %s[]; char *user(void) { return %s; }", cases[i].name,
                 cases[i].name);
        harness_add_c(harness, "strong.o", source);
        cr_expect_eq(harness_submit(harness, JITD_BATCH_CLOSED), JITD_ERROR_SYMBOL_MISSING);
        cr_expect(strstr(harness->errors[0].text, cases[i].why), "%s", harness->errors[0].text);
        snprintf(source, sizeof source,
                 "extern char %s[] __attribute__((weak, visibility(\"hidden\"))); long weak(long x) { return !%s; }",
                 cases[i].name, cases[i].name);
        harness_link_c(harness, "weak.o", source);
        cr_expect_eq(harness_value(harness, "weak", 0), 1);
        harness_remove_unit(harness, "weak.o");
    }
    harness_close(harness);
}
