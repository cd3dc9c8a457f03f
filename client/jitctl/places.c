/*
 * Places: from a unit's name to its object, to its line tables, to a path shortened for reading.
 */
#include "client/jitctl/places.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void places_init(struct places *places, const struct inputs *inputs)
{
    *places = (struct places){.inputs = inputs, .directory = getcwd(NULL, 0)};
}

void places_fini(struct places *places)
{
    source_lines_close(places->lines);
    free(places->directory);
    *places = (struct places){0};
}

static void places_open(struct places *places, const struct input_object *object)
{
    if (places->object == object)
        return;
    source_lines_close(places->lines);
    places->object = object;
    places->lines = source_lines_open(object->name, object->bytes, object->length);
}

static const char *places_shorten(const struct places *places, const char *file)
{
    size_t length = places->directory ? strlen(places->directory) : 0;
    if (length && strncmp(file, places->directory, length) == 0 && file[length] == '/')
        return file + length + 1;
    return file;
}

bool places_find(struct places *places, const char *unit, const char *section, uint64_t offset, const char **file,
                 int *line)
{
    const struct input_object *object = places->inputs ? inputs_find(places->inputs, unit) : NULL;
    if (!object)
        return false;
    places_open(places, object);
    if (!places->lines || !source_lines_find(places->lines, section, offset, file, line))
        return false;
    *file = places_shorten(places, *file);
    return true;
}
