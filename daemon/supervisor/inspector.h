/*
 * PATH.inspect: who connects there asks for the list of sessions, or to be handed to the linker of one
 * (proto/inspect.h). The supervisor reads sixteen bytes of such a client, writes once, and waits for nobody.
 */
#ifndef SUPERVISOR_INSPECTOR_H
#define SUPERVISOR_INSPECTOR_H

#include "daemon/supervisor/listener.h"
#include "daemon/supervisor/session.h"

struct inspect_client; /* one that has connected and not asked yet */

struct inspector {
    struct listener listener;
    const struct session_set *sessions; /* borrowed */
    uv_loop_t *loop;                    /* borrowed */
    struct inspect_client *first;       /* owned; doubly linked; at most LIMIT_INSPECT_CLIENTS */
    size_t count;
};

/* Listens beside `owner`, which must outlive it. Errors: as listener_open_beside. Then inspector_close does nothing. */
int inspector_open(struct inspector *inspector, const struct session_set *sessions, const struct listener *owner,
                   struct error *error);

/* Drops all clients and removes the socket; the loop may then end. */
void inspector_close(struct inspector *inspector);

#endif
