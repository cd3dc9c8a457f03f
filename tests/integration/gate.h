/*
 * A function `busy` that says "inside" and stays there until the gate is opened; then it returns 42.
 */
#ifndef TESTS_INTEGRATION_GATE_H
#define TESTS_INTEGRATION_GATE_H

#include "tests/integration/harness.h"

void gate_link(struct harness *harness);      /* as gate.o */
void gate_link_busy(struct harness *harness); /* as busy.o, which uses that */
void gate_open(struct harness *harness);      /* links opener.o, whose initialiser does it */

#endif
