#include "daemon/linker/report.h"

#include <stdio.h>
#include <stdlib.h>

void report_fini(struct report *report)
{
    free(report->entries);
    *report = (struct report){0};
}

static int make_room(struct report *report)
{
    uint32_t capacity = report->capacity ? report->capacity * 2 : 4;

    if (report->count < report->capacity)
        return 0;
    if (report->count >= LIMIT_ERRORS_PER_REPLY)
        return ERROR_LIMIT;
    struct report_entry *entries = realloc(report->entries, capacity * sizeof *entries);
    if (!entries)
        return ERROR_NO_MEMORY;
    report->entries = entries;
    report->capacity = capacity;
    return 0;
}

struct report_entry *report_add(struct report *report, const struct error *error)
{
    if (make_room(report) != 0) {
        report->omitted++;
        return NULL;
    }
    struct report_entry *entry = &report->entries[report->count++];
    *entry = (struct report_entry){.error = *error};
    return entry;
}

struct report_reference *report_add_reference(struct report_entry *entry, const char *unit, uint64_t unit_id)
{
    if (!entry)
        return NULL;
    if (entry->reference_count == LIMIT_REFERENCES_PER_ERROR) {
        entry->references_omitted++;
        return NULL;
    }
    struct report_reference *reference = &entry->references[entry->reference_count++];
    *reference = (struct report_reference){.unit_id = unit_id};
    snprintf(reference->unit, sizeof reference->unit, "%s", unit);
    return reference;
}

void report_set_place(struct report_reference *reference, const char *section, uint32_t section_index, uint64_t offset)
{
    if (!reference)
        return;
    snprintf(reference->section, sizeof reference->section, "%s", section);
    reference->section_index = section_index;
    reference->offset = offset;
}

void report_add_cause(struct report_entry *entry, const char *unit, const char *symbol)
{
    if (!entry || entry->cause_count == LIMIT_CAUSES_PER_ERROR)
        return;
    struct report_cause *cause = &entry->causes[entry->cause_count++];
    snprintf(cause->unit, sizeof cause->unit, "%s", unit);
    snprintf(cause->symbol, sizeof cause->symbol, "%s", symbol);
}

int report_code(const struct report *report)
{
    return report->count ? report->entries[0].error.code : ERROR_OK;
}
