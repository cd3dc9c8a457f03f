/*
 * The last word of a session to its controller.
 */
#ifndef LINKER_FAREWELL_H
#define LINKER_FAREWELL_H

#include "common/error.h"
#include "proto/connection.h"
#include "proto/control.h"

/* Queues Goodbye with the error's code and text; a connection that does not take it any more is left as it is. */
void farewell_say(struct connection *connection, const struct error *why);

/* Sends what is queued, to a controller that reads within a fifth of a second. */
void farewell_flush(struct connection *connection);

/* What CONTROL_END means, in words. Returns the code. */
int farewell_describe(const struct control_answer *end, struct error *out);

/* The lifecycle socket has come to its end. The supervisor, which reaps the template, knows of what that died: waits a
   third of a second for it to say so. */
void farewell_to_template(int control, struct error *out);

#endif
