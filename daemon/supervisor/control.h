/*
 * The one question that a linker puts to the supervisor, and its answer (proto/control.h). The linker may have been
 * taken over by what it read: every number is checked here against the daemon's own configuration.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <stdbool.h>

#include "common/error.h"
#include "daemon/supervisor/configuration.h"
#include "proto/control.h"

struct control_request {
    struct control_start start;
    int streams[3]; /* owned by the caller; -1 where there are none */
};

enum control_outcome {
    CONTROL_WAIT,    /* nothing there yet */
    CONTROL_GONE,    /* the linker has closed its end */
    CONTROL_BROKEN,  /* not a packet that a linker sends; *error says why */
    CONTROL_RECEIVED /* *out is filled; its numbers are not checked yet */
};

enum control_outcome control_receive(int socket, struct control_request *out, struct error *error);
void control_close(struct control_request *request);

/* Numbers within their enumerations, libraries within the allow-list. Errors: PROTOCOL, UNSUPPORTED. */
int control_check(const struct control_start *start, const struct configuration *configuration, struct error *error);

/* Whether the linker has sealed the zones, `zones` being the descriptors of X, S, R and D: a template that mapped them
   before would keep a way to make code writable. Errors: PROTOCOL, SYSTEM. */
int control_check_seals(const int *zones, struct error *error);

/* error == NULL: started, with `layers`; else refused. Errors: DISCONNECTED. */
int control_answer(int socket, const struct error *refused, uint32_t layers, struct error *error);

/* Has the linker say goodbye and end. False where it does not take the packet. */
bool control_end(int socket, enum control_end why, int os);

#endif
