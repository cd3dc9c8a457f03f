/*
 * The template's words to the linker, and the linker's to it (proto/control.h).
 */
#ifndef RUNNER_LIFECYCLE_H
#define RUNNER_LIFECYCLE_H

#include <stdbool.h>

#include "proto/control.h"

/* False where the linker has gone. */
bool lifecycle_send(const struct lifecycle *message);

/* Waits for one; false where the linker has gone. */
bool lifecycle_receive(struct lifecycle *message);

/* LIFECYCLE_TEMPLATE_FAILED: the template must end after it. `os` is an errno or 0. */
void lifecycle_report_failure(const char *stage, int os);

#endif
