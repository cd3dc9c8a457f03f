/*
 * News to the controller: collected while frames are handled, sent as one message when the turn is over, since wake-ups
 * cost far more than bytes.
 */
#include <string.h>

#include "daemon/linker/session.h"

/* Past this many events one message is sent, whatever else is going on. */
#define EVENTS_PER_MESSAGE 16384

static ProtobufCBinaryData text(struct pool *pool, const char *string)
{
    size_t length = strlen(string);
    char *copy = pool_copy_string(pool, string, length);

    return (ProtobufCBinaryData){copy ? length : 0, (uint8_t *)copy};
}

static void add_causes(struct pool *pool, const struct report_entry *entry, Jitd__Proto__Error *out)
{
    Jitd__Proto__Cause *causes = pool_allocate_array(pool, entry->cause_count, sizeof *causes);

    out->causes_omitted = entry->causes_omitted;
    out->causes = pool_allocate_array(pool, entry->cause_count, sizeof *out->causes);
    for (uint32_t i = 0; i < entry->cause_count && causes && out->causes; i++) {
        jitd__proto__cause__init(&causes[i]);
        causes[i].unit = text(pool, entry->causes[i].unit);
        causes[i].symbol = text(pool, entry->causes[i].symbol);
        out->causes[out->n_causes++] = &causes[i];
    }
}

static Jitd__Proto__Error *event_error(struct pool *pool, const struct report_entry *entry)
{
    const struct error *error = &entry->error;
    Jitd__Proto__Error *out = pool_allocate(pool, sizeof *out);

    if (!out)
        return NULL;
    jitd__proto__error__init(out);
    out->code = (uint32_t)error->code;
    out->text = text(pool, error->text);
    out->unit = text(pool, error->unit);
    out->section = text(pool, error->section);
    out->offset = error->offset;
    out->relocation = text(pool, error->relocation);
    out->symbol = text(pool, error->symbol);
    out->references_omitted = entry->references_omitted;
    out->references = pool_allocate_array(pool, entry->reference_count + 1u, sizeof *out->references);
    for (uint32_t i = 0; i < entry->reference_count && out->references; i++) {
        Jitd__Proto__Reference *reference = pool_allocate(pool, sizeof *reference);

        if (!reference)
            break;
        jitd__proto__reference__init(reference);
        reference->unit = text(pool, entry->references[i].unit);
        reference->section = text(pool, entry->references[i].section);
        reference->offset = entry->references[i].offset;
        reference->unit_id = entry->references[i].unit_id;
        reference->unit_place = entry->references[i].unit_place;
        reference->section_index = entry->references[i].section_index;
        out->references[out->n_references++] = reference;
    }
    add_causes(pool, entry, out);
    return out;
}

/* As many as there is memory for. */
Jitd__Proto__Error **event_errors(struct pool *pool, const struct report *report, size_t *count)
{
    Jitd__Proto__Error **errors = pool_allocate_array(pool, report->count + 1u, sizeof *errors);

    *count = 0;
    for (uint32_t i = 0; i < report->count && errors; i++) {
        errors[*count] = event_error(pool, &report->entries[i]);
        if (!errors[*count])
            break;
        *count += 1;
    }
    return errors;
}

Jitd__Proto__Definition **event_definitions(struct pool *pool, const struct unit *unit, size_t *count)
{
    Jitd__Proto__Definition *definitions = pool_allocate_array(pool, unit->definition_count, sizeof *definitions);
    Jitd__Proto__Definition **list = pool_allocate_array(pool, unit->definition_count, sizeof *list);

    *count = 0;
    for (uint32_t i = 0; i < unit->definition_count && definitions && list; i++) {
        const struct symbol *symbol = unit->definitions[i];

        if (symbol->space == SPACE_GATHERED(unit->library))
            continue;
        jitd__proto__definition__init(&definitions[i]);
        definitions[i].name = (ProtobufCBinaryData){symbol->name_length, (uint8_t *)(uintptr_t)symbol->name};
        definitions[i].address = symbol->address;
        definitions[i].bytes = symbol->bytes;
        list[(*count)++] = &definitions[i];
    }
    return list;
}

static bool make_room(struct session *session)
{
    size_t capacity = session->event_capacity ? session->event_capacity * 2 : 64;

    if (session->event_count < session->event_capacity)
        return true;
    Jitd__Proto__UnitEvent **list = pool_allocate_array(&session->events, capacity, sizeof *list);
    if (!list)
        return false;
    if (session->event_count)
        memcpy(list, session->event_list, session->event_count * sizeof *list);
    session->event_list = list;
    session->event_capacity = capacity;
    return true;
}

static Jitd__Proto__UnitEvent *add_event(struct session *session)
{
    Jitd__Proto__UnitEvent *event = make_room(session) ? pool_allocate(&session->events, sizeof *event) : NULL;

    if (!event)
        return NULL;
    jitd__proto__unit_event__init(event);
    session->event_list[session->event_count++] = event;
    return event;
}

/* Not less than what an event takes in a message: texts lie in the pool, names of definitions do not. */
static size_t event_size(const Jitd__Proto__UnitEvent *event, size_t pool_bytes)
{
    size_t size = sizeof *event + pool_bytes;

    for (size_t i = 0; i < event->n_definitions; i++)
        size += event->definitions[i]->name.len;
    return size;
}

static void unit_changed(void *owner, const struct unit *unit, const struct report *report)
{
    struct session *session = owner;

    if (unit->pending && unit->pending->waiter) {
        unit->pending->waiter->changed(session, unit->pending->waiter, unit, report);
        return;
    }
    if (session->event_count >= EVENTS_PER_MESSAGE || session->event_bytes >= LIMIT_NEWS_BYTES)
        event_flush(session);
    Jitd__Proto__UnitEvent *event = add_event(session);
    size_t used = session->events.used;

    if (!event) {
        event_flush(session);
        event = add_event(session);
        used = session->events.used;
    }
    if (!event) {
        struct error error;

        error_set(&error, ERROR_NO_MEMORY, "no memory for news of units");
        session_end(session, &error);
        return;
    }
    event->unit = unit->id;
    event->state = (Jitd__Proto__UnitState)unit->state;
    if (report)
        event->errors = event_errors(&session->events, report, &event->n_errors);
    if (unit->state == UNIT_RESOLVED && unit->pending->batch->report_addresses)
        event->definitions = event_definitions(&session->events, unit, &event->n_definitions);
    session->event_bytes += event_size(event, session->events.used - used);
}

void event_flush(struct session *session)
{
    Jitd__Proto__Units message = JITD__PROTO__UNITS__INIT;

    if (session->event_count == 0)
        return;
    message.events = session->event_list;
    message.n_events = session->event_count;
    session_send(session, MESSAGE_UNITS, 0, &message.base);
    pool_reset(&session->events);
    session->event_list = NULL;
    session->event_count = session->event_capacity = session->event_bytes = 0;
}

static void component_linked(void *owner, struct unit *root)
{
    publish_component(owner, root);
}

const struct link_hooks event_hooks = {.unit_changed = unit_changed,
                                       .component_linked = component_linked,
                                       .lazy_wanted = materialize_wanted,
                                       .lazy_resumed = materialize_resumed};
