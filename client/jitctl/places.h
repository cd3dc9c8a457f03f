/*
 * Places in submitted objects as people know them: "demo/crash.c:14", and names as their source has them.
 *
 * A report names many places in few objects: the readers of the last ones are kept (line_reader.h).
 */
#ifndef JITCTL_PLACES_H
#define JITCTL_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "client/jitctl/inputs.h"
#include "client/jitctl/line_reader.h"

/* Which byte of which object: by numbers, since names are not unique. */
struct place_key {
    uint64_t unit;    /* its id... */
    size_t input;     /* ...or, if that is 0, which of the inputs it is, from 1 on */
    uint32_t section; /* its index in the object; 0: none */
    uint64_t offset;
};

#define PLACES_READERS 8

struct places_reader {
    const struct input_object *object; /* NULL: none yet */
    struct line_reader *reader;        /* owned; NULL: could not be had */
};

struct places {
    const struct inputs *inputs; /* borrowed; NULL: nothing is known */
    uint64_t *units;             /* owned; ids, by input; NULL until they are accepted */
    size_t unit_count;
    struct places_reader readers[PLACES_READERS];
    size_t next_reader;        /* whose place the next object's takes */
    const char *problem;       /* of the last answer */
    struct line_reader *names; /* owned; demangles */
    unsigned names_lost;       /* how often that has crashed */
    int patience_ms;           /* that is left for all reading */
    char *directory;           /* owned; the current one, cut off paths that begin with it */
    struct line_place *found;  /* owned */
    char demangled[LINE_READER_TEXT];
};

/* Functions inlined in one another at one place, and the one around them. */
#define PLACES_DEPTH 64

void places_init(struct places *places, const struct inputs *inputs);
void places_fini(struct places *places);

/* The ids of the inputs' units, in their order. */
void places_set_units(struct places *places, const uint64_t *units, size_t count);

/* Where the byte comes from, the innermost function first: found[count - 1] is the one that has a symbol, those before
   it were inlined. They are valid until the next call. 0: nothing is known. */
size_t places_find(struct places *places, const struct place_key *key, const struct line_place **found);

/* Why there may be more to know than places_find has said, or "". Valid until the next call. */
const char *places_problem(const struct places *places);

/* The name as its source has it, or NULL where it is not a mangled one. Valid until the next call. */
const char *places_demangle(struct places *places, const char *name);

#endif
