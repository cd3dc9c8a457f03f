/*
 * Addresses of names, now or once all of them are ready.
 *
 * A lookup that waits is a unit that offers nothing and uses the names: what is true of units, that they wait, fail
 * with what they need, have deadlines and can be cancelled, is true of it, and no second machinery waits for anything.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/linker/search.h"
#include "daemon/linker/session.h"

struct lookup {
    struct unit_waiter waiter;
    struct lookup *next;
    uint64_t request;
    uint32_t library;
    size_t count;
    struct manifest_name *names; /* owned, with their bytes behind them */
};

static int check_names(const struct session *session, const Jitd__Proto__Lookup *message, struct error *error)
{
    if (message->n_names > LIMIT_LOOKUPS_PER_REQUEST)
        return error_set(error, ERROR_LIMIT, "%zu names in one lookup; at most %d are taken", message->n_names,
                         LIMIT_LOOKUPS_PER_REQUEST);
    if (!libraries_has(session->linker.libraries, message->library))
        return error_set(error, ERROR_NOT_FOUND, "there is no library %u", message->library);
    for (size_t i = 0; i < message->n_names && message->wait; i++) {
        const ProtobufCBinaryData *name = &message->names[i];

        if (name->len == 0 || name->len > LIMIT_NAME_BYTES || memchr(name->data, '\0', name->len))
            return error_set(error, ERROR_INVALID, "name %zu of the lookup is empty, too long or contains a NUL byte",
                             i);
    }
    return 0;
}

/* As it is now, whatever it was before and may come to be. */
static void find_now(struct session *session, uint32_t library, const struct manifest_name *name,
                     Jitd__Proto__Address *address)
{
    struct link_found found;

    if (!link_lookup(&session->linker, library, name->bytes, name->length, &found))
        return;
    address->address = found.address;
    address->ready = found.ready;
}

/* What the lookup has waited for, though the name may have come to mean something else in the meantime. Of a process
   symbol a unit has no use. */
static void find_awaited(struct session *session, const struct unit *unit, uint32_t number,
                         const struct manifest_name *name, uint32_t *next, Jitd__Proto__Address *address)
{
    const struct pending *pending = unit->pending;
    const struct symbol *symbol;

    if (*next < pending->use_count && pending->uses[*next].number == number)
        symbol = pending->uses[(*next)++].symbol;
    else
        symbol = search_process(&session->linker, name->bytes, name->length);
    address->ready = symbol != NULL;
    address->address = symbol ? symbol->address : 0;
}

/* `unit`: of a lookup that has waited; else NULL. */
static void answer(struct session *session, uint64_t request, uint32_t library, const struct manifest_name *names,
                   size_t count, const struct unit *unit)
{
    Jitd__Proto__Addresses reply = JITD__PROTO__ADDRESSES__INIT;
    uint32_t next = 0;
    struct error error;

    pool_reset(&session->encode);
    Jitd__Proto__Address *addresses = pool_allocate_array(&session->encode, count, sizeof *addresses);
    reply.addresses = pool_allocate_array(&session->encode, count, sizeof *reply.addresses);
    if (!addresses || !reply.addresses) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for %zu addresses", count);
        session_fail(session, request, &error);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        jitd__proto__address__init(&addresses[i]);
        if (unit)
            find_awaited(session, unit, (uint32_t)i, &names[i], &next, &addresses[i]);
        else
            find_now(session, library, &names[i], &addresses[i]);
        reply.addresses[reply.n_addresses++] = &addresses[i];
    }
    session_send(session, MESSAGE_ADDRESSES, request, &reply.base);
}

static void lookup_free(struct lookup *lookup)
{
    free(lookup->names);
    free(lookup);
}

static struct lookup *lookup_new(const Jitd__Proto__Lookup *message, uint64_t request)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    size_t bytes = message->n_names * sizeof *lookup->names;

    for (size_t i = 0; i < message->n_names; i++)
        bytes += message->names[i].len + 1;
    if (lookup)
        lookup->names = malloc(bytes);
    if (!lookup || !lookup->names) {
        free(lookup);
        return NULL;
    }
    char *at = (char *)(lookup->names + message->n_names);
    for (size_t i = 0; i < message->n_names; i++) {
        memcpy(at, message->names[i].data, message->names[i].len);
        lookup->names[lookup->count++] = (struct manifest_name){at, message->names[i].len};
        at += message->names[i].len;
        *at++ = '\0'; /* names of the runner's libraries are C strings */
    }
    lookup->request = request;
    lookup->library = message->library;
    return lookup;
}

