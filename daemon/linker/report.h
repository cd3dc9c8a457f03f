/*
 * What went wrong with a batch or a unit: a bounded list of errors, some with the places that refer to a symbol. Errors
 * past the cap are counted, not kept; running out of memory here only shortens the list.
 */
#ifndef LINKER_REPORT_H
#define LINKER_REPORT_H

#include <stdint.h>

#include "common/error.h"
#include "proto/limits.h"

struct report_reference {
    char unit[96];
    char section[48];
    uint64_t offset;
    uint64_t unit_id;       /* 0: none yet */
    uint32_t unit_place;    /* in its batch, from 1 on; 0: not told */
    uint32_t section_index; /* 0: no section is told */
};

/* One link of a chain of failures: `unit` needed `symbol` ("" where the two belong together otherwise) of the next. */
struct report_cause {
    char unit[96];
    char symbol[96];
};

struct report_entry {
    struct error error;
    struct report_cause causes[LIMIT_CAUSES_PER_ERROR];
    uint32_t cause_count;
    uint32_t causes_omitted; /* between the last but one and the last */
    struct report_reference references[LIMIT_REFERENCES_PER_ERROR];
    uint32_t reference_count;
    uint32_t references_omitted;
};

/* Zero-initialised is empty. */
struct report {
    struct report_entry *entries; /* owned */
    uint32_t count;
    uint32_t capacity;
    uint32_t omitted;
};

void report_fini(struct report *report);

/* Copies the error. Gives the entry, or NULL where it was only counted. */
struct report_entry *report_add(struct report *report, const struct error *error);

/* Adds a place that refers to the entry's symbol, with no section told; `entry` may be NULL. Gives the reference, or
   NULL where it was only counted. */
struct report_reference *report_add_reference(struct report_entry *entry, const char *unit, uint64_t unit_id);

/* Says which byte of the unit's object refers to it; `reference` may be NULL. */
void report_set_place(struct report_reference *reference, const char *section, uint32_t section_index, uint64_t offset);

/* Adds the next link of the entry's chain, where there is room; `entry` may be NULL. */
void report_add_cause(struct report_entry *entry, const char *unit, const char *symbol);

/* The first error's code; ERROR_OK for an empty report. */
int report_code(const struct report *report);

#endif
