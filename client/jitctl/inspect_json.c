/*
 * For programs: one object with the array "sessions", in which a session that was looked into has an "inspection".
 */
#include "client/jitctl/inspect_format.h"

static void json_open_session(struct json *json, const struct inspect_session *session)
{
    json_open(json, NULL, '{');
    json_unsigned(json, "session", session->session);
    json_string(json, "state", inspect_state_name(session->state));
    json_unsigned(json, "age_ms", session->age_ms);
    json_signed(json, "linker", session->linker);
    json_signed(json, "controller", session->controller);
    json_unsigned(json, "user", session->user);
}

static void json_open_sessions(struct inspect_view *view)
{
    json_init(&view->json, view->out);
    json_open(&view->json, NULL, '{');
    json_open(&view->json, "sessions", '[');
}

static void json_sessions(struct inspect_view *view, const struct inspect_session *sessions, size_t count)
{
    struct json *json = &view->json;
    json_open_sessions(view);
    for (size_t i = 0; i < count; i++) {
        json_open_session(json, &sessions[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void json_name(struct json *json, const char *key, ProtobufCBinaryData name)
{
    json_bytes(json, key, name.data, name.len);
}

static void json_zone(struct json *json, const Jitd__Proto__ZoneInfo *zone)
{
    json_open(json, NULL, '{');
    json_name(json, "name", zone->name);
    json_address(json, "address", zone->address);
    json_unsigned(json, "bytes", zone->bytes);
    json_unsigned(json, "used", zone->used);
    json_close(json, '}');
}

static void json_library(struct json *json, const Jitd__Proto__LibraryInfo *library)
{
    json_open(json, NULL, '{');
    json_unsigned(json, "library", library->library);
    json_name(json, "name", library->name);
    json_open(json, "search", '[');
    for (size_t i = 0; i < library->n_search; i++) {
        json_open(json, NULL, '{');
        json_unsigned(json, "library", library->search[i]->library);
        json_boolean(json, "hidden", library->search[i]->hidden);
        json_boolean(json, "re_export", library->search[i]->re_export);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void json_begin_session(struct inspect_view *view, const Jitd__Proto__Inspection *first)
{
    struct json *json = &view->json;
    json_open_sessions(view);
    json_open_session(json, view->session);
    json_open(json, "inspection", '{');
    json_unsigned(json, "epoch", first->epoch);
    json_open(json, "zones", '[');
    for (size_t i = 0; i < first->n_zones; i++)
        json_zone(json, first->zones[i]);
    json_close(json, ']');
    json_open(json, "libraries", '[');
    for (size_t i = 0; i < first->n_libraries; i++)
        json_library(json, first->libraries[i]);
    json_close(json, ']');
    json_open(json, "units", '[');
}

static void json_definition(struct json *json, const Jitd__Proto__Definition *definition)
{
    json_open(json, NULL, '{');
    json_name(json, "name", definition->name);
    json_address(json, "address", definition->address);
    json_unsigned(json, "bytes", definition->bytes);
    json_close(json, '}');
}

static void json_extent(struct json *json, const Jitd__Proto__Inspection *page, const Jitd__Proto__Extent *extent)
{
    json_open(json, NULL, '{');
    if (extent->zone < page->n_zones)
        json_name(json, "zone", page->zones[extent->zone]->name);
    json_address(json, "address", extent->address);
    json_unsigned(json, "bytes", extent->bytes);
    json_close(json, '}');
}

static void json_needs(struct json *json, const Jitd__Proto__UnitInfo *unit)
{
    json_open(json, "uses", '[');
    for (size_t i = 0; i < unit->n_uses; i++)
        json_unsigned(json, NULL, unit->uses[i]);
    json_close(json, ']');
    if (unit->waits_for)
        json_unsigned(json, "waits_for", unit->waits_for);
    json_open(json, "missing", '[');
    for (size_t i = 0; i < unit->n_missing; i++)
        json_name(json, NULL, unit->missing[i]);
    json_close(json, ']');
}

static void json_adapter(struct json *json, const Jitd__Proto__AdapterInfo *adapter)
{
    json_open(json, NULL, '{');
    json_unsigned(json, "wanted", adapter->wanted);
    json_unsigned(json, "given", adapter->given);
    json_name(json, "symbol", adapter->symbol);
    json_address(json, "address", adapter->address);
    json_unsigned(json, "ways", adapter->ways);
    json_close(json, '}');
}

static void json_unit(struct json *json, const Jitd__Proto__Inspection *page, const Jitd__Proto__UnitInfo *unit)
{
    json_open(json, NULL, '{');
    json_unsigned(json, "unit", unit->unit);
    json_name(json, "name", unit->name);
    json_string(json, "state", jitd_unit_state_name(unit->state));
    json_unsigned(json, "library", unit->library);
    json_open(json, "definitions", '[');
    for (size_t i = 0; i < unit->n_definitions; i++)
        json_definition(json, unit->definitions[i]);
    json_close(json, ']');
    json_open(json, "extents", '[');
    for (size_t i = 0; i < unit->n_extents; i++)
        json_extent(json, page, unit->extents[i]);
    json_close(json, ']');
    json_needs(json, unit);
    json_open(json, "adapters", '[');
    for (size_t i = 0; i < unit->n_adapters; i++)
        json_adapter(json, unit->adapters[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static void json_units(struct inspect_view *view, const Jitd__Proto__Inspection *page)
{
    for (size_t i = 0; i < page->n_units; i++)
        json_unit(&view->json, page, page->units[i]);
}

static void json_end_session(struct inspect_view *view)
{
    static const char brackets[] = {']', '}', '}', ']', '}'};
    for (size_t i = 0; i < sizeof brackets; i++)
        json_close(&view->json, brackets[i]);
}

const struct inspect_format inspect_json = {json_sessions, json_begin_session, json_units, json_end_session};
