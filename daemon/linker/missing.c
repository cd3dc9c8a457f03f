#include "daemon/linker/missing.h"

#include <stdio.h>
#include <string.h>

#include "daemon/linker/hash_table.h"
#include "daemon/linker/relocate.h"

#define UNLISTED UINT32_MAX

/* One that has been reported. */
struct missing_name {
    struct hash_entry entry;
    const char *name;
    uint32_t listed; /* its place in the report, or UNLISTED */
};

/* By their names. */
struct missing {
    struct hash_table table;
};

/* The name's own, made where there is none; NULL: out of memory. */
static struct missing_name *find(struct linker *linker, struct batch *batch, const char *name, bool *found)
{
    uint32_t hash = symbols_hash(linker->symbols, name, strlen(name));

    if (!batch->missing)
        batch->missing = pool_allocate(&linker->deciding, sizeof *batch->missing);
    if (!batch->missing || hash_table_reserve(&batch->missing->table, 1) != 0)
        return NULL;
    struct missing_name *missing = hash_table_find(&batch->missing->table, hash);
    while (missing && strcmp(missing->name, name) != 0)
        missing = hash_table_next(&missing->entry);
    *found = missing != NULL;
    if (!missing)
        missing = pool_allocate(&linker->deciding, sizeof *missing);
    if (!missing || *found)
        return missing;
    *missing = (struct missing_name){.name = name, .listed = UNLISTED};
    hash_table_add(&batch->missing->table, &missing->entry, hash);
    return missing;
}

/* Where the object refers to the symbol first; in section 0 where that is not known. Found for all symbols at once. */
static struct relocation_place find_place(struct linker *linker, struct unit *unit, uint32_t index)
{
    struct pending *pending = unit->pending;

    if (index && !pending->places) {
        pending->places = pool_allocate_array(&linker->deciding, pending->object.symbol_count, sizeof *pending->places);
        if (pending->places)
            relocate_find_places(&pending->object, pending->places);
    }
    return index && pending->places ? pending->places[index] : (struct relocation_place){0};
}

static struct report_entry *list(struct report *report, const struct unit *unit, uint32_t index, const char *section,
                                 uint64_t offset, const char *name, const char *why)
{
    char place[192] = "";
    struct error error;

    if (index)
        snprintf(place, sizeof place, ":%.100s+0x%llx", section, (unsigned long long)offset);
    error_set(&error, ERROR_SYMBOL_MISSING, "%s%s: undefined symbol '%s'%s", unit->name, place, name, why);
    error_set_unit(&error, unit->name);
    error_set_section(&error, section, offset);
    error_set_symbol(&error, name);
    return report_add(report, &error);
}

void missing_report(struct linker *linker, struct report *report, struct unit *unit, uint32_t index, const char *name,
                    const char *why)
{
    bool found = false;
    struct missing_name *missing = find(linker, unit->pending->batch, name, &found);

    if (found && missing->listed == UNLISTED)
        return; /* it has been counted */
    struct relocation_place place = find_place(linker, unit, index);
    const char *section = place.section ? unit->pending->object.sections[place.section].name : "";
    struct report_entry *entry =
        found ? &report->entries[missing->listed] : list(report, unit, index, section, place.offset, name, why);
    if (entry && missing)
        missing->listed = (uint32_t)(entry - report->entries);
    struct report_reference *reference = report_add_reference(entry, unit->name, unit->id);
    if (reference)
        reference->unit_place = unit->pending->place;
    report_set_place(reference, section, place.section, place.offset);
}

void missing_close(struct batch *batch)
{
    if (batch->missing)
        hash_table_close(&batch->missing->table, NULL);
}
