/*
 * Adapt: one function for one pair of conventions.
 */
#include "daemon/linker/adapters.h"
#include "daemon/linker/session.h"

void adapt_request(struct session *session, uint64_t request, const Jitd__Proto__Adapt *message)
{
    const struct manifest_name symbol = {(const char *)message->symbol.data, message->symbol.len};
    Jitd__Proto__Adapted reply = JITD__PROTO__ADAPTED__INIT;
    struct error error;

    if (adapters_register(&session->linker, message->library, &symbol, message->wanted, message->given, &error) != 0)
        session_fail(session, request, &error);
    else
        session_send(session, MESSAGE_ADAPTED, request, &reply.base);
}
