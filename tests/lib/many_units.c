#include "tests/lib/many_units.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 6

static const char prefix[] = "unit_";

struct unit_place {
    size_t offset; /* of the first digit */
    unsigned number;
};

static const unsigned weights[UNIT_CALLEES] = {3, 5, 7};

const char *unit_name(unsigned number, char out[UNIT_NAME_BYTES])
{
    cr_assert(number < 1000000);
    snprintf(out, UNIT_NAME_BYTES, "unit_%06u", number % 1000000);
    return out;
}

struct unit_pattern unit_pattern_compile(const char *source)
{
    struct unit_pattern pattern = {.object = compile_c(source, "-O2 -fPIC -w")};
    const uint8_t *bytes = pattern.object.bytes, *end = bytes + pattern.object.length;
    size_t room = 0;
    for (const uint8_t *at = bytes; (at = memmem(at, (size_t)(end - at), prefix, strlen(prefix))) != NULL;) {
        at += strlen(prefix);
        if (pattern.place_count == room) {
            room = room ? room * 2 : 8;
            pattern.places = realloc(pattern.places, room * sizeof *pattern.places);
            cr_assert(pattern.places);
        }
        pattern.places[pattern.place_count++] =
            (struct unit_place){(size_t)(at - bytes), (unsigned)strtoul((const char *)at, NULL, 10)};
    }
    cr_assert(pattern.place_count > 0);
    return pattern;
}

void unit_pattern_free(struct unit_pattern *pattern)
{
    object_free(&pattern->object);
    free(pattern->places);
    *pattern = (struct unit_pattern){0};
}

struct unit_pattern unit_pattern_function(size_t count)
{
    char source[1024];
    int used = snprintf(source, sizeof source,
                        "unsigned unit_000001(long), unit_000002(long), unit_000003(long);\n"
                        "unsigned unit_000000(long depth) { unsigned sum = 1; if (depth > 0) {");
    cr_assert(count <= UNIT_CALLEES);
    for (size_t i = 0; i < count; i++)
        used += snprintf(source + used, sizeof source - (size_t)used, " sum += %uu * unit_%06zu(depth - 1);",
                         weights[i], i + 1);
    snprintf(source + used, sizeof source - (size_t)used, " } return sum; }\n");
    return unit_pattern_compile(source);
}

unsigned unit_model(const unsigned *callees, size_t count)
{
    unsigned sum = 1;
    for (size_t i = 0; i < count; i++)
        sum += weights[i] * callees[i];
    return sum;
}

struct object_bytes unit_pattern_make(const struct unit_pattern *pattern, const unsigned *numbers)
{
    struct object_bytes object = object_copy(&pattern->object);
    for (size_t i = 0; i < pattern->place_count; i++) {
        char name[UNIT_NAME_BYTES];
        unit_name(numbers[pattern->places[i].number], name);
        memcpy(object.bytes + pattern->places[i].offset, name + strlen(prefix), DIGITS);
    }
    return object;
}
