/*
 * Places: from a unit's id to its object, to a process that reads that, to paths shortened for reading.
 */
#include "client/jitctl/places.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* However many objects a report names, and whatever they are: then it is printed without more lines. */
#define PLACES_PATIENCE_MS 30000

/* Names are no reason to fork without end. */
#define PLACES_NAMES_LOST_MOST 4

void places_init(struct places *places, const struct inputs *inputs)
{
    *places = (struct places){
        .inputs = inputs, .directory = getcwd(NULL, 0), .patience_ms = PLACES_PATIENCE_MS, .problem = ""};
}

void places_fini(struct places *places)
{
    for (size_t i = 0; i < PLACES_READERS; i++)
        line_reader_close(places->readers[i].reader);
    line_reader_close(places->names);
    free(places->units);
    free(places->found);
    free(places->directory);
    *places = (struct places){0};
}

void places_set_units(struct places *places, const uint64_t *units, size_t count)
{
    free(places->units);
    places->units = count ? malloc(count * sizeof *units) : NULL;
    places->unit_count = places->units ? count : 0;
    if (places->units)
        memcpy(places->units, units, count * sizeof *units);
}

static const struct input_object *places_object(const struct places *places, const struct place_key *key)
{
    size_t input = key->input;
    for (size_t i = 0; key->unit && i < places->unit_count && !input; i++)
        if (places->units[i] == key->unit)
            input = i + 1;
    return places->inputs && input && input <= places->inputs->object_count ? &places->inputs->objects[input - 1]
                                                                            : NULL;
}

static struct line_reader *places_reader(struct places *places, const struct input_object *object)
{
    for (size_t i = 0; i < PLACES_READERS; i++)
        if (places->readers[i].object == object)
            return places->readers[i].reader;
    struct places_reader *slot = &places->readers[places->next_reader++ % PLACES_READERS];
    line_reader_close(slot->reader);
    slot->object = object;
    slot->reader = object->length ? line_reader_open(object->bytes, object->length) : NULL;
    return slot->reader;
}

static void places_shorten(const struct places *places, char *file)
{
    size_t length = places->directory ? strlen(places->directory) : 0;
    if (length && strncmp(file, places->directory, length) == 0 && file[length] == '/')
        memmove(file, file + length + 1, strlen(file + length + 1) + 1);
}

static int64_t places_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void places_spend(struct places *places, int64_t since_ms)
{
    int64_t spent = places_now_ms() - since_ms;
    places->patience_ms = spent < places->patience_ms ? places->patience_ms - (int)spent : 0;
}

size_t places_find(struct places *places, const struct place_key *key, const struct line_place **found)
{
    int64_t begun = places_now_ms();
    const struct input_object *object = key->section ? places_object(places, key) : NULL;
    struct line_reader *reader = object ? places_reader(places, object) : NULL;
    if (!places->found)
        places->found = calloc(PLACES_DEPTH, sizeof *places->found);
    places->problem = "";
    if (!reader || !places->found)
        return 0;
    size_t count =
        line_reader_find(reader, key->section, key->offset, places->patience_ms, places->found, PLACES_DEPTH);
    places_spend(places, begun);
    places->problem = line_reader_problem(reader);
    for (size_t i = 0; i < count; i++)
        places_shorten(places, places->found[i].file);
    *found = places->found;
    return count;
}

const char *places_problem(const struct places *places)
{
    return places->problem;
}

/* All that is mangled begins so: _Z, _R, _D. */
static bool places_may_be_mangled(const char *name)
{
    return name[0] == '_' && name[1] && strchr("ZRD", name[1]);
}

const char *places_demangle(struct places *places, const char *name)
{
    int64_t begun = places_now_ms();
    if (!places_may_be_mangled(name) || places->names_lost == PLACES_NAMES_LOST_MOST)
        return NULL;
    if (!places->names)
        places->names = line_reader_open(NULL, 0);
    if (!places->names)
        return NULL;
    bool done = line_reader_demangle(places->names, name, places->patience_ms, places->demangled);
    places_spend(places, begun);
    if (!line_reader_lives(places->names)) {
        line_reader_close(places->names);
        places->names = NULL;
        places->names_lost++;
    }
    return done ? places->demangled : NULL;
}
