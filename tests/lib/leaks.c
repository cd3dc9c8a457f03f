#include "tests/lib/leaks.h"

/* Criterion's own process, which starts a worker for each test, loses 48 bytes when there are many of them. Workers, in
   which tests run, are told what they need in BXFI_MAP. */
#ifdef __SANITIZE_ADDRESS__
#include <stdlib.h>

__attribute__((constructor)) static void ignore_what_criterion_loses(void)
{
    if (!getenv("BXFI_MAP"))
        __lsan_disable();
}
#endif
