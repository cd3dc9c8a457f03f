/*
 * How a program leaves, and what the runner does then.
 */
#ifndef RUNNER_EXITS_H
#define RUNNER_EXITS_H

#include "common/error.h"

/* Registers handlers before the program can, so that they run after the program's own. */
int exits_open(struct error *error);

#endif
