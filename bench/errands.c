/*
 * Errands for bench/run (errands.h).
 */
#include "bench/errands.h"

#include <stdio.h>

#include "bench/client.h"
#include "bench/measure.h"

void errand_submit(const char *daemon, size_t units, size_t batch)
{
    struct written_object *tree = object_write_tree("s", units);
    struct jitd_session *session = client_open_settled(daemon);
    for (size_t left = units; left > 0;) {
        size_t count = batch < left ? batch : left;
        left -= count;
        client_time_units(session, tree + left, count);
    }
    client_time_call(session, tree->name, (int)units);
    jitd_close(session);
    object_free_all(tree, units);
}

void errand_write(const char *directory, size_t units)
{
    struct written_object *tree = object_write_tree("s", units);
    for (size_t i = 0; i < units; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%zu.o", directory, i);
        FILE *file = fopen(path, "we");
        if (!file || fwrite(tree[i].bytes, 1, tree[i].length, file) != tree[i].length || fclose(file) != 0)
            measure_die("cannot write %s", path);
    }
    object_free_all(tree, units);
}