/* The names as uses of a unit of the library; a name that is asked for twice is used twice, which hurts nobody. */
static const struct manifest *make_manifest(struct session *session, const struct lookup *lookup)
{
    struct manifest *manifest = pool_allocate(&session->decode, sizeof *manifest);
    struct manifest_use *uses = pool_allocate_array(&session->decode, lookup->count, sizeof *uses);

    if (!manifest || !uses)
        return NULL;
    for (size_t i = 0; i < lookup->count; i++)
        uses[i] = (struct manifest_use){.global = lookup->names[i], .library = USE_LIBRARY_OWN, .any_convention = true};
    *manifest = (struct manifest){.uses = uses, .use_count = (uint32_t)lookup->count};
    return manifest;
}

static void forget(struct session *session, struct lookup *lookup)
{
    struct lookup **link = &session->lookups;

    while (*link != lookup)
        link = &(*link)->next;
    *link = lookup->next;
    lookup_free(lookup);
}

/* Replies go out behind the events that tell of the units in question. */
static void changed(struct session *session, struct unit_waiter *waiter, const struct unit *unit,
                    const struct report *report)
{
    struct lookup *lookup = (struct lookup *)waiter;

    if (unit->state == UNIT_RESOLVED)
        return;
    event_flush(session);
    if (report)
        session_fail_report(session, lookup->request, report);
    else
        answer(session, lookup->request, lookup->library, lookup->names, lookup->count, unit);
    remove_later(session, waiter->unit);
    forget(session, lookup);
}

static void wait_for(struct session *session, struct lookup *lookup, uint32_t deadline_ms)
{
    const struct link_input input = {
        .name = "lookup", .name_length = 6, .library = lookup->library, .manifest = make_manifest(session, lookup)};
    struct batch *batch = input.manifest ? batch_new(NULL, LIMIT_DECODE_BYTES) : NULL;
    uint64_t request = lookup->request;
    struct report report = {0};
    struct error error;

    if (!batch) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for a lookup");
        report_add(&report, &error);
    } else {
        lookup->waiter.changed = changed;
        lookup->next = session->lookups;
        session->lookups = lookup;
        batch->deadline_ms = deadline_ms;
        if (submit_internal(session, batch, &input, &lookup->waiter, &report))
            return;
        session->lookups = lookup->next;
    }
    lookup_free(lookup);
    session_fail_report(session, request, &report);
    report_fini(&report);
}

static void answer_now(struct session *session, uint64_t request, const Jitd__Proto__Lookup *message)
{
    struct manifest_name *names = pool_allocate_array(&session->decode, message->n_names, sizeof *names);
    struct error error;

    if (!names) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for %zu names", message->n_names);
        session_fail(session, request, &error);
        return;
    }
    for (size_t i = 0; i < message->n_names; i++)
        names[i] = (struct manifest_name){(const char *)message->names[i].data, message->names[i].len};
    answer(session, request, message->library, names, message->n_names, NULL);
}

void lookup_request(struct session *session, uint64_t request, const Jitd__Proto__Lookup *message)
{
    struct error error;
    int code = check_names(session, message, &error);

    if (!code && !message->wait) {
        answer_now(session, request, message);
        return;
    }
    struct lookup *lookup = code ? NULL : lookup_new(message, request);
    if (lookup) {
        wait_for(session, lookup, message->deadline_ms);
        return;
    }
    if (!code)
        error_set(&error, ERROR_NO_MEMORY, "no memory for %zu names", message->n_names);
    session_fail(session, request, &error);
}

bool lookup_cancel(struct session *session, uint64_t request)
{
    struct lookup *lookup = session->lookups;
    struct error error;

    while (lookup && lookup->request != request)
        lookup = lookup->next;
    if (!lookup)
        return false;
    error_set(&error, ERROR_CANCELLED, "the lookup was cancelled");
    link_fail(&session->linker, lookup->waiter.unit, &error);
    return true;
}

void lookup_close(struct session *session)
{
    while (session->lookups)
        forget(session, session->lookups);
}
