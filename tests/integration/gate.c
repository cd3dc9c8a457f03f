#include "tests/integration/gate.h"

void gate_link(struct harness *harness)
{
    harness_link_c(harness, "gate.o", "volatile long gate;\n");
}

void gate_link_busy(struct harness *harness)
{
    harness_link_c(harness, "busy.o",
                   "#include <unistd.h>\nextern volatile long gate;\n"
                   "static long wait_for_gate(void) { write(1, \"inside\\n\", 7);\n"
                   "    while (!gate) usleep(1000); return 42; }\n"
                   "long busy(long x) { return wait_for_gate(); }\n");
}

void gate_open(struct harness *harness)
{
    harness_link_c(harness, "opener.o",
                   "extern volatile long gate;\n"
                   "__attribute__((constructor)) static void open_it(void) { gate = 1; }\n");
}
