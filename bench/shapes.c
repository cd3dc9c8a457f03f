/*
 * Graphs of units (shapes.h). Numbers of units are even.
 */
#include "bench/shapes.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client.h"
#include "bench/measure.h"

#define BATCH        256
#define SECONDS_MOST 20
#define MODULE       32
#define RANDOM_USES  3
#define USES_MOST(n) ((n) > MODULE + 1 ? (n) : MODULE + 1)

struct shape {
    const char *name;
    /* Fills `used` with the units that `unit` uses, each once, and returns their number. */
    size_t (*uses)(size_t unit, size_t units, size_t *used);
    /* Which unit arrives as number `position`. */
    size_t (*arrival)(size_t position, size_t units);
};

/* ---- who uses whom ---- */

static size_t uses_next(size_t unit, size_t units, size_t *used)
{
    used[0] = unit + 1;
    return unit + 1 < units;
}

static size_t uses_hub(size_t unit, size_t units, size_t *used)
{
    (void)units;
    used[0] = 0;
    return unit > 0;
}

static size_t uses_all_from_hub(size_t unit, size_t units, size_t *used)
{
    if (unit > 0)
        return 0;
    for (size_t i = 1; i < units; i++)
        used[i - 1] = i;
    return units - 1;
}

/* Everybody of the module, and its first unit the first of the next module. */
static size_t uses_module(size_t unit, size_t units, size_t *used)
{
    size_t first = unit / MODULE * MODULE, count = 0;
    for (size_t i = first; i < first + MODULE && i < units; i++)
        if (i != unit)
            used[count++] = i;
    if (unit == first && first + MODULE < units)
        used[count++] = first + MODULE;
    return count;
}

/* Splitmix64: the same graph in every run. */
static uint64_t scramble(uint64_t value)
{
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static size_t uses_random(size_t unit, size_t units, size_t *used)
{
    size_t count = 0;
    for (size_t i = 0; i < RANDOM_USES; i++) {
        size_t drawn = scramble(unit * RANDOM_USES + i) % units;
        bool again = drawn == unit;
        for (size_t n = 0; n < count; n++)
            again = again || used[n] == drawn;
        if (!again)
            used[count++] = drawn;
    }
    return count;
}

/* ---- who arrives first ---- */

static size_t arrival_forward(size_t position, size_t units)
{
    (void)units;
    return position;
}

static size_t arrival_backward(size_t position, size_t units)
{
    return units - 1 - position;
}

static size_t arrival_hub_last(size_t position, size_t units)
{
    return (position + 1) % units;
}

/* N-2, N-4, N-3, N-6, N-5 ... 0, 1, N-1: of each two, the first waits for the second before it comes, so that from the
   second a long chain of waiting units has to be told from a cycle. */
static size_t arrival_seesaw(size_t position, size_t units)
{
    if (position == 0)
        return units - 2;
    if (position == units - 1)
        return units - 1;
    return units - (position % 2 ? 3 : 1) - position;
}

static const struct shape shapes[] = {
    {"chain", uses_next, arrival_forward},       {"chain-back", uses_next, arrival_backward},
    {"chain-seesaw", uses_next, arrival_seesaw}, {"star", uses_hub, arrival_hub_last},
    {"fan", uses_all_from_hub, arrival_forward}, {"modules", uses_module, arrival_forward},
    {"random", uses_random, arrival_forward},
};

/* ---- objects ---- */

static void shape_write_unit(const struct shape *shape, size_t unit, size_t units, size_t *used,
                             struct written_object *out)
{
    size_t count = shape->uses(unit, units, used);
    char(*names)[sizeof out->name] = measure_allocate((count + 1) * sizeof *names);
    const char **list = measure_allocate((count + 1) * sizeof *list);
    for (size_t i = 0; i <= count; i++) {
        snprintf(names[i], sizeof names[i], "g_%zu", i == 0 ? unit : used[i - 1]);
        list[i] = names[i];
    }
    object_write_calls(out, list, count);
    free(list);
    free(names);
}

static struct written_object *shape_write_all(const struct shape *shape, size_t units)
{
    struct written_object *objects = measure_allocate(units * sizeof *objects);
    size_t *used = measure_allocate(USES_MOST(units) * sizeof *used);
    for (size_t position = 0; position < units; position++)
        shape_write_unit(shape, shape->arrival(position, units), units, used, &objects[position]);
    free(used);
    return objects;
}

struct written_object *shape_write(const char *name, size_t units)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return shape_write_all(&shapes[i], units);
    measure_die("there is no shape '%s'", name);
}

/* ---- measuring ---- */

/* Microseconds a unit. */
static double shape_time(const char *daemon, const struct shape *shape, size_t units)
{
    struct written_object *objects = shape_write_all(shape, units);
    measure_touch_memory();
    struct jitd_session *session = client_open_settled(daemon);
    double taken = (double)client_time_stream(session, objects, units, BATCH) / 1000.0 / (double)units;
    jitd_close(session);
    object_free_all(objects, units);
    return taken;
}

static void shape_measure(const char *daemon, const struct shape *shape, size_t most_units)
{
    double last = 0, growth = 1;
    for (size_t units = 1000; units <= most_units; units *= 10) {
        char key[64];
        snprintf(key, sizeof key, "shape.%s.%zu", shape->name, units);
        if (last * growth * (double)units > SECONDS_MOST * 1e6) {
            measure_skip(key);
            continue;
        }
        double taken = shape_time(daemon, shape, units);
        measure_print(key, taken);
        growth = last > 0 && taken > last ? taken / last : 1;
        last = taken;
    }
}

void shapes_measure(const char *daemon, size_t most_units)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        shape_measure(daemon, &shapes[i], most_units);
}
