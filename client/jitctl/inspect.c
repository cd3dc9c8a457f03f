/*
 * jitctl inspect: what the sessions of a listening daemon hold, as a look from outside.
 */
#include <inttypes.h>

#include "client/jitctl/commands.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/inspect_format.h"
#include "client/jitctl/observation.h"
#include "client/jitctl/options.h"

const char *inspect_state_name(unsigned state)
{
    static const char *const names[] = {"starting", "open", "ending"};
    return state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static int inspect_pages(struct observation *observation, struct inspect_view *view,
                         const struct inspect_format *format)
{
    Jitd__Proto__Inspect request = JITD__PROTO__INSPECT__INIT;
    const Jitd__Proto__Inspection *page;
    request.units = request.dependencies = request.libraries = request.adapters = true;
    int status = observation_ask(observation, &request, &page);
    if (status)
        return status;
    format->begin(view, page);
    format->units(view, page);
    request.libraries = false;
    /* The cursor must move on, whatever the other side says. */
    while (page->next_unit > request.first_unit) {
        request.first_unit = page->next_unit;
        status = observation_ask(observation, &request, &page);
        if (status)
            return status;
        format->units(view, page);
    }
    format->end(view);
    return 0;
}

static int inspect_session(const struct options *options, const struct inspect_session *session,
                           const struct inspect_format *format)
{
    struct inspect_view view = {.out = stdout, .session = session, .all_units = options->units};
    struct observation observation;
    int status = observation_open(&observation, options->operands[0].text, session->session);
    if (!status)
        status = inspect_pages(&observation, &view, format);
    observation_close(&observation);
    return status;
}

static const struct inspect_session *inspect_find(const struct inspect_session *sessions, size_t count, uint64_t number)
{
    if (number == 0)
        return count == 1 ? sessions : NULL;
    for (size_t i = 0; i < count; i++)
        if (sessions[i].session == number)
            return &sessions[i];
    return NULL;
}

static int inspect_daemon(const struct options *options)
{
    const struct inspect_format *format = options->json ? &inspect_json : options->dot ? &inspect_dot : &inspect_text;
    struct inspect_session sessions[LIMIT_SESSIONS];
    size_t count;
    int status = observation_list(options->operands[0].text, sessions, &count);
    if (status)
        return status;
    const struct inspect_session *session = inspect_find(sessions, count, options->session);
    if (session)
        return inspect_session(options, session, format);
    if (options->session)
        return complain("there is no session %" PRIu64, options->session);
    if (!format->sessions)
        return complain("there are %zu sessions; --session names one", count);
    struct inspect_view view = {.out = stdout};
    format->sessions(&view, sessions, count);
    return 0;
}

int inspect_command(int argc, char **argv)
{
    struct options options;
    int status = options_parse(&options, OPTIONS_INSPECT, argc, argv);
    if (!status)
        status = inspect_daemon(&options);
    options_free(&options);
    return status;
}
