/*
 * What `jitctl inspect` has been told, on its way to standard output: for people, as JSON, as a graph in DOT.
 *
 * A session is shown page by page as its linker lists it, and nothing of a page is kept: a session of millions of units
 * is printed as it comes. It goes on meanwhile, so that two pages may not be of one moment.
 */
#ifndef JITCTL_INSPECT_FORMAT_H
#define JITCTL_INSPECT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "client/jitctl/json.h"
#include "client/jitd.h"
#include "proto/inspect.h"
#include "proto/message.h"

struct inspect_view {
    FILE *out;                             /* borrowed */
    const struct inspect_session *session; /* borrowed */
    bool all_units;                        /* text: not only those that wait or have failed */
    uint64_t states[JITD_UNIT_STATES];     /* text: units so far, by state */
    struct json json;                      /* JSON */
};

struct inspect_format {
    /* Sessions alone, none of them looked into; NULL where the format has nothing for that. */
    void (*sessions)(struct inspect_view *view, const struct inspect_session *sessions, size_t count);
    /* Once, with what only the first page has; then every page, the first one too; then the end. */
    void (*begin)(struct inspect_view *view, const Jitd__Proto__Inspection *first);
    void (*units)(struct inspect_view *view, const Jitd__Proto__Inspection *page);
    void (*end)(struct inspect_view *view);
};

extern const struct inspect_format inspect_text, inspect_json, inspect_dot;

const char *inspect_state_name(unsigned state); /* of a session */

#endif
