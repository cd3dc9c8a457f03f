#include "daemon/runner/boundary.h"

static _Thread_local uintptr_t boundary_here;

uintptr_t boundary_of_thread(void)
{
    return boundary_here;
}

void boundary_set(uintptr_t boundary)
{
    boundary_here = boundary;
}
