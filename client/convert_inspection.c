/*
 * Inspections, as far as they are conversions (convert.h). Zones stand by their index in the message and by their names
 * in jitd.h.
 */
#include "client/convert.h"

static const struct jitd_zone *convert_zones(struct converter *converter, Jitd__Proto__ZoneInfo *const *list,
                                             size_t count)
{
    struct jitd_zone *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_zone){.name = convert_string(converter, &list[i]->name),
                                    .address = list[i]->address,
                                    .bytes = list[i]->bytes,
                                    .used = list[i]->used,
                                    .digest = list[i]->digest};
    return out;
}

/* Of zones whose memory was refused no name is asked. */
static const char *zone_name(const struct jitd_inspection *inspection, uint32_t zone)
{
    return inspection->zones && zone < inspection->zone_count ? inspection->zones[zone].name : "";
}

static const struct jitd_extent *convert_extents(struct converter *converter, const struct jitd_inspection *inspection,
                                                 Jitd__Proto__Extent *const *list, size_t count)
{
    struct jitd_extent *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_extent){
            .zone = zone_name(inspection, list[i]->zone), .address = list[i]->address, .bytes = list[i]->bytes};
    return out;
}

static const struct jitd_adapter *convert_adapters(struct converter *converter, Jitd__Proto__AdapterInfo *const *list,
                                                   size_t count)
{
    struct jitd_adapter *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_adapter){.wanted = list[i]->wanted,
                                       .given = list[i]->given,
                                       .symbol = convert_string(converter, &list[i]->symbol),
                                       .address = list[i]->address,
                                       .ways = list[i]->ways};
    return out;
}

static struct jitd_unit convert_unit(struct converter *converter, const struct jitd_inspection *inspection,
                                     const Jitd__Proto__UnitInfo *info)
{
    return (struct jitd_unit){
        .unit = info->unit,
        .name = convert_string(converter, &info->name),
        .state = (enum jitd_unit_state)info->state,
        .definitions = convert_definitions(converter, info->definitions, info->n_definitions),
        .definition_count = info->n_definitions,
        .library = info->library,
        .extents = convert_extents(converter, inspection, info->extents, info->n_extents),
        .extent_count = info->n_extents,
        .uses = info->uses,
        .use_count = info->n_uses,
        .waits_for = info->waits_for,
        .missing = convert_strings(converter, info->missing, info->n_missing),
        .missing_count = info->n_missing,
        .adapters = convert_adapters(converter, info->adapters, info->n_adapters),
        .adapter_count = info->n_adapters,
    };
}

static const struct jitd_search *convert_search(struct converter *converter, Jitd__Proto__Search *const *list,
                                                size_t count)
{
    struct jitd_search *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_search){
            .library = list[i]->library, .hidden = list[i]->hidden, .re_export = list[i]->re_export};
    return out;
}

static const struct jitd_library_info *convert_libraries(struct converter *converter,
                                                         Jitd__Proto__LibraryInfo *const *list, size_t count)
{
    struct jitd_library_info *out = convert_array(converter, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        out[i] = (struct jitd_library_info){.number = list[i]->library,
                                            .name = convert_string(converter, &list[i]->name),
                                            .search = convert_search(converter, list[i]->search, list[i]->n_search),
                                            .search_count = list[i]->n_search};
    return out;
}

void convert_inspection(struct converter *converter, const Jitd__Proto__Inspection *inspection,
                        struct jitd_inspection *out)
{
    *out = (struct jitd_inspection){
        .epoch = inspection->epoch,
        .unit_count = inspection->unit_count,
        .zones = convert_zones(converter, inspection->zones, inspection->n_zones),
        .zone_count = inspection->n_zones,
        .units_listed = inspection->n_units,
        .next_unit = inspection->next_unit,
        .libraries = convert_libraries(converter, inspection->libraries, inspection->n_libraries),
        .library_count = inspection->n_libraries,
    };
    struct jitd_unit *units = convert_array(converter, inspection->n_units, sizeof *units);
    for (size_t i = 0; units && i < inspection->n_units; i++)
        units[i] = convert_unit(converter, out, inspection->units[i]);
    out->units = units;
}
