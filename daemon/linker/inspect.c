/*
 * What the session holds, for people who debug a frontend.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/session.h"

/* What a listed unit may take of a reply, apart from its names and edges, on the wire. */
#define UNIT_WIRE_BYTES    128
#define ADAPTER_WIRE_BYTES 48

struct inspection {
    struct session *session;
    struct pool *pool;
    const Jitd__Proto__Inspect *request;
    Jitd__Proto__Inspection *reply;
    size_t bytes;      /* of the reply so far, no less than it will be */
    size_t byte_limit; /* past it no further unit is listed */
};

static bool list_zones(const struct inspection *inspection)
{
    const struct arena *arena = inspection->session->arena;
    Jitd__Proto__ZoneInfo *zones = pool_allocate_array(inspection->pool, ZONE_COUNT, sizeof *zones);
    Jitd__Proto__Inspection *reply = inspection->reply;

    reply->zones = pool_allocate_array(inspection->pool, ZONE_COUNT, sizeof *reply->zones);
    if (!zones || !reply->zones)
        return false;
    for (int z = 0; z < ZONE_COUNT; z++) {
        jitd__proto__zone_info__init(&zones[z]);
        zones[z].name = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t)zone_names[z]};
        zones[z].address = arena_address(arena, (enum zone)z, 0);
        zones[z].bytes = arena_zone_bytes(arena, (enum zone)z);
        zones[z].used = arena_used(arena, (enum zone)z);
        zones[z].digest = inspection->request->digests ? arena_digest(arena, (enum zone)z) : 0;
        reply->zones[reply->n_zones++] = &zones[z];
    }
    return true;
}

