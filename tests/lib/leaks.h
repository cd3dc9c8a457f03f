/*
 * Leaks as test failures. Under AddressSanitizer expect_no_leaks fails the running test if anything that was allocated
 * so far is out of reach; call it last, once everything has been released. Elsewhere it does nothing. It may stand in a
 * teardown: Criterion prints what fails there without counting it, and tests/run makes up for that.
 */
#ifndef TESTS_LIB_LEAKS_H
#define TESTS_LIB_LEAKS_H

#include <criterion/criterion.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define expect_no_leaks() cr_expect(__lsan_do_recoverable_leak_check() == 0, "memory was leaked")
#else
#define expect_no_leaks() ((void)0)
#endif

#endif
