/*
 * Libraries: namespaces of a session, and where each looks for a name.
 *
 * A library is a number that the controller chose; 0, "main", is always there. A name used in a library is looked for
 * in what the library keeps to itself, in what it exports, then in the libraries of its search order, each with what it
 * re-exports, then among the symbols of the runner's own libraries, as far as the library wants those. Search orders
 * may lead in circles; each namespace is searched once, where it is met first.
 */
#ifndef LINKER_LIBRARY_H
#define LINKER_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define LIBRARY_MAIN 0u

/* The numbers of jitd.proto's ProcessSymbols. */
enum process_choice { PROCESS_ALL, PROCESS_NONE, PROCESS_LISTED };

struct search_entry {
    uint32_t library;
    bool hidden;    /* also what that library keeps to itself */
    bool re_export; /* whoever searches this library finds what is exported there */
};

struct library_name {
    const char *bytes;
    size_t length;
};

/* What the controller says of a library. */
struct library_definition {
    uint32_t library;
    struct library_name name;
    const struct search_entry *search;
    uint32_t search_count;
    enum process_choice process;
    const struct library_name *process_names; /* LISTED */
    uint32_t process_name_count;
};

struct libraries;

struct libraries *libraries_new(void);            /* with main alone; NULL: out of memory */
void libraries_free(struct libraries *libraries); /* NULL is allowed */

/* Makes a library, or changes the one of that number: what has been bound stays bound. Everything is copied. NOT_FOUND
   where the search order names a library that is not there, LIMIT, INVALID, NO_MEMORY; then nothing has changed. */
int libraries_define(struct libraries *libraries, const struct library_definition *definition, struct error *error);

bool libraries_has(const struct libraries *libraries, uint32_t library);
uint32_t libraries_count(const struct libraries *libraries);

/* The first library whose number is at least `from`; false when there is none. */
bool libraries_next(const struct libraries *libraries, uint32_t from, uint32_t *library);

/* What it was called; "" where nothing was said. Valid until it is defined anew. */
const char *libraries_name(const struct libraries *libraries, uint32_t library);
const struct search_entry *libraries_search(const struct libraries *libraries, uint32_t library, uint32_t *count);

/* Whether a name that no unit offers may be one of the runner's libraries' own. */
bool libraries_wants_process_symbol(const struct libraries *libraries, uint32_t library, const char *name,
                                    size_t length);

/* The namespaces in which a use is looked for, in order: of a unit in the library, or with `exact` of one that names
   the library. Valid until the next libraries_define. Out of memory it is the library's own alone. */
const uint32_t *libraries_spaces(struct libraries *libraries, uint32_t library, bool exact, uint32_t *count);

#endif