static bool list_extents(struct inspection *inspection, const struct unit *unit, Jitd__Proto__UnitInfo *info)
{
    Jitd__Proto__Extent *extents = pool_allocate_array(inspection->pool, ZONE_COUNT, sizeof *extents);

    info->extents = pool_allocate_array(inspection->pool, ZONE_COUNT, sizeof *info->extents);
    if (!extents || !info->extents)
        return false;
    for (int z = 0; z < ZONE_COUNT; z++) {
        const struct arena_extent *extent = &unit->block.extent[z];

        if (extent->bytes == 0)
            continue;
        jitd__proto__extent__init(&extents[z]);
        extents[z].zone = (uint32_t)z;
        extents[z].address = arena_address(inspection->session->arena, (enum zone)z, extent->offset);
        extents[z].bytes = extent->bytes;
        info->extents[info->n_extents++] = &extents[z];
    }
    return true;
}

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static void sort_ids(uint64_t *ids, size_t *count)
{
    size_t kept = 0;

    qsort(ids, *count, sizeof *ids, compare_ids);
    for (size_t i = 0; i < *count; i++)
        if (kept == 0 || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    *count = kept;
}

/* Each other unit that it uses, once; and of names that nobody offers, the names. */
static bool list_needs(struct inspection *inspection, const struct unit *unit, Jitd__Proto__UnitInfo *info)
{
    info->uses = pool_allocate_array(inspection->pool, unit->need_count, sizeof *info->uses);
    info->missing = pool_allocate_array(inspection->pool, unit->need_count, sizeof *info->missing);
    if (!info->uses || !info->missing)
        return false;
    for (uint32_t i = 0; i < unit->need_count; i++) {
        const struct symbol *symbol = unit_needs(unit)[i];

        if (symbol->binding == SYMBOL_UNIT && symbol->definer != unit)
            info->uses[info->n_uses++] = symbol->definer->id;
        else if (symbol->binding == SYMBOL_UNBOUND)
            info->missing[info->n_missing++] =
                (ProtobufCBinaryData){symbol->name_length, (uint8_t *)(uintptr_t)symbol->name};
        inspection->bytes += symbol->binding == SYMBOL_UNBOUND ? symbol->name_length + 8 : 10;
    }
    sort_ids(info->uses, &info->n_uses);
    return true;
}

/* A unit has the one that was registered last at the head of its list. */
static bool list_adapters(struct inspection *inspection, const struct unit *unit, Jitd__Proto__UnitInfo *info)
{
    size_t count = 0;

    for (const struct adapter *adapter = unit->adapters; adapter; adapter = adapter->next)
        count++;
    Jitd__Proto__AdapterInfo *adapters = pool_allocate_array(inspection->pool, count, sizeof *adapters);
    info->adapters = pool_allocate_array(inspection->pool, count, sizeof *info->adapters);
    if (!adapters || !info->adapters)
        return false;
    info->n_adapters = count;
    for (const struct adapter *adapter = unit->adapters; adapter; adapter = adapter->next) {
        const struct symbol *symbol = adapter->symbol;
        Jitd__Proto__AdapterInfo *out = &adapters[--count];

        jitd__proto__adapter_info__init(out);
        info->adapters[count] = out;
        out->wanted = adapter->wanted;
        out->given = adapter->given;
        out->symbol = (ProtobufCBinaryData){symbol->name_length, (uint8_t *)(uintptr_t)symbol->name};
        out->address = symbol->address;
        out->ways = adapter->ways;
        inspection->bytes += symbol->name_length + ADAPTER_WIRE_BYTES;
    }
    return true;
}

static uint64_t waits_for(const struct unit *unit)
{
    const struct unit *watched = unit->pending ? graph_watched(unit) : NULL;

    return watched ? watched->id : 0;
}

static bool list_unit(struct inspection *inspection, struct unit *unit)
{
    Jitd__Proto__UnitInfo *info = pool_allocate(inspection->pool, sizeof *info);

    if (!info)
        return false;
    jitd__proto__unit_info__init(info);
    info->unit = unit->id;
    info->name = (ProtobufCBinaryData){strlen(unit->name), (uint8_t *)unit->name};
    info->state = (Jitd__Proto__UnitState)unit->state;
    info->library = unit->library;
    info->definitions = event_definitions(inspection->pool, unit, &info->n_definitions);
    inspection->bytes += UNIT_WIRE_BYTES + info->name.len;
    for (size_t i = 0; i < info->n_definitions; i++)
        inspection->bytes += info->definitions[i]->name.len + 32;
    if (!list_extents(inspection, unit, info) ||
        (inspection->request->adapters && !list_adapters(inspection, unit, info)))
        return false;
    if (inspection->request->dependencies) {
        info->waits_for = waits_for(unit);
        if (!list_needs(inspection, unit, info))
            return false;
    }
    inspection->reply->units[inspection->reply->n_units++] = info;
    return true;
}

/* As many as fit into one message; where it was cut off the next request begins. */
static bool list_units(struct inspection *inspection)
{
    const struct linker *linker = &inspection->session->linker;
    uint64_t first = inspection->request->first_unit ? inspection->request->first_unit : 1;
    uint64_t limit = inspection->request->unit_limit ? inspection->request->unit_limit : UINT64_MAX;
    uint64_t most = min_u64(min_u64(linker->units.count, limit), inspection->byte_limit / UNIT_WIRE_BYTES + 1);
    Jitd__Proto__Inspection *reply = inspection->reply;

    reply->units = pool_allocate_array(inspection->pool, most, sizeof *reply->units);
    if (!reply->units)
        return false;
    for (struct unit *unit = units_after(&linker->units, first - 1); unit;
         unit = units_after(&linker->units, unit->id)) {
        if (unit->internal)
            continue;
        if (reply->n_units == limit || inspection->bytes > inspection->byte_limit) {
            reply->next_unit = unit->id;
            break;
        }
        if (!list_unit(inspection, unit))
            return false;
    }
    return true;
}

static bool list_library(const struct inspection *inspection, uint32_t library)
{
    const struct libraries *libraries = inspection->session->linker.libraries;
    Jitd__Proto__LibraryInfo *info = pool_allocate(inspection->pool, sizeof *info);
    uint32_t count;
    const struct search_entry *entries = libraries_search(libraries, library, &count);
    Jitd__Proto__Search *search = pool_allocate_array(inspection->pool, count, sizeof *search);

    if (!info || !search)
        return false;
    jitd__proto__library_info__init(info);
    info->library = library;
    const char *name = libraries_name(libraries, library);
    info->name = (ProtobufCBinaryData){strlen(name), (uint8_t *)(uintptr_t)name};
    info->search = pool_allocate_array(inspection->pool, count, sizeof *info->search);
    for (uint32_t i = 0; i < count && info->search; i++) {
        jitd__proto__search__init(&search[i]);
        search[i].library = entries[i].library;
        search[i].hidden = entries[i].hidden;
        search[i].re_export = entries[i].re_export;
        info->search[info->n_search++] = &search[i];
    }
    inspection->reply->libraries[inspection->reply->n_libraries++] = info;
    return info->search != NULL;
}

static bool list_libraries(const struct inspection *inspection)
{
    const struct libraries *libraries = inspection->session->linker.libraries;
    Jitd__Proto__Inspection *reply = inspection->reply;

    reply->libraries = pool_allocate_array(inspection->pool, libraries_count(libraries), sizeof *reply->libraries);
    if (!reply->libraries)
        return false;
    for (uint32_t library = 0; libraries_next(libraries, library, &library); library++)
        if (!list_library(inspection, library))
            return false;
    return true;
}

int inspect_answer(struct session *session, const Jitd__Proto__Inspect *message, struct pool *pool, size_t bytes,
                   Jitd__Proto__Inspection *reply, struct error *error)
{
    struct inspection inspection = {session, pool, message, reply, 0, bytes};

    reply->epoch = runner_epoch(session->runner);
    reply->unit_count = session->linker.units.count;
    if (!list_zones(&inspection) || (message->units && !list_units(&inspection)) ||
        (message->libraries && !list_libraries(&inspection)))
        return error_set(error, ERROR_NO_MEMORY, "no memory to list %llu units: ask for fewer at a time",
                         (unsigned long long)reply->unit_count);
    size_t packed = protobuf_c_message_get_packed_size(&reply->base);
    if (packed > LIMIT_MESSAGE_BYTES)
        return error_set(error, ERROR_LIMIT, "the answer takes %zu bytes, and a message has at most %llu", packed,
                         LIMIT_MESSAGE_BYTES);
    return 0;
}

void inspect_request(struct session *session, uint64_t request, const Jitd__Proto__Inspect *message)
{
    Jitd__Proto__Inspection reply = JITD__PROTO__INSPECTION__INIT;
    struct error error;

    pool_reset(&session->encode);
    if (inspect_answer(session, message, &session->encode, LIMIT_MESSAGE_BYTES / 2, &reply, &error) != 0)
        session_fail(session, request, &error);
    else
        session_send(session, MESSAGE_INSPECTION, request, &reply.base);
}
