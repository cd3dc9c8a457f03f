/*
 * Events (event.h). Units that became ready, failed or were removed leave the session's set of pending ones, whether or
 * not there is a listener; a daemon that tells of units which it never accepted changes nothing there.
 */
#include "client/event.h"

#include <limits.h>

#include "client/convert.h"

static bool event_settles(Jitd__Proto__UnitState state)
{
    return state == JITD__PROTO__UNIT_STATE__READY || state == JITD__PROTO__UNIT_STATE__FAILED ||
           state == JITD__PROTO__UNIT_STATE__REMOVED;
}

static int event_unit(struct jitd_session *session, const Jitd__Proto__UnitEvent *event, struct error *error)
{
    if (event_settles(event->state))
        table_remove(&session->pending, event->unit + 1);
    if (!session->listener.unit)
        return 0;
    struct converter converter = {.pool = &session->shown};
    struct jitd_unit_event shown = {
        .unit = event->unit,
        .state = (enum jitd_unit_state)event->state,
        .definitions = convert_definitions(&converter, event->definitions, event->n_definitions),
        .definition_count = event->n_definitions,
    };
    if (shown.state == JITD_UNIT_FAILED)
        shown.errors = convert_errors(&converter, event->errors, event->n_errors, 0);
    int code = convert_result(&converter, error);
    if (code == 0)
        session->listener.unit(session, &shown, session->data);
    return code;
}

static int event_units(struct jitd_session *session, const Jitd__Proto__Units *units, struct error *error)
{
    for (size_t i = 0; i < units->n_events; i++) {
        int code = event_unit(session, units->events[i], error);
        if (code != 0)
            return code;
    }
    return 0;
}

static int event_runner_ended(struct jitd_session *session, const Jitd__Proto__RunnerEnded *event, struct error *error)
{
    if (!event->ended)
        return error_set(error, ERROR_PROTOCOL, "the daemon reported the end of a runner without a report");
    if (!session->listener.runner_ended)
        return 0;
    struct converter converter = {.pool = &session->shown};
    struct jitd_end end;
    convert_end(&converter, event->ended, &end);
    int code = convert_result(&converter, error);
    if (code == 0)
        session->listener.runner_ended(session, &end, session->data);
    return code;
}

/* Where nobody listens the answer is given here, so that no thread waits for it. */
static int event_refuse(struct jitd_session *session, uint64_t ask, struct error *error)
{
    int code = jitd_refuse(session, ask, "the program does not listen for it", NULL, NULL, NULL);
    return code == 0 ? 0 : error_set(error, code, "%s", session->error.text);
}

static int event_materialize(struct jitd_session *session, const Jitd__Proto__Materialize *event, struct error *error)
{
    if (!session->listener.materialize)
        return event_refuse(session, event->ask, error);
    struct converter converter = {.pool = &session->shown};
    const struct jitd_materialize shown = {.ask = event->ask,
                                           .symbol = convert_string(&converter, &event->symbol),
                                           .library = event->library,
                                           .convention = event->convention};
    int code = convert_result(&converter, error);
    if (code == 0)
        session->listener.materialize(session, &shown, session->data);
    return code;
}

/* The session ends when the socket does, which comes next. A code that this library does not know is kept. */
static int event_goodbye(struct jitd_session *session, const Jitd__Proto__Goodbye *goodbye)
{
    char text[sizeof session->goodbye.text];
    size_t length = goodbye->text.len < sizeof text - 1 ? goodbye->text.len : sizeof text - 1;
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(goodbye->text.data[i] ? goodbye->text.data[i] : '?');
    text[length] = '\0';
    int code = goodbye->code != 0 && goodbye->code <= INT_MAX ? (int)goodbye->code : ERROR_DISCONNECTED;
    error_set(&session->goodbye, code, "%s", text);
    return 0;
}

int event_deliver(struct jitd_session *session, const struct frame_header *header, const ProtobufCMessage *message,
                  struct error *error)
{
    if (header->request != 0)
        return error_set(error, ERROR_PROTOCOL, "the daemon sent an event as the reply to a request");
    if (header->type == MESSAGE_UNITS)
        return event_units(session, (const Jitd__Proto__Units *)message, error);
    if (header->type == MESSAGE_RUNNER_ENDED)
        return event_runner_ended(session, (const Jitd__Proto__RunnerEnded *)message, error);
    if (header->type == MESSAGE_MATERIALIZE)
        return event_materialize(session, (const Jitd__Proto__Materialize *)message, error);
    if (header->type == MESSAGE_GOODBYE)
        return event_goodbye(session, (const Jitd__Proto__Goodbye *)message);
    return error_set(error, ERROR_PROTOCOL, "the daemon sent an event of type %u, which is not known", header->type);
}
