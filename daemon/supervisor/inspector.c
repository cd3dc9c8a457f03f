/*
 * Clients of PATH.inspect. Not a byte is read beyond the request: what follows it is for the linker.
 */
#include "daemon/supervisor/inspector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "proto/limits.h"

#define LOG_TAG "inspector"

#define CLIENT_PATIENCE_MS 5000

struct inspect_client {
    struct inspector *inspector;
    struct inspect_client *previous, *next;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned open_handles;
    int socket; /* owned */
    size_t received;
    struct inspect_request request;
};

/* ---- the end of a client ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct inspect_client *client = handle->data;
    if (--client->open_handles == 0)
        free(client);
}

static void drop(struct inspect_client *client)
{
    struct inspector *inspector = client->inspector;
    if (client->next)
        client->next->previous = client->previous;
    *(client->previous ? &client->previous->next : &inspector->first) = client->next;
    inspector->count--;
    uv_close((uv_handle_t *)&client->poll, handle_closed);
    uv_close((uv_handle_t *)&client->timer, handle_closed);
    descriptor_close(&client->socket);
}

/* ---- answers ---- */

struct listing {
    struct inspect_answer answer;
    struct inspect_session sessions[LIMIT_SESSIONS];
};

static void answer_list(const struct inspect_client *client)
{
    struct listing listing = {.answer.magic = INSPECT_MAGIC};
    listing.answer.count = session_list(client->inspector->sessions, listing.sessions, LIMIT_SESSIONS);
    size_t length = sizeof listing.answer + listing.answer.count * sizeof listing.sessions[0];
    descriptor_send(client->socket, &listing, length, NULL, 0);
}

/* The answer goes first, so that the linker's bytes come behind it. */
static void answer_attach(const struct inspect_client *client)
{
    const struct session_set *sessions = client->inspector->sessions;
    uint64_t number = client->request.session;
    const struct inspect_answer answer = {.magic = INSPECT_MAGIC, .status = session_check(sessions, number)};
    if (descriptor_send(client->socket, &answer, sizeof answer, NULL, 0) == sizeof answer &&
        answer.status == INSPECT_OK)
        session_observe(sessions, number, client->socket);
}

static void answer_malformed(const struct inspect_client *client)
{
    const struct inspect_answer answer = {.magic = INSPECT_MAGIC, .status = INSPECT_MALFORMED};
    descriptor_send(client->socket, &answer, sizeof answer, NULL, 0);
}

static void answer(const struct inspect_client *client)
{
    const struct inspect_request *request = &client->request;
    if (request->magic == INSPECT_MAGIC && request->kind == INSPECT_LIST)
        answer_list(client);
    else if (request->magic == INSPECT_MAGIC && request->kind == INSPECT_ATTACH)
        answer_attach(client);
    else
        answer_malformed(client);
}

/* ---- requests ---- */

static void client_ready(uv_poll_t *poll, int status, int events)
{
    struct inspect_client *client = poll->data;
    (void)status, (void)events;
    ssize_t got =
        recv(client->socket, (char *)&client->request + client->received, sizeof client->request - client->received, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    client->received += got > 0 ? (size_t)got : 0;
    if (got > 0 && client->received < sizeof client->request)
        return;
    if (got > 0)
        answer(client);
    drop(client);
}

static void client_late(uv_timer_t *timer)
{
    log_info("a client of the inspection socket asked for nothing");
    drop(timer->data);
}

static void link_client(struct inspect_client *client)
{
    struct inspector *inspector = client->inspector;
    client->next = inspector->first;
    if (inspector->first)
        inspector->first->previous = client;
    inspector->first = client;
    inspector->count++;
}

static void accepted(struct listener *listener, int socket)
{
    struct inspector *inspector = (struct inspector *)((char *)listener - offsetof(struct inspector, listener));
    struct inspect_client *client = inspector->count < LIMIT_INSPECT_CLIENTS ? calloc(1, sizeof *client) : NULL;
    if (!client || uv_poll_init(inspector->loop, &client->poll, socket) != 0) {
        log_warn("a client of the inspection socket was turned away");
        free(client);
        descriptor_close(&socket);
        return;
    }
    client->inspector = inspector;
    client->socket = socket;
    client->open_handles = 2;
    client->poll.data = client->timer.data = client;
    link_client(client);
    uv_timer_init(inspector->loop, &client->timer);
    uv_timer_start(&client->timer, client_late, CLIENT_PATIENCE_MS, 0);
    if (uv_poll_start(&client->poll, UV_READABLE, client_ready) != 0)
        drop(client);
}

/* ---- the socket ---- */

int inspector_open(struct inspector *inspector, const struct session_set *sessions, const struct listener *owner,
                   struct error *error)
{
    *inspector = (struct inspector){.sessions = sessions, .loop = sessions->loop, .listener.accepted = accepted};
    return listener_open_beside(&inspector->listener, inspector->loop, owner, INSPECT_SUFFIX, error);
}

void inspector_close(struct inspector *inspector)
{
    while (inspector->first)
        drop(inspector->first);
    listener_close(&inspector->listener);
}
