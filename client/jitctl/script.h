/*
 * Linker scripts, as many a libNAME.so is one: INPUT, GROUP and AS_NEEDED, EXTERN, SEARCH_DIR, OUTPUT_FORMAT,
 * OUTPUT_ARCH and TARGET. A script that says anything else lays a program out, which is the daemon's matter, and is
 * refused.
 */
#ifndef JITCTL_SCRIPT_H
#define JITCTL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum script_kind {
    SCRIPT_FILE, /* a path, or "-lNAME" */
    SCRIPT_AS_NEEDED_FILE,
    SCRIPT_GROUP_BEGIN, /* what stands between is searched in circles */
    SCRIPT_GROUP_END,
    SCRIPT_DIRECTORY, /* to be searched for libraries */
    SCRIPT_EXTERN     /* a symbol that archives are to define */
};

struct script_item {
    enum script_kind kind;
    char *text; /* owned; NULL for groups */
};

struct script {
    struct script_item *items; /* owned; in order */
    size_t item_count;
    bool foreign;  /* OUTPUT_FORMAT names a format that jitd does not link */
    char *problem; /* owned; NULL, or why the text is no script that is understood, with its line */
};

/* Whether the bytes may be a script at all: text. */
bool script_recognise(const char *text, size_t length);

/* End with script_free, also where there is a problem. */
void script_read(struct script *script, const char *text, size_t length);
void script_free(struct script *script);

#endif
