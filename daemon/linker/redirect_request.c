/*
 * Redirect: all of it is checked, then each is one store.
 */
#include "daemon/linker/redirect.h"
#include "daemon/linker/session.h"

static struct manifest_name name_of(const ProtobufCBinaryData *bytes)
{
    return (struct manifest_name){(const char *)bytes->data, bytes->len};
}

static int check(struct session *session, const Jitd__Proto__Redirect *message, struct redirect_request *requests,
                 struct error *error)
{
    int code = 0;

    if (message->n_symbols != message->n_targets || message->n_symbols > LIMIT_REDIRECTS_PER_REQUEST)
        return error_set(error, ERROR_LIMIT, "%zu symbols and %zu targets: as many of both, and at most %d",
                         message->n_symbols, message->n_targets, LIMIT_REDIRECTS_PER_REQUEST);
    if (!requests)
        return error_set(error, ERROR_NO_MEMORY, "no memory for %zu redirections", message->n_symbols);
    for (size_t i = 0; i < message->n_symbols && !code; i++) {
        const struct manifest_name symbol = name_of(&message->symbols[i]), target = name_of(&message->targets[i]);

        code = redirect_check(&session->linker, message->library, &symbol, &target, &requests[i], error);
    }
    return code;
}

void redirect_request(struct session *session, uint64_t request, const Jitd__Proto__Redirect *message)
{
    Jitd__Proto__Redirected reply = JITD__PROTO__REDIRECTED__INIT;
    struct redirect_request *requests = pool_allocate_array(&session->decode, message->n_symbols, sizeof *requests);
    struct error error;
    int code = check(session, message, requests, &error);

    if (!code)
        code = redirect_apply(&session->linker, requests, message->n_symbols, &error);
    if (code)
        session_fail(session, request, &error);
    else
        session_send(session, MESSAGE_REDIRECTED, request, &reply.base);
}
