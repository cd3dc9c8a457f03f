/*
 * What the daemon lists of units and libraries, beside what the model has.
 */
#include <string.h>

#include "tests/model/drive.h"

static bool lists_unit(const struct drive *drive, const struct jitd_unit *unit, uint32_t serial)
{
    for (size_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i] == drive->news[serial].id)
            return true;
    return false;
}

static bool lists_missing(const struct jitd_unit *unit, uint32_t name)
{
    for (size_t i = 0; i < unit->missing_count; i++)
        if (strcmp(unit->missing[i], operation_name(name)) == 0)
            return true;
    return false;
}

/* Each unit that a use is bound to is listed once, and each name that a use waits for. */
static bool has_uses(const struct drive *drive, const struct jitd_unit *listed, const struct model_unit *unit)
{
    bool only[SERIALS_MOST] = {false};
    size_t used = 0;

    for (uint32_t i = 0; i < drive->model->unit_end; i++) {
        only[i] = true;
        bool uses = unit->state != JITD_UNIT_FAILED && model_uses_any(unit, only);
        only[i] = false;
        /* Ids of what is run once nobody is told. */
        if (i != unit->serial && !drive->model->units[i].internal &&
            uses != (drive->news[i].id && lists_unit(drive, listed, i)))
            return false;
        used += i != unit->serial && uses;
    }
    for (uint32_t u = 0; u < unit->use_count && unit->state != JITD_UNIT_FAILED; u++)
        if ((unit->uses[u].bound.kind == BOUND_NOTHING) && !lists_missing(listed, unit->uses[u].name))
            return false;
    return listed->use_count == used;
}

static bool has_missing(const struct jitd_unit *listed, const struct model_unit *unit)
{
    size_t count = 0;

    for (uint32_t u = 0; u < unit->use_count && unit->state == JITD_UNIT_RESOLVED; u++)
        count += unit->uses[u].bound.kind == BOUND_NOTHING;
    return listed->missing_count == count;
}

/* One that waits for a unit waits for one that waits. */
static bool waits_rightly(const struct drive *drive, const struct jitd_unit *listed, const struct model_unit *unit)
{
    if (listed->waits_for == 0)
        return true;
    if (unit->state != JITD_UNIT_RESOLVED || listed->waits_for >= drive->id_end || listed->waits_for == listed->unit)
        return false;
    const struct model_unit *other = model_unit(drive->model, drive->serials[listed->waits_for]);
    return other && other->state == JITD_UNIT_RESOLVED;
}

static uint32_t count_standing(const struct drive *drive, const struct model_unit *unit)
{
    uint32_t count = !unit->no_object; /* the probe */

    for (uint32_t i = 0; i < unit->definition_count; i++) {
        const struct model_definition *definition = &unit->definitions[i];

        count += drive->model->table.entries[unit->library][definition->hidden][definition->name] == definition;
    }
    return unit->state == JITD_UNIT_FAILED ? 0 : count;
}

static void compare_unit(struct drive *drive, const struct record *record, const struct jitd_unit *listed)
{
    const struct model_unit *unit = model_unit(drive->model, drive->serials[listed->unit]);
    const char *what = !unit || unit->removed                                    ? "existence"
                       : listed->state != unit->state                            ? "state"
                       : listed->library != unit->library                        ? "library"
                       : listed->definition_count != count_standing(drive, unit) ? "definitions"
                       : !has_uses(drive, listed, unit)                          ? "uses"
                       : !has_missing(listed, unit)                              ? "missing names"
                       : !waits_rightly(drive, listed, unit)                     ? "unit that it waits for"
                                                                                 : NULL;

    if (what)
        drive_differs(
            drive, record,
            "%s: the model has another %s (listed: state %d, %zu definitions, %zu uses, %zu missing, waits for "
            "%llu)",
            listed->name, what, listed->state, listed->definition_count, listed->use_count, listed->missing_count,
            (unsigned long long)listed->waits_for);
}

static void compare_library(struct drive *drive, const struct record *record, const struct jitd_library_info *listed)
{
    const struct model_library *library =
        listed->number < LIBRARIES_MOST ? &drive->model->libraries[listed->number] : NULL;
    bool same = library && library->exists && listed->search_count == library->definition.search_count;

    for (size_t i = 0; same && i < listed->search_count; i++) {
        const struct search_row *row = &library->definition.searches[i];

        same = listed->search[i].library == row->library && listed->search[i].hidden == (row->hidden != 0) &&
               listed->search[i].re_export == (row->re_export != 0);
    }
    if (!same)
        drive_differs(drive, record, "library %u: the model has another", listed->number);
}

/* How many units the model has up to that id. */
static uint32_t count_units(const struct drive *drive)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < drive->model->unit_end; i++)
        count += model_unit(drive->model, i) && !drive->model->units[i].internal && !drive->model->units[i].removed;
    return count;
}

void compare_inspection(struct drive *drive, const struct record *record, const struct jitd_inspection *inspection)
{
    size_t libraries = 0;

    for (size_t i = 0; i < inspection->units_listed; i++) {
        const struct jitd_unit *unit = &inspection->units[i];

        if (unit->unit <= drive->inspected || unit->unit >= drive->id_end)
            drive_differs(drive, record, "unit %llu is listed behind %llu", (unsigned long long)unit->unit,
                          (unsigned long long)drive->inspected);
        else if (drive->serials[unit->unit])
            compare_unit(drive, record, unit);
        drive->listed += unit->unit < drive->id_end && drive->serials[unit->unit] != 0;
        drive->inspected = unit->unit;
    }
    if (record->operation->limit && inspection->units_listed > record->operation->limit)
        drive_differs(drive, record, "%zu units are listed", inspection->units_listed);
    drive->next = inspection->next_unit;
    if (!drive->next && drive->listed != count_units(drive))
        drive_differs(drive, record, "%u units are listed; the model has %u", drive->listed, count_units(drive));
    for (size_t i = 0; i < inspection->library_count; i++)
        compare_library(drive, record, &inspection->libraries[i]);
    for (uint32_t i = 0; i < LIBRARIES_MOST; i++)
        libraries += drive->model->libraries[i].exists;
    if (libraries != inspection->library_count)
        drive_differs(drive, record, "%zu libraries are listed; the model has %zu", inspection->library_count,
                      libraries);
}
