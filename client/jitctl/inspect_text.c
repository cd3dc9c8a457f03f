/*
 * For people: what a session has room for, and of its units those that somebody may wonder about.
 */
#include <inttypes.h>

#include "client/jitctl/inspect_format.h"
#include "client/jitctl/name.h"
#include "common/bytes.h"

static const char *text_age(uint64_t milliseconds, char out[32])
{
    uint64_t seconds = milliseconds / 1000;
    if (seconds < 60)
        snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " s", seconds, milliseconds % 1000 / 100);
    else if (seconds < 7200)
        snprintf(out, 32, "%" PRIu64 " min", seconds / 60);
    else
        snprintf(out, 32, "%" PRIu64 " h", seconds / 3600);
    return out;
}

static void text_sessions(struct inspect_view *view, const struct inspect_session *sessions, size_t count)
{
    char age[32];
    if (count == 0)
        fputs("no sessions\n", view->out);
    else
        fprintf(view->out, "%-8s %-9s %10s %10s %10s %10s\n", "session", "state", "linker", "controller", "user",
                "age");
    for (size_t i = 0; i < count; i++)
        fprintf(view->out, "%-8" PRIu64 " %-9s %10d %10d %10u %10s\n", sessions[i].session,
                inspect_state_name(sessions[i].state), sessions[i].linker, sessions[i].controller, sessions[i].user,
                text_age(sessions[i].age_ms, age));
}

static void text_name(FILE *out, const char *before, ProtobufCBinaryData name)
{
    fputs(before, out);
    name_print(out, name.data, name.len);
    fputc('\n', out);
}

static void text_library(FILE *out, const Jitd__Proto__LibraryInfo *library)
{
    fprintf(out, "library %u", library->library);
    for (size_t i = 0; i < library->n_search; i++) {
        const Jitd__Proto__Search *search = library->search[i];
        fprintf(out, "%s %u%s%s", i ? "," : ", searches", search->library, search->hidden ? " with hidden names" : "",
                search->re_export ? " re-exported" : "");
    }
    text_name(out, ": ", library->name);
}

static void text_begin(struct inspect_view *view, const Jitd__Proto__Inspection *first)
{
    const struct inspect_session *session = view->session;
    char age[32];
    fprintf(view->out, "session %" PRIu64 ", %s, %s old: linker %d, controller %d, life %" PRIu64 " of the runner\n\n",
            session->session, inspect_state_name(session->state), text_age(session->age_ms, age), session->linker,
            session->controller, first->epoch);
    fprintf(view->out, "%-5s %-18s %12s %12s\n", "zone", "address", "bytes", "used");
    for (size_t i = 0; i < first->n_zones; i++) {
        const Jitd__Proto__ZoneInfo *zone = first->zones[i];
        fprintf(view->out, "%-5.*s 0x%016" PRIx64 " %12" PRIu64 " %12" PRIu64 "\n", (int)zone->name.len,
                (const char *)zone->name.data, zone->address, zone->bytes, zone->used);
    }
    fputc('\n', view->out);
    for (size_t i = 0; i < first->n_libraries; i++)
        text_library(view->out, first->libraries[i]);
    fputc('\n', view->out);
}

static void text_details(FILE *out, const Jitd__Proto__UnitInfo *unit)
{
    for (size_t i = 0; i < unit->n_definitions; i++) {
        const Jitd__Proto__Definition *definition = unit->definitions[i];
        fprintf(out, "  0x%016" PRIx64 " %10" PRIu64, definition->address, definition->bytes);
        text_name(out, "  ", definition->name);
    }
    for (size_t i = 0; i < unit->n_uses; i++)
        fprintf(out, "%s%" PRIu64 "%s", i ? ", " : "  uses ", unit->uses[i], i + 1 == unit->n_uses ? "\n" : "");
}

static void text_adapter(FILE *out, const Jitd__Proto__AdapterInfo *adapter)
{
    fprintf(out,
            "  adapts calls by %" PRIu64 " to functions of %" PRIu64 ", 0x%016" PRIx64 ", %" PRIu64 " of them so far",
            adapter->wanted, adapter->given, adapter->address, adapter->ways);
    text_name(out, ": ", adapter->symbol);
}

static void text_unit(struct inspect_view *view, const Jitd__Proto__UnitInfo *unit)
{
    FILE *out = view->out;
    fprintf(out, "unit %" PRIu64 ", %s, library %u", unit->unit, jitd_unit_state_name(unit->state), unit->library);
    text_name(out, ": ", unit->name);
    if (view->all_units)
        text_details(out, unit);
    if (unit->waits_for)
        fprintf(out, "  waits for unit %" PRIu64 "\n", unit->waits_for);
    for (size_t i = 0; i < unit->n_missing; i++)
        text_name(out, "  missing ", unit->missing[i]);
    for (size_t i = 0; i < unit->n_adapters; i++)
        text_adapter(out, unit->adapters[i]);
}

static void text_units(struct inspect_view *view, const Jitd__Proto__Inspection *page)
{
    for (size_t i = 0; i < page->n_units; i++) {
        const Jitd__Proto__UnitInfo *unit = page->units[i];
        if ((unsigned)unit->state < JITD_UNIT_STATES)
            view->states[unit->state]++;
        if (view->all_units || unit->state != JITD__PROTO__UNIT_STATE__READY || unit->n_adapters)
            text_unit(view, unit);
    }
}

static void text_end(struct inspect_view *view)
{
    uint64_t units = 0;
    for (unsigned i = 0; i < JITD_UNIT_STATES; i++)
        units += view->states[i];
    fprintf(view->out, "%" PRIu64 " unit%s", units, units == 1 ? "" : "s");
    const char *separator = ": ";
    for (unsigned i = 0; i < JITD_UNIT_STATES; i++)
        if (view->states[i]) {
            fprintf(view->out, "%s%" PRIu64 " %s", separator, view->states[i], jitd_unit_state_name(i));
            separator = ", ";
        }
    fputc('\n', view->out);
}

const struct inspect_format inspect_text = {text_sessions, text_begin, text_units, text_end};
