/*
 * Goodbye from the supervisor: to a controller that gets no session, or whose linker cannot speak any more.
 */
#ifndef SUPERVISOR_FAREWELL_H
#define SUPERVISOR_FAREWELL_H

#include "common/error.h"

/* Sends one whole frame, or nothing where the socket does not take it at once. */
void farewell_send(int controller, const struct error *why);

#endif
