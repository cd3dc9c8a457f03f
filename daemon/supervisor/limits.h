/*
 * What a session's processes may take (setrlimit(2)). Bounds an accident as much as an attack.
 */
#ifndef SUPERVISOR_LIMITS_H
#define SUPERVISOR_LIMITS_H

#include "daemon/supervisor/child.h"
#include "daemon/supervisor/configuration.h"

/* Each adds to the plan's limits. A session gets no more than the daemon's own, and those where it asks for nothing. */
void limits_of_linker(struct child_plan *plan, const struct configuration *configuration);
void limits_of_runner(struct child_plan *plan, const struct control_start *start,
                      const struct configuration *configuration);

#endif
