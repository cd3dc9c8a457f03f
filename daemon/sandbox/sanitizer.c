/*
 * Sanitizer builds only. The leak check stops its process with ptrace, which no filter of ours allows; unit tests check
 * for leaks instead. A session's libraries are loaded before the sanitizer's own, which would refuse that, and the
 * runner's threads have alternate stacks of ours.
 */
#include <stddef.h>

const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0:verify_asan_link_order=0:use_sigaltstack=0";
}
